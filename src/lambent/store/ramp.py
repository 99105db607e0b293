"""How many messages of one lane are handled at one time: few at first, more while more are of use.

Each environment costs a start and memory, so a burst of short events is better served by a few that are used again.
More are of use while those that run finish less than one event each in a quarter of a second (they wait for something,
or work for long), or while the last increase made more finish. Where the CPUs are taken, slowness is no reason: more
would only make all slower. Pure, but for what it remembers.
"""

from dataclasses import dataclass
from typing import Final

FIRST: Final = 8
LOOK_EVERY_S: Final = 0.25
BETTER: Final = 1.1
"""So much faster, or an increase was of no use."""


@dataclass(slots=True)
class Ramp:
    allowed: int = FIRST
    finished: int = 0
    """Since the last look."""
    _looked_s: float | None = None
    _best_per_s: float = 0.0

    def look(self, now_s: float, *, cpus_are_taken: bool = False) -> None:
        """As many run as are allowed, and others wait."""
        if self._looked_s is None:
            self._begin(now_s)
            return
        passed_s = now_s - self._looked_s
        if passed_s < LOOK_EVERY_S:
            return
        per_s = self.finished / passed_s
        slow = not cpus_are_taken and self.finished < self.allowed * passed_s / LOOK_EVERY_S
        if slow or per_s > BETTER * self._best_per_s:
            self.allowed *= 2
            self._best_per_s = max(self._best_per_s, per_s)
        self._begin(now_s)

    def due(self, now_s: float) -> bool:
        """Whether a look now would decide."""
        return self._looked_s is not None and now_s - self._looked_s >= LOOK_EVERY_S

    def _begin(self, now_s: float) -> None:
        self._looked_s = now_s
        self.finished = 0
