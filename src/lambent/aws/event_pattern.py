"""Event patterns: the language of EventBridge rules and of the filters of event source mappings. Pure.

`parse` refuses what AWS refuses; `Pattern.matches` takes a document as `document` makes it, in which numbers keep their
text: 300 and 300.0 are different values to a pattern, except inside `numeric`. Of a key that is given twice the last
one counts. Source: EventBridge user guide, "comparison operators", and the Event Ruler's description.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address, ip_network
from typing import Any, Final

from msgspec import Struct

Test = Callable[[Any], bool]


class InvalidPattern(ValueError):
    """The message says what is wrong, for people; services have their own words."""


class Number(Struct, frozen=True):
    """A JSON number as it was written."""

    text: str

    @property
    def value(self) -> Decimal:
        return Decimal(self.text)


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


def document(text: str | bytes) -> Any:
    """JSON with `Number` for numbers. Raises `ValueError`."""
    try:
        return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


class Leaf(Struct, frozen=True):
    """A list of alternatives for one field."""

    tests: tuple[Test, ...]

    def matches(self, value: Any) -> bool:
        if isinstance(value, list):
            # One element is enough; an empty list is no value at all.
            return any(self.matches(item) for item in value) if value else self.matches(MISSING)
        return any(test(value) for test in self.tests)


class Pattern(Struct, frozen=True):
    """All of `fields`, and of each of `choices` one."""

    fields: Mapping[str, "Pattern | Leaf"]
    choices: tuple[tuple["Pattern", ...], ...] = ()

    def matches(self, value: Any) -> bool:
        if isinstance(value, list) and value:
            # What one pattern says of the objects of a list must be true of one and the same object.
            return any(self.matches(item) for item in value)
        if not isinstance(value, dict):
            value = {}
        return all(field.matches(value.get(name, MISSING)) for name, field in self.fields.items()) and all(
            any(choice.matches(value) for choice in choices) for choices in self.choices
        )


def parse(text: str) -> Pattern:
    """Raises `InvalidPattern`. The empty object is a pattern that everything matches."""
    try:
        found = document(text)
        if not isinstance(found, dict):
            raise InvalidPattern("A pattern is a JSON object.")
        return _pattern(found) if found else Pattern({})
    except InvalidPattern:
        raise
    except RecursionError:
        raise InvalidPattern("The pattern is nested too deeply.") from None
    except ValueError as error:
        raise InvalidPattern(f"The pattern is not JSON: {error}") from error


def _pattern(found: Mapping[str, Any]) -> Pattern:
    if not found:
        raise InvalidPattern("An object in a pattern must not be empty.")
    fields: dict[str, Pattern | Leaf] = {}
    choices: list[tuple[Pattern, ...]] = []
    for name, item in found.items():
        if name == "$or" and isinstance(item, list) and item and all(isinstance(each, dict) for each in item):
            choices.append(tuple(_pattern(each) for each in item))
        elif isinstance(item, dict):
            fields[name] = _pattern(item)
        elif isinstance(item, list):
            fields[name] = _leaf(name, item)
        else:
            raise InvalidPattern(f"'{name}' must be an object or a list.")
    return Pattern(fields, tuple(choices))


def _leaf(name: str, items: Sequence[Any]) -> Leaf:
    if not items:
        raise InvalidPattern(f"The list of '{name}' must not be empty.")
    return Leaf(tuple(_test(item) for item in items))


def _test(item: Any) -> Test:
    if isinstance(item, list):
        raise InvalidPattern("A list in a list of values is not allowed.")
    if not isinstance(item, dict):
        return _equals(item)
    if len(item) != 1:
        raise InvalidPattern("A comparison has exactly one operator.")
    ((operator, operand),) = item.items()
    make = OPERATORS.get(operator)
    if make is None:
        raise InvalidPattern(f"Unrecognized match type {operator}")
    return make(operand)


def _equals(expected: Any) -> Test:
    if expected is None or isinstance(expected, bool):
        return lambda value: value is expected
    return lambda value: type(value) is type(expected) and bool(value == expected)


def _text(operand: Any, operator: str) -> str:
    if not isinstance(operand, str):
        raise InvalidPattern(f"{operator} needs a string.")
    return operand


def _on_text(decide: Callable[[str], bool]) -> Test:
    return lambda value: isinstance(value, str) and decide(value)


def _prefix(operand: Any) -> Test:
    if (folded := _ignoring_case(operand)) is not None:
        return _on_text(lambda value: value.casefold().startswith(folded))
    start = _text(operand, "prefix")
    return _on_text(lambda value: value.startswith(start))


def _suffix(operand: Any) -> Test:
    if (folded := _ignoring_case(operand)) is not None:
        return _on_text(lambda value: value.casefold().endswith(folded))
    end = _text(operand, "suffix")
    return _on_text(lambda value: value.endswith(end))


def _ignoring_case(operand: Any) -> str | None:
    if isinstance(operand, dict) and set(operand) == {"equals-ignore-case"}:
        return _text(operand["equals-ignore-case"], "equals-ignore-case").casefold()
    return None


def _equals_ignore_case(operand: Any) -> Test:
    folded = _text(operand, "equals-ignore-case").casefold()
    return _on_text(lambda value: value.casefold() == folded)


def _anything_but(operand: Any) -> Test:
    excluded = _excluded(operand)
    # Only a leaf is anything; what is not there is nothing.
    return lambda value: _is_leaf(value) and not any(test(value) for test in excluded)


def _excluded(operand: Any) -> list[Test]:
    if isinstance(operand, dict):
        if len(operand) != 1 or not set(operand) <= NEGATABLE:
            raise InvalidPattern("anything-but takes values, or one of: " + ", ".join(sorted(NEGATABLE)))
        ((operator, inner),) = operand.items()
        operands = inner if isinstance(inner, list) else [inner]
        if not operands:
            raise InvalidPattern("The list of anything-but must not be empty.")
        return [OPERATORS[operator](each) for each in operands]
    items = operand if isinstance(operand, list) else [operand]
    if not items or not all(isinstance(item, str | Number) for item in items):
        raise InvalidPattern("anything-but takes strings or numbers.")
    return [_equals(item) for item in items]


def _exists(operand: Any) -> Test:
    if not isinstance(operand, bool):
        raise InvalidPattern("exists needs true or false.")
    return lambda value: _is_leaf(value) is operand


def _is_leaf(value: Any) -> bool:
    return value is not MISSING and not isinstance(value, dict)


COMPARISONS: Final[Mapping[str, Callable[[Decimal, Decimal], bool]]] = {
    "=": lambda value, bound: value == bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
}


def _numeric(operand: Any) -> Test:
    if not isinstance(operand, list) or len(operand) not in (2, 4):
        raise InvalidPattern("numeric takes one or two pairs of operator and number.")
    operators, bounds = operand[::2], operand[1::2]
    if not all(isinstance(each, str) and each in COMPARISONS for each in operators):
        raise InvalidPattern("The operators of numeric are = > >= < <=")
    if not all(isinstance(each, Number) for each in bounds):
        raise InvalidPattern("numeric compares with numbers.")
    rules = [(COMPARISONS[operator], _decimal(bound)) for operator, bound in zip(operators, bounds, strict=True)]
    if len(rules) == 2 and not (
        operators[0] in (">", ">=") and operators[1] in ("<", "<=") and rules[0][1] < rules[1][1]
    ):
        raise InvalidPattern("A range of numeric is a lower bound and then a higher one.")
    return lambda value: isinstance(value, Number) and _holds(rules, value)


def _holds(rules: Sequence[tuple[Callable[[Decimal, Decimal], bool], Decimal]], value: Number) -> bool:
    try:
        number = value.value
    except InvalidOperation:
        return False
    return all(compare(number, bound) for compare, bound in rules)


def _decimal(number: Number) -> Decimal:
    try:
        return number.value
    except InvalidOperation:
        raise InvalidPattern(f"{number.text} is no number to compare with.") from None


def _cidr(operand: Any) -> Test:
    try:
        network = ip_network(_text(operand, "cidr"), strict=False)
    except ValueError as error:
        raise InvalidPattern(f"cidr: {error}") from error

    def inside(value: str) -> bool:
        try:
            return ip_address(value) in network
        except ValueError:
            return False

    return _on_text(inside)


def _wildcard(operand: Any) -> Test:
    pieces = [""]
    escaped = False
    text = _text(operand, "wildcard")
    for index, character in enumerate(text):
        if escaped:
            if character not in "*\\":
                raise InvalidPattern("A backslash in a wildcard escapes * or a backslash.")
            pieces[-1] += character
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "*":
            if text[index + 1 : index + 2] == "*":
                raise InvalidPattern("A wildcard has no two * in a row.")
            pieces.append("")
        else:
            pieces[-1] += character
    if escaped:
        raise InvalidPattern("A wildcard ends with a lonely backslash.")
    return _on_text(lambda value: _globbed(pieces, value))


def _globbed(pieces: Sequence[str], value: str) -> bool:
    """Leftmost places one after the other: never slower than the text times the pattern, as a regex would be."""
    first, *rest = pieces
    if not rest:
        return value == first
    *middle, last = rest
    if not value.startswith(first):
        return False
    at = len(first)
    for piece in middle:
        found = value.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(value) - len(last) >= at and value.endswith(last)


OPERATORS: Final[Mapping[str, Callable[[Any], Test]]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "anything-but": _anything_but,
    "numeric": _numeric,
    "exists": _exists,
    "equals-ignore-case": _equals_ignore_case,
    "cidr": _cidr,
    "wildcard": _wildcard,
}
NEGATABLE: Final = frozenset({"prefix", "suffix", "equals-ignore-case", "wildcard"})
