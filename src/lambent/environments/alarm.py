"""An alarm that is moved far more often than it rings.

Each invocation sets a deadline and nearly none reaches it, so moving the time later is an assignment: one sleeping
task wakes at the oldest time, finds the newer one, and sleeps on.
"""

import asyncio
from collections.abc import Callable

from lambent.core.clock import Clock


class Alarm:
    """Calls `ring` once, at a time of `clock.monotonic()`. It may ring late when the loop is busy, never early."""

    __slots__ = ("_at", "_clock", "_ring", "_task", "_wakes_at")

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._at: float | None = None
        self._wakes_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def set(self, at: float) -> None:
        self._at = at
        if self._task is not None and not self._task.done():
            if at >= self._wakes_at:
                return
            self._task.cancel()
        self._wakes_at = at
        self._task = asyncio.get_running_loop().create_task(self._sleep())

    def clear(self) -> None:
        self._at = None

    def close(self) -> None:
        self._at = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _sleep(self) -> None:
        while (at := self._at) is not None:
            rest = at - self._clock.monotonic()
            if rest <= 0:
                self._at = None
                # Who is rung often sets it anew: that goes on in this task.
                self._ring()
                continue
            self._wakes_at = at
            await self._clock.sleep(rest)
        self._task = None
