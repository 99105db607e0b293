"""How many environments may start at one time.

A burst of a hundred cold starts on two cores would push every Init over its 10 s, and each would then be repeated on
the function's own time. So a few go first and the rest follow in order. An Init that waits for something else than
the CPU does not hold the others up for longer than `HOLD_S`.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from lambent.core.clock import Clock
from lambent.environments.alarm import Alarm

HOLD_S = 1.0
STARTS_PER_CPU = 4


class StartGate:
    def __init__(self, clock: Clock, places: int | None = None, *, emptied: Callable[[], None] = lambda: None) -> None:
        """`emptied` is called when nobody passes any more."""
        self._clock = clock
        self._places = asyncio.Semaphore(places or STARTS_PER_CPU * (os.cpu_count() or 1))
        self._emptied = emptied
        self.passing_now = 0
        self.waiting = 0

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Wait for a place, hold it for the block, but not longer than `HOLD_S`."""
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
        self.passing_now += 1
        place = [self._leave]
        alarm = Alarm(self._clock, lambda: place.pop()())
        alarm.set(self._clock.monotonic() + HOLD_S)
        try:
            yield
        finally:
            alarm.close()
            if place:
                place.pop()()

    def _leave(self) -> None:
        self.passing_now -= 1
        self._places.release()
        if not self.passing_now:
            self._emptied()
