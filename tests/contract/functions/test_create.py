"""CreateFunction: defaults, validations and texts."""

import base64
import hashlib
from typing import Any

import pytest

from lambent.functions.quotas import Quotas
from tests.contract.functions.conftest import ACCOUNT, ARN, Lambda
from tests.unit.functions.conftest import creation, package

IPV = "InvalidParameterValueException"
UNABLE = "Lambda was unable to configure your environment variables because the environment variables you have provided"


async def test_a_created_function_has_the_defaults_of_aws(lambda_: Lambda) -> None:
    reply = dict(await lambda_.create())
    code = package("1")
    metadata = reply.pop("ResponseMetadata")
    assert metadata["HTTPStatusCode"] == 201
    assert reply.pop("LastModified").endswith("+0000")
    assert len(reply.pop("RevisionId")) == 36
    assert reply == {
        "FunctionName": "f",
        "FunctionArn": ARN + "f",
        "Runtime": "python3.11",
        "Role": "arn:aws:iam::000000000000:role/r",
        "Handler": "app.handler",
        "CodeSize": len(code),
        "CodeSha256": base64.b64encode(hashlib.sha256(code).digest()).decode(),
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "Version": "$LATEST",
        "TracingConfig": {"Mode": "PassThrough"},
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
        "RuntimeVersionConfig": {"RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:python3.11"},
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"},
    }


async def test_what_was_asked_for_is_kept(lambda_: Lambda) -> None:
    reply = await lambda_.created(
        Description="d",
        Timeout=900,
        MemorySize=10240,
        EphemeralStorage={"Size": 10240},
        Architectures=["arm64"],
        Environment={"Variables": {"KEY": "välue"}},
        LoggingConfig={"LogGroup": "/mine"},
        Tags={"a": "b"},
    )
    assert reply["State"] == "Active"
    assert (reply["Description"], reply["Timeout"], reply["MemorySize"]) == ("d", 900, 10240)
    assert reply["EphemeralStorage"] == {"Size": 10240}
    assert reply["Architectures"] == ["arm64"]
    assert reply["Environment"] == {"Variables": {"KEY": "välue"}}
    assert reply["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "/mine"}
    assert (await lambda_.get_function(FunctionName="f"))["Tags"] == {"a": "b"}


async def test_an_existing_name_is_a_conflict(lambda_: Lambda) -> None:
    await lambda_.create()
    assert await lambda_.refused("create_function", **creation("f")) == (
        409,
        "ResourceConflictException",
        "Function already exist: f",
    )


@pytest.mark.parametrize("name", [ARN + "f", f"{ACCOUNT}:function:f", "function:f"])
async def test_a_function_may_be_created_by_its_arn(lambda_: Lambda, name: str) -> None:
    assert (await lambda_.create(name))["FunctionName"] == "f"


async def test_publish_creates_version_1_with_an_unqualified_arn(lambda_: Lambda) -> None:
    """As AWS was seen to answer."""
    reply = await lambda_.create(Publish=True)
    assert (reply["Version"], reply["FunctionArn"], reply["State"]) == ("1", ARN + "f", "Pending")
    await lambda_.wait("published_version_active", FunctionName="f", Qualifier="1")


TEXTS: list[tuple[dict[str, Any], int, str, str]] = [
    (
        {"Runtime": None},
        400,
        IPV,
        "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
    ),
    (
        {"Handler": None},
        400,
        IPV,
        "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
    ),
    (
        {"Timeout": 901},
        400,
        IPV,
        "'Timeout' value failed to satisfy constraint: Member must have value less than or equal to 900",
    ),
    (
        {"MemorySize": 10241},
        400,
        IPV,
        "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to 10240",
    ),
    (
        {"EphemeralStorage": {"Size": 10241}},
        400,
        IPV,
        "'EphemeralStorage' value failed to satisfy constraint: Member must have value less than or equal to 10240",
    ),
    (
        {"Architectures": ["x86_64", "arm64"]},
        400,
        "ValidationException",
        "1 validation error detected: Value '[x86_64, arm64]' at 'architectures' failed to satisfy constraint: "
        "Member must have length less than or equal to 1",
    ),
    (
        {"Environment": {"Variables": {"LAMBDA_TASK_ROOT": "x", "MINE": "b", "AWS_REGION": "y"}}},
        400,
        IPV,
        f"{UNABLE} contains reserved keys that are currently not supported for modification. "
        "Reserved keys used in this request: LAMBDA_TASK_ROOT, AWS_REGION",
    ),
    (
        {"Environment": {"Variables": {"KEY": "x" * 4096}}},
        400,
        IPV,
        UNABLE + ' exceeded the 4KB limit. String measured: {"KEY":"' + "x" * 4096 + '"}',
    ),
    (
        {"LoggingConfig": {"LogFormat": "Text", "ApplicationLogLevel": "INFO"}},
        400,
        IPV,
        'LogLevel is not supported when LogFormat is set to "Text". Remove LogLevel from your request or change the '
        'LogFormat to "JSON" and try again.',
    ),
    ({"Environment": {"Variables": {"KEY": "a\0b"}}}, 400, IPV, f"{UNABLE} contains a null character."),
    ({"Handler": "a\0b"}, 400, IPV, "Handler contains a null character."),
    ({"Code": {}}, 400, IPV, "Please provide a source for function code."),
    ({"Code": {"ZipFile": b""}}, 400, IPV, "Uploaded file must be a non-empty zip"),
    (
        {"Code": {"ZipFile": b"no zip at all"}},
        400,
        IPV,
        "Could not unzip uploaded file. Please check your file, then try to upload again.",
    ),
    ({"Tags": {f"k{n}": "v" for n in range(51)}}, 400, IPV, "Number of tags exceeds resource tag limit."),
    ({"Code": {"S3Bucket": "bucket"}}, 400, IPV, "Please provide a source for function code."),
    (
        {"Code": {"S3Bucket": "bucket", "S3Key": "key", "S3ObjectStorageMode": "REFERENCE"}},
        400,
        IPV,
        "Code.S3ObjectStorageMode REFERENCE is not supported by Lambent yet.",
    ),
    (
        {"Code": {"S3Bucket": "bucket", "S3Key": "key", "ZipFile": b"x"}},
        400,
        IPV,
        "Please do not provide other FunctionCode parameters when providing a ZipFile.",
    ),
]


@pytest.mark.parametrize(
    ("parameters", "status", "code", "message"), TEXTS, ids=[f"1.3 {next(iter(t[0]))}-{n}" for n, t in enumerate(TEXTS)]
)
async def test_a_bad_request_is_refused_in_the_words_of_aws(
    lambda_: Lambda, parameters: dict[str, Any], status: int, code: str, message: str
) -> None:
    request = {name: value for name, value in (creation("f") | parameters).items() if value is not None}
    assert await lambda_.refused("create_function", **request) == (status, code, message)
    assert (await lambda_.list_functions())["Functions"] == []


async def test_an_unknown_runtime_is_refused_with_the_list_in_the_order_of_the_model(lambda_: Lambda) -> None:
    """As AWS was seen to answer."""
    status, code, message = await lambda_.refused("create_function", **(creation("f") | {"Runtime": "python9"}))
    assert (status, code) == (400, IPV)
    assert message.startswith(
        "Value python9 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs, "
    )
    assert message.endswith("] or be a valid ARN")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("bad name", IPV),
        ("x" * 65, IPV),
        (ARN + "bad name", "ValidationException"),
        (f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:" + "x" * 120, "ValidationException"),
    ],
)
async def test_a_bad_bare_name_is_another_error_than_a_bad_arn(lambda_: Lambda, name: str, code: str) -> None:
    """As AWS was seen to answer."""
    assert (await lambda_.refused("create_function", **creation(name)))[:2] == (400, code)


class TestWithSmallQuotas:
    @pytest.fixture
    def quotas(self) -> Quotas:
        return Quotas(max_zipped_bytes=1000, max_unzipped_bytes=500, max_code_storage_bytes=400)

    async def test_an_archive_over_the_limit_is_413(self, lambda_: Lambda) -> None:
        request = creation("f", b"x" * 1000)
        assert await lambda_.refused("create_function", **request) == (
            413,
            "RequestEntityTooLargeException",
            "Zipped size must be smaller than 1000 bytes",
        )

    async def test_contents_over_the_limit_are_refused(self, lambda_: Lambda) -> None:
        request = creation("f", package("x" * 500))
        assert await lambda_.refused("create_function", **request) == (
            400,
            IPV,
            "Unzipped size must be smaller than 500 bytes",
        )

    async def test_code_over_the_storage_of_the_account_is_refused(self, lambda_: Lambda) -> None:
        await lambda_.create("a")
        await lambda_.create("b")
        assert (await lambda_.refused("create_function", **creation("c")))[:2] == (400, "CodeStorageExceededException")


async def test_the_key_of_variables_is_kept_and_cleared_by_an_empty_text(lambda_: Lambda) -> None:
    """It names no key that is used here: docs/security.md says what encrypts."""
    key = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/0a1b"
    assert (await lambda_.created(KMSKeyArn=key))["KMSKeyArn"] == key
    await lambda_.update_function_configuration(FunctionName="f", Timeout=9)
    assert (await lambda_.updated())["KMSKeyArn"] == key
    assert (await lambda_.list_functions())["Functions"][0]["KMSKeyArn"] == key
    await lambda_.update_function_configuration(FunctionName="f", KMSKeyArn="")
    assert "KMSKeyArn" not in await lambda_.updated()


async def test_a_key_that_is_no_arn_is_refused(lambda_: Lambda) -> None:
    status, code, message = await lambda_.refused("create_function", **creation("f"), KMSKeyArn="my-key")
    assert (status, code) == (400, "ValidationException")
    assert message == (
        "1 validation error detected: Value 'my-key' at 'kMSKeyArn' failed to satisfy constraint: Member must satisfy"
        " regular expression pattern: (arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()"
    )
