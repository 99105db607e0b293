"""PackageType Image (spec 1.3): accepted and validated; the State says that nothing here can run one yet."""

import asyncio
from typing import Any

import pytest

from tests.contract.functions.conftest import ARN, Lambda
from tests.unit.functions.conftest import creation, package

IPV = "InvalidParameterValueException"
REPOSITORY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app"
DIGEST = "a1" * 32
URI = f"{REPOSITORY}:v1"
PINNED = f"{REPOSITORY}@sha256:{DIGEST}"
CONFIG = {"EntryPoint": ["/run"], "Command": ["app.handler", "x"], "WorkingDirectory": "/srv"}


def image(name: str = "f", uri: str = URI, **parameters: Any) -> dict[str, Any]:
    role = "arn:aws:iam::000000000000:role/r"
    return {"FunctionName": name, "PackageType": "Image", "Code": {"ImageUri": uri}, "Role": role} | parameters


async def failed(lambda_: Lambda, name: str = "f") -> dict[str, Any]:
    """The configuration once it is settled; waiters stop at Failed."""
    async with asyncio.timeout(30):
        while True:
            reply = dict(await lambda_.get_function_configuration(FunctionName=name))
            if reply["State"] != "Pending" and reply.get("LastUpdateStatus") != "InProgress":
                return reply
            await asyncio.sleep(0.01)


async def test_an_image_is_accepted_and_its_state_says_what_is_missing(lambda_: Lambda) -> None:
    reply = dict(await lambda_.create_function(**image(uri=PINNED, ImageConfig=CONFIG)))
    assert (reply["State"], reply["StateReasonCode"]) == ("Pending", "Creating")
    assert (reply["PackageType"], reply["CodeSize"], reply["CodeSha256"]) == ("Image", 0, DIGEST)
    assert reply["ImageConfigResponse"] == {"ImageConfig": CONFIG}
    assert reply.keys().isdisjoint({"Runtime", "Handler", "Layers", "RuntimeVersionConfig"})
    reply = await failed(lambda_)
    assert (reply["State"], reply["StateReasonCode"]) == ("Failed", "InvalidImage")
    assert reply["StateReason"].startswith("This Lambent cannot run container images yet.")
    found = await lambda_.get_function(FunctionName="f")
    assert found["Code"] == {"RepositoryType": "ECR", "ImageUri": PINNED, "ResolvedImageUri": PINNED}
    assert "RuntimeVersionConfig" not in found["Configuration"]
    [listed] = (await lambda_.list_functions())["Functions"]
    assert (listed["PackageType"], "Runtime" in listed) == ("Image", False)


async def test_a_digest_that_nobody_knows_is_left_out(lambda_: Lambda) -> None:
    assert "CodeSha256" not in await lambda_.create_function(**image())
    assert (await lambda_.get_function(FunctionName="f"))["Code"] == {"RepositoryType": "ECR", "ImageUri": URI}


async def test_an_image_can_be_updated_and_deleted(lambda_: Lambda) -> None:
    await lambda_.create_function(**image(ImageConfig=CONFIG))
    await failed(lambda_)
    tried = await lambda_.update_function_code(FunctionName="f", ImageUri=PINNED, DryRun=True)
    assert tried["CodeSha256"] == DIGEST
    reply = await lambda_.update_function_code(FunctionName="f", ImageUri=PINNED)
    assert (reply["LastUpdateStatus"], reply["CodeSha256"]) == ("InProgress", DIGEST)
    assert reply["ImageConfigResponse"] == {"ImageConfig": CONFIG}
    assert (await failed(lambda_))["LastUpdateStatusReasonCode"] == "InvalidImage"
    await lambda_.update_function_configuration(FunctionName="f", ImageConfig={"Command": ["other"]}, Timeout=9)
    reply = await failed(lambda_)
    assert reply["ImageConfigResponse"] == {"ImageConfig": {"Command": ["other"]}}
    await lambda_.update_function_configuration(FunctionName="f", ImageConfig={})
    reply = await failed(lambda_)
    assert (reply["State"], "ImageConfigResponse" in reply) == ("Failed", False)
    await lambda_.delete_function(FunctionName="f")
    assert (await lambda_.list_functions())["Functions"] == []


async def test_a_published_image_fails_as_its_function_does(lambda_: Lambda) -> None:
    assert (await lambda_.create_function(**image(Publish=True)))["Version"] == "1"
    await failed(lambda_)
    assert (await failed(lambda_, "f:1"))["State"] == "Failed"
    status, code, message = await lambda_.refused("publish_version", FunctionName="f")
    assert (status, code) == (409, "ResourceConflictException")
    assert message.endswith("The function is currently in the following state: Failed")


ONLY_PACKAGES = "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."
TEXTS: list[tuple[dict[str, Any], str]] = [
    (image(Handler="app.handler"), ONLY_PACKAGES),
    (image(Runtime="python3.12"), ONLY_PACKAGES),
    (
        image(Layers=["arn:aws:lambda:us-east-1:123456789012:layer:l:1"]),
        ONLY_PACKAGES,
    ),
    (
        image(Code={"ZipFile": package("1")}),
        "Please provide ImageUri when creating a function with packageType Image.",
    ),
    (image(Code={}), "Please provide ImageUri when creating a function with packageType Image."),
    (image(uri="No/Such:"), "Source image No/Such: is not valid. Provide a valid source image."),
    (creation("f") | {"Code": {"ImageUri": URI}}, "Please provide a source for function code."),
    (
        {"FunctionName": "f", "Role": "arn:aws:iam::000000000000:role/r", "Code": {"ImageUri": URI}},
        "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
    ),
    (
        creation("f") | {"ImageConfig": {"Command": ["x"]}},
        "ImageConfig is only supported for functions with PackageType Image.",
    ),
]


@pytest.mark.parametrize(("request_", "message"), TEXTS, ids=[f"1.3 {n}" for n in range(len(TEXTS))])
async def test_what_belongs_to_the_other_kind_of_package_is_refused(
    lambda_: Lambda, request_: dict[str, Any], message: str
) -> None:
    assert await lambda_.refused("create_function", **request_) == (400, IPV, message)
    assert (await lambda_.list_functions())["Functions"] == []


@pytest.mark.parametrize(
    ("created", "parameters", "message"),
    [
        (
            image(),
            {"ZipFile": package("1")},
            "Please provide ImageUri when updating a function with packageType Image.",
        ),
        (
            image(),
            {"S3Bucket": "bucket", "S3Key": "key"},
            "Please provide ImageUri when updating a function with packageType Image.",
        ),
        (
            creation("f"),
            {"ImageUri": URI},
            "Please don't provide ImageUri when updating a function with packageType Zip.",
        ),
    ],
    ids=["1.3 zip for image", "1.3 object for image", "1.3 image for zip"],
)
async def test_code_of_the_other_kind_is_refused(
    lambda_: Lambda, created: dict[str, Any], parameters: dict[str, Any], message: str
) -> None:
    """As AWS was seen to answer."""
    await lambda_.create_function(**created)
    before = await failed(lambda_)
    assert await lambda_.refused("update_function_code", FunctionName="f", **parameters) == (400, IPV, message)
    assert (await failed(lambda_))["RevisionId"] == before["RevisionId"]


async def test_an_image_keeps_no_setting_of_a_package(lambda_: Lambda) -> None:
    await lambda_.create_function(**image())
    await failed(lambda_)
    for parameters in ({"Runtime": "python3.12"}, {"Handler": "x.y"}):
        refused = await lambda_.refused("update_function_configuration", FunctionName="f", **parameters)
        assert refused == (400, IPV, ONLY_PACKAGES)
    assert (await failed(lambda_))["FunctionArn"] == ARN + "f"
