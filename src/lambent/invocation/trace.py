"""The X-Ray trace header of an invocation: passed through from the caller, or made.

`Root=1-{epoch, 8 hex}-{24 hex};Parent={16 hex};Sampled=0|1;Lineage=1:{8 hex}:{hops}`. Parent is new for each
invocation, since the function's segment is the parent of whatever it calls.
"""

import os
import re
import zlib

_PAIR = re.compile(r"\s*([A-Za-z]+)=([0-9A-Za-z:;\-_.?|]+?)\s*(?:;|$)")


def outgoing(received: str | None, *, epoch_ms: int, function_arn: str) -> str:
    """The header for the runtime and for the reply. Sampling is the caller's decision (PassThrough)."""
    random = os.urandom(20).hex()
    given = dict(_PAIR.findall(received)) if received else {}
    root = given.get("Root") or f"1-{epoch_ms // 1000:08x}-{random[:24]}"
    sampled = given.get("Sampled", "0")
    lineage = given.get("Lineage") or f"1:{zlib.crc32(function_arn.encode()):08x}:0"
    return f"Root={root};Parent={random[24:]};Sampled={sampled if sampled in ('0', '1') else '0'};Lineage={lineage}"


def accepted(received: str | None, *, epoch_ms: int) -> str:
    """The header of an accepted event: what all of its attempts have in common."""
    given = dict(_PAIR.findall(received)) if received else {}
    root = given.get("Root") or f"1-{epoch_ms // 1000:08x}-{os.urandom(12).hex()}"
    sampled = given.get("Sampled", "0")
    header = f"Root={root};Sampled={sampled if sampled in ('0', '1') else '0'}"
    return f"{header};Lineage={given['Lineage']}" if "Lineage" in given else header
