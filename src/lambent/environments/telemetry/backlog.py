"""What waits for one subscriber: events in portions, bounded in number, bytes and age. Pure; takes `now`.

A portion is due when it is as large as the subscriber allows, or its oldest event as old. While one is delivered the
next fills; what comes after that is dropped and counted. The memory of all subscribers of a machine has one bound.
"""

from collections import deque
from dataclasses import dataclass

from lambent.environments.telemetry.memory import Memory
from lambent.environments.telemetry.subscription import Buffering

SMALL_BYTES = 16 * 1024
"""A subscriber may hold this much even when others have taken all there is."""


@dataclass(slots=True)
class Dropped:
    records: int = 0
    bytes: int = 0


class Backlog:
    __slots__ = ("_bytes", "_events", "_limits", "_memory", "_oldest", "_taken", "_taken_bytes", "dropped")

    def __init__(self, limits: Buffering, memory: Memory) -> None:
        self._limits = limits
        self._memory = memory
        self._events: deque[bytes] = deque()
        self._bytes = 0
        self._oldest = 0.0
        self._taken: list[bytes] = []
        self._taken_bytes = 0
        self.dropped = Dropped()
        """Since it was asked for."""

    def __len__(self) -> int:
        return len(self._events)

    def add(self, event: bytes, now: float) -> None:
        size = len(event)
        if self.full or self._machine_is_full(size):
            self.drop(1, size)
            return
        if not self._events:
            self._oldest = now
        self._events.append(event)
        self._bytes += size
        self._memory.used_bytes += size

    def _machine_is_full(self, size: int) -> bool:
        return self._bytes >= SMALL_BYTES and self._memory.used_bytes + size > self._memory.limit_bytes

    @property
    def full(self) -> bool:
        """An event may be larger than the limit: the last one of a portion goes beyond."""
        return self._bytes >= self._limits.max_bytes or len(self._events) >= self._limits.max_items

    @property
    def due_at(self) -> float | None:
        """When the present portion has waited long enough; None when there is nothing."""
        return self._oldest + self._limits.timeout_ms / 1000 if self._events else None

    def take(self) -> list[bytes]:
        """The present portion. It counts as held until `done`."""
        self._taken = list(self._events)
        self._events.clear()
        self._taken_bytes, self._bytes = self._bytes, 0
        return self._taken

    def done(self) -> None:
        """The portion that was taken is delivered, or given up."""
        self._memory.used_bytes -= self._taken_bytes
        self._taken_bytes = 0
        self._taken = []

    def drop(self, records: int, size: int) -> None:
        self.dropped.records += records
        self.dropped.bytes += size

    def take_dropped(self) -> Dropped | None:
        """What was dropped since this was asked last; None for nothing."""
        if not self.dropped.records:
            return None
        dropped, self.dropped = self.dropped, Dropped()
        return dropped

    def move_to(self, other: "Backlog", now: float) -> None:
        """Leave everything to the backlog of the subscription that replaces this one, what was on its way included."""
        events = [*self._taken, *self._events]
        other.drop(self.dropped.records, self.dropped.bytes)
        self.clear()
        for event in events:
            other.add(event, now)

    def clear(self) -> None:
        self.done()
        self._memory.used_bytes -= self._bytes
        self._events.clear()
        self._bytes = 0
        self.dropped = Dropped()
