"""The X-Ray trace header of an invocation: passed through from the caller, or made; and the functions of its chain.

`Root=1-{epoch, 8 hex}-{24 hex};Parent={16 hex};Sampled=0|1;Lineage=1:{hash}:{n}|{hash}:{n}`. Parent is new for each
invocation, since the function's segment is the parent of whatever it calls. Lineage has, for each function on the way
here, how often it was invoked again after its first time; the hash is of its ARN. AWS keeps the form to itself; this
one looks like what functions have seen, and older forms without the leading number are read too.
"""

import re
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from lambent.core.ids import hex_digits

MAX_FUNCTIONS: Final = 64
"""Of a chain: those that were invoked last. A header must not grow without end."""

_PAIR = re.compile(r"\s*([A-Za-z]+)=([0-9A-Za-z:;\-_.?|]+?)\s*(?:;|$)")
_HOP = re.compile(r"([0-9a-f]{8}):([0-9]{1,6})(?=\||$)")


def outgoing(received: str | None, *, epoch_ms: int, function_arn: str) -> str:
    """The header for the runtime and for the reply. Sampling is the caller's decision (PassThrough)."""
    random = hex_digits(40)
    given = _given(received)
    root = given.get("Root") or f"1-{epoch_ms // 1000:08x}-{random[:24]}"
    lineage = _with_hop(given.get("Lineage"), function_arn)
    return f"Root={root};Parent={random[24:]};Sampled={_sampled(given)};Lineage={lineage}"


def accepted(received: str | None, *, epoch_ms: int) -> str:
    """The header of an accepted event: what all of its attempts have in common."""
    given = _given(received)
    root = given.get("Root") or f"1-{epoch_ms // 1000:08x}-{hex_digits(24)}"
    header = f"Root={root};Sampled={_sampled(given)}"
    return f"{header};Lineage={given['Lineage']}" if "Lineage" in given else header


def passed_on(event_header: str, function_arn: str) -> str:
    """The header of what follows from an event that the function had: of the records for its destinations."""
    return f"{without_lineage(event_header)};Lineage={_with_hop(_given(event_header).get('Lineage'), function_arn)}"


def without_lineage(header: str) -> str:
    """The header of a new chain."""
    return header.partition(";Lineage=")[0]


def invocations(received: str | None, function_arn: str) -> int:
    """How often the function was invoked already in the chain that a header comes from."""
    if received is None or "Lineage=" not in received:
        return 0
    again = _hops(_given(received).get("Lineage", "")).get(_hash(function_arn))
    return 0 if again is None else again + 1


def _given(received: str | None) -> Mapping[str, str]:
    return dict(_PAIR.findall(received)) if received else {}


def _sampled(given: Mapping[str, str]) -> str:
    sampled = given.get("Sampled", "0")
    return sampled if sampled in ("0", "1") else "0"


@lru_cache(maxsize=4096)
def _hash(function_arn: str) -> str:
    return f"{zlib.crc32(function_arn.encode()):08x}"


def _hops(lineage: str) -> dict[str, int]:
    return {name: int(again) for name, again in _HOP.findall(lineage)}


def _with_hop(lineage: str | None, function_arn: str) -> str:
    """With one more invocation of the function, which comes last."""
    name = _hash(function_arn)
    if not lineage:
        return f"1:{name}:0"
    hops = _hops(lineage)
    before = hops.pop(name, None)
    hops[name] = 0 if before is None else before + 1
    return "1:" + "|".join(f"{each}:{again}" for each, again in list(hops.items())[-MAX_FUNCTIONS:])
