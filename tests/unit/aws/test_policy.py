"""The language of IAM policies, element by element."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from lambent.aws.policy.decision import Decision, Request, decide
from lambent.aws.policy.documents import parse
from lambent.aws.policy.principals import ANONYMOUS, Principal
from lambent.aws.policy.text import PolicyError

ROOT = "arn:aws:iam::111111111111:root"
ROLE = "arn:aws:iam::111111111111:role/service/worker"
SESSION = "arn:aws:sts::111111111111:assumed-role/worker/f"
ARN = "arn:aws:lambda:us-east-1:222222222222:function:f"


def said(
    statement: Mapping[str, Any],
    principal: Principal | str = ROOT,
    action: str = "lambda:InvokeFunction",
    resource: str = ARN,
    context: Mapping[str, str | Sequence[str]] | None = None,
) -> Decision:
    whole = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*", **statement}
    for name in ("Principal", "Action", "Resource"):
        if f"Not{name}" in statement:
            del whole[name]
    who = Principal.of_arn(principal) if isinstance(principal, str) else principal
    document = parse(json.dumps({"Version": "2012-10-17", "Statement": whole}))
    return decide([document], Request(who, action, resource, context or {}))


def allows(*arguments: Any, **named: Any) -> bool:
    return said(*arguments, **named) is Decision.ALLOWED


SERVICE = Principal.of_service("s3.amazonaws.com")


@pytest.mark.parametrize(
    ("named", "principal", "expected"),
    [
        ("*", ROOT, True),
        ("*", SERVICE, True),
        ("*", ANONYMOUS, True),
        ({"AWS": "*"}, SERVICE, True),
        ({"AWS": "111111111111"}, ROOT, True),
        ({"AWS": ROOT}, "arn:aws:iam::111111111111:user/ann", True),
        ({"AWS": ROOT}, SESSION, True),
        ({"AWS": ROOT}, "arn:aws:iam::333333333333:root", False),
        ({"AWS": ROLE}, SESSION, True),
        ({"AWS": ROLE}, ROLE, True),
        ({"AWS": ROLE}, "arn:aws:sts::111111111111:assumed-role/other/f", False),
        ({"AWS": SESSION}, SESSION, True),
        ({"AWS": SESSION}, "arn:aws:sts::111111111111:assumed-role/worker/g", False),
        ({"AWS": ["333333333333", "111111111111"]}, ROOT, True),
        ({"AWS": "111111111111"}, SERVICE, False),
        ({"Service": "s3.amazonaws.com"}, SERVICE, True),
        ({"Service": "sns.amazonaws.com"}, SERVICE, False),
        ({"Service": "s3.amazonaws.com", "AWS": "111111111111"}, ROOT, True),
        ({"Federated": "accounts.example.com"}, Principal("Federated", "accounts.example.com"), True),
        ({"Federated": "*"}, ROOT, False),
    ],
)
def test_a_principal_is_named_in_these_forms(named: Any, principal: Principal | str, expected: bool) -> None:
    assert allows({"Principal": named}, principal) is expected
    assert allows({"NotPrincipal": named}, principal) is not expected


@pytest.mark.parametrize(
    ("pattern", "action", "expected"),
    [
        ("lambda:InvokeFunction", "lambda:InvokeFunction", True),
        ("LAMBDA:invokefunction", "lambda:InvokeFunction", True),
        ("lambda:Invoke*", "lambda:InvokeFunctionUrl", True),
        ("lambda:Get?unction", "lambda:GetFunction", True),
        ("lambda:*", "sqs:SendMessage", False),
        ("*", "sqs:SendMessage", True),
        (["s3:GetObject", "lambda:GetFunction"], "lambda:GetFunction", True),
        ("lambda:InvokeFunction", "lambda:InvokeFunctionUrl", False),
    ],
)
def test_an_action_matches_without_case_and_with_wildcards(pattern: Any, action: str, expected: bool) -> None:
    assert allows({"Action": pattern}, action=action) is expected
    assert allows({"NotAction": pattern}, action=action) is not expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (ARN, True),
        (ARN + ":live", False),
        (ARN.upper(), False),
        ("arn:aws:lambda:*:function:f", True),
        ("arn:aws:lambda:us-east-?:222222222222:function:*", True),
        ("*f", True),
        ("*g", False),
        ("*:f*:f", True),
        (ARN + "*", True),
        ("arn:aws:lambda:us-east-1:${aws:owner}:function:f", True),
        ("arn:aws:lambda:us-east-1:${aws:nothing}:function:f", False),
        ("arn:aws:lambda:us-east-1:${aws:nothing, '222222222222'}:function:f", True),
        ("${*}", False),
    ],
)
def test_a_resource_matches_with_case_wildcards_and_variables(pattern: str, expected: bool) -> None:
    context = {"aws:Owner": "222222222222"}
    assert allows({"Resource": pattern}, context=context) is expected
    assert allows({"NotResource": pattern}, context=context) is not expected


CONDITIONS: list[tuple[str, Any, Any, bool]] = [
    ("StringEquals", "a", "a", True),
    ("StringEquals", "a", "A", False),
    ("StringEquals", ["b", "a"], "a", True),
    ("StringEquals", "a", None, False),
    ("StringNotEquals", "a", "b", True),
    ("StringNotEquals", ["b", "a"], "a", False),
    ("StringNotEquals", "a", None, True),
    ("StringEqualsIgnoreCase", "a", "A", True),
    ("StringNotEqualsIgnoreCase", "a", "A", False),
    ("StringLike", "a*?", "abc", True),
    ("StringLike", "a*?", "a", False),
    ("StringNotLike", "a*", "abc", False),
    ("StringEquals", "a*", "abc", False),
    ("ArnLike", "arn:aws:s3:::bucket*", "arn:aws:s3:::bucket1", True),
    ("ArnLike", "arn:aws:*:bucket", "arn:aws:s3:::bucket", False),
    ("ArnEquals", "arn:aws:sns:*:*:t", "arn:aws:sns:us-east-1:111111111111:t", True),
    ("ArnLike", "arn:aws:sns:*:${aws:owner}:t", "arn:aws:sns:us-east-1:222222222222:t", True),
    ("ArnLike", "*", "anything", True),
    ("ArnLike", "arn:aws:sns:*:*:t", "no arn", False),
    ("ArnNotLike", "arn:aws:s3:::b*", "arn:aws:s3:::c", True),
    ("ArnNotEquals", "arn:aws:s3:::b", "arn:aws:s3:::b", False),
    ("Bool", "true", "true", True),
    ("Bool", True, "TRUE", True),
    ("Bool", "false", "true", False),
    ("Bool", "true", None, False),
    ("Null", "true", None, True),
    ("Null", "true", "x", False),
    ("Null", "false", "x", True),
    ("Null", False, None, False),
    ("NumericEquals", "10", "10.0", True),
    ("NumericNotEquals", "10", "11", True),
    ("NumericLessThan", 10, "9", True),
    ("NumericLessThan", "10", "10", False),
    ("NumericLessThanEquals", "10", "10", True),
    ("NumericGreaterThan", "10", "10", False),
    ("NumericGreaterThanEquals", "10", "10", True),
    ("NumericEquals", "10", "ten", False),
    ("DateEquals", "2026-11-21T00:00:00Z", "2026-11-21T01:00:00+01:00", True),
    ("DateNotEquals", "2026-11-21", "2026-11-22", True),
    ("DateLessThan", "2026-11-21T00:00:00Z", "2026-11-20T23:59:59Z", True),
    ("DateGreaterThan", "1700000000", "2026-11-20T23:59:59Z", True),
    ("DateLessThanEquals", "2026-11-21", "2026-11-21", True),
    ("DateGreaterThanEquals", "2026-11-21", "2026-11-20", False),
    ("DateEquals", "soon", "2026-11-20", False),
    ("IpAddress", "10.0.0.0/8", "10.1.2.3", True),
    ("IpAddress", "2001:db8::/32", "2001:db8::1", True),
    ("IpAddress", "10.0.0.0/8", "11.1.2.3", False),
    ("IpAddress", "10.0.0.1", "10.0.0.1", True),
    ("NotIpAddress", "10.0.0.0/8", "11.1.2.3", True),
    ("NotIpAddress", "10.0.0.0/8", None, True),
    ("BinaryEquals", "QmluYXJ5", "QmluYXJ5", True),
    ("StringEqualsIfExists", "a", None, True),
    ("StringEqualsIfExists", "a", "b", False),
    ("BoolIfExists", "true", None, True),
    ("ForAnyValue:StringEquals", ["a", "b"], ["x", "b"], True),
    ("ForAnyValue:StringEquals", ["a", "b"], ["x", "y"], False),
    ("ForAnyValue:StringEquals", ["a"], None, False),
    ("ForAnyValue:StringNotEquals", ["a"], ["a", "b"], True),
    ("ForAnyValue:StringNotEquals", ["a"], ["a"], False),
    ("ForAllValues:StringEquals", ["a", "b"], ["a", "b", "a"], True),
    ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], False),
    ("ForAllValues:StringEquals", ["a", "b"], None, True),
    ("ForAllValues:StringLike", ["a*"], ["ab", "ac"], True),
    ("ForAllValues:StringNotEquals", ["a"], ["b", "a"], False),
    ("ForAnyValue:StringEqualsIfExists", "a", None, True),
    ("StringEquals", "${aws:owner}", "222222222222", True),
    ("StringEquals", "${aws:nothing}", "", False),
]


@pytest.mark.parametrize(("operator", "wanted", "given", "expected"), CONDITIONS)
def test_a_condition_holds(operator: str, wanted: Any, given: Any, expected: bool) -> None:
    context: dict[str, Any] = {"aws:owner": "222222222222"}
    if given is not None:
        context["AWS:Key"] = given
    assert allows({"Condition": {operator: {"aws:kEY": wanted}}}, context=context) is expected


def test_all_keys_and_operators_of_a_condition_must_hold() -> None:
    condition = {"StringEquals": {"a": "1", "b": "2"}, "Bool": {"c": "true"}}
    assert allows({"Condition": condition}, context={"a": "1", "b": "2", "c": "true"})
    for missing in "abc":
        context = {name: value for name, value in {"a": "1", "b": "2", "c": "true"}.items() if name != missing}
        assert not allows({"Condition": condition}, context=context)


def test_deny_wins_over_allow_in_any_order_and_document() -> None:
    allow = parse('{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}')
    deny = parse('{"Statement":{"Effect":"Deny","Principal":"*","Action":"lambda:Get*","Resource":"*"}}')
    request = Request(Principal.of_arn(ROOT), "lambda:GetFunction", ARN)
    assert decide([allow, deny], request) is decide([deny, allow], request) is Decision.DENIED
    assert decide([allow], request) is Decision.ALLOWED
    assert decide([], request) is Decision.SILENT


GOOD: dict[str, Any] = {"Effect": "Allow", "Principal": "*", "Action": "lambda:*", "Resource": "*"}

BAD_CHANGES: list[dict[str, Any]] = [
    {"Effect": "allow"},
    {"Effect": None},
    {"Effect": ["Allow"]},
    {"Action": []},
    {"Action": "Invoke"},
    {"Action": 1},
    {"NotAction": "s3:*"},
    {"NotPrincipal": "*"},
    {"NotResource": "*"},
    {"Resource": ""},
    {"Principal": "111111111111"},
    {"Principal": {}},
    {"Principal": {"AWS": "me"}},
    {"Principal": {"AWS": "arn:aws:iam::111111111111:role/*"}},
    {"Principal": {"Robot": "x"}},
    {"Condition": []},
    {"Condition": {"StringEquals": "a"}},
    {"Condition": {"StringSame": {"a": "b"}}},
    {"Condition": {"NullIfExists": {"a": "true"}}},
    {"Condition": {"ForSome:StringEquals": {"a": "b"}}},
    {"Condition": {":StringEquals": {"a": "b"}}},
    {"Condition": {"StringEquals": {"": "b"}}},
    {"Condition": {"StringEquals": {"a": {}}}},
    {"Extra": 1},
]


@pytest.mark.parametrize(
    "document",
    [
        "",
        "nope",
        "[]",
        "null",
        "{}",
        '{"Statement":[]}',
        '{"Statement":["x"]}',
        '{"Version":"2020-01-01","Statement":[]}',
        json.dumps({"Version": "2020-01-01", "Statement": [GOOD]}),
        json.dumps({"Version": ["2012-10-17"], "Statement": [GOOD]}),
        json.dumps({"Statement": [GOOD], "Extra": 1}),
        json.dumps({"Statement": [GOOD | {"Sid": "a"}, GOOD | {"Sid": "a"}]}),
        json.dumps({"Statement": [GOOD | {"Sid": 1}]}),
        '{"Statement":[],"Statement":[]}',
        "[" * 100_000,
        *(json.dumps({"Statement": [GOOD | change]}) for change in BAD_CHANGES),
        json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Resource": "*"}]}),
    ],
)
def test_what_is_no_policy_is_refused(document: str) -> None:
    with pytest.raises(PolicyError):
        parse(document)


def test_a_pattern_of_many_stars_is_matched_in_linear_time() -> None:
    """The time-out of the test is the assertion."""
    assert not allows({"Resource": "*a" * 2000 + "b"}, resource="a" * 5000)


def statement_with(number: int) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "*", "Condition": {"NumericEquals": {"a": number}}}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 6000])
def test_a_number_that_is_none_is_refused(number: str) -> None:
    with pytest.raises(PolicyError):
        parse(json.dumps({"Statement": [statement_with(0)]}).replace(": 0}", f": {number}}}"))
