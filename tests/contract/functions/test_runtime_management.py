"""PutRuntimeManagementConfig and GetRuntimeManagementConfig (spec 1.12): Auto is what is true here."""

from typing import Any

import pytest

from tests.contract.functions.conftest import ARN, Lambda

IPV = "InvalidParameterValueException"
BUILD = "arn:aws:lambda:us-east-1::runtime:" + "a" * 64
REASON = ": functions run on the build of the runtime that this machine has."


async def test_every_version_is_updated_automatically(lambda_: Lambda) -> None:
    await lambda_.created(Publish=True)
    for qualifier in ("$LATEST", "1"):
        reply = await lambda_.get_runtime_management_config(FunctionName="f", Qualifier=qualifier)
        assert (reply["UpdateRuntimeOn"], reply["FunctionArn"]) == ("Auto", f"{ARN}f:{qualifier}")
        assert "RuntimeVersionArn" not in reply
    reply = await lambda_.put_runtime_management_config(FunctionName="f", UpdateRuntimeOn="Auto")
    assert (reply["UpdateRuntimeOn"], reply["FunctionArn"]) == ("Auto", ARN + "f")


@pytest.mark.parametrize(
    ("parameters", "status", "code", "message"),
    [
        (
            {"UpdateRuntimeOn": "FunctionUpdate"},
            400,
            IPV,
            f"UpdateRuntimeOn FunctionUpdate is not supported by Lambent yet{REASON}",
        ),
        (
            {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": BUILD},
            400,
            IPV,
            f"UpdateRuntimeOn Manual is not supported by Lambent yet{REASON}",
        ),
        ({"UpdateRuntimeOn": "Manual"}, 400, IPV, "RuntimeVersionArn is required when UpdateRuntimeOn is Manual."),
        (
            {"UpdateRuntimeOn": "Auto", "RuntimeVersionArn": BUILD},
            400,
            IPV,
            "RuntimeVersionArn is only supported when UpdateRuntimeOn is Manual, not Auto.",
        ),
        (
            {"UpdateRuntimeOn": "Never"},
            400,
            "ValidationException",
            "1 validation error detected: Value 'Never' at 'updateRuntimeOn' failed to satisfy constraint: Member must"
            " satisfy enum value set: [Auto, Manual, FunctionUpdate]",
        ),
        (
            {"FunctionName": "g", "UpdateRuntimeOn": "Auto"},
            404,
            "ResourceNotFoundException",
            f"Function not found: {ARN}g",
        ),
    ],
)
async def test_what_would_have_no_effect_is_refused_by_name(
    lambda_: Lambda, parameters: dict[str, Any], status: int, code: str, message: str
) -> None:
    before = await lambda_.created()
    refused = await lambda_.refused("put_runtime_management_config", **{"FunctionName": "f"} | parameters)
    assert refused == (status, code, message)
    assert (await lambda_.get_function_configuration(FunctionName="f"))["RevisionId"] == before["RevisionId"]


async def test_images_have_no_runtime(lambda_: Lambda) -> None:
    role = "arn:aws:iam::000000000000:role/r"
    await lambda_.create_function(FunctionName="i", PackageType="Image", Code={"ImageUri": "app:1"}, Role=role)
    assert await lambda_.refused("get_runtime_management_config", FunctionName="i") == (
        400,
        IPV,
        "Runtime management is not supported for functions with PackageType Image.",
    )
