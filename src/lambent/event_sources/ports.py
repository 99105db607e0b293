"""What event source mappings need of others; `app` wires them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from lambent.event_sources.batch import Event
from lambent.event_sources.records import EventSourceMapping
from lambent.event_sources.sources import Kind


class Poller(Protocol):
    """Reads one source for one mapping, as that mapping was when it was made."""

    async def start(self) -> None:
        """Return once it polls. `PlatformFault`: it cannot now; it is tried again."""
        ...

    async def stop(self) -> None:
        """Return when it reads no more and none of its invocations is under way. Safe to call twice."""
        ...

    def abandon(self) -> None:
        """Be gone at once: what it has read comes again by itself, or is gone as well."""
        ...


class PollerFactory(Protocol):
    def __call__(self, mapping: EventSourceMapping) -> Poller: ...


PollerFactories = Mapping[Kind, PollerFactory]
"""The kinds of sources that this server can read."""


class Read(NamedTuple):
    """What one look at a source has brought."""

    events: Sequence[Event]
    dropped: Sequence[Event]
    """What the filters of the mapping do not let through."""


class Source(Protocol):
    """A queue of messages that are ours until they are deleted, or until their visibility has ended."""

    @property
    def at_once(self) -> int:
        """The most events of one read."""
        ...

    @property
    def visibility_s(self) -> float:
        """How long what is read is hidden from others."""
        ...

    async def read(self, limit: int, wait_s: float) -> Read:
        """Wait that long for the first event. Raises ApiError and PlatformFault."""
        ...

    async def delete(self, events: Sequence[Event]) -> int:
        """They are done. Returns how many are gone; never raises, what is left comes again."""
        ...

    async def hold(self, events: Sequence[Event]) -> list[Event]:
        """Hide them for `visibility_s` more. Returns those that are still ours."""
        ...

    async def give_back(self, events: Sequence[Event]) -> None:
        """Let others have them at once."""
        ...
