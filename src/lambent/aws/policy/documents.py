"""Policy documents as text and as records. Raises `PolicyError` with a sentence for what is not of the language."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from lambent.aws.policy.conditions import Condition, conditions_of
from lambent.aws.policy.principals import NamedPrincipals, is_principal_arn
from lambent.aws.policy.text import PolicyError, strings

VERSIONS: Final = ("2012-10-17", "2008-10-17")
_KINDS: Final = ("AWS", "Service", "Federated", "CanonicalUser")


class Named(Struct, frozen=True):
    """Values of an element that exists in two forms: `Action` and `NotAction`."""

    values: tuple[str, ...]
    negated: bool


class Statement(Struct, frozen=True):
    """None: the document has no such element, as identity policies have no Principal."""

    sid: str | None
    denies: bool
    principals: NamedPrincipals | None
    actions: Named
    resources: Named | None
    conditions: tuple[Condition, ...]


class Document(Struct, frozen=True):
    version: str
    statements: tuple[Statement, ...]


def parse(text: str) -> Document:
    """Raises `PolicyError` with a sentence that says what is wrong."""
    try:
        document = json.loads(
            text, object_pairs_hook=_once, parse_int=_integer, parse_float=_finite, parse_constant=_no_constant
        )
    except RecursionError:
        raise PolicyError("The policy is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise PolicyError(f"The policy is not valid JSON: {error}.") from None
    if not isinstance(document, dict):
        raise PolicyError("The policy is not a JSON object.")
    _refuse_others(document, {"Version", "Id", "Statement"}, "The policy")
    version = document.get("Version", VERSIONS[1])
    if version not in VERSIONS:
        raise PolicyError(f"The Version of the policy must be one of {', '.join(VERSIONS)}.")
    statements = document.get("Statement")
    listed = statements if isinstance(statements, list) else [statements]
    if not listed:
        raise PolicyError("The policy needs at least one statement.")
    parsed = tuple(_statement(each) for each in listed)
    sids = [each.sid for each in parsed if each.sid]
    if len(set(sids)) != len(sids):
        raise PolicyError("Statement IDs (SID) in a single policy must be unique.")
    return Document(version, parsed)


def _integer(number: str) -> int:
    try:
        return int(number)
    except ValueError:
        raise PolicyError("The policy holds a number with too many digits.") from None


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise PolicyError("The policy holds a number that is too large.")
    return value


def _no_constant(name: str) -> Any:
    raise PolicyError(f"The policy is not valid JSON: {name} is no value.")


_ELEMENTS: Final = {
    *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
}


def _statement(given: Any) -> Statement:
    if not isinstance(given, dict):
        raise PolicyError("The policy needs a Statement that is an object or a list of objects.")
    _refuse_others(given, _ELEMENTS, "A statement")
    sid = given.get("Sid")
    if sid is not None and not isinstance(sid, str):
        raise PolicyError("A Sid must be a string.")
    if given.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError("The Effect of a statement must be Allow or Deny.")
    actions = _named(given, "Action")
    if actions is None:
        raise PolicyError("A statement needs an Action or a NotAction.")
    for action in actions.values:
        if action != "*" and not re.fullmatch(r"[a-zA-Z0-9-]+:[a-zA-Z0-9*?]+", action):
            raise PolicyError(f"Not an action: {action}.")
    return Statement(
        sid=sid,
        denies=given["Effect"] == "Deny",
        principals=_principals(given),
        actions=actions,
        resources=_named(given, "Resource"),
        conditions=conditions_of(given.get("Condition", {})),
    )


def _named(given: Mapping[str, Any], element: str) -> Named | None:
    negation = f"Not{element}"
    if element in given and negation in given:
        raise PolicyError(f"A statement cannot have both {element} and {negation}.")
    for name in (element, negation):
        if name in given:
            return Named(strings(given[name], name), negated=name == negation)
    return None


def _principals(given: Mapping[str, Any]) -> NamedPrincipals | None:
    if "Principal" in given and "NotPrincipal" in given:
        raise PolicyError("A statement cannot have both Principal and NotPrincipal.")
    for element in ("Principal", "NotPrincipal"):
        if element in given:
            return NamedPrincipals(_principal_values(given[element]), negated=element == "NotPrincipal")
    return None


def _principal_values(given: Any) -> tuple[tuple[str, str], ...]:
    if given == "*":
        return (("*", "*"),)
    if not isinstance(given, dict) or not given:
        raise PolicyError('A Principal must be "*" or name AWS, Service, Federated or CanonicalUser.')
    _refuse_others(given, _KINDS, "A Principal")
    values = [(kind, value) for kind, names in given.items() for value in strings(names, "Principal")]
    for kind, value in values:
        if kind == "AWS" and value != "*" and not is_principal_arn(value):
            raise PolicyError(f"Invalid principal in policy: {value}.")
        if value != "*" and "*" in value:
            raise PolicyError(f"A principal has no wildcards: {value}.")
    return tuple(values)


def _refuse_others(given: Mapping[str, Any], known: Iterable[str], what: str) -> None:
    for name in given:
        if name not in known:
            raise PolicyError(f"{what} has an unknown element: {name}.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise PolicyError("The policy names an element twice in one object.")
    return found
