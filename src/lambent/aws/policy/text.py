"""The text of policies: values that are one string or several, wildcards, and variables such as `${aws:username}`."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

Values = Mapping[str, tuple[str, ...]]
"""Condition keys of a request, in lower case, to their values."""

_VARIABLE: Final = re.compile(r"\$\{(?P<key>[^},]*)(?:,\s*'(?P<default>[^']*)')?\s*\}")


class PolicyError(ValueError):
    """The document is not a policy; the text says why."""


def strings(given: Any, element: str) -> tuple[str, ...]:
    values = given if isinstance(given, list) else [given]
    if not values or not all(isinstance(value, str) and value for value in values):
        raise PolicyError(f"{element} must be a string or a list of strings, not empty.")
    return tuple(values)


def matches(pattern: str, text: str, context: Values) -> bool:
    """Whether all of `text` is what `pattern` says: `*` any characters, `?` one, variables from the context."""
    if "${" in pattern:
        pieces = _with_values(pattern, context)
        return pieces is not None and _in_order(_runs(pieces), text)
    if pattern == "*":
        return True
    if "*" not in pattern and "?" not in pattern:
        return pattern == text
    return _in_order(_compiled(pattern), text)


def substituted(text: str, context: Values) -> str | None:
    """`text` with its variables replaced and nothing else; None when one has no value."""
    if "${" not in text:
        return text
    parts, end = [], 0
    for found in _VARIABLE.finditer(text):
        value = _value(found, context)
        if value is None:
            return None
        parts += [text[end : found.start()], value]
        end = found.end()
    return "".join([*parts, text[end:]])


def _with_values(pattern: str, context: Values) -> list[tuple[str, bool]] | None:
    """Pieces of the pattern, and whether each is literal; None when a variable has no value."""
    pieces, end = [], 0
    for found in _VARIABLE.finditer(pattern):
        value = _value(found, context)
        if value is None:
            return None
        pieces += [(pattern[end : found.start()], False), (value, True)]
        end = found.end()
    return [*pieces, (pattern[end:], False)]


def _value(variable: re.Match[str], context: Values) -> str | None:
    key = variable["key"].strip()
    if key in ("*", "?", "$"):
        return key
    values = context.get(key.lower(), ())
    return values[0] if len(values) == 1 else variable["default"]


Runs = tuple[re.Pattern[str], ...]
"""What stands between the stars, each of a fixed length."""


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Runs:
    return _runs([(pattern, False)])


def _runs(pieces: Sequence[tuple[str, bool]]) -> Runs:
    runs = [""]
    for piece, literal in pieces:
        first, *others = [piece] if literal else piece.split("*")
        runs[-1] += _regex(first, literal)
        runs += [_regex(other, literal) for other in others]
    return tuple(re.compile(run, re.DOTALL) for run in runs)


def _regex(text: str, literal: bool) -> str:
    return re.escape(text) if literal else "".join("." if each == "?" else re.escape(each) for each in text)


def _in_order(runs: Runs, text: str) -> bool:
    """One regular expression for all would take exponential time for patterns of many stars."""
    first, *others = runs
    found = first.match(text)
    if found is None or not others:
        return found is not None and found.end() == len(text)
    end = found.end()
    for run in others[:-1]:
        found = run.search(text, end)
        if found is None:
            return False
        end = found.end()
    last = re.compile(f"(?:{others[-1].pattern})\\Z", re.DOTALL)
    return last.search(text, end) is not None
