"""Looks at the memory of the functions that work for long: children of a runtime come and go meanwhile.

One task for all environments of a machine, because a thousand functions that wait for something must not keep this
process busy with looking at them. It reads nothing itself.
"""

import asyncio
from collections.abc import Callable

from lambent.core import tasks
from lambent.core.clock import Clock

EVERY_S = 0.05
"""Of a function that runs for longer than this; the longer it runs, the rarer."""
SHARE = 0.2
"""Of the time that it runs already."""
AT_LEAST_EVERY_S = 1.0


class MemorySamples:
    """`begin` and `end` are for the warm path, once each per invocation."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._busy: dict[Callable[[], None], tuple[float, float]] = {}
        """What to call -> when the invocation began, when to look next."""
        self._task: asyncio.Task[None] | None = None

    def begin(self, look: Callable[[], None], now: float) -> None:
        """`now` is of the clock's `monotonic()`."""
        self._busy[look] = now, now + EVERY_S
        if self._task is None or self._task.done():
            self._task = tasks.detach("samples of memory", self._run())

    def end(self, look: Callable[[], None]) -> None:
        self._busy.pop(look, None)

    async def _run(self) -> None:
        """While somebody is busy, and a moment longer: an environment that is called again and again starts no task
        each time."""
        while self._busy:
            await self._clock.sleep(EVERY_S)
            now = self._clock.monotonic()
            for look, (began, due) in list(self._busy.items()):
                # The one that is nearest to its time.
                if due <= now + EVERY_S / 2:
                    look()
                    self._busy[look] = began, now + pause_s(now - began)


def pause_s(age_s: float) -> float:
    """Until the next look at a function that runs for so long."""
    return min(AT_LEAST_EVERY_S, max(EVERY_S, SHARE * age_s))
