"""Accounts never see each other, but through a policy (spec section 7, behaviour 9)."""

import json
from typing import Any

import pytest

from lambent.functions.control_plane import ControlPlane
from lambent.testing.aws_client import aws_client
from tests.contract.functions.conftest import ACCOUNT, ARN, OTHER_ACCOUNT, Lambda
from tests.unit.functions.conftest import package

OTHER_ARN = ARN.replace(ACCOUNT, OTHER_ACCOUNT)
CALLER = f"arn:aws:iam::{OTHER_ACCOUNT}:root"


async def allow(lambda_: Lambda, action: str, qualifier: str | None = None, principal: str = OTHER_ACCOUNT) -> None:
    await lambda_.add_permission(
        FunctionName="f",
        StatementId=f"s{abs(hash((action, qualifier, principal)))}",
        Action=action,
        Principal=principal,
        **({"Qualifier": qualifier} if qualifier else {}),
    )


def denied(action: str, arn: str) -> tuple[int, str, str]:
    message = (
        f"User: {CALLER} is not authorized to perform: {action} on resource: {arn}"
        f" because no resource-based policy allows the {action} action"
    )
    return 403, "AccessDeniedException", message


async def test_two_accounts_with_one_name_never_see_each_other(lambda_: Lambda, other: Lambda) -> None:
    await lambda_.created(Description="mine", Timeout=5)
    await other.created(Description="theirs", Timeout=6)
    assert (await lambda_.get_function_configuration(FunctionName="f"))["FunctionArn"] == ARN + "f"
    assert (await other.get_function_configuration(FunctionName="f"))["FunctionArn"] == OTHER_ARN + "f"
    await other.publish_version(FunctionName="f")
    await other.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    await allow(other, "lambda:InvokeFunction")
    assert (await lambda_.list_aliases(FunctionName="f"))["Aliases"] == []
    assert len((await lambda_.list_versions_by_function(FunctionName="f"))["Versions"]) == 1
    assert (await lambda_.refused("get_policy", FunctionName="f"))[0] == 404
    assert [f["Description"] for f in (await lambda_.list_functions())["Functions"]] == ["mine"]
    await other.delete_function(FunctionName="f")
    assert (await lambda_.get_function_configuration(FunctionName="f"))["Timeout"] == 5


async def test_two_regions_with_one_name_never_see_each_other(lambda_: Lambda, plane: ControlPlane) -> None:
    await lambda_.create()
    async with aws_client("lambda", plane.operations(), account=ACCOUNT, region="eu-west-1") as client:
        there = Lambda(client)
        assert (await there.list_functions())["Functions"] == []
        assert await there.refused("get_function", FunctionName=ARN + "f") == (
            404,
            "ResourceNotFoundException",
            "Functions from 'us-east-1' are not reachable in this region ('eu-west-1')",
        )


async def test_nothing_is_allowed_without_a_policy_nor_does_the_answer_tell_what_exists(
    lambda_: Lambda, other: Lambda
) -> None:
    await lambda_.create()
    for name in ("f", "missing"):
        refused = await other.refused("get_function", FunctionName=ARN + name)
        assert refused == denied("lambda:GetFunction", ARN + name)


OPEN: list[tuple[str, dict[str, Any]]] = [
    ("GetFunction", {}),
    ("GetFunctionConfiguration", {}),
    ("GetFunctionConcurrency", {}),
    ("GetPolicy", {}),
    ("ListVersionsByFunction", {}),
    ("ListAliases", {}),
    ("GetAlias", {"Name": "live"}),
    ("CreateAlias", {"Name": "new", "FunctionVersion": "1"}),
    ("UpdateAlias", {"Name": "live", "Description": "x"}),
    ("DeleteAlias", {"Name": "live"}),
    ("PublishVersion", {}),
    ("PutFunctionConcurrency", {"ReservedConcurrentExecutions": 5}),
    ("DeleteFunctionConcurrency", {}),
    ("UpdateFunctionCode", {"ZipFile": package("new")}),
    ("DeleteFunction", {}),
]


@pytest.mark.parametrize(("operation", "members"), OPEN, ids=[name for name, _ in OPEN])
async def test_an_operation_is_open_to_whom_the_policy_allows_it(
    lambda_: Lambda, other: Lambda, operation: str, members: dict[str, Any]
) -> None:
    """On the state of the owner; the same name of the caller is untouched."""
    await lambda_.created()
    await lambda_.publish_version(FunctionName="f")
    await lambda_.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    theirs = await other.created()
    method = "".join(f"_{c.lower()}" if c.isupper() else c for c in operation).lstrip("_")
    asked = {"FunctionName": ARN + "f", **members}
    assert await other.refused(method, **asked) == denied(f"lambda:{operation}", ARN + "f")
    await allow(lambda_, f"lambda:{operation}")
    reply = await getattr(other, method)(**asked)
    arn = reply.get("FunctionArn") or reply.get("AliasArn") or reply.get("Configuration", {}).get("FunctionArn", ARN)
    assert arn.startswith(ARN)
    assert (await other.get_function_configuration(FunctionName="f"))["RevisionId"] == theirs["RevisionId"]
    if operation == "DeleteFunction":
        assert (await lambda_.refused("get_function", FunctionName="f"))[0] == 404


async def test_tags_are_open_too(lambda_: Lambda, other: Lambda) -> None:
    await lambda_.created()
    for operation, members in (
        ("tag_resource", {"Tags": {"a": "b"}}),
        ("list_tags", {}),
        ("untag_resource", {"TagKeys": ["a"]}),
    ):
        assert (await other.refused(operation, Resource=ARN + "f", **members))[0] == 403
    await allow(lambda_, "lambda:*")
    await other.tag_resource(Resource=ARN + "f", Tags={"a": "b"})
    assert (await lambda_.list_tags(Resource=ARN + "f"))["Tags"] == {"a": "b"}
    assert (await other.list_tags(Resource=ARN + "f"))["Tags"] == {"a": "b"}
    await other.untag_resource(Resource=ARN + "f", TagKeys=["a"])


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("add_permission", {"StatementId": "s", "Action": "lambda:*", "Principal": "*"}),
        ("remove_permission", {"StatementId": "s"}),
        ("update_function_configuration", {"Timeout": 9}),
        ("create_function_url_config", {"AuthType": "NONE"}),
        ("get_function_url_config", {}),
        ("get_runtime_management_config", {}),
    ],
)
async def test_other_operations_are_closed_whatever_the_policy_says(
    lambda_: Lambda, other: Lambda, operation: str, members: dict[str, Any]
) -> None:
    """As AWS was seen to answer: 403 without a text."""
    await lambda_.created()
    await allow(lambda_, "lambda:*")
    status, code, message = await other.refused(operation, FunctionName=ARN + "f", **members)
    assert (status, code) == (403, "AccessDeniedException")
    assert message in (None, "None", "")


async def test_resource_policies_are_closed_to_others(lambda_: Lambda, other: Lambda) -> None:
    await lambda_.created()
    await allow(lambda_, "lambda:*")
    for operation, members in (("put_resource_policy", {"Policy": "{}"}), ("get_resource_policy", {})):
        assert (await other.refused(operation, ResourceArn=ARN + "f", **members))[0] == 403


@pytest.mark.parametrize("asked", [None, "1", "live", "$LATEST"])
async def test_a_grant_is_for_its_qualifier_alone(lambda_: Lambda, other: Lambda, asked: str | None) -> None:
    await lambda_.created()
    await lambda_.publish_version(FunctionName="f")
    await lambda_.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    for granted in (None, "1", "live"):
        await allow(lambda_, "lambda:GetFunctionConfiguration", granted)
        members = {"FunctionName": ARN + "f", **({"Qualifier": asked} if asked else {})}
        if asked == granted:
            await other.get_function_configuration(**members)
        else:
            arn = f"{ARN}f:{asked}" if asked else ARN + "f"
            refused = await other.refused("get_function_configuration", **members)
            assert refused == denied("lambda:GetFunctionConfiguration", arn)
        await lambda_.delete_resource_policy(ResourceArn=f"{ARN}f:{granted}" if granted else ARN + "f")


@pytest.mark.parametrize(
    ("principal", "allowed"),
    [
        (OTHER_ACCOUNT, True),
        ("*", True),
        (CALLER, True),
        ("888888888888", False),
        (f"arn:aws:iam::{OTHER_ACCOUNT}:role/only-this", False),
        ("s3.amazonaws.com", False),
    ],
)
async def test_a_grant_is_for_its_principal_alone(
    lambda_: Lambda, other: Lambda, principal: str, allowed: bool
) -> None:
    await lambda_.created()
    await allow(lambda_, "lambda:GetFunction", principal=principal)
    if allowed:
        await other.get_function(FunctionName=ARN + "f")
    else:
        assert (await other.refused("get_function", FunctionName=ARN + "f"))[0] == 403


async def test_a_grant_that_is_taken_back_is_gone(lambda_: Lambda, other: Lambda) -> None:
    await lambda_.created()
    for _ in range(2):
        await lambda_.add_permission(
            FunctionName="f", StatementId="s", Action="lambda:GetFunction", Principal=OTHER_ACCOUNT
        )
        await other.get_function(FunctionName=ARN + "f")
        await lambda_.remove_permission(FunctionName="f", StatementId="s")
        assert (await other.refused("get_function", FunctionName=ARN + "f"))[0] == 403


async def test_a_condition_on_an_organisation_lets_nobody_in(lambda_: Lambda, other: Lambda) -> None:
    """There are no organisations here, so no caller is of one."""
    await lambda_.created()
    await lambda_.add_permission(
        FunctionName="f", StatementId="s", Action="lambda:*", Principal="*", PrincipalOrgID="o-a1b2c3d4e5"
    )
    assert (await other.refused("get_function", FunctionName=ARN + "f"))[0] == 403


async def test_a_deny_is_for_the_own_account_too(lambda_: Lambda, other: Lambda) -> None:
    await lambda_.created()
    statements = [
        {"Effect": "Allow", "Principal": "*", "Action": "lambda:*", "Resource": ARN + "f"},
        {"Effect": "Deny", "Principal": "*", "Action": "lambda:GetFunction", "Resource": ARN + "f"},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    await lambda_.put_resource_policy(ResourceArn=ARN + "f", Policy=document)
    for client, account in ((lambda_, ACCOUNT), (other, OTHER_ACCOUNT)):
        assert await client.refused("get_function", FunctionName=ARN + "f") == (
            403,
            "AccessDeniedException",
            f"User: arn:aws:iam::{account}:root is not authorized to perform: lambda:GetFunction on resource: {ARN}f"
            " with an explicit deny in a resource-based policy",
        )
        await client.get_function_configuration(FunctionName=ARN + "f")


@pytest.mark.parametrize(
    "name", ["f", "function:f", f"{ACCOUNT}:function:f", f"{ACCOUNT}:f", ARN.replace(":function", "") + "f", ARN + "f"]
)
async def test_no_form_of_a_name_gets_around_a_policy(lambda_: Lambda, other: Lambda, name: str) -> None:
    await lambda_.created()
    statement = {"Effect": "Deny", "Principal": "*", "Action": "lambda:GetFunction", "Resource": ARN + "f"}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    await lambda_.put_resource_policy(ResourceArn=ARN + "f", Policy=document)
    assert (await lambda_.refused("get_function", FunctionName=name))[0] == 403
    if ACCOUNT in name:
        assert (await other.refused("get_function", FunctionName=name))[0] == 403
        assert (await other.refused("list_aliases", FunctionName=name))[0] == 403


async def test_the_root_of_an_account_can_take_back_a_deny_for_everybody(lambda_: Lambda) -> None:
    await lambda_.created()
    statement = {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    await lambda_.put_resource_policy(ResourceArn=ARN + "f", Policy=document)
    assert (await lambda_.refused("delete_function", FunctionName="f"))[0] == 403
    await lambda_.delete_resource_policy(ResourceArn=ARN + "f")
    await lambda_.delete_function(FunctionName="f")
