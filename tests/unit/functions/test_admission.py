"""Which operations other accounts can be let into, and what the authorizer says to services."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from lambent.aws.policy.principals import ANONYMOUS, Principal
from lambent.functions.admission import CROSS_ACCOUNT
from lambent.functions.authorize import MOST_KEPT, Authorizer
from lambent.functions.read_model import ReadModel
from lambent.functions.records import Attachment, AttachmentKey, Function, FunctionKey, Policy
from lambent.functions.resolve import Target
from tests.unit.environments.kit import function_version

LISTED = """
CreateAlias DeleteAlias DeleteFunction DeleteFunctionConcurrency DeleteFunctionEventInvokeConfig
DeleteProvisionedConcurrencyConfig GetAlias GetFunction GetFunctionConcurrency GetFunctionConfiguration
GetFunctionEventInvokeConfig GetPolicy GetProvisionedConcurrencyConfig Invoke ListAliases
ListFunctionEventInvokeConfigs ListProvisionedConcurrencyConfigs ListTags ListVersionsByFunction PublishVersion
PutFunctionConcurrency PutFunctionEventInvokeConfig PutProvisionedConcurrencyConfig TagResource UntagResource
UpdateAlias UpdateFunctionCode UpdateFunctionEventInvokeConfig
"""
"""Of the spec, section 7."""

TARGET = Target(FunctionKey("000000000000", "us-east-1", "thumbnail"), None)
S3 = Principal.of_service("s3.amazonaws.com")
BUCKET = {"aws:SourceArn": "arn:aws:s3:::photos", "aws:SourceAccount": "111122223333"}


def test_the_operations_open_to_other_accounts_are_those_of_the_spec() -> None:
    # An action is named like its operation, but for Invoke, which asks for itself.
    assert CROSS_ACCOUNT - {"InvokeFunction", "InvokeFunctionUrl"} == set(LISTED.split()) - {"Invoke"}


def authorizer(*statements: Mapping[str, Any]) -> tuple[Authorizer, ReadModel]:
    model = ReadModel()
    whole = [{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": TARGET.arn, **s} for s in statements]
    attachments: dict[AttachmentKey, Attachment] = {}
    if whole:
        attachments[Policy, ""] = Policy(json.dumps({"Version": "2012-10-17", "Statement": whole}))
    model.put(Function(latest=function_version(), attachments=attachments))
    return Authorizer(model), model


GRANT = {
    "Principal": {"Service": "s3.amazonaws.com"},
    "Condition": {
        "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::photos"},
        "StringEquals": {"AWS:SourceAccount": "111122223333"},
    },
}


@pytest.mark.parametrize(
    ("principal", "context", "allowed"),
    [
        (S3, BUCKET, True),
        (S3, {}, False),
        (S3, BUCKET | {"aws:SourceArn": "arn:aws:s3:::other"}, False),
        (S3, BUCKET | {"aws:SourceAccount": "999999999999"}, False),
        (Principal.of_service("sns.amazonaws.com"), BUCKET, False),
        (Principal.of_arn("arn:aws:iam::999999999999:root"), BUCKET, False),
        (ANONYMOUS, BUCKET, False),
    ],
)
def test_a_service_is_let_in_by_its_statement_alone(
    principal: Principal, context: dict[str, str], allowed: bool
) -> None:
    assert authorizer(GRANT)[0].may_invoke(TARGET, principal, context) is allowed
    assert not authorizer()[0].may_invoke(TARGET, principal, context)


def test_the_own_account_needs_no_statement_and_heeds_a_deny() -> None:
    role = Principal.of_arn("arn:aws:sts::000000000000:assumed-role/worker/thumbnail")
    assert authorizer()[0].may_invoke(TARGET, role)
    assert authorizer(GRANT)[0].may_invoke(TARGET, role)
    deny = {"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::000000000000:role/worker"}}
    assert not authorizer(deny)[0].may_invoke(TARGET, role)
    other = Principal.of_arn("arn:aws:sts::000000000000:assumed-role/other/thumbnail")
    assert authorizer(deny)[0].may_invoke(TARGET, other)


def test_a_verdict_is_kept_until_the_policy_changes() -> None:
    asked, model = authorizer(GRANT)
    assert asked.may_invoke(TARGET, S3, BUCKET)
    model.put(Function(latest=function_version()))
    assert not asked.may_invoke(TARGET, S3, BUCKET)


def test_verdicts_do_not_pile_up() -> None:
    asked, _ = authorizer(GRANT)
    for number in range(MOST_KEPT + 100):
        assert not asked.may_invoke(TARGET, S3, {"aws:SourceArn": f"arn:aws:s3:::bucket-{number}"})
    assert len(asked._known) <= MOST_KEPT + 1
