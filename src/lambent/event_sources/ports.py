"""What event source mappings need of others; `app` wires them."""

from collections.abc import Mapping
from typing import Protocol

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


class PollerFactory(Protocol):
    def __call__(self, mapping: EventSourceMapping) -> Poller: ...


PollerFactories = Mapping[Kind, PollerFactory]
"""The kinds of sources that this server can read."""
