"""The policy of a bucket: whether it may be kept, whether it is public, what it says of one request. Pure.

The document is kept as it was sent, to the byte.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from lambent.aws.errors import ApiError
from lambent.aws.policy.decision import Decision, Request, decide
from lambent.aws.policy.documents import Document, Named, Statement, parse
from lambent.aws.policy.principals import Principal
from lambent.aws.policy.text import PolicyError
from lambent.services.s3.errors import error

MAX_BYTES: Final = 20 * 1024
_NOT_JSON: Final = "Policies must be valid JSON and the first byte must be '{'"
_FIXED: Final = frozenset(
    {
        *("aws:sourceip", "aws:sourcearn", "aws:sourcevpc", "aws:sourcevpce", "aws:sourceowner", "aws:sourceaccount"),
        *("aws:userid", "aws:principalorgid", "aws:principalorgpaths", "aws:principalaccount", "aws:principalarn"),
        *("s3:x-amz-server-side-encryption-aws-kms-key-id", "s3:dataaccesspointarn", "s3:dataaccesspointaccount"),
    }
)
"""Conditions that make a statement for everybody one for some."""


def checked(text: str, bucket_arn: str) -> Document:
    """Raises AWS's MalformedPolicy."""
    if len(text.encode()) > MAX_BYTES:
        raise _malformed("Policy exceeds the maximum allowed document size.")
    if not text.startswith("{"):
        raise _malformed(_NOT_JSON)
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise _malformed(_NOT_JSON) from None
    if not given.get("Statement"):
        raise _malformed("Missing required field Statement")
    listed = given["Statement"] if isinstance(given["Statement"], list) else [given["Statement"]]
    for statement in listed:
        for field, others in _REQUIRED.items():
            if isinstance(statement, dict) and not any(name in statement for name in (field, *others)):
                raise _malformed(f"Missing required field {field}")
    try:
        policy = parse(text)
    except PolicyError as wrong:
        raise _malformed(_in_words(str(wrong))) from wrong
    for statement in policy.statements:
        _check(statement, bucket_arn)
    return policy


_REQUIRED: Final = {
    "Effect": (),
    "Principal": ("NotPrincipal",),
    "Action": ("NotAction",),
    "Resource": ("NotResource",),
}


def _in_words(text: str) -> str:
    if text.startswith(("Invalid principal", "A Principal", "A principal")):
        return "Invalid principal in policy"
    if text.startswith("Not an action"):
        return "Policy has invalid action"
    if text.startswith("The Effect"):
        return "Invalid effect in policy"
    return text


def _check(statement: Statement, bucket_arn: str) -> None:
    for action in statement.actions.values:
        if action != "*" and not action.lower().startswith("s3:"):
            raise _malformed("Policy has invalid action")
    resources: Named | None = statement.resources
    for resource in () if resources is None else resources.values:
        if resource != "*" and not _is_of(resource, bucket_arn):
            raise _malformed("Policy has invalid resource")


def _is_of(resource: str, bucket_arn: str) -> bool:
    """The bucket itself, or what is in it; a wildcard may stand for a part of its name."""
    name, slash, _ = resource.partition("/")
    if name == bucket_arn:
        return True
    beginning = name.partition("*")[0].partition("?")[0]
    wild = beginning != name and not slash
    return wild and beginning.startswith("arn:aws:s3:::") and bucket_arn.startswith(beginning)


def _malformed(message: str) -> ApiError:
    return error("MalformedPolicy", message, 400)


@lru_cache(maxsize=512)
def parsed(text: str) -> Document:
    return parse(text)


def is_public(text: str) -> bool:
    """Whether it lets everybody in: allowed to all, by no condition that names some."""
    given = json.loads(text)["Statement"]
    return any(_is_open(statement) for statement in (given if isinstance(given, list) else [given]))


def _is_open(statement: Mapping[str, Any]) -> bool:
    if statement.get("Effect") != "Allow":
        return False
    principal = statement.get("Principal")
    named = principal.get("AWS") if isinstance(principal, dict) else principal
    listed = named if isinstance(named, list) else [named]
    if "NotPrincipal" not in statement and "*" not in listed:
        return False
    return not any(
        key.lower() in _FIXED and _is_exact(operator, values)
        for operator, keys in (statement.get("Condition") or {}).items()
        for key, values in keys.items()
    )


def _is_exact(operator: str, values: Any) -> bool:
    listed: Sequence[Any] = values if isinstance(values, list) else [values]
    if "Not" in operator or operator == "Null" or operator.endswith("IfExists"):
        return False
    if operator.endswith("IpAddress"):
        return not any(str(value) in ("0.0.0.0/0", "::/0") for value in listed)
    return not any("*" in str(value) or "?" in str(value) for value in listed)


def verdict(text: str, principal: Principal, action: str, resource: str, context: Mapping[str, str]) -> Decision:
    return decide([parsed(text)], Request(principal, action, resource, context))
