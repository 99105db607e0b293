"""Conditions of policy statements: operators, `IfExists`, `ForAnyValue` and `ForAllValues`."""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from lambent.aws.policy.text import PolicyError, Values, matches, substituted

Test = Callable[[str, str, Values], bool]
"""From (value of the policy, value of the request, context)."""


def _equal(wanted: str, given: str, context: Values) -> bool:
    return substituted(wanted, context) == given


def _equal_ignoring_case(wanted: str, given: str, context: Values) -> bool:
    text = substituted(wanted, context)
    return text is not None and text.casefold() == given.casefold()


def _arn_like(wanted: str, given: str, context: Values) -> bool:
    """Part by part, so that a star does not reach over a colon; only the last part may hold colons."""
    patterns, parts = _arn_parts(wanted), given.split(":", 5)
    if patterns is None or len(parts) != 6:
        return wanted == "*"
    return all(matches(pattern, part, context) for pattern, part in zip(patterns, parts, strict=True))


def _arn_parts(text: str) -> list[str] | None:
    """Split at the first five colons outside of variables, which have colons of their own."""
    parts, depth = [""], 0
    for index, character in enumerate(text):
        depth += text.startswith("${", index)
        depth -= character == "}" and depth > 0
        if character == ":" and not depth and len(parts) < 6:
            parts.append("")
        else:
            parts[-1] += character
    return parts if len(parts) == 6 else None


def _bool(wanted: str, given: str, _context: Values) -> bool:
    return wanted.lower() == given.lower()


def _in_network(wanted: str, given: str, _context: Values) -> bool:
    try:
        return ipaddress.ip_address(given) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False


def _ordered(convert: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> Test:
    def test(wanted: str, given: str, _context: Values) -> bool:
        try:
            return compare(convert(given), convert(wanted))
        except (ValueError, InvalidOperation, OverflowError):
            return False

    return test


def _date(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "Equals": lambda given, wanted: bool(given == wanted),
    "LessThan": lambda given, wanted: bool(given < wanted),
    "LessThanEquals": lambda given, wanted: bool(given <= wanted),
    "GreaterThan": lambda given, wanted: bool(given > wanted),
    "GreaterThanEquals": lambda given, wanted: bool(given >= wanted),
}

_TESTS: Final[Mapping[str, Test]] = {
    "StringEquals": _equal,
    "StringEqualsIgnoreCase": _equal_ignoring_case,
    "StringLike": matches,
    "BinaryEquals": _equal,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": _bool,
    "IpAddress": _in_network,
    **{f"Numeric{name}": _ordered(Decimal, compare) for name, compare in _COMPARISONS.items()},
    **{f"Date{name}": _ordered(_date, compare) for name, compare in _COMPARISONS.items()},
}
_NEGATIONS: Final[Mapping[str, Test]] = {
    "StringNotEquals": _equal,
    "StringNotEqualsIgnoreCase": _equal_ignoring_case,
    "StringNotLike": matches,
    "ArnNotEquals": _arn_like,
    "ArnNotLike": _arn_like,
    "NotIpAddress": _in_network,
    "NumericNotEquals": _TESTS["NumericEquals"],
    "DateNotEquals": _TESTS["DateEquals"],
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One key under one operator. It holds when any of `wanted` does; negated, when none does."""

    test: Test | None
    """None: the operator Null."""
    negated: bool
    if_exists: bool
    quantifier: str
    key: str
    wanted: tuple[str, ...]

    def holds(self, context: Values) -> bool:
        given = context.get(self.key, ())
        if self.test is None:
            return any((value.lower() == "true") is not bool(given) for value in self.wanted)
        if not given:
            return self.if_exists or self.quantifier == "ForAllValues" or (self.negated and not self.quantifier)
        each = [any(self.test(wanted, value, context) for wanted in self.wanted) for value in given]
        if self.quantifier == "ForAllValues":
            return not any(each) if self.negated else all(each)
        if self.quantifier == "ForAnyValue":
            return not all(each) if self.negated else any(each)
        return any(each) is not self.negated


def conditions_of(given: Any) -> tuple[Condition, ...]:
    """Raises `PolicyError`."""
    if not isinstance(given, dict):
        raise PolicyError("A Condition must be an object.")
    found = []
    for operator, keys in given.items():
        if not isinstance(keys, dict):
            raise PolicyError(f"The condition {operator} must be an object.")
        found += [_condition(operator, key, value) for key, value in keys.items()]
    return tuple(found)


def _condition(operator: str, key: str, given: Any) -> Condition:
    quantifier, colon, name = operator.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    known = name in _TESTS or name in _NEGATIONS or (name == "Null" and not if_exists)
    if not known or (colon and quantifier not in ("ForAllValues", "ForAnyValue")):
        raise PolicyError(f"Unknown condition operator: {operator}.")
    if not key:
        raise PolicyError(f"The condition {operator} has a key without a name.")
    return Condition(
        test=_TESTS.get(name) or _NEGATIONS.get(name),
        negated=name in _NEGATIONS,
        if_exists=if_exists,
        quantifier=quantifier,
        key=key.lower(),
        wanted=_wanted(operator, given),
    )


def _wanted(operator: str, given: Any) -> tuple[str, ...]:
    """JSON writes numbers and truth values without quotes; they mean their text."""
    values = given if isinstance(given, list) else [given]
    if not all(isinstance(value, str | bool | int | float) for value in values):
        raise PolicyError(f"The condition {operator} needs strings, numbers or truth values.")
    return tuple(str(value).lower() if isinstance(value, bool) else str(value) for value in values)
