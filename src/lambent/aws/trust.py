"""What a role's trust policy says of one who wants to be the role. Pure.

A document that is none, or a statement that names no principal, trusts nobody.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from lambent.aws.policy.decision import Decision, Request, decide
from lambent.aws.policy.documents import parse
from lambent.aws.policy.principals import Principal
from lambent.aws.policy.text import PolicyError

ASSUME: Final = "sts:AssumeRole"


def refused_action(
    document: str, principal: Principal, role_arn: str, actions: Iterable[str], context: Mapping[str, str | list[str]]
) -> str | None:
    """The first of `actions` that the trust policy of the role does not allow; None when it allows all."""
    try:
        policy = parse(document)
    except PolicyError:
        policy = None
    for action in actions:
        request = Request(principal, action, role_arn, context)
        if policy is None or any(statement.principals is None for statement in policy.statements):
            return action
        if decide((policy,), request) is not Decision.ALLOWED:
            return action
    return None
