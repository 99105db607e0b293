"""Time as a dependency, so that rules which wait for hours are tested without waiting.

Owns the Protocol, the real clock, and the one that `lambent clock advance` moves; the one that stands still until a
test moves it is `lambent.testing.ManualClock`.
"""

import asyncio
import time
from bisect import bisect_left, insort
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from math import ceil
from typing import Final, Protocol

NS: Final = 1_000_000_000
STOPS: Final = 10_000
"""Of one advance: sleepers that are nearer to each other than this part of the way wake together."""


class Clock(Protocol):
    def now(self) -> datetime:
        """Wall clock, time zone UTC."""
        ...

    def epoch_ms(self) -> int:
        """Wall clock in milliseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def epoch_ms(self) -> int:
        return time.time_ns() // 1_000_000

    # The function itself: an invocation asks it seven times.
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class VirtualClock(SystemClock):
    """Real time plus what `advance` has added. Whoever sleeps on it wakes when that time has come, in order."""

    def __init__(self, ahead_ms: int = 0) -> None:
        self._ahead_ns = ahead_ms * 1_000_000
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        """By the time to wake; the number decides between equal ones."""
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None
        self._moving = asyncio.Lock()

    @property
    def ahead_ms(self) -> int:
        """Of real time."""
        return self._ahead_ns // 1_000_000

    @property
    def sleepers(self) -> int:
        return len(self._sleepers)

    def now(self) -> datetime:
        return super().now() + timedelta(microseconds=self._ahead_ns // 1000)

    def epoch_ms(self) -> int:
        return (time.time_ns() + self._ahead_ns) // 1_000_000

    def monotonic(self) -> float:
        return self._ns() / NS

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        at_ns, number = self._ns() + ceil(seconds * NS), next(self._numbers)
        insort(self._sleepers, (at_ns, number, woken))
        self._set_timer()
        try:
            await woken
        finally:
            place = bisect_left(self._sleepers, (at_ns, number))
            if place < len(self._sleepers) and self._sleepers[place][1] == number:
                del self._sleepers[place]
                self._set_timer()

    async def advance(self, seconds: float, settled: Callable[[], Awaitable[None]]) -> None:
        """Go on by `seconds`, stopping where somebody wakes, so that what they do then comes before what is later.

        `settled` returns when what was begun has been done, or need not be waited for; it is awaited before the first
        step too, since what is under way may be about to set a time. One call after the other. Raises ValueError for
        a step back.
        """
        if not seconds >= 0:
            raise ValueError(f"time does not go back: {seconds}")
        async with self._moving:
            await settled()
            target_ns = self._ahead_ns + round(seconds * NS)
            grain_ns = round(seconds * NS) // STOPS
            next_ns = 0
            while self._sleepers:
                needed_ns = self._sleepers[0][0] - time.monotonic_ns()
                if needed_ns > target_ns:
                    break
                self._ahead_ns = min(max(self._ahead_ns, needed_ns, next_ns), target_ns)
                next_ns = self._ahead_ns + grain_ns
                self._wake()
                await settled()
            self._ahead_ns = target_ns
            self._wake()
            await settled()

    def _ns(self) -> int:
        return time.monotonic_ns() + self._ahead_ns

    def _wake(self) -> None:
        now_ns = self._ns()
        while self._sleepers and self._sleepers[0][0] <= now_ns:
            _, _, woken = self._sleepers.pop(0)
            if not woken.done():
                woken.set_result(None)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sleepers:
            delay_s = max(0, self._sleepers[0][0] - self._ns()) / NS
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._wake)
