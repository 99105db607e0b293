"""How many reads of a source a mapping has at one time, and how soon the next may be: on demand, or by its pollers.

In provisioned mode each poller waits for messages, and reads ten times and takes 1 MB in a second at most. Who is held
up by that while messages wait gets more pollers, as far as `scale` allows.
"""

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from lambent.core.clock import Clock
from lambent.core.statistics import MINUTE_MS
from lambent.event_sources.batch import Event
from lambent.event_sources.scale import Scale

AT_ONCE: Final = 5
READS_PER_S: Final = 10
BYTES_PER_S: Final = 1024 * 1024


class Readers(Protocol):
    @property
    def waiting(self) -> int:
        """Reads that wait for messages, whatever comes."""
        ...

    def most(self, more: bool) -> int:
        """Reads at one time. `more`: the last one has brought something."""
        ...

    def pause_s(self, more: bool) -> float:
        """How long until the next one may begin; 0: now."""
        ...

    def began(self) -> None: ...

    def took(self, events: Iterable[Event]) -> None: ...

    def look(self) -> None:
        """Whenever something has changed."""
        ...


class OnDemand:
    """One read waits; while there are messages, others look too."""

    waiting = 1

    def most(self, more: bool) -> int:
        return AT_ONCE if more else 1

    def pause_s(self, more: bool) -> float:
        return 0.0

    def began(self) -> None:
        pass

    def took(self, events: Iterable[Event]) -> None:
        pass

    def look(self) -> None:
        pass


class Provisioned:
    def __init__(self, minimum: int, scale: Scale, clock: Clock, told: Callable[[int], None]) -> None:
        """`told`: how many pollers there are, in each minute and when it changes."""
        self.waiting = minimum
        self._scale = scale
        self._clock = clock
        self._told = told
        self._last: tuple[int, int] | None = None
        self._reads = float(minimum * READS_PER_S)
        self._bytes = float(minimum * BYTES_PER_S)
        self._at_s = clock.monotonic()

    def most(self, more: bool) -> int:
        return self._scale.pollers if more else self.waiting

    def pause_s(self, more: bool) -> float:
        now_s = self._clock.monotonic()
        self._refill(now_s)
        pause_s = self._pause_s()
        if pause_s and more:
            self._scale.look(now_s)
            pause_s = self._pause_s()
        return pause_s

    def began(self) -> None:
        self._reads -= 1

    def took(self, events: Iterable[Event]) -> None:
        """More than there was room for counts for what comes next."""
        self._bytes -= sum(len(event.record) for event in events)

    def look(self) -> None:
        now = (self._clock.epoch_ms() // MINUTE_MS, self._scale.pollers)
        if now != self._last:
            self._last = now
            self._told(self._scale.pollers)

    def _refill(self, now_s: float) -> None:
        """What was not used in a second is not kept for later."""
        passed_s, self._at_s = max(0.0, now_s - self._at_s), now_s
        reads_per_s, bytes_per_s = self._scale.pollers * READS_PER_S, self._scale.pollers * BYTES_PER_S
        self._reads = min(reads_per_s, self._reads + passed_s * reads_per_s)
        self._bytes = min(bytes_per_s, self._bytes + passed_s * bytes_per_s)

    def _pause_s(self) -> float:
        pollers = self._scale.pollers
        return max(0.0, (1 - self._reads) / (pollers * READS_PER_S), -self._bytes / (pollers * BYTES_PER_S))
