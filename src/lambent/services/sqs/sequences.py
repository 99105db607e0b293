"""Sequence numbers of FIFO messages: they rise, also over a restart, by the clock."""

from typing import Final

from lambent.core.clock import Clock

STEP: Final = 256


class Sequences:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0

    def next(self) -> int:
        self._last = max(self._last + STEP, self._clock.epoch_ms() << 20)
        return self._last

    def seen(self, sequence: int) -> None:
        """One that was given before: the clock may have gone back since."""
        self._last = max(self._last, sequence)
