"""Names, ARNs, qualifiers."""

import pytest

from tests.contract.functions.conftest import ACCOUNT, ARN, Lambda
from tests.unit.functions.conftest import package

FORMS = [
    ("f", "f"),
    ("function:f", "f"),
    (f"{ACCOUNT}:function:f", "f"),
    (ARN + "f", "f"),
    ("f:$LATEST", "f:$LATEST"),
    ("f:1", "f:1"),
    (ARN + "f:1", "f:1"),
]


@pytest.mark.parametrize(("asked", "answered"), FORMS)
async def test_each_form_of_a_name_finds_the_function_and_echoes_its_qualifier(
    lambda_: Lambda, asked: str, answered: str
) -> None:
    await lambda_.create(Publish=True)
    reply = await lambda_.get_function_configuration(FunctionName=asked)
    assert reply["FunctionArn"] == ARN + answered
    assert reply["Version"] == ("1" if answered.endswith("1") else "$LATEST")


async def test_a_qualifier_beside_the_name_is_the_same(lambda_: Lambda) -> None:
    await lambda_.create(Publish=True)
    reply = await lambda_.get_function(FunctionName="f", Qualifier="1")
    assert reply["Configuration"]["FunctionArn"] == ARN + "f:1"


@pytest.mark.parametrize(("asked", "answered"), [("f", "f"), (ARN + "f", "f"), ("f:$LATEST", "f:$LATEST")])
async def test_an_update_echoes_the_qualifier_too(lambda_: Lambda, asked: str, answered: str) -> None:
    await lambda_.created()
    reply = await lambda_.update_function_configuration(FunctionName=asked, Timeout=9)
    assert reply["FunctionArn"] == ARN + answered
    await lambda_.updated()
    for parameters in ({"DryRun": True}, {}):
        reply = await lambda_.update_function_code(FunctionName=asked, ZipFile=package("2"), **parameters)
        assert reply["FunctionArn"] == ARN + answered


async def test_a_name_and_a_qualifier_that_disagree_are_refused(lambda_: Lambda) -> None:
    """As AWS was seen to answer."""
    await lambda_.create()
    assert await lambda_.refused("get_function", FunctionName="f:1", Qualifier="$LATEST") == (
        400,
        "InvalidParameterValueException",
        "The derived qualifier from the function name does not match the specified qualifier.",
    )


async def test_an_arn_of_another_region_is_not_reachable(lambda_: Lambda) -> None:
    """As AWS was seen to answer."""
    name = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:f"
    assert await lambda_.refused("get_function", FunctionName=name) == (
        404,
        "ResourceNotFoundException",
        "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
    )


@pytest.mark.parametrize("operation", ["get_function", "get_function_configuration", "delete_function"])
@pytest.mark.parametrize(("parameters", "suffix"), [({}, ""), ({"Qualifier": "7"}, ":7")])
async def test_a_missing_function_is_named_by_its_arn(
    lambda_: Lambda, operation: str, parameters: dict[str, str], suffix: str
) -> None:
    """As AWS was seen to answer; deletion names the unqualified ARN always."""
    expected = ARN + "nope" + ("" if operation == "delete_function" else suffix)
    assert await lambda_.refused(operation, FunctionName="nope", **parameters) == (
        404,
        "ResourceNotFoundException",
        f"Function not found: {expected}",
    )


async def test_a_missing_version_or_alias_is_named_with_its_qualifier(lambda_: Lambda) -> None:
    await lambda_.create()
    for qualifier in ("1", "live", "$LATEST.PUBLISHED"):
        message = (await lambda_.refused("get_function", FunctionName="f", Qualifier=qualifier))[2]
        assert message == f"Function not found: {ARN}f:{qualifier}"


async def test_an_arn_of_another_account_is_denied(lambda_: Lambda) -> None:
    """As AWS was seen to answer: no text at all for operations that no policy can allow."""
    name = "arn:aws:lambda:us-east-1:111111111111:function:f"
    status, code, message = await lambda_.refused("get_function", FunctionName=name)
    assert (status, code) == (403, "AccessDeniedException")
    assert message.endswith("because no resource-based policy allows the lambda:GetFunction action")
    refused = await lambda_.refused("update_function_configuration", FunctionName=name, Timeout=5)
    assert refused[:2] == (403, "AccessDeniedException")
    assert refused[2] in (None, "None", "")
