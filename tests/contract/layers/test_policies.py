"""Permissions of layer versions and what they are worth to other accounts (spec of the API, 1.6)."""

import json
from typing import Any

import pytest

from lambent.functions.quotas import Quotas
from tests.contract.functions.conftest import Lambda
from tests.contract.layers.conftest import LAYER, OTHER, publish
from tests.unit.functions.conftest import creation

RNF = "ResourceNotFoundException"
NAMED = {"LayerName": "l", "VersionNumber": 1}
GRANT = NAMED | {"StatementId": "s", "Action": "lambda:GetLayerVersion", "Principal": OTHER}
NO_POLICY = (404, RNF, "No policy is associated with the given resource.")
NO_LAYER = (404, RNF, f"Layer version {LAYER}l:1 does not exist.")
STALE = (
    412,
    "PreconditionFailedException",
    "The Revision Id provided does not match the latest Revision Id."
    " Call the GetLayerPolicy API to retrieve the latest Revision Id",
)


def denied(action: str, resource: str) -> tuple[int, str, str]:
    return (
        403,
        "AccessDeniedException",
        f"User: arn:aws:iam::{OTHER}:root is not authorized to perform: {action} on resource: {resource}"
        f" because no resource-based policy allows the {action} action",
    )


@pytest.mark.parametrize(
    ("sent", "principal", "condition"),
    [
        ({"Principal": OTHER}, {"AWS": f"arn:aws:iam::{OTHER}:root"}, None),
        ({"Principal": f"arn:aws:iam::{OTHER}:root"}, {"AWS": f"arn:aws:iam::{OTHER}:root"}, None),
        ({"Principal": "*"}, "*", None),
        (
            {"Principal": "*", "OrganizationId": "o-a1b2c3d4e5"},
            "*",
            {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}},
        ),
    ],
)
async def test_a_grant_becomes_a_statement(
    lambda_: Lambda, sent: dict[str, str], principal: Any, condition: dict[str, Any] | None
) -> None:
    await publish(lambda_)
    added = await lambda_.add_layer_version_permission(**GRANT | sent)
    assert added["ResponseMetadata"]["HTTPStatusCode"] == 201
    statement = {
        "Sid": "s",
        "Effect": "Allow",
        "Principal": principal,
        "Action": "lambda:GetLayerVersion",
        "Resource": LAYER + "l:1",
    }
    if condition is not None:
        statement["Condition"] = condition
    assert json.loads(added["Statement"]) == statement
    assert list(json.loads(added["Statement"])) == list(statement)
    got = await lambda_.get_layer_version_policy(**NAMED)
    assert got["RevisionId"] == added["RevisionId"]
    assert json.loads(got["Policy"]) == {"Version": "2012-10-17", "Id": "default", "Statement": [statement]}


async def test_statements_are_removed_one_by_one(lambda_: Lambda) -> None:
    await publish(lambda_)
    assert await lambda_.refused("get_layer_version_policy", **NAMED) == NO_POLICY
    assert await lambda_.refused("remove_layer_version_permission", **NAMED, StatementId="s") == NO_POLICY
    await lambda_.add_layer_version_permission(**GRANT)
    await lambda_.add_layer_version_permission(**GRANT | {"StatementId": "t"})
    missing = await lambda_.refused("remove_layer_version_permission", **NAMED, StatementId="u")
    assert missing == (404, RNF, "Statement u is not found in resource policy.")
    removed = await lambda_.remove_layer_version_permission(**NAMED, StatementId="s")
    assert removed["ResponseMetadata"]["HTTPStatusCode"] == 204
    await lambda_.remove_layer_version_permission(**NAMED, StatementId="t")
    assert await lambda_.refused("get_layer_version_policy", **NAMED) == NO_POLICY


async def test_a_statement_id_is_used_once(lambda_: Lambda) -> None:
    await publish(lambda_)
    await lambda_.add_layer_version_permission(**GRANT)
    assert await lambda_.refused("add_layer_version_permission", **GRANT) == (
        409,
        "ResourceConflictException",
        "The statement id (s) provided already exists. Please provide a new statement id, or remove the existing"
        " statement.",
    )


async def test_a_revision_guards_every_change(lambda_: Lambda) -> None:
    await publish(lambda_)
    assert await lambda_.refused("add_layer_version_permission", **GRANT, RevisionId="wrong") == STALE
    first = (await lambda_.add_layer_version_permission(**GRANT))["RevisionId"]
    second = await lambda_.add_layer_version_permission(**GRANT | {"StatementId": "t", "RevisionId": first})
    stale = {**NAMED, "StatementId": "s", "RevisionId": first}
    assert await lambda_.refused("remove_layer_version_permission", **stale) == STALE
    await lambda_.remove_layer_version_permission(**stale | {"RevisionId": second["RevisionId"]})


async def test_a_version_that_is_not_there_has_no_policy(lambda_: Lambda) -> None:
    assert await lambda_.refused("add_layer_version_permission", **GRANT) == NO_LAYER
    assert await lambda_.refused("get_layer_version_policy", **NAMED) == NO_LAYER
    assert await lambda_.refused("remove_layer_version_permission", **NAMED, StatementId="s") == NO_LAYER


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"Action": "lambda:InvokeFunction"}, "Value 'lambda:InvokeFunction' at 'action' failed"),
        ({"Principal": "s3.amazonaws.com"}, "Value 's3.amazonaws.com' at 'principal' failed"),
    ],
)
async def test_only_getting_can_be_granted_and_only_to_accounts(
    lambda_: Lambda, sent: dict[str, str], said: str
) -> None:
    await publish(lambda_)
    status, code, text = await lambda_.refused("add_layer_version_permission", **GRANT | sent)
    assert (status, code) == (400, "ValidationException")
    assert said in text


async def test_an_organization_needs_the_principal_of_everybody(lambda_: Lambda) -> None:
    await publish(lambda_)
    sent = GRANT | {"OrganizationId": "o-a1b2c3d4e5"}
    assert (await lambda_.refused("add_layer_version_permission", **sent))[1] == "InvalidParameterValueException"


@pytest.mark.parametrize("quotas", [Quotas(max_policy_bytes=500)])
async def test_a_policy_has_a_limit(lambda_: Lambda) -> None:
    await publish(lambda_)
    await lambda_.add_layer_version_permission(**GRANT)
    status, code, text = await lambda_.refused("add_layer_version_permission", **GRANT | {"StatementId": "t" * 100})
    assert (status, code) == (400, "PolicyLengthExceededException")
    assert text.startswith("The final policy size (")
    assert text.endswith(") is bigger than the limit (500).")


@pytest.mark.parametrize("principal", [OTHER, "*", f"arn:aws:iam::{OTHER}:root"])
async def test_another_account_gets_what_it_was_granted(lambda_: Lambda, other: Lambda, principal: str) -> None:
    await publish(lambda_)
    refusal = denied("lambda:GetLayerVersion", LAYER + "l:1")
    assert await other.refused("get_layer_version", LayerName=LAYER + "l", VersionNumber=1) == refusal
    assert await other.refused("get_layer_version_by_arn", Arn=LAYER + "l:1") == refusal
    assert await other.refused("create_function", **with_layer()) == refusal

    await lambda_.add_layer_version_permission(**GRANT | {"Principal": principal})
    assert (await other.get_layer_version_by_arn(Arn=LAYER + "l:1"))["LayerVersionArn"] == LAYER + "l:1"
    assert (await other.get_layer_version(LayerName=LAYER + "l", VersionNumber=1))["Version"] == 1
    assert (await other.create(Layers=[LAYER + "l:1"]))["Layers"][0]["Arn"] == LAYER + "l:1"

    await lambda_.remove_layer_version_permission(**NAMED, StatementId="s")
    assert await other.refused("get_layer_version_by_arn", Arn=LAYER + "l:1") == refusal


async def test_a_grant_to_one_account_is_none_to_another(lambda_: Lambda, other: Lambda) -> None:
    await publish(lambda_)
    await lambda_.add_layer_version_permission(**GRANT | {"Principal": "111111111111"})
    await lambda_.add_layer_version_permission(
        **GRANT | {"Principal": "*", "OrganizationId": "o-a1b2c3d4e5", "StatementId": "t"}
    )
    assert (await other.refused("get_layer_version_by_arn", Arn=LAYER + "l:1"))[0] == 403


async def test_nothing_but_getting_crosses_accounts(lambda_: Lambda, other: Lambda) -> None:
    await publish(lambda_)
    await lambda_.add_layer_version_permission(**GRANT | {"Principal": "*"})
    arn = LAYER + "l"
    named = {"LayerName": arn, "VersionNumber": 1}
    assert await other.refused("delete_layer_version", **named) == denied("lambda:DeleteLayerVersion", arn + ":1")
    assert await other.refused("list_layer_versions", LayerName=arn) == denied("lambda:ListLayerVersions", arn)
    assert (await other.refused("get_layer_version_policy", **named))[0] == 403
    assert (await other.list_layers())["Layers"] == []
    assert (await publish(other))["LayerArn"] == f"arn:aws:lambda:us-east-1:{OTHER}:layer:l"


def with_layer() -> dict[str, Any]:
    return creation("f") | {"Layers": [LAYER + "l:1"]}
