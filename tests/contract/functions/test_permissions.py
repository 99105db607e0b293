"""AddPermission, RemovePermission, GetPolicy. Tables of spec 1.7, and of 1.5 for revisions; texts as AWS gave them."""

import json
from typing import Any

import pytest

from lambent.functions.quotas import Quotas
from tests.contract.functions.conftest import ARN, Lambda

IPV = "InvalidParameterValueException"
RNF = "ResourceNotFoundException"
STALE = (
    "The Revision Id provided does not match the latest Revision Id."
    " Call the GetPolicy API to retrieve the latest Revision Id"
)
OTHER_REVISION = "00000000-0000-4000-8000-000000000000"
BUCKET = "arn:aws:s3:::photos"
GRANT = {"StatementId": "s3", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}


async def with_alias(lambda_: Lambda) -> None:
    """f, its version 1, its alias live."""
    await lambda_.created()
    await lambda_.publish_version(FunctionName="f")
    await lambda_.create_alias(FunctionName="f", Name="live", FunctionVersion="1")


async def add(lambda_: Lambda, **members: Any) -> str:
    reply = await lambda_.add_permission(**({"FunctionName": "f"} | GRANT | members))
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 201
    return str(reply["Statement"])


async def revision(lambda_: Lambda, qualifier: str | None = None) -> str:
    if qualifier == "live":
        return str((await lambda_.get_alias(FunctionName="f", Name="live"))["RevisionId"])
    asked = {"Qualifier": qualifier} if qualifier else {}
    return str((await lambda_.get_function_configuration(FunctionName="f", **asked))["RevisionId"])


ROLE = "arn:aws:iam::111122223333:role/a/b"
SESSION = "arn:aws:sts::111122223333:assumed-role/b/session"


@pytest.mark.parametrize(
    ("given", "principal"),
    [
        ("s3.amazonaws.com", {"Service": "s3.amazonaws.com"}),
        ("logs.us-east-1.amazonaws.com", {"Service": "logs.us-east-1.amazonaws.com"}),
        ("alexa-appkit.amazon.com", {"Service": "alexa-appkit.amazon.com"}),
        ("111122223333", {"AWS": "arn:aws:iam::111122223333:root"}),
        ("arn:aws:iam::111122223333:root", {"AWS": "arn:aws:iam::111122223333:root"}),
        (ROLE, {"AWS": ROLE}),
        (SESSION, {"AWS": SESSION}),
        ("*", "*"),
    ],
)
async def test_a_principal_becomes(lambda_: Lambda, given: str, principal: Any) -> None:
    await lambda_.create()
    assert json.loads(await add(lambda_, Principal=given))["Principal"] == principal


@pytest.mark.parametrize(
    "given", ["nobody", "11112222333", "arn:aws:s3:::bucket", "s3.example.com", "arn:aws:iam::1:x", ROLE + "*"]
)
async def test_a_principal_that_is_none_is_refused(lambda_: Lambda, given: str) -> None:
    await lambda_.create()
    assert await lambda_.refused("add_permission", FunctionName="f", **GRANT | {"Principal": given}) == (
        400,
        IPV,
        "The provided principal was invalid. Please check the principal and try again.",
    )


@pytest.mark.parametrize(
    ("members", "condition"),
    [
        ({"SourceArn": BUCKET}, {"ArnLike": {"AWS:SourceArn": BUCKET}}),
        ({"SourceAccount": "111122223333"}, {"StringEquals": {"AWS:SourceAccount": "111122223333"}}),
        (
            {"SourceArn": BUCKET, "SourceAccount": "111122223333"},
            {"StringEquals": {"AWS:SourceAccount": "111122223333"}, "ArnLike": {"AWS:SourceArn": BUCKET}},
        ),
        ({"PrincipalOrgID": "o-a1b2c3d4e5"}, {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
        ({"EventSourceToken": "token"}, {"StringEquals": {"lambda:EventSourceToken": "token"}}),
        (
            {"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"},
            {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}},
        ),
        ({"InvokedViaFunctionUrl": True}, {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}),
        ({"InvokedViaFunctionUrl": False}, None),
    ],
)
async def test_members_become_conditions(lambda_: Lambda, members: dict[str, Any], condition: Any) -> None:
    await lambda_.create()
    assert json.loads(await add(lambda_, **members)).get("Condition") == condition


async def test_the_statement_is_text_in_the_order_of_aws(lambda_: Lambda) -> None:
    await lambda_.create()
    assert await add(lambda_, SourceArn=BUCKET) == (
        '{"Sid":"s3","Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction",'
        f'"Resource":"{ARN}f","Condition":{{"ArnLike":{{"AWS:SourceArn":"{BUCKET}"}}}}}}'
    )


async def test_the_policy_is_text_with_all_statements(lambda_: Lambda) -> None:
    await lambda_.create()
    statements = [json.loads(await add(lambda_, StatementId=sid)) for sid in ("a", "b")]
    text = (await lambda_.get_policy(FunctionName="f"))["Policy"]
    assert text.startswith('{"Version":"2012-10-17","Id":"default","Statement":[{"Sid":"a","Effect":"Allow",')
    assert json.loads(text)["Statement"] == statements


@pytest.mark.parametrize("form", [{"FunctionName": "f:live"}, {"Qualifier": "live"}, {"FunctionName": ARN + "f:live"}])
async def test_a_policy_belongs_to_one_qualifier(lambda_: Lambda, form: dict[str, str]) -> None:
    """Spec, behaviour 9."""
    await with_alias(lambda_)
    assert json.loads(await add(lambda_, **form))["Resource"] == ARN + "f:live"
    assert (await lambda_.refused("get_policy", FunctionName="f"))[1] == RNF
    assert (await lambda_.refused("get_policy", FunctionName="f", Qualifier="1"))[1] == RNF
    await add(lambda_)
    await add(lambda_, Qualifier="1")
    for qualifier, resource in (("live", ARN + "f:live"), ("1", ARN + "f:1")):
        policy = json.loads((await lambda_.get_policy(FunctionName="f", Qualifier=qualifier))["Policy"])
        assert [each["Resource"] for each in policy["Statement"]] == [resource]


@pytest.mark.parametrize("qualifier", [None, "1", "live"])
async def test_each_change_of_a_policy_is_a_revision_of_its_owner(lambda_: Lambda, qualifier: str | None) -> None:
    """Spec, behaviours 3 and 4. The others keep theirs."""
    await with_alias(lambda_)
    asked = {"Qualifier": qualifier} if qualifier else {}
    owners = [None, "1", "live"]
    before = {owner: await revision(lambda_, owner) for owner in owners}
    await add(lambda_, **asked, RevisionId=before[qualifier])
    added = {owner: await revision(lambda_, owner) for owner in owners}
    assert [owner for owner in owners if added[owner] != before[owner]] == [qualifier]
    assert (await lambda_.get_policy(FunctionName="f", **asked))["RevisionId"] == added[qualifier]
    await lambda_.remove_permission(FunctionName="f", StatementId="s3", **asked, RevisionId=added[qualifier])
    removed = {owner: await revision(lambda_, owner) for owner in owners}
    assert [owner for owner in owners if removed[owner] != added[owner]] == [qualifier]


async def test_a_stale_revision_is_refused(lambda_: Lambda) -> None:
    await lambda_.created()
    stale = (412, "PreconditionFailedException", STALE)
    assert await lambda_.refused("add_permission", FunctionName="f", **GRANT, RevisionId=OTHER_REVISION) == stale
    await add(lambda_)
    refused = await lambda_.refused("remove_permission", FunctionName="f", StatementId="s3", RevisionId=OTHER_REVISION)
    assert refused == stale
    assert "s3" in (await lambda_.get_policy(FunctionName="f"))["Policy"]


REFUSED: list[tuple[str, dict[str, Any], tuple[int, str, str]]] = [
    ("add_permission", {"FunctionName": "nope", **GRANT}, (404, RNF, f"Function not found: {ARN}nope")),
    ("add_permission", {"Qualifier": "9", **GRANT}, (404, RNF, f"Function not found: {ARN}f:9")),
    ("add_permission", {"Qualifier": "nope", **GRANT}, (404, RNF, f"Cannot find alias arn: {ARN}f:nope")),
    (
        "add_permission",
        {"Qualifier": "$LATEST", **GRANT},
        (400, IPV, "We currently do not support adding policies for $LATEST."),
    ),
    (
        "add_permission",
        {**GRANT, "StatementId": "there"},
        (
            409,
            "ResourceConflictException",
            "The statement id (there) provided already exists. Please provide a new statement id, or remove the"
            " existing statement.",
        ),
    ),
    (
        "add_permission",
        {**GRANT, "FunctionUrlAuthType": "NONE"},
        (400, IPV, "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action"),
    ),
    ("remove_permission", {"FunctionName": "nope", "StatementId": "x"}, (404, RNF, f"No policy found for: {ARN}nope")),
    (
        "remove_permission",
        {"Qualifier": "live", "StatementId": "x"},
        (404, RNF, "No policy is associated with the given resource."),
    ),
    (
        "remove_permission",
        {"Qualifier": "$LATEST", "StatementId": "x"},
        (404, RNF, "No policy is associated with the given resource."),
    ),
    ("remove_permission", {"StatementId": "x"}, (404, RNF, "Statement x is not found in resource policy.")),
    ("get_policy", {"FunctionName": "nope"}, (404, RNF, f"Function not found: {ARN}nope")),
    ("add_permission", {"Qualifier": "with-$-sign", **GRANT}, (404, RNF, f"Function not found: {ARN}f:with-$-sign")),
    ("remove_permission", {"Qualifier": "nope", "StatementId": "x"}, (404, RNF, f"Cannot find alias arn: {ARN}f:nope")),
    ("get_policy", {"Qualifier": "live"}, (404, RNF, "The resource you requested does not exist.")),
    ("get_policy", {"Qualifier": "$LATEST"}, (404, RNF, "The resource you requested does not exist.")),
]


@pytest.mark.parametrize(("operation", "members", "expected"), REFUSED)
async def test_what_is_not_there_or_does_not_go_is_refused(
    lambda_: Lambda, operation: str, members: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    await with_alias(lambda_)
    await add(lambda_, StatementId="there")
    before = await lambda_.get_policy(FunctionName="f")
    assert await lambda_.refused(operation, **({"FunctionName": "f"} | members)) == expected
    after = await lambda_.get_policy(FunctionName="f")
    assert (after["Policy"], after["RevisionId"]) == (before["Policy"], before["RevisionId"])


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"StatementId": "a b"}, "statementId"),
        ({"StatementId": "x" * 101}, "statementId"),
        ({"Action": "s3:GetObject"}, "action"),
        ({"Principal": "a b"}, "principal"),
        ({"SourceAccount": "1"}, "sourceAccount"),
        ({"SourceArn": "photos"}, "sourceArn"),
        ({"PrincipalOrgID": "o-1"}, "principalOrgID"),
        ({"FunctionUrlAuthType": "SOME"}, "functionUrlAuthType"),
    ],
)
async def test_members_out_of_the_model_are_validation_errors(
    lambda_: Lambda, members: dict[str, str], path: str
) -> None:
    await lambda_.create()
    status, code, message = await lambda_.refused("add_permission", FunctionName="f", **GRANT | members)
    assert (status, code) == (400, "ValidationException")
    assert f"at '{path}' failed to satisfy constraint" in message


async def test_a_policy_without_statements_is_gone(lambda_: Lambda) -> None:
    await lambda_.created()
    await add(lambda_)
    reply = await lambda_.remove_permission(FunctionName="f", StatementId="s3")
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert (await lambda_.refused("get_policy", FunctionName="f"))[1] == RNF


async def test_a_policy_goes_with_its_version_and_its_alias(lambda_: Lambda) -> None:
    await with_alias(lambda_)
    for qualifier in ("1", "live"):
        await add(lambda_, Qualifier=qualifier)
    await lambda_.delete_alias(FunctionName="f", Name="live")
    await lambda_.create_alias(FunctionName="f", Name="live", FunctionVersion="$LATEST")
    assert (await lambda_.refused("get_policy", FunctionName="f", Qualifier="live"))[1] == RNF
    await lambda_.delete_function(FunctionName="f", Qualifier="1")
    assert (await lambda_.refused("get_policy", FunctionName="f", Qualifier="1"))[1] == RNF


async def test_a_new_function_of_a_name_has_no_policy_of_the_old_one(lambda_: Lambda) -> None:
    await lambda_.create()
    await add(lambda_)
    await lambda_.delete_function(FunctionName="f")
    await lambda_.create()
    assert (await lambda_.refused("get_policy", FunctionName="f"))[1] == RNF


class TestSmallPolicies:
    @pytest.fixture
    def quotas(self) -> Quotas:
        return Quotas(max_policy_bytes=400)

    async def test_a_policy_that_would_be_too_large_is_refused(self, lambda_: Lambda) -> None:
        await lambda_.create()
        await add(lambda_, StatementId="a")
        status, code, message = await lambda_.refused(
            "add_permission", FunctionName="f", **GRANT | {"StatementId": "b" * 100}
        )
        assert (status, code) == (400, "PolicyLengthExceededException")
        size = int(message.removeprefix("The final policy size (").partition(")")[0])
        assert message == f"The final policy size ({size}) is bigger than the limit (400)."
        assert size > 400
        assert "bbb" not in (await lambda_.get_policy(FunctionName="f"))["Policy"]
