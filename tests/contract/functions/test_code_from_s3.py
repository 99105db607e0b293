"""Code from S3 (spec 1.3): fetched in the caller's account, refused in the words of AWS."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from lambent.aws.errors import ApiError
from lambent.aws.service import Parameters, Result, Source
from lambent.functions.control_plane import ControlPlane
from lambent.functions.quotas import Quotas
from lambent.testing.scripted_caller import ScriptedCaller
from tests.contract.functions.conftest import ACCOUNT, Lambda
from tests.unit.functions.conftest import Api, creation, package

IPV = "InvalidParameterValueException"
GET = ("s3", "GetObject")
OBJECT = {"S3Bucket": "bucket", "S3Key": "some/key.zip"}


@pytest.fixture
def neighbours() -> ScriptedCaller:
    return ScriptedCaller({GET: {"Body": package("from s3")}})


def same_code(reply: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return bool(reply["CodeSha256"] == other["CodeSha256"] and reply["CodeSize"] == other["CodeSize"])


async def test_a_function_is_created_from_an_object(lambda_: Lambda, neighbours: ScriptedCaller) -> None:
    created = await lambda_.created(Code=OBJECT | {"S3ObjectVersion": "v7", "S3ObjectStorageMode": "COPY"})
    assert same_code(created, await lambda_.create("g", Code={"ZipFile": package("from s3")}))
    [asked] = [each for each in neighbours.asked if each.operation == "GetObject"]
    assert asked.parameters == {
        "Bucket": "bucket",
        "Key": "some/key.zip",
        "VersionId": "v7",
        "Range": f"bytes=0-{64 * 1024 * 1024 - 1}",
    }
    assert (asked.account, asked.region, asked.principal) == (ACCOUNT, "us-east-1", f"arn:aws:iam::{ACCOUNT}:root")


async def test_code_is_updated_from_an_object_also_as_a_dry_run(lambda_: Lambda, neighbours: ScriptedCaller) -> None:
    first = await lambda_.created(Code={"ZipFile": package("1")})
    tried = await lambda_.update_function_code(FunctionName="f", **OBJECT, DryRun=True)
    assert not same_code(tried, first)
    assert same_code(await lambda_.get_function_configuration(FunctionName="f"), first)
    await lambda_.update_function_code(FunctionName="f", **OBJECT)
    assert same_code(await lambda_.updated(), tried)
    assert "VersionId" not in neighbours.asked[-1].parameters


@pytest.mark.parametrize(
    ("error", "status", "code", "message"),
    [
        (
            ApiError("NoSuchBucket", "The specified bucket does not exist", status=404),
            400,
            IPV,
            "Error occurred while GetObject. S3 Error Code: NoSuchBucket."
            " S3 Error Message: The specified bucket does not exist",
        ),
        (
            ApiError("NoSuchKey", "The specified key does not exist.", status=404),
            400,
            IPV,
            "Error occurred while GetObject. S3 Error Code: NoSuchKey."
            " S3 Error Message: The specified key does not exist.",
        ),
        (
            ApiError("AccessDenied", "Access Denied", status=403),
            403,
            "AccessDeniedException",
            "Your access has been denied by S3, please make sure your request credentials have permission to GetObject"
            " for bucket/some/key.zip. S3 Error Code: AccessDenied. S3 Error Message: Access Denied",
        ),
        (ApiError("InvalidRange", "empty", status=416), 400, IPV, "Uploaded file must be a non-empty zip"),
    ],
    ids=lambda value: f"1.3 {value.code}" if isinstance(value, ApiError) else "",
)
async def test_an_object_that_cannot_be_had_is_named(
    lambda_: Lambda, neighbours: ScriptedCaller, error: ApiError, status: int, code: str, message: str
) -> None:
    neighbours.answers[GET] = error
    assert await lambda_.refused("create_function", **(creation("f") | {"Code": OBJECT})) == (status, code, message)
    assert (await lambda_.list_functions())["Functions"] == []


async def test_a_bucket_of_another_region_is_named_with_it(lambda_: Lambda, neighbours: ScriptedCaller) -> None:
    neighbours.answers["s3", "HeadBucket"] = {"BucketRegion": "eu-west-1"}
    assert await lambda_.refused("create_function", **(creation("f") | {"Code": OBJECT})) == (
        400,
        IPV,
        "Error occurred while GetObject. S3 Error Code: PermanentRedirect. S3 Error Message: The bucket is in this"
        " region: eu-west-1. Please use this region to retry the request",
    )
    neighbours.answers["s3", "HeadBucket"] = {"BucketRegion": "us-east-1"}
    assert (await lambda_.created(Code=OBJECT))["CodeSize"] > 0


async def test_an_object_that_is_no_archive_is_refused(lambda_: Lambda, neighbours: ScriptedCaller) -> None:
    neighbours.answers[GET] = {"Body": b"no zip at all"}
    assert (await lambda_.refused("create_function", **(creation("f") | {"Code": OBJECT})))[2] == (
        "Could not unzip uploaded file. Please check your file, then try to upload again."
    )


async def test_without_an_s3_the_missing_service_is_named(lambda_: Lambda, neighbours: ScriptedCaller) -> None:
    neighbours.answers.clear()
    status, code, _ = await lambda_.refused("create_function", **(creation("f") | {"Code": OBJECT}))
    assert (status, code) == (501, "NotImplementedException")


async def test_nothing_is_fetched_for_a_request_that_is_refused_anyway(
    lambda_: Lambda, neighbours: ScriptedCaller
) -> None:
    await lambda_.created(Code={"ZipFile": package("1")})
    await lambda_.refused("create_function", **(creation("f") | {"Code": OBJECT}))
    await lambda_.refused("create_function", **(creation("g") | {"Code": OBJECT, "Timeout": 901}))
    await lambda_.refused("update_function_code", FunctionName="f", RevisionId="other", **OBJECT)
    assert neighbours.asked == []


class TestWithSmallQuotas:
    @pytest.fixture
    def quotas(self) -> Quotas:
        return Quotas(max_zipped_bytes=100, max_unzipped_bytes=1000)

    async def test_the_size_of_a_request_is_no_limit_for_an_object(self, lambda_: Lambda) -> None:
        assert (await lambda_.created(Code=OBJECT))["CodeSize"] > 100

    async def test_contents_over_the_limit_are_refused(self, lambda_: Lambda, neighbours: ScriptedCaller) -> None:
        neighbours.answers[GET] = {"Body": package("x" * 1000)}
        assert (await lambda_.refused("create_function", **(creation("f") | {"Code": OBJECT})))[2] == (
            "Unzipped size must be smaller than 1000 bytes"
        )


class TestWhileTheObjectIsRead:
    @pytest.fixture
    def neighbours(self) -> "Interrupted":
        return Interrupted()

    async def test_a_name_that_became_an_image_gets_no_archive(
        self, lambda_: Lambda, neighbours: "Interrupted", plane: ControlPlane
    ) -> None:
        await lambda_.created(Code={"ZipFile": package("1")})
        neighbours.meanwhile = (
            ("DeleteFunction", {"FunctionName": "f"}),
            (
                "CreateFunction",
                {"FunctionName": "f", "PackageType": "Image", "Role": creation("f")["Role"], "Code": {"ImageUri": "i"}},
            ),
        )
        neighbours.api = Api(plane, account=ACCOUNT)
        status, _, _ = await lambda_.refused("update_function_code", FunctionName="f", **OBJECT)
        assert status in (400, 409)
        reply = await lambda_.get_function_configuration(FunctionName="f")
        assert (reply["PackageType"], reply["CodeSize"]) == ("Image", 0)
        assert list(plane.packages._held) == []


@dataclass
class Interrupted:
    """A `Caller` during whose answer something else happens."""

    meanwhile: tuple[tuple[str, dict[str, Any]], ...] = ()
    api: Api | None = None

    async def call(
        self,
        service: str,
        operation: str,
        parameters: Parameters,
        *,
        account: str,
        region: str,
        principal: str,
        source: Source | None = None,
        trace_header: str | None = None,
    ) -> Result:
        assert self.api is not None
        for other, its_parameters in self.meanwhile:
            await self.api(other, **its_parameters)
        await self.api.settled()
        return {"Body": package("late")}
