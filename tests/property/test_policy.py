"""Evaluation of policies: laws that hold for every document and request."""

import fnmatch
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lambent.aws.policy.decision import Decision, Request, decide
from lambent.aws.policy.documents import parse
from lambent.aws.policy.principals import Principal
from lambent.aws.policy.text import PolicyError, matches

principals = st.sampled_from(
    ["*", {"AWS": "*"}, {"AWS": "111111111111"}, {"Service": "s3.amazonaws.com"}, {"AWS": ["222222222222"]}]
)
actions = st.sampled_from(["*", "lambda:*", "lambda:Get*", "lambda:InvokeFunction", ["s3:*", "lambda:Invoke*"]])
resources = st.sampled_from(["*", "arn:*:f", "arn:aws:lambda:us-east-1:111111111111:function:f"])
conditions = st.sampled_from(
    [{}, {"StringEquals": {"k": "1"}}, {"StringNotEquals": {"k": "1"}}, {"Null": {"k": "true"}}]
)
statements = st.builds(
    lambda effect, who, what, on, when: {
        "Effect": effect,
        "Principal": who,
        "Action": what,
        "Resource": on,
        "Condition": when,
    },
    st.sampled_from(["Allow", "Deny"]),
    principals,
    actions,
    resources,
    conditions,
)
requests = st.builds(
    Request,
    st.sampled_from(
        [
            Principal.of_arn("arn:aws:iam::111111111111:root"),
            Principal.of_arn("arn:aws:sts::222222222222:assumed-role/r/s"),
            Principal.of_service("s3.amazonaws.com"),
        ]
    ),
    st.sampled_from(["lambda:InvokeFunction", "lambda:GetFunction", "s3:GetObject"]),
    st.sampled_from(["arn:aws:lambda:us-east-1:111111111111:function:" + name for name in "fg"]),
    st.sampled_from([{}, {"k": "1"}, {"K": "2"}]),
)


def document(statements: list[dict[str, Any]]) -> Any:
    return parse(json.dumps({"Version": "2012-10-17", "Statement": statements}))


@given(st.lists(statements, min_size=1, max_size=5), requests)
def test_the_whole_is_deny_before_allow_before_silence(parts: list[dict[str, Any]], request: Request) -> None:
    each = {decide([document([part])], request) for part in parts}
    expected = next(d for d in (Decision.DENIED, Decision.ALLOWED, Decision.SILENT) if d in each)
    assert decide([document(parts)], request) is expected
    assert decide([document([part]) for part in reversed(parts)], request) is expected


@given(statements, requests)
def test_a_statement_and_its_opposite_divide_all_requests(statement: dict[str, Any], request: Request) -> None:
    """Action and NotAction, and the same for Principal and Resource, where the rest of the statement applies."""
    for element in ("Action", "Principal", "Resource"):
        rest = {name: value for name, value in statement.items() if name != element} | {"Effect": "Allow"}
        either = [
            decide([document([rest | {name: statement[element]}])], request) for name in (element, f"Not{element}")
        ]
        free = decide([document([rest | {element: "*"}])], request)
        assert either.count(Decision.ALLOWED) == (1 if free is Decision.ALLOWED else 0)


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=12))
def test_wildcards_agree_with_the_shell(pattern: str, text: str) -> None:
    assert matches(pattern, text, {}) is fnmatch.fnmatchcase(text, pattern)


@given(st.text("ab*?", max_size=8))
def test_the_value_of_a_variable_has_no_wildcards(value: str) -> None:
    assert matches("x${k}y", f"x{value}y", {"k": (value,)})
    assert matches("x${k}y", "xaby", {"k": (value,)}) is (value == "ab")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(
    st.dictionaries(
        st.sampled_from(["Sid", "Effect", "Principal", "Action", "Resource", "Condition", "NotAction"]), json_values
    )
)
def test_any_json_is_a_policy_or_refused(statement: dict[str, Any]) -> None:
    try:
        document([statement])
    except PolicyError:
        return
