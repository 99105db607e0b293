"""What was read of a source and goes to a function together. Pure: events are encoded once, when they are read.

A batch is done when it has as many events as are wanted, when one more would be more than an invocation takes, or when
its window has ended. An event that is read again while it waits is in the batch once, by its newest receipt.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

MAX_BYTES: Final = 6 * 1024 * 1024
"""Of the payload of a synchronous invocation."""
_AROUND: Final = len(b'{"Records":[]}')


class Event(NamedTuple):
    """One record of a source."""

    id: str
    """By which the function names it in a partial response."""
    receipt: str
    """By which the source knows it."""
    record: bytes
    """As it is in the payload."""
    held_until_s: float
    """When others see it again, on the monotonic clock."""
    trace_header: str | None = None


def payload(events: Sequence[Event]) -> bytes:
    return b'{"Records":[' + b",".join(event.record for event in events) + b"]}"


@dataclass(slots=True)
class Collector:
    size: int
    window_s: float
    max_bytes: int = MAX_BYTES
    _events: dict[str, Event] = field(default_factory=dict)
    _bytes: int = _AROUND
    _due_s: float | None = None

    @property
    def room(self) -> int:
        return self.size - len(self._events)

    @property
    def due_s(self) -> float | None:
        """When the window ends; None: it has not begun."""
        return self._due_s

    def add(self, events: Iterable[Event], now_s: float) -> list[list[Event]]:
        """Take what was read; return the batches that are done with it."""
        done = []
        for event in events:
            before = self._events.pop(event.id, None)
            if before is not None:
                self._bytes -= len(before.record) + 1
            if self._events and self._bytes + len(event.record) + 1 > self.max_bytes:
                done.append(self.take())
            self._events[event.id] = event
            self._bytes += len(event.record) + 1
            if self._due_s is None:
                # Half of the time in which they are hidden is the function's.
                self._due_s = now_s + min(self.window_s, max(0.0, (event.held_until_s - now_s) / 2))
            if len(self._events) >= self.size:
                done.append(self.take())
        if self._events and self._due_s is not None and self._due_s <= now_s:
            done.append(self.take())
        return done

    def take(self) -> list[Event]:
        """Everything that there is, and begin anew."""
        events = list(self._events.values())
        self._events = {}
        self._bytes = _AROUND
        self._due_s = None
        return events
