"""Who may call a function URL, by the resource policies of the function or alias.

Implements `invocation.ports.UrlAccess`. Both lambda:InvokeFunctionUrl and lambda:InvokeFunction must be allowed to
somebody who is not of the account; within the account a caller needs no statement, but a Deny counts.
"""

import fnmatch
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from lambent.aws.service import Identity
from lambent.functions.read_model import ReadModel
from lambent.functions.records import FunctionKey, Policy

_ACTIONS: Final = ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction")

Statement = Mapping[str, Any]


class UrlPolicies:
    def __init__(self, read_model: ReadModel) -> None:
        self._read_model = read_model

    def may_call_url(self, key: FunctionKey, qualifier: str, auth_type: str, caller: Identity | None) -> bool:
        function = self._read_model.get(key)
        policy = None if function is None else function.attached(Policy, qualifier)
        statements = () if policy is None else _statements(policy.document)
        resource = f"{key.arn}:{qualifier}" if qualifier else key.arn
        values = {"lambda:functionurlauthtype": auth_type, "lambda:invokedviafunctionurl": "true"}
        at_home = caller is not None and caller.account == key.account
        for action in _ACTIONS:
            effects = {
                statement.get("Effect")
                for statement in statements
                if _applies(statement, caller, action, resource, values)
            }
            if "Deny" in effects or not (at_home or "Allow" in effects):
                return False
        return True


@lru_cache(maxsize=1024)
def _statements(document: str) -> tuple[Statement, ...]:
    statements = json.loads(document).get("Statement", ())
    return tuple(statements) if isinstance(statements, list) else (statements,)


def _applies(
    statement: Statement, caller: Identity | None, action: str, resource: str, values: Mapping[str, str]
) -> bool:
    return (
        _is_principal(statement.get("Principal"), caller)
        and any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in _list(statement.get("Action")))
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in _list(statement.get("Resource", "*")))
        and all(_holds(name, members, values) for name, members in statement.get("Condition", {}).items())
    )


def _is_principal(principal: Any, caller: Identity | None) -> bool:
    given = _list(principal.get("AWS")) if isinstance(principal, dict) else _list(principal)
    if "*" in given:
        return True
    if caller is None:
        return False
    return any(name in (caller.arn, caller.account) or name.endswith(f"::{caller.account}:root") for name in given)


def _holds(operator: str, members: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    """Whether a condition holds. What we know no value of does not."""
    if operator not in ("StringEquals", "Bool"):
        return False
    return all(values.get(name.lower()) in [str(value) for value in _list(wanted)] for name, wanted in members.items())


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
