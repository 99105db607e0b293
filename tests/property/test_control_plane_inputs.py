"""Whatever passes the model's validation, a handler answers or refuses as an `ApiError`; nothing else comes out."""

import asyncio
import contextlib
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore.model import Shape
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.aws.errors import ApiError
from lambent.aws.validation import failures
from lambent.event_sources.mappings import EventSourceMappings
from lambent.functions.admission import admitted
from lambent.testing.registered import registered
from lambent.testing.scripted_caller import ScriptedCaller
from tests.planes import opened
from tests.unit.functions.conftest import Api, package

MODEL = botocore.session.Session().get_service_model("lambda")
ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
NAMES = [
    "f",
    "g",
    ARN,
    ARN + ":1",
    "f:$LATEST",
    "f:live",
    "function:f",
    "000000000000:function:f",
    "a.b",
    "arn:aws:lambda",
]
FOREIGN = ["arn:aws:lambda:eu-west-1:000000000000:function:f", "arn:aws:lambda:us-east-1:111111111111:function:f"]
USUAL: dict[str, list[Any]] = {
    "UUID": ["x", "00000000-0000-4000-8000-000000000000"],
    "EventSourceArn": [
        "arn:aws:sqs:us-east-1:000000000000:q",
        "arn:aws:kinesis:us-east-1:000000000000:stream/s",
        "arn:aws:sns:us-east-1:000000000000:t",
        "arn:aws:mq:us-east-1:000000000000:broker:b:b-1",
    ],
    "StartingPosition": ["LATEST", "TRIM_HORIZON", "AT_TIMESTAMP"],
    "FilterCriteria": [{}, {"Filters": []}, {"Filters": [{"Pattern": "{"}]}, {"Filters": [{"Pattern": "{}"}]}],
    "LayerName": [
        "l",
        "arn:aws:lambda:us-east-1:111111111111:layer:l",
        "arn:aws:lambda:us-east-1:000000000000:layer:l",
    ],
    "Content": [{"ZipFile": package("l")}, {"ZipFile": b"x"}, {}, {"S3Bucket": "bucket", "S3Key": "k"}],
    "VersionNumber": [1, 0, -1, 2**40],
    "Arn": ["arn:aws:lambda:us-east-1:000000000000:layer:l:1", "arn:aws:lambda:us-east-1:111111111111:layer:l:1"],
    "Layers": [[], ["arn:aws:lambda:us-east-1:000000000000:layer:l:1"]],
    "AllowedPublishers": [
        {"SigningProfileVersionArns": ["arn:aws:signer:us-east-1:000000000000:/signing-profiles/p/abcdefghij"]}
    ],
    "Policy": ["{}", "no json", '{"Statement":[]}'],
    "ResourceArn": [ARN, ARN + ":1", *FOREIGN],
    "FunctionName": [*NAMES, *FOREIGN],
    "Resource": [ARN, ARN + ":1", *FOREIGN, "arn:aws:lambda:us-east-1:000000000000:capacity-provider:c"],
    "Qualifier": ["1", "2", "$LATEST", "$LATEST.PUBLISHED", "live", "00", "9" * 30],
    "Runtime": ["python3.11", "java21", "provided"],
    "Role": ["arn:aws:iam::000000000000:role/r"],
    "Handler": ["app.handler", ""],
    "Code": [{"ZipFile": package("1")}, {"ZipFile": b"x"}, {}, {"S3Bucket": "bucket", "S3Key": "k"}, {"ImageUri": "i"}],
    "ZipFile": [package("2"), b"", b"PK\x05\x06" + bytes(18)],
    "Timeout": [1, 900, 901],
    "MemorySize": [128, 10240, 32768],
    "Environment": [
        {},
        {"Variables": {}},
        {"Variables": {"KEY": "\N{GRINNING FACE}" * 1100}},
        {"Variables": {"AWS_REGION": ""}},
    ],
    "EphemeralStorage": [{"Size": 512}, {"Size": 20000}],
    "Architectures": [["arm64"], [], ["x86_64", "arm64"]],
    "LoggingConfig": [{}, {"LogGroup": "/g"}, {"LogFormat": "JSON"}, {"SystemLogLevel": "INFO"}],
    "Tags": [{}, {"a": "b"}, {"aws:x": "y"}],
    "TagKeys": [["a"], []],
    "Marker": ["", "Zg==", "%", "\u00e9", "////", "_w=="],
    "MaxItems": [1, 10000],
    "FunctionVersion": ["ALL", "1", "7", "$LATEST"],
    "RoutingConfig": [{}, {"AdditionalVersionWeights": {}}, {"AdditionalVersionWeights": {"1": 0.5}}],
    "Cors": [{}, {"AllowOrigins": ["*"], "MaxAge": 5}],
    "DestinationConfig": [
        {},
        {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:q"}},
        {"OnSuccess": {}},
    ],
    "Principal": ["*", "s3.amazonaws.com", "111111111111", "arn:aws:iam::111111111111:role/r", "?"],
    "Action": ["lambda:InvokeFunction", "lambda:InvokeFunctionUrl", "s3:GetObject"],
    "RevisionId": ["", "x"],
    "CodeSha256": ["", "x"],
    "VpcConfig": [{}, {"SubnetIds": ["subnet-1"]}],
    "TracingConfig": [{}, {"Mode": "Active"}],
    "SnapStart": [{}, {"ApplyOn": "PublishedVersions"}],
    "KMSKeyArn": ["", "arn:aws:kms:us-east-1:000000000000:key/a"],
    "PackageType": ["Zip", "Image"],
    "ImageUri": ["i", "", "No:", "a.dkr.ecr.us-east-1.amazonaws.com/r@sha256:" + "0" * 64],
    "ImageConfig": [{}, {"Command": ["x"]}, {"EntryPoint": []}, {"WorkingDirectory": ""}],
    "S3Bucket": ["bucket"],
    "UpdateRuntimeOn": ["Auto", "Manual", "FunctionUpdate"],
    "Name": ["live", "test"],
    "ReservedConcurrentExecutions": [0, 900, 901],
}


@cache
def operations() -> tuple[str, ...]:
    """All that is registered but what runs functions: that needs environments, and has tests of its own."""

    async def names() -> tuple[str, ...]:
        with tempfile.TemporaryDirectory() as place:
            async with registered(Path(place)) as services:
                return tuple(sorted(services["lambda"].operations))

    return tuple(name for name in asyncio.run(names()) if not name.startswith("Invoke"))


def values_of(shape: Shape) -> list[Any]:
    kinds: dict[str, list[Any]] = {"boolean": [True, False], "structure": [{}], "list": [[]], "map": [{}]}
    kinds |= {kind: [0, 1, 100_000] for kind in ("integer", "long", "double")}
    return kinds.get(shape.type_name) or list(getattr(shape, "enum", [])) or ["x"]


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    operation = draw(st.sampled_from(operations()))
    shape = MODEL.operation_model(operation).input_shape
    parameters: dict[str, Any] = {}
    for name in shape.members if shape else ():
        if name in shape.required_members or draw(st.integers(0, 3)) == 0:
            values = USUAL.get(name) or values_of(shape.members[name])
            parameters[name] = draw(st.sampled_from(values))
    return operation, parameters


async def run(place: Path, script: list[tuple[str, dict[str, Any]]]) -> None:
    async with opened(place) as server:
        mappings = EventSourceMappings(
            database=server.database, clock=server.clock, functions=server.plane.read_model, caller=ScriptedCaller()
        )
        server.plane.taggables["event-source-mapping"] = mappings.taggable
        mappings.start()
        api = Api(server.plane)
        table = {**server.plane.operations(), **admitted(mappings.operations(), server.plane.authorizer)}
        assert table.keys() == set(operations())
        try:
            await api.created(Publish=True)
            for operation, parameters in script:
                shape = MODEL.operation_model(operation).input_shape
                if shape is not None and list(failures(shape, parameters)):
                    continue
                with contextlib.suppress(ApiError):
                    await table[operation](api.context, parameters)
        finally:
            await mappings.close()


@settings(max_examples=25, deadline=None)
@given(st.lists(calls(), min_size=20, max_size=40))
def test_a_handler_answers_or_refuses(script: list[tuple[str, dict[str, Any]]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(run(Path(place), script))
