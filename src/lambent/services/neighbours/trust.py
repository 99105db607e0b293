"""Whether a role lets Lambda assume it, by its trust policy. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from lambent.services.neighbours.journal import Write

LAMBDA: Final = "lambda.amazonaws.com"
_ASSUME: Final = frozenset({"sts:assumerole", "sts:*", "*"})


def trust_policy(kept: Sequence[Write], account: str, role_name: str) -> str | None:
    """The policy in force, by the writes that are kept, oldest first; None when there is no such role."""
    found = None
    for write in kept:
        members = write.members()
        if write.account != account or members.get("RoleName") != role_name:
            continue
        if members["Action"] == "CreateRole":
            found = members.get("AssumeRolePolicyDocument")
        elif members["Action"] == "UpdateAssumeRolePolicy":
            found = members.get("PolicyDocument")
    return found


def lets_lambda_assume(document: str) -> bool:
    """Conditions are not looked at."""
    try:
        statements = msgspec.json.decode(document, type=dict[str, Any]).get("Statement")
    except (msgspec.DecodeError, msgspec.ValidationError):
        return False
    found = [each for each in _list(statements) if isinstance(each, Mapping) and _concerns_lambda(each)]
    effects = {each.get("Effect") for each in found}
    return "Allow" in effects and "Deny" not in effects


def _concerns_lambda(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    services = _list(principal.get("Service")) if isinstance(principal, Mapping) else _list(principal)
    actions = {str(action).lower() for action in _list(statement.get("Action"))}
    return (LAMBDA in services or "*" in services) and bool(actions & _ASSUME)


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
