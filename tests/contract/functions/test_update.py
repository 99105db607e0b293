"""UpdateFunctionCode and UpdateFunctionConfiguration."""

import pytest

from lambent.functions.control_plane import ControlPlane
from lambent.testing.runtime_support import FakeRuntimeSupport
from tests.contract.functions.conftest import ARN, Lambda
from tests.unit.functions.conftest import package

STALE = (
    412,
    "PreconditionFailedException",
    "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve "
    "the latest Revision Id",
)


async def test_new_code_arrives_after_the_transition(lambda_: Lambda) -> None:
    before = await lambda_.created()
    reply = await lambda_.update_function_code(FunctionName="f", ZipFile=package("2"), Architectures=["arm64"])
    assert (reply["State"], reply["LastUpdateStatus"]) == ("Active", "InProgress")
    assert reply["LastUpdateStatusReasonCode"] == "Creating"
    after = await lambda_.updated()
    assert after["LastUpdateStatus"] == "Successful"
    assert "LastUpdateStatusReason" not in after
    assert after["CodeSha256"] == reply["CodeSha256"] != before["CodeSha256"]
    assert after["Architectures"] == ["arm64"]
    assert len({before["RevisionId"], reply["RevisionId"], after["RevisionId"]}) == 3


async def test_a_dry_run_shows_the_result_and_changes_nothing(lambda_: Lambda) -> None:
    before = await lambda_.created()
    reply = await lambda_.update_function_code(FunctionName="f", ZipFile=package("2"), DryRun=True)
    assert reply["CodeSha256"] != before["CodeSha256"]
    after = await lambda_.get_function_configuration(FunctionName="f")
    assert (after["CodeSha256"], after["RevisionId"]) == (before["CodeSha256"], before["RevisionId"])
    refused = await lambda_.refused("update_function_code", FunctionName="f", ZipFile=b"x", DryRun=True)
    assert refused[1] == "InvalidParameterValueException"


async def test_publishing_with_new_code_gives_the_version(lambda_: Lambda) -> None:
    await lambda_.created()
    reply = await lambda_.update_function_code(FunctionName="f", ZipFile=package("2"), Publish=True)
    assert (reply["Version"], reply["FunctionArn"]) == ("1", ARN + "f:1")
    await lambda_.wait("published_version_active", FunctionName="f", Qualifier="1")


async def test_settings_that_are_sent_are_replaced_and_the_others_stay(lambda_: Lambda) -> None:
    await lambda_.created(
        Description="old", Timeout=10, Environment={"Variables": {"OLD": "1"}}, LoggingConfig={"LogGroup": "/mine"}
    )
    await lambda_.update_function_configuration(
        FunctionName="f", Description="", Environment={"Variables": {"NEW": "1"}}
    )
    after = await lambda_.updated()
    assert (after["Description"], after["Timeout"]) == ("", 10)
    assert after["Environment"] == {"Variables": {"NEW": "1"}}
    assert after["LoggingConfig"]["LogGroup"] == "/mine"


async def test_the_build_of_a_new_runtime_is_named_from_the_reply_on(lambda_: Lambda) -> None:
    await lambda_.created()
    await lambda_.update_function_configuration(FunctionName="f", Description="d")
    assert (await lambda_.updated())["RuntimeVersionConfig"]["RuntimeVersionArn"].endswith(":python3.11")
    reply = await lambda_.update_function_configuration(FunctionName="f", Runtime="python3.12")
    assert reply["RuntimeVersionConfig"] == {"RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:python3.12"}
    assert (await lambda_.updated())["RuntimeVersionConfig"] == reply["RuntimeVersionConfig"]
    assert "RuntimeVersionConfig" not in await lambda_.create("g", Runtime="python3.14")


async def test_an_update_without_a_change_still_is_one(lambda_: Lambda, plane: ControlPlane) -> None:
    """As AWS was seen to answer: a new revision and an InProgress cycle; users do it to get new environments."""
    before = await lambda_.created()
    deployment = plane.resolver.resolve("123456789012", "us-east-1", "f").function.deployment_id
    reply = await lambda_.update_function_configuration(FunctionName="f")
    assert reply["LastUpdateStatus"] == "InProgress"
    after = await lambda_.updated()
    assert after["RevisionId"] != before["RevisionId"]
    assert plane.resolver.resolve("123456789012", "us-east-1", "f").function.deployment_id != deployment


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("update_function_code", {"ZipFile": package("2")}),
        ("update_function_configuration", {"Timeout": 5}),
        ("publish_version", {}),
    ],
)
async def test_only_the_newest_revision_may_be_changed(
    lambda_: Lambda, operation: str, parameters: dict[str, object]
) -> None:
    """As AWS was seen to answer: the revision of the create reply is stale once the function is Active."""
    created = await lambda_.create()
    await lambda_.wait("function_active_v2", FunctionName="f")
    refused = await lambda_.refused(operation, FunctionName="f", RevisionId=created["RevisionId"], **parameters)
    assert refused == STALE
    newest = (await lambda_.get_function_configuration(FunctionName="f"))["RevisionId"]
    await getattr(lambda_, operation)(FunctionName="f", RevisionId=newest, **parameters)


async def test_a_second_update_meanwhile_is_a_conflict(lambda_: Lambda, support: FakeRuntimeSupport) -> None:
    """As AWS was seen to answer."""
    await lambda_.created()
    support.hold()
    await lambda_.update_function_configuration(FunctionName="f", Timeout=5)
    assert await lambda_.refused("update_function_configuration", FunctionName="f", Timeout=6) == (
        409,
        "ResourceConflictException",
        f"The operation cannot be performed at this time. An update is in progress for resource: {ARN}f",
    )


async def test_an_image_for_a_zip_function_is_refused(lambda_: Lambda) -> None:
    """As AWS was seen to answer."""
    await lambda_.created()
    refused = await lambda_.refused("update_function_code", FunctionName="f", ImageUri="a.dkr.ecr.b.amazonaws.com/c:d")
    assert refused == (
        400,
        "InvalidParameterValueException",
        "Please don't provide ImageUri when updating a function with packageType Zip.",
    )


async def test_a_published_version_cannot_be_updated(lambda_: Lambda) -> None:
    await lambda_.create(Publish=True)
    await lambda_.wait("function_active_v2", FunctionName="f")
    refused = await lambda_.refused("update_function_configuration", FunctionName="f:1", Timeout=5)
    assert refused[:2] == (400, "InvalidParameterValueException")
