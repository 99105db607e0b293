"""Events that are not on disk yet: one tail per stream, bounded in memory, dropped and counted beyond that.

Knows no database. Everything happens on the event loop; `take` hands a tail's events to the flush and either `done`
or `put_back` ends that.
"""

import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lambent.services.logs.events import Pending
from lambent.services.logs.names import Scope
from lambent.services.logs.store.append import Place, StreamKey

STREAM_LIMIT_BYTES = 16 << 20
TOTAL_LIMIT_BYTES = 64 << 20
EARLY_BYTES = 2 << 20
"""From here on the flush does not wait for its time."""
EVENT_COST_BYTES = 180
"""What an event holds beside its message: the tuple, two numbers, its place in a list."""
MAX_MESSAGE = 256 * 1024
"""Characters; a longer message becomes several events, as Lambda does."""


@dataclass(frozen=True, slots=True)
class Limits:
    stream_bytes: int = STREAM_LIMIT_BYTES
    total_bytes: int = TOTAL_LIMIT_BYTES


@dataclass(frozen=True, slots=True)
class Dropped:
    records: int
    size: int
    """Characters."""

    def __add__(self, other: "Dropped") -> "Dropped":
        return Dropped(self.records + other.records, self.size + other.size)


NOTHING = Dropped(0, 0)
_new = tuple.__new__


class Tail:
    """The unflushed end of one stream."""

    __slots__ = ("dropped", "events", "flushing", "flushing_bytes", "held_bytes", "key", "noticed", "place", "writers")

    def __init__(self, key: StreamKey) -> None:
        self.key = key
        self.place: Place | None = None
        self.events: list[Pending] = []
        self.flushing: list[Pending] = []
        self.held_bytes = 0
        self.flushing_bytes = 0
        self.dropped = NOTHING
        self.noticed = NOTHING
        """What the notice at the end of `flushing` tells."""
        self.writers = 0

    def pending(self) -> list[Pending]:
        return self.flushing + self.events


class Unflushed:
    """All tails. `sequence` numbers every event of the data directory, PutLogEvents included."""

    def __init__(self, limits: Limits, first_sequence: int = 1) -> None:
        self._limits = limits
        self._tails: dict[StreamKey, Tail] = {}
        self._dirty: dict[Tail, None] = {}
        """In the order in which they became so. By identity: the hash of a key costs each line a microsecond."""
        self.sequence = itertools.count(first_sequence)
        self.held_bytes = 0
        self.dropped_records = 0

    def open(self, key: StreamKey) -> Tail:
        tail = self._tails.get(key)
        if tail is None:
            tail = self._tails[key] = Tail(key)
        tail.writers += 1
        return tail

    def release(self, tail: Tail) -> None:
        tail.writers -= 1
        self._forget(tail)

    def add(self, tail: Tail, timestamp_ms: int, message: str) -> bool:
        """Keep one event or count its loss; True when the flush has to hear of it."""
        cost = sys.getsizeof(message) + EVENT_COST_BYTES
        limits = self._limits
        if tail.held_bytes + cost > limits.stream_bytes or self.held_bytes + cost > limits.total_bytes:
            tail.dropped += Dropped(1, len(message))
            self.dropped_records += 1
        else:
            # What Pending's own constructor calls, three times per invocation.
            tail.events.append(_new(Pending, (timestamp_ms, next(self.sequence), message)))
            tail.held_bytes += cost
            self.held_bytes += cost
        if tail in self._dirty:
            return self.held_bytes - cost < EARLY_BYTES <= self.held_bytes
        self._dirty[tail] = None
        return True

    def take(self, now_ms: int) -> list[Tail]:
        """Move what every dirty tail holds to its `flushing`, with a notice where events were dropped."""
        tails = list(self._dirty)
        self._dirty.clear()
        for tail in tails:
            tail.flushing, tail.events = tail.events, []
            tail.flushing_bytes = tail.held_bytes
            if tail.dropped.records:
                tail.noticed, tail.dropped = tail.dropped, NOTHING
                tail.flushing.append(Pending(now_ms, next(self.sequence), dropped_notice(now_ms, tail.noticed)))
        return tails

    def done(self, tails: Sequence[Tail]) -> None:
        for tail in tails:
            tail.held_bytes -= tail.flushing_bytes
            self.held_bytes -= tail.flushing_bytes
            self._reset(tail)
            self._forget(tail)

    def put_back(self, tails: Sequence[Tail]) -> None:
        """The flush failed: events wait for the next one, in order. The notice is made again then."""
        for tail in tails:
            if tail.noticed.records:
                tail.flushing.pop()
                tail.dropped += tail.noticed
            tail.events[:0] = tail.flushing
            self._reset(tail)
            self._dirty[tail] = None

    def forget_all(self) -> None:
        """Drop what is held, as the state on disk is dropped. Open tails go on."""
        for tail in self._tails.values():
            tail.events.clear()
            self._reset(tail)
            tail.held_bytes = 0
            tail.dropped = NOTHING
            tail.place = None
        self.held_bytes = 0
        self._dirty.clear()
        for tail in list(self._tails.values()):
            self._forget(tail)

    def in_group(self, scope: Scope, group: str) -> Iterator[Tail]:
        return (tail for key, tail in self._tails.items() if key.group == group and key.scope == scope)

    def find(self, key: StreamKey) -> Tail | None:
        return self._tails.get(key)

    @property
    def empty(self) -> bool:
        return not self._dirty

    def _reset(self, tail: Tail) -> None:
        tail.flushing = []
        tail.flushing_bytes = 0
        tail.noticed = NOTHING

    def _forget(self, tail: Tail) -> None:
        if tail.writers == 0 and tail not in self._dirty and not tail.flushing:
            self._tails.pop(tail.key, None)


def dropped_notice(now_ms: int, dropped: Dropped) -> str:
    """The record of the Telemetry API for lost lines, as one line of the log."""
    time = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    record = {
        "time": time,
        "type": "platform.logsDropped",
        "record": {
            "reason": "The log store has fallen behind: lines came in faster than they could be stored.",
            "droppedRecords": dropped.records,
            "droppedBytes": dropped.size,
        },
    }
    return json.dumps(record, separators=(",", ":")) + "\n"
