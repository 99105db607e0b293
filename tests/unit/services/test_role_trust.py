"""Whether Lambda may assume a role, by what IAM's journal says of it."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from lambent.services.neighbours.journal import Write
from lambent.services.neighbours.trust import lets_lambda_assume, trust_policy

ROLE = "arn:aws:iam::123456789012:role/worker"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
LAMBDA: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"Service": "lambda.amazonaws.com"},
    "Action": "sts:AssumeRole",
}


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        (LAMBDA, True),
        ([LAMBDA], True),
        ([{**LAMBDA, "Principal": {"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}}], True),
        ([{**LAMBDA, "Action": ["sts:TagSession", "sts:AssumeRole"]}], True),
        ([{**LAMBDA, "Principal": "*", "Action": "sts:*"}], True),
        ([LAMBDA, {**LAMBDA, "Effect": "Deny"}], False),
        ([{**LAMBDA, "Principal": {"Service": "ec2.amazonaws.com"}}], False),
        ([{**LAMBDA, "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}], False),
        ([{**LAMBDA, "Action": "sts:TagSession"}], False),
        ([{name: value for name, value in LAMBDA.items() if name != "Principal"}], False),
        ([{**LAMBDA, "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}}], True),
        ([{**LAMBDA, "Condition": {"StringEquals": {"aws:SourceAccount": "222222222222"}}}], False),
        ([{**LAMBDA, "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:lambda:*:*:function:f*"}}}], True),
        ([{**LAMBDA, "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:lambda:*:*:function:g*"}}}], False),
        ([], False),
        (None, False),
    ],
)
def test_the_trust_policy_decides(statement: Any, allowed: bool) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    assert lets_lambda_assume(document, ROLE, FUNCTION) is allowed


def test_the_last_policy_counts_and_a_role_that_is_not_there_has_none() -> None:
    def write(**members: str) -> Write:
        return Write("123456789012", "us-east-1", urlencode(members), "00", 0.0)

    kept = [
        write(Action="CreateRole", RoleName="a", AssumeRolePolicyDocument="1"),
        write(Action="UpdateAssumeRolePolicy", RoleName="a", PolicyDocument="2"),
        write(Action="CreateRole", RoleName="b", AssumeRolePolicyDocument="3"),
    ]
    assert [trust_policy(kept, "123456789012", name) for name in "abc"] == ["2", "3", None]
    assert trust_policy(kept, "222222222222", "a") is None
