"""Filter patterns for plain text: terms, "phrases", ?optional, -excluded.

All plain terms must occur, no excluded one may; `?` terms count only when there are no others, then one must occur.
JSON `{...}`, space-delimited `[...]` and regular expressions `%...%` are refused: not built yet.
Source: CloudWatch Logs user guide, "Filter pattern syntax".
"""

import re
from dataclasses import dataclass

from lambent.aws.errors import ApiError

_TERM = re.compile(r'\s*([?-]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))(?=\s|$)', re.DOTALL)
_PLAIN = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class FilterPattern:
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def matches(self, message: str) -> bool:
        """Case matters, and a term matches inside words."""
        for term in self.required:
            if term not in message:
                return False
        for term in self.excluded:
            if term in message:
                return False
        if self.optional and not self.required and not self.excluded:
            return any(term in message for term in self.optional)
        return True


def parse(text: str) -> FilterPattern:
    """Raise InvalidParameterException for what is malformed, and for the kinds that are not built."""
    body = text.strip()
    if body.startswith("{"):
        raise _refused("JSON filter patterns ({ ... }) are not built in Lambent yet")
    if body.startswith("["):
        raise _refused("Space-delimited filter patterns ([ ... ]) are not built in Lambent yet")
    kinds: dict[str, list[str]] = {"": [], "?": [], "-": []}
    at = 0
    while at < len(body):
        match = _TERM.match(body, at)
        if match is None:
            raise _refused(f"Invalid filter pattern: unbalanced quotes or an empty term at position {at + 1}")
        kind, phrase, term = match.groups()
        if phrase is not None:
            term = re.sub(r"\\(.)", r"\1", phrase, flags=re.DOTALL)
        elif term.startswith("%"):
            raise _refused("Regular expressions in filter patterns (% ... %) are not built in Lambent yet")
        elif _PLAIN.fullmatch(term) is None:
            raise ApiError("InvalidParameterException", f"Invalid character(s) in term '{term}'")
        if term:
            kinds[kind].append(term)
        at = match.end()
    return FilterPattern(tuple(kinds[""]), tuple(kinds["?"]), tuple(kinds["-"]))


def quote(text: str) -> str:
    """A pattern that matches events which contain `text` as it is."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _refused(reason: str) -> ApiError:
    return ApiError("InvalidParameterException", reason)
