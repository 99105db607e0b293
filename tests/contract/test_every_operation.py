"""All operations of Lambda's model, with members that are wrong, odd or merely unusual, against a real server.

Whatever is sent, the answer is 2xx or 4xx; 5xx is a failure, except the declared 501 of what is not built.
"""

import http.client
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

import orjson
import pytest
from botocore import serialize
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lambent.aws.models import service_model
from lambent.aws.shapes import ListShape, MapShape, OperationModel, Shape, StructureShape
from lambent.aws.validation import constraints
from lambent.gateway.foreign import of_botocore
from lambent.testing.running_server import Server
from tests.e2e.packages import ECHO, create_function, zip_of
from tests.property.gateway.shape_values import SECONDS, structure

ACCOUNT: Final = "000000000000"
MODEL: Final = service_model("lambda")
SERIALISER: Final = serialize.create_serializer(MODEL.metadata["protocol"], include_validation=False)
ARN: Final = f"arn:aws:lambda:us-east-1:{ACCOUNT}"
FUNCTION: Final = f"{ARN}:function:f"
OTHER: Final = ["arn:aws:lambda:eu-west-1:000000000000:function:f", "arn:aws:lambda:us-east-1:111111111111:function:f"]
SOURCES: Final = [
    f"arn:aws:sqs:us-east-1:{ACCOUNT}:queue",
    f"arn:aws:sqs:us-east-1:{ACCOUNT}:queue.fifo",
    f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s",
    f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s/consumer/c:1",
    f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/t/stream/2026-01-01T00:00:00.000",
    f"arn:aws:kafka:us-east-1:{ACCOUNT}:cluster/c/11111111-1111-1111-1111-111111111111-1",
    f"arn:aws:mq:us-east-1:{ACCOUNT}:broker:b:b-1",
    f"arn:aws:rds:us-east-1:{ACCOUNT}:cluster:c",
    f"arn:aws:sns:us-east-1:{ACCOUNT}:topic",
]
LAYER: Final = f"{ARN}:layer:l:1"
SIGNER: Final = f"arn:aws:signer:us-east-1:{ACCOUNT}:/signing-profiles/p/abcdefghij"
POLICY: Final = orjson.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "lambda:InvokeFunction", "Resource": FUNCTION}],
    }
).decode()
USUAL: Final[dict[str, list[Any]]] = {
    "FunctionName": ["f", "f", "g", "missing", FUNCTION, FUNCTION + ":1", "f:live", "f:$LATEST", *OTHER, "a.b"],
    "Name": ["live", "test", "1", "$LATEST"],
    "FunctionVersion": ["1", "2", "9", "$LATEST", "ALL"],
    "RoutingConfig": [{}, {"AdditionalVersionWeights": {"2": 0.5}}, {"AdditionalVersionWeights": {"1": 1.5}}],
    "Qualifier": ["1", "2", "$LATEST", "live", "missing", "$LATEST.PUBLISHED", "9" * 30],
    "Resource": [FUNCTION, FUNCTION + ":1", *OTHER, f"{ARN}:capacity-provider:c", f"{ARN}:event-source-mapping:x"],
    "ResourceArn": [FUNCTION, FUNCTION + ":1", *OTHER],
    "Policy": [POLICY, "{}", "no json", '{"Statement":[]}'],
    "Runtime": ["python3.11", "java21", "provided.al2023"],
    "Role": [f"arn:aws:iam::{ACCOUNT}:role/r"],
    "Handler": ["app.handler", ""],
    "Code": [
        {"ZipFile": zip_of({"app.py": ECHO})},
        {"ZipFile": b"x"},
        {},
        {"S3Bucket": "bucket", "S3Key": "k"},
        {"ImageUri": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/i:1"},
    ],
    "Content": [{"ZipFile": zip_of({"python/l.py": ""})}, {"ZipFile": b"x"}, {}, {"S3Bucket": "bucket", "S3Key": "k"}],
    "ZipFile": [zip_of({"app.py": ECHO}), b"", b"PK\x05\x06" + bytes(18)],
    "PackageType": ["Zip", "Image"],
    "Layers": [[], [LAYER], [LAYER, LAYER], [f"{ARN}:layer:l:9"], ["arn:aws:lambda:eu-west-1:000000000000:layer:l:1"]],
    "LayerName": ["l", "missing", f"{ARN}:layer:l", "arn:aws:lambda:us-east-1:111111111111:layer:l"],
    "VersionNumber": [1, 2, 0, -1, 2**40],
    "Arn": [LAYER, f"{ARN}:layer:missing:1", "arn:aws:lambda:us-east-1:111111111111:layer:l:1"],
    "Timeout": [1, 900, 901, 5400],
    "MemorySize": [128, 10240, 32768],
    "Environment": [{}, {"Variables": {}}, {"Variables": {"KEY": "x" * 5000}}, {"Variables": {"AWS_REGION": ""}}],
    "EphemeralStorage": [{"Size": 512}, {"Size": 20000}],
    "Architectures": [["arm64"], [], ["x86_64", "arm64"]],
    "LoggingConfig": [{}, {"LogGroup": "/g"}, {"LogFormat": "JSON"}, {"SystemLogLevel": "INFO"}],
    "DeadLetterConfig": [{}, {"TargetArn": SOURCES[0]}, {"TargetArn": ""}],
    "KMSKeyArn": ["", f"arn:aws:kms:us-east-1:{ACCOUNT}:key/11111111-1111-1111-1111-111111111111"],
    "Tags": [{}, {"a": "b"}, {"aws:x": "y"}],
    "TagKeys": [["a"], []],
    "Marker": ["", "Zg==", "%", "\u00e9", "////"],
    "MaxItems": [1, 50, 10000],
    "RevisionId": ["", "x", "11111111-1111-1111-1111-111111111111"],
    "StatementId": ["s", "t", "a" * 100],
    "Action": ["lambda:InvokeFunction", "lambda:*", "lambda:GetLayerVersion", "s3:GetObject"],
    "Principal": ["s3.amazonaws.com", "111122223333", "*", "arn:aws:iam::111122223333:role/r", "nobody"],
    "SourceArn": ["arn:aws:s3:::bucket"],
    "EventSourceArn": SOURCES,
    "StartingPosition": ["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"],
    "BatchSize": [1, 10, 11, 10000],
    "FilterCriteria": [
        {},
        {"Filters": []},
        {"Filters": [{"Pattern": '{"body":["x"]}'}]},
        {"Filters": [{"Pattern": "["}]},
    ],
    "DestinationConfig": [{}, {"OnFailure": {"Destination": SOURCES[0]}}, {"OnSuccess": {"Destination": FUNCTION}}],
    "AuthType": ["NONE", "AWS_IAM"],
    "InvokeMode": ["BUFFERED", "RESPONSE_STREAM"],
    "AllowedPublishers": [{"SigningProfileVersionArns": [SIGNER]}],
    "CodeSigningConfigArn": [f"{ARN}:code-signing-config:csc-0123456789abcdefg"],
    "Payload": [b"{}", b"", b"no json"],
    "InvokeArgs": [b"{}", b"no json"],
    "InvocationType": ["RequestResponse", "DryRun", "Event"],
    "ReservedConcurrentExecutions": [0, 1, 100, 901, 10**6],
    "ProvisionedConcurrentExecutions": [1, 10**6],
}
"""By member: values that mean something to a server with functions f and g, layer l and alias live."""
SCRIPT: Final = settings(
    max_examples=5000,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server.start(tmp_path_factory.mktemp("every") / "data", "--sandbox", "process") as server:
        client = server.client("lambda", account=ACCOUNT)
        for name in ("f", "g"):
            create_function(client, name, Publish=True)
        # client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
        # client.publish_layer_version(LayerName="l", Content={"ZipFile": zip_of({"python/l.py": ""})})
        yield server


def send(server: Server, operation: OperationModel, parameters: dict[str, Any]) -> tuple[int, str, bytes]:
    """Status, code of the error, body."""
    request = SERIALISER.serialize_to_request(parameters, of_botocore(operation))
    query = urlencode(request["query_string"], doseq=True) if request["query_string"] else ""
    body = request["body"]
    body = body.encode() if isinstance(body, str) else body
    credential = f"{ACCOUNT}/20261120/us-east-1/lambda/aws4_request"
    authorization = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=00"
    headers = {name: str(value) for name, value in request["headers"].items()} | {"Authorization": authorization}
    path = request["url_path"]
    target = path + ("&" if "?" in path else "?") + query if query else path
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.putrequest(request["method"], target)
        for name, value in headers.items():
            connection.putheader(name, value.encode("utf-8"))
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        reply = connection.getresponse()
        return reply.status, reply.headers.get("x-amzn-ErrorType", "").partition(":")[0], reply.read()
    finally:
        connection.close()


OPERATIONS: Final = [MODEL.operation_model(name) for name in MODEL.operation_names]


def _usual(name: str, shape: Shape) -> list[Any]:
    """A name may stand for another structure in another operation."""
    values = USUAL.get(name, [])
    return [value for value in values if not isinstance(shape, StructureShape) or value.keys() <= shape.members.keys()]


def sent_by(operation: OperationModel) -> st.SearchStrategy[dict[str, Any]]:
    shape = operation.input_shape
    if shape is None:
        return st.just({})
    typed = structure(shape, SECONDS)
    if not any(name in USUAL for name in shape.members):
        return typed
    usual = {name: st.sampled_from(known) for name, member in shape.members.items() if (known := _usual(name, member))}
    return st.builds(lambda any_, known: {**any_, **known}, typed, st.fixed_dictionaries({}, optional=usual))


@pytest.mark.timeout(600)
def test_no_request_is_answered_by_5xx_but_the_declared_501(server: Server) -> None:
    seen: dict[str, set[int]] = {}

    @SCRIPT
    @given(st.data())
    def script(data: st.DataObject) -> None:
        operation = data.draw(st.sampled_from(OPERATIONS))
        parameters = data.draw(sent_by(operation))
        status, code, body = send(server, operation, parameters)
        seen.setdefault(operation.name, set()).add(status)
        declared = status == 501 and code == "NotImplementedException"
        # AWS answers 502 for a function that cannot run: modelled, and the function's fault.
        modelled = code in {shape.name for shape in operation.error_shapes} - {"ServiceException"}
        assert 200 <= status < 500 or declared or modelled, (operation.name, status, parameters, body)

    script()
    assert seen.keys() == set(MODEL.operation_names)
    assert server.process.poll() is None
    assert "Traceback" not in server.log()


def violations(shape: Shape) -> Iterator[Any]:
    """Values of the right type that break each constraint of `shape` once."""
    rules = constraints(shape)
    if rules is None:
        return
    kind = shape.type_name
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if kind == "string":
        if shape.metadata.get("enum"):
            yield "NoSuchValue"
        if high is not None and high < 60_000:
            yield "a" * (high + 1)
        if shape.metadata.get("pattern", ".*") != ".*":
            yield "\u00a7 \u00a7"
    elif kind in ("integer", "long", "double", "float"):
        if low is not None:
            yield low - 1
        if high is not None:
            yield high + 1
    elif isinstance(shape, ListShape) and high is not None and high <= 200:
        yield [sample(shape.member)] * (high + 1)


def sample(shape: Shape) -> Any:
    """Some value of the type; whether it is valid does not matter."""
    if isinstance(shape, StructureShape):
        return {name: sample(shape.members[name]) for name in shape.required_members}
    if isinstance(shape, ListShape):
        return [sample(shape.member)]
    if isinstance(shape, MapShape):
        return {}
    if getattr(shape, "enum", None):
        return shape.enum[0]
    return {"string": "a", "boolean": True, "blob": b"", "timestamp": 0, "double": 0.5}.get(shape.type_name, 1)


def paths(shape: Shape | None, depth: int = 0) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Member paths with a value that is wrong there."""
    if not isinstance(shape, StructureShape) or depth > 3:
        return
    for name, member in shape.members.items():
        for wrong in violations(member):
            yield (name,), wrong
        for inner, wrong in paths(member, depth + 1):
            yield (name, *inner), wrong


def wrong_requests() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for operation in OPERATIONS:
        shape = operation.input_shape
        if shape is None:
            continue
        members = {name: shape.members[name] for name in shape.required_members}
        base = {name: (_usual(name, member) or [sample(member)])[0] for name, member in members.items()}
        for path, wrong in paths(shape):
            yield operation.name, ".".join(path), _with(base, shape, path, wrong)
        uri = {name for name, member in shape.members.items() if member.serialization.get("location") == "uri"}
        for name in shape.required_members:
            if name not in uri:
                yield operation.name, f"{name} missing", {key: value for key, value in base.items() if key != name}


def _with(base: dict[str, Any], shape: StructureShape, path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """`base` with the value at the path; what is required beside it on the way is put in."""
    head, *rest = path
    if not rest:
        return {**base, head: value}
    member = shape.members[head]
    assert isinstance(member, StructureShape)
    inner = {**sample(member), **(base.get(head) or {})}
    return {**base, head: _with(inner, member, tuple(rest), value)}


CODES: Final = frozenset(
    {
        "ValidationException",
        "SerializationException",
        "InvalidParameterValueException",
        "RequestEntityTooLargeException",
    }
)


@pytest.mark.timeout(300)
def test_each_wrong_member_is_refused_with_an_error_of_aws(server: Server) -> None:
    """Too long, not in the enumeration, against the pattern, out of the range, missing."""
    accepted = []
    for name, where, parameters in wrong_requests():
        operation = MODEL.operation_model(name)
        status, code, body = send(server, operation, parameters)
        if status == 501 and code == "NotImplementedException":
            continue
        known = {shape.name for shape in operation.error_shapes} | CODES
        if not (400 <= status < 500 and code in known):
            accepted.append((name, where, status, code, body[:200]))
    assert not accepted, "\n".join(map(str, accepted))
