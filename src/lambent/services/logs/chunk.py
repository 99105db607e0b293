"""Chunks: a run of events of one stream, compressed, as one row.

A chunk spans at most an hour and holds about 1 MB of text, so that a reader may bound what it must look at. The body
is zlib over a msgpack array of (timestamp_ms, sequence, message) in write order.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from lambent.services.logs.events import Pending

MAX_SPAN_MS = 3_600_000
MAX_RAW_BYTES = 1 << 20
EVENT_OVERHEAD_BYTES = 26
"""What AWS adds to the size of each event."""

_decoder = msgspec.msgpack.Decoder(list[Pending])
_encoder = msgspec.msgpack.Encoder()


@dataclass(frozen=True, slots=True)
class Chunk:
    first_ms: int
    last_ms: int
    last_sequence: int
    ingested_ms: int | None
    """None: each event came in at its own timestamp, as an environment's output does."""
    raw_bytes: int
    """UTF-8 bytes of the messages plus 26 for each event, as AWS counts."""
    body: bytes


def encode(events: Sequence[Pending], ingested_ms: int | None) -> list[Chunk]:
    """Pack `events`, in the order given, into as few chunks as the limits of a chunk allow."""
    return [_pack(run, ingested_ms) for run in _runs(events)]


def decode(body: bytes) -> list[Pending]:
    return _decoder.decode(zlib.decompress(body))


def _runs(events: Sequence[Pending]) -> Iterator[Sequence[Pending]]:
    start, size = 0, 0
    low = high = events[0].timestamp_ms if events else 0
    for index, event in enumerate(events):
        stamp = event.timestamp_ms
        low, high = min(low, stamp), max(high, stamp)
        size += len(event.message) + EVENT_OVERHEAD_BYTES
        if index > start and (high - low > MAX_SPAN_MS or size > MAX_RAW_BYTES):
            yield events[start:index]
            start, size = index, len(event.message) + EVENT_OVERHEAD_BYTES
            low = high = stamp
    if start < len(events):
        yield events[start:]


def _pack(events: Sequence[Pending], ingested_ms: int | None) -> Chunk:
    try:
        packed = _encoder.encode(events)
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8 form; the event is worth more than that character.
        packed = _encoder.encode([event._replace(message=printable(event.message)) for event in events])
    stamps = [event.timestamp_ms for event in events]
    return Chunk(
        first_ms=min(stamps),
        last_ms=max(stamps),
        last_sequence=max(event.sequence for event in events),
        ingested_ms=ingested_ms,
        raw_bytes=sum(size_bytes(event.message) for event in events),
        # Level 1: logs compress well at once, and the flush shares two cores with the functions.
        body=zlib.compress(packed, 1),
    )


def printable(message: str) -> str:
    return message.encode("utf-8", "replace").decode()


def size_bytes(message: str) -> int:
    if message.isascii():
        return len(message) + EVENT_OVERHEAD_BYTES
    return len(message.encode("utf-8", "replace")) + EVENT_OVERHEAD_BYTES
