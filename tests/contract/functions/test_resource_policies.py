"""PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy (spec 1.7): whole documents, validated for real."""

import json
from typing import Any

import pytest

from tests.contract.functions.conftest import ACCOUNT, ARN, Lambda

IPV = "InvalidParameterValueException"
RNF = "ResourceNotFoundException"
OTHER_REVISION = "00000000-0000-4000-8000-000000000000"
STATEMENT: dict[str, Any] = {
    "Sid": "all",
    "Effect": "Allow",
    "Principal": {"AWS": "111122223333"},
    "Action": ["lambda:InvokeFunction", "lambda:Get*"],
    "Resource": ARN + "f",
}


def policy(*changes: dict[str, Any], **members: Any) -> str:
    statements = [{**STATEMENT, **change} for change in changes or ({},)]
    return json.dumps({"Version": "2012-10-17", "Statement": statements, **members})


async def test_a_document_is_put_read_and_deleted(lambda_: Lambda) -> None:
    before = (await lambda_.created())["RevisionId"]
    put = await lambda_.put_resource_policy(ResourceArn=ARN + "f", Policy=policy())
    assert json.loads(put["Policy"])["Statement"] == [STATEMENT]
    read = await lambda_.get_resource_policy(ResourceArn=ARN + "f")
    assert (read["Policy"], read["RevisionId"]) == (put["Policy"], put["RevisionId"])
    assert put["RevisionId"] != before
    assert put["RevisionId"] == (await lambda_.get_function_configuration(FunctionName="f"))["RevisionId"]
    deleted = await lambda_.delete_resource_policy(ResourceArn=ARN + "f", RevisionId=put["RevisionId"])
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    for operation in ("get_resource_policy", "delete_resource_policy"):
        refused = await lambda_.refused(operation, ResourceArn=ARN + "f")
        assert refused == (404, RNF, "The resource you requested does not exist.")
    assert (await lambda_.get_function_configuration(FunctionName="f"))["RevisionId"] != put["RevisionId"]


async def test_it_is_the_document_that_permissions_are_added_to(lambda_: Lambda) -> None:
    """And it replaces what they have added."""
    await lambda_.created()
    grant = {"FunctionName": "f", "Action": "lambda:InvokeFunction", "Principal": "*"}
    await lambda_.add_permission(**grant, StatementId="old")
    await lambda_.put_resource_policy(ResourceArn=ARN + "f", Policy=json.dumps({"Statement": STATEMENT}))
    await lambda_.add_permission(**grant, StatementId="new")
    statements = json.loads((await lambda_.get_policy(FunctionName="f"))["Policy"])["Statement"]
    assert [each["Sid"] for each in statements] == ["all", "new"]
    refused = await lambda_.refused("add_permission", **grant, StatementId="all")
    assert refused[1] == "ResourceConflictException"
    await lambda_.remove_permission(FunctionName="f", StatementId="all")
    assert "all" not in (await lambda_.get_resource_policy(ResourceArn=ARN + "f"))["Policy"]


@pytest.mark.parametrize("qualifier", ["1", "live"])
async def test_versions_and_aliases_have_their_own(lambda_: Lambda, qualifier: str) -> None:
    await lambda_.created()
    await lambda_.publish_version(FunctionName="f")
    await lambda_.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    arn = f"{ARN}f:{qualifier}"
    await lambda_.put_resource_policy(ResourceArn=arn, Policy=policy({"Resource": arn}))
    assert (await lambda_.refused("get_resource_policy", ResourceArn=ARN + "f"))[1] == RNF
    assert (await lambda_.get_resource_policy(ResourceArn=arn))["Policy"]


@pytest.mark.parametrize(
    "document",
    [
        "nope",
        "[]",
        "{}",
        '{"Statement":[]}',
        policy(Version="2020-01-01"),
        policy(Unknown=1),
        policy({"Effect": "Perhaps"}),
        policy({"Principal": "me"}),
        policy({"Principal": {"AWS": "me"}}),
        policy({"Action": "s3:GetObject"}),
        policy({"Action": "lambda:CreateFunction"}),
        policy({"Action": ["lambda:InvokeFunction", "lambda:Nope*"]}),
        policy({"Resource": ARN + "g"}),
        policy({"Resource": ARN + "f:live"}),
        policy({"Resource": [ARN + "f", ARN + "g"]}),
        policy({"Resource": []}),
        policy({"Condition": {"Sometimes": {"a": "b"}}}),
        policy({}, {}),
        json.dumps({"Statement": {name: value for name, value in STATEMENT.items() if name != "Principal"}}),
        json.dumps({"Statement": {name: value for name, value in STATEMENT.items() if name != "Resource"}}),
    ],
)
async def test_a_document_that_is_no_policy_of_the_function_is_refused(lambda_: Lambda, document: str) -> None:
    await lambda_.create()
    status, code, message = await lambda_.refused("put_resource_policy", ResourceArn=ARN + "f", Policy=document)
    assert (status, code) == (400, IPV)
    assert message
    assert (await lambda_.refused("get_resource_policy", ResourceArn=ARN + "f"))[1] == RNF


@pytest.mark.parametrize("resource", [ARN + "f", "*", "arn:aws:lambda:*:*:function:f"])
async def test_a_resource_may_be_a_pattern_of_the_function(lambda_: Lambda, resource: str) -> None:
    await lambda_.create()
    await lambda_.put_resource_policy(ResourceArn=ARN + "f", Policy=policy({"Resource": resource}))


async def test_a_stale_revision_is_refused(lambda_: Lambda) -> None:
    await lambda_.created()
    await lambda_.put_resource_policy(ResourceArn=ARN + "f", Policy=policy())
    for operation, members in (
        ("put_resource_policy", {"Policy": policy({"Sid": "b"})}),
        ("delete_resource_policy", {}),
    ):
        refused = await lambda_.refused(operation, ResourceArn=ARN + "f", RevisionId=OTHER_REVISION, **members)
        assert refused[:2] == (412, "PreconditionFailedException")
    assert '"all"' in (await lambda_.get_resource_policy(ResourceArn=ARN + "f"))["Policy"]


@pytest.mark.parametrize(
    ("arn", "expected"),
    [
        (ARN + "nope", (404, RNF, f"Function not found: {ARN}nope")),
        (ARN + "f:9", (404, RNF, f"Function not found: {ARN}f:9")),
        (ARN + "f:nope", (404, RNF, f"Cannot find alias arn: {ARN}f:nope")),
        (ARN + "f:$LATEST", (400, IPV, "We currently do not support adding policies for $LATEST.")),
        (
            f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:f",
            (404, RNF, "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"),
        ),
    ],
)
async def test_an_arn_of_nothing_is_refused(lambda_: Lambda, arn: str, expected: tuple[int, str, str]) -> None:
    await lambda_.create()
    document = policy({"Resource": "*"})
    assert await lambda_.refused("put_resource_policy", ResourceArn=arn, Policy=document) == expected


async def test_a_document_of_more_than_20_kb_is_refused(lambda_: Lambda) -> None:
    await lambda_.create()
    document = policy({"Condition": {"StringEquals": {"a": "x" * 20_480}}})
    refused = await lambda_.refused("put_resource_policy", ResourceArn=ARN + "f", Policy=document)
    assert refused[:2] == (400, "ValidationException")
