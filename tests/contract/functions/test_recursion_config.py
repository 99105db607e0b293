"""PutFunctionRecursionConfig and GetFunctionRecursionConfig: spec 1.12."""

import pytest

from tests.contract.functions.conftest import ARN, Lambda


async def test_loops_are_stopped_unless_somebody_allows_them(lambda_: Lambda) -> None:
    before = (await lambda_.created())["RevisionId"]
    assert (await lambda_.get_function_recursion_config(FunctionName="f"))["RecursiveLoop"] == "Terminate"
    for loop in ("Allow", "Terminate", "Allow"):
        put = await lambda_.put_function_recursion_config(FunctionName=ARN + "f", RecursiveLoop=loop)
        assert (put["ResponseMetadata"]["HTTPStatusCode"], put["RecursiveLoop"]) == (200, loop)
        assert (await lambda_.get_function_recursion_config(FunctionName=ARN + "f"))["RecursiveLoop"] == loop
    assert (await lambda_.get_function_configuration(FunctionName="f"))["RevisionId"] == before
    await lambda_.delete_function(FunctionName="f")
    await lambda_.created()
    assert (await lambda_.get_function_recursion_config(FunctionName="f"))["RecursiveLoop"] == "Terminate"


@pytest.mark.parametrize("operation", ["put", "get"])
async def test_a_missing_function_and_a_wrong_value(lambda_: Lambda, operation: str) -> None:
    more = {"RecursiveLoop": "Allow"} if operation == "put" else {}
    status, code, message = await lambda_.refused(f"{operation}_function_recursion_config", FunctionName="nope", **more)
    assert (status, code, message) == (404, "ResourceNotFoundException", f"Function not found: {ARN}nope")
    if operation == "put":
        await lambda_.created()
        status, code, message = await lambda_.refused(
            "put_function_recursion_config", FunctionName="f", RecursiveLoop="Sometimes"
        )
        assert (status, code) == (400, "ValidationException")
        assert "Member must satisfy enum value set: [Allow, Terminate]" in message
