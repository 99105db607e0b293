"""Page tokens: where a reader stands and which way it goes.

GetLogEvents uses `f/<56 digits>/s` and `b/<56 digits>/s` as AWS does. A forward token means "after this position", a
backward one "before it"; an empty page gives the token back that asked for it, which is how clients see the end.
FilterLogEvents and the Describe operations use opaque tokens.
"""

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lambent.aws.errors import ApiError
from lambent.services.logs.chunk import printable

_EVENTS_TOKEN = re.compile(r"([fb])/([0-9]{56})/s", re.ASCII)


def invalid_token() -> ApiError:
    return ApiError("InvalidParameterException", "The specified nextToken is invalid.")


@dataclass(frozen=True, slots=True)
class Bound:
    """Events strictly after (`forward`) or strictly before `position`."""

    forward: bool
    position: int

    def __str__(self) -> str:
        return f"{'f' if self.forward else 'b'}/{self.position:056d}/s"


def parse_bound(token: str) -> Bound:
    if (match := _EVENTS_TOKEN.fullmatch(token)) is None:
        raise invalid_token()
    return Bound(match[1] == "f", int(match[2]))


@dataclass(frozen=True, slots=True)
class PageTokens:
    forward: str
    backward: str


def page_tokens(positions: Sequence[int], asked: Bound) -> PageTokens:
    """Tokens of a page of GetLogEvents that holds `positions` (ascending); `asked` is the bound that gave it."""
    if positions:
        return PageTokens(str(Bound(True, positions[-1])), str(Bound(False, positions[0])))
    # Nothing lies beyond `asked`: its own token comes back, and the other one turns around on the same spot.
    if asked.forward:
        return PageTokens(str(asked), str(Bound(False, asked.position + 1)))
    return PageTokens(str(Bound(True, max(asked.position - 1, 0))), str(asked))


def opaque(*fields: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields, separators=(",", ":")).encode()).decode()


def parse_opaque(token: str, *types: type) -> list[Any]:
    """Fields of a token made by `opaque`; InvalidParameterException when it is not one with these types."""
    try:
        fields = json.loads(base64.urlsafe_b64decode(token.encode("ascii", "strict")))
    except (binascii.Error, ValueError, RecursionError):
        raise invalid_token() from None
    if not isinstance(fields, list) or len(fields) != len(types):
        raise invalid_token()
    if not all(type(value) is kind and _possible(value) for value, kind in zip(fields, types, strict=True)):
        raise invalid_token()
    return fields


def _possible(value: Any) -> bool:
    """Whether the value can be in a token of ours, so that no query meets one that it cannot carry."""
    return 0 <= value < 10**56 if isinstance(value, int) else printable(value) == value


def sequence_token(stream_id: int, ingested_ms: int) -> str:
    """The upload token that clients of before 2023 still carry along; any value is accepted back."""
    return f"49{stream_id:030d}{ingested_ms:024d}"
