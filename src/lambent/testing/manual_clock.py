"""A clock that stands still until a test moves it."""

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 20, 20, 4, 39, 123000, tzinfo=UTC)


class ManualClock:
    """Implements `core.clock.Clock`. `advance` wakes every sleeper whose time has come, in order."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = itertools.count()
        self._asleep = asyncio.Event()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def epoch_ms(self) -> int:
        return int(self.now().timestamp() * 1000)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._number), wake))
        self._asleep.set()
        await wake

    async def advance(self, seconds: float) -> None:
        """Move the time, stopping at each sleeper on the way and letting what it does happen."""
        # Who was started just now goes to sleep before the time moves.
        await settle()
        target = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= target:
            at, _, wake = heapq.heappop(self._sleepers)
            if wake.done():
                continue
            self._elapsed = max(self._elapsed, at)
            wake.set_result(None)
            await settle()
        self._elapsed = target
        await settle()

    async def someone_sleeps(self) -> None:
        """Wait until a coroutine sleeps on this clock."""
        while not any(not wake.done() for _, _, wake in self._sleepers):
            self._asleep.clear()
            await self._asleep.wait()


async def settle(rounds: int = 20) -> None:
    """Let everything that is ready to run in this loop run."""
    for _ in range(rounds):
        await asyncio.sleep(0)
