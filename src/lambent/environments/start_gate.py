"""How many environments may start at one time.

A burst of a hundred cold starts on two cores would push every Init over its 10 s, and each would then be repeated on
the function's own time. So a few go first and the rest follow: those of the function with fewest on their way, and of
one function in order. An Init that waits for something else than the CPU does not hold the others up for longer than
`HOLD_S`.
"""

import asyncio
import os
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from lambent.core.clock import Clock
from lambent.environments.alarm import Alarm
from lambent.functions.records import FunctionKey

HOLD_S = 1.0
STARTS_PER_CPU = 4


class StartGate:
    def __init__(self, clock: Clock, places: int | None = None, *, emptied: Callable[[], None] = lambda: None) -> None:
        """`emptied` is called when nobody passes any more."""
        self._clock = clock
        self._free = places or STARTS_PER_CPU * (os.cpu_count() or 1)
        self._emptied = emptied
        self._passing: Counter[FunctionKey] = Counter()
        self._lines: dict[FunctionKey, deque[asyncio.Future[None]]] = {}
        """Who waits, by function: the one that has waited longest of all for its turn first."""

    @property
    def passing_now(self) -> int:
        return self._passing.total()

    @property
    def waiting(self) -> int:
        return sum(map(len, self._lines.values()))

    @asynccontextmanager
    async def passing(self, key: FunctionKey) -> AsyncIterator[None]:
        """Wait for a place, hold it for the block, but not longer than `HOLD_S`."""
        await self._enter(key)
        place = [self._leave]
        alarm = Alarm(self._clock, lambda: place.pop()(key))
        alarm.set(self._clock.monotonic() + HOLD_S)
        try:
            yield
        finally:
            alarm.close()
            if place:
                place.pop()(key)

    async def _enter(self, key: FunctionKey) -> None:
        if self._free and not self._lines:
            self._take(key)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(key, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(key)
            else:
                self._forget(key, turn)
            raise

    def _take(self, key: FunctionKey) -> None:
        self._free -= 1
        self._passing[key] += 1

    def _leave(self, key: FunctionKey) -> None:
        self._free += 1
        self._passing[key] -= 1
        if not self._passing[key]:
            del self._passing[key]
        while self._free and self._lines:
            following = min(self._lines, key=lambda each: self._passing[each])
            turn = self._lines[following][0]
            self._forget(following, turn)
            # One that was given up has not heard of it yet.
            if not turn.done():
                self._take(following)
                turn.set_result(None)
        if not self._passing:
            self._emptied()

    def _forget(self, key: FunctionKey, turn: "asyncio.Future[None]") -> None:
        """It has its turn, or wants none any more; its function is the last in order now."""
        line = self._lines.pop(key, None)
        if line and turn in line:
            line.remove(turn)
        if line:
            self._lines[key] = line
