"""A log event and its place in the order of its group.

Events are ordered by (timestamp, sequence). The event id is that pair as one number in AWS's form: 56 digits,
timestamp in the high bits (`id >> 144`), so that ids, page tokens and the order of pages agree.
"""

from typing import NamedTuple

SEQUENCE_BITS = 144
LATEST_MS = 4_400_000_000_000
"""Later times are cut to this one: positions have 56 digits, and that is the year 2109."""
_SEQUENCE_MASK = (1 << SEQUENCE_BITS) - 1


class Pending(NamedTuple):
    """An event that has its place but is not read back yet. `sequence` is unique in a data directory."""

    timestamp_ms: int
    sequence: int
    message: str


class LogEvent(NamedTuple):
    """A stored or pending event as readers get it. Compares in the order of pages."""

    timestamp_ms: int
    sequence: int
    message: str
    ingested_ms: int
    stream: str

    @property
    def position(self) -> int:
        return position(self.timestamp_ms, self.sequence)

    @property
    def event_id(self) -> str:
        return f"{self.position:056d}"


def position(timestamp_ms: int, sequence: int) -> int:
    return (timestamp_ms << SEQUENCE_BITS) | sequence


def timestamp_of(place: int) -> int:
    return place >> SEQUENCE_BITS


def sequence_of(place: int) -> int:
    return place & _SEQUENCE_MASK
