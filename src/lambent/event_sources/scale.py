"""How many batches of one mapping are handled at one time: few at first, more while more are of use. Pure.

AWS begins with five and adds up to 300 a minute while messages wait. Here each one more may cost a cold start, so
the number is doubled only when those that run take long, or when the last doubling made more finish, within AWS's
numbers. Failures take some away; a queue that is empty brings the number back to the first. In provisioned mode all of
this is in whole pollers, of ten batches each.
"""

from dataclasses import dataclass
from typing import Final

from lambent.event_sources.records import Settings

FIRST: Final = 5
CEILING: Final = 1250
PER_MINUTE: Final = 300
OF_A_POLLER: Final = 10
"""Batches at one time of one poller in provisioned mode."""
PROVISIONED_PER_MINUTE: Final = 1000
LOOK_EVERY_S: Final = 0.25
BETTER: Final = 1.1


@dataclass(frozen=True, slots=True)
class Range:
    first: int
    ceiling: int
    per_minute: int
    floor: int = 1
    """What failures leave."""
    unit: int = 1
    """The number is a multiple of this."""


def range_of(settings: Settings) -> Range:
    if settings.pollers is not None:
        first = settings.pollers.minimum * OF_A_POLLER
        return Range(first, settings.pollers.maximum * OF_A_POLLER, PROVISIONED_PER_MINUTE, first, OF_A_POLLER)
    ceiling = settings.maximum_concurrency or CEILING
    return Range(min(FIRST, ceiling), ceiling, PER_MINUTE)


@dataclass(slots=True)
class Scale:
    range: Range
    allowed: int
    _finished: int = 0
    """Since the last look."""
    _looked_s: float | None = None
    _best_per_s: float = 0.0
    _grown: bool = False
    """The last look has added some."""
    _minute_s: float = 0.0
    _added: int = 0
    """In the minute that began then."""

    @classmethod
    def of(cls, settings: Settings) -> "Scale":
        range_ = range_of(settings)
        return cls(range_, range_.first)

    @property
    def pollers(self) -> int:
        """In provisioned mode."""
        return self.allowed // OF_A_POLLER

    def look(self, now_s: float) -> None:
        """As many run as are allowed, and there may be more messages."""
        if self._looked_s is None or now_s - self._looked_s > 4 * LOOK_EVERY_S:
            # The first time, or after a while in which there was no need.
            self._begin(now_s)
            return
        passed_s = now_s - self._looked_s
        if passed_s < LOOK_EVERY_S:
            return
        per_s = self._finished / passed_s
        slow = self._finished < self.allowed * passed_s / LOOK_EVERY_S
        if slow or (self._grown and per_s > BETTER * self._best_per_s):
            self._add(self.allowed, now_s)
        else:
            self._grown = False
        self._best_per_s = max(self._best_per_s, per_s)
        self._begin(now_s)

    def succeeded(self) -> None:
        self._finished += 1
        self.allowed = max(self.allowed, min(self.range.first, self.allowed + 1))

    def failed(self) -> None:
        """The function failed with a whole batch."""
        self._finished += 1
        self._shrink(self.allowed // 4 or 1)

    def throttled(self) -> None:
        self._shrink(self.allowed // 2 or 1)

    def empty(self, running: int) -> None:
        """Nothing waits in the source."""
        if self.allowed > self.range.first:
            self.allowed = max(self.range.first, self._whole(max(running, self.allowed // 2)))
        self._best_per_s = 0.0

    def _shrink(self, by: int) -> None:
        self.allowed = max(self.range.floor, self.allowed - self._whole(by))

    def _whole(self, number: int) -> int:
        """Rounded up to units."""
        return -(-number // self.range.unit) * self.range.unit

    def _add(self, wanted: int, now_s: float) -> None:
        if now_s - self._minute_s >= 60:
            self._minute_s, self._added = now_s, 0
        more = max(0, min(wanted, self.range.ceiling - self.allowed, self.range.per_minute - self._added))
        more -= more % self.range.unit
        self._added += more
        self.allowed += more
        self._grown = more > 0

    def _begin(self, now_s: float) -> None:
        self._looked_s = now_s
        self._finished = 0
