"""Who may invoke (spec section 7, behaviour 9)."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.invocation.conftest import ARN, OTHER_ACCOUNT, Functions


async def by_other(functions: Functions, name: str, **parameters: Any) -> str:
    """The version that ran, or the text of the refusal."""
    try:
        reply = await functions.other.invoke(FunctionName=name, Payload=b'"echo"', **parameters)
    except ClientError as error:
        refusal = error.response
    else:
        return str(reply["ExecutedVersion"])
    assert refusal["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert refusal["Error"]["Code"] == "AccessDeniedException"
    return str(refusal["Error"]["Message"])


def denied(arn: str) -> str:
    return (
        f"User: arn:aws:iam::{OTHER_ACCOUNT}:root is not authorized to perform: lambda:InvokeFunction on resource:"
        f" {arn} because no resource-based policy allows the lambda:InvokeFunction action"
    )


async def allow(functions: Functions, **members: Any) -> None:
    members = {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": OTHER_ACCOUNT} | members
    await functions.client.add_permission(FunctionName="f", **members)


async def test_another_account_invokes_only_with_a_grant(functions: Functions) -> None:
    await functions.create()
    assert await by_other(functions, ARN + "f") == denied(ARN + "f")
    await allow(functions)
    assert await by_other(functions, ARN + "f") == "$LATEST"
    await functions.client.remove_permission(FunctionName="f", StatementId="s")
    assert await by_other(functions, ARN + "f") == denied(ARN + "f")


async def test_a_grant_on_the_function_is_none_on_its_versions_and_aliases(functions: Functions) -> None:
    await functions.create(Publish=True)
    await functions.client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    await allow(functions)
    for qualifier in ("1", "live", "$LATEST"):
        assert await by_other(functions, f"{ARN}f:{qualifier}") == denied(f"{ARN}f:{qualifier}")
    await allow(functions, Qualifier="live")
    assert await by_other(functions, ARN + "f", Qualifier="live") == "1"
    assert await by_other(functions, ARN + "f:1") == denied(ARN + "f:1")


async def test_a_grant_through_a_function_url_is_none_for_direct_calls(functions: Functions) -> None:
    await functions.create()
    await allow(functions, Principal="*", InvokedViaFunctionUrl=True)
    assert await by_other(functions, ARN + "f") == denied(ARN + "f")


async def test_a_grant_of_another_action_is_none(functions: Functions) -> None:
    await functions.create()
    await allow(functions, Action="lambda:GetFunction")
    assert await by_other(functions, ARN + "f") == denied(ARN + "f")


async def test_the_answer_does_not_tell_which_functions_exist(functions: Functions) -> None:
    assert await by_other(functions, ARN + "missing") == denied(ARN + "missing")


async def test_a_name_alone_is_the_callers_own(functions: Functions) -> None:
    await functions.create()
    await allow(functions)
    with pytest.raises(ClientError) as failure:
        await functions.other.invoke(FunctionName="f")
    message = failure.value.response["Error"]["Message"]
    assert message == f"Function not found: arn:aws:lambda:us-east-1:{OTHER_ACCOUNT}:function:f:$LATEST"


async def test_a_deny_holds_for_the_own_account(functions: Functions) -> None:
    await functions.create()
    assert (await functions.invoke())["ExecutedVersion"] == "$LATEST"
    statement = {"Effect": "Deny", "Principal": "*", "Action": "lambda:InvokeFunction", "Resource": ARN + "f"}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    await functions.client.put_resource_policy(ResourceArn=ARN + "f", Policy=document)
    with pytest.raises(ClientError) as failure:
        await functions.invoke()
    assert "with an explicit deny in a resource-based policy" in failure.value.response["Error"]["Message"]
    await functions.client.delete_resource_policy(ResourceArn=ARN + "f")
    assert (await functions.invoke())["ExecutedVersion"] == "$LATEST"
