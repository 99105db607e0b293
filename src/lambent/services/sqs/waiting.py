"""Receives that wait for a message: a line of them for each queue, woken one after the other.

Owns who is woken (the one who waits longest), and when: at once when a message is there, when one becomes visible, at
the end of their time. A woken one takes for itself; who finds nothing stands in front again. A cancelled one hands its
turn on, so it leaves nothing.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from lambent.core import tasks
from lambent.core.clock import Clock
from lambent.services.sqs.pause import pause


class Waited(Protocol):
    @property
    def available(self) -> bool: ...

    def promote(self) -> int | None:
        """Bring up to date what time has changed. Returns when it changes again."""
        ...


class _Waiter:
    __slots__ = ("future", "until_ms")

    def __init__(self, until_ms: int, future: asyncio.Future[None]) -> None:
        self.until_ms = until_ms
        self.future = future


class Waiters:
    def __init__(self, clock: Clock, of: Waited) -> None:
        self._clock = clock
        self._of = of
        self._line: deque[_Waiter] = deque()
        self._timer: asyncio.Task[None] | None = None
        self._poke = asyncio.Event()
        self._next_ms: int | None = None

    def __len__(self) -> int:
        return len(self._line)

    async def wait(self, until_ms: int, *, again: bool) -> None:
        """Return when it is this one's turn to look, or its time is over. `again`: it was woken for nothing."""
        waiter = _Waiter(until_ms, asyncio.get_running_loop().create_future())
        if again:
            self._line.appendleft(waiter)
        else:
            self._line.append(waiter)
        if self._timer is None:
            self._timer = tasks.detach("sqs long polls", self._run())
        self.changed(until_ms)
        try:
            await waiter.future
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled():
                self.wake()
            else:
                self._line.remove(waiter)
            raise

    def wake(self) -> None:
        """There may be something for one of them. Who has taken wakes the next one."""
        while self._line and self._of.available:
            waiter = self._line.popleft()
            if not waiter.future.done():
                waiter.future.set_result(None)
                return

    def changed(self, at_ms: int) -> None:
        """Something happens at that time."""
        if self._line and (self._next_ms is None or at_ms < self._next_ms):
            self._poke.set()

    def release(self) -> None:
        """Their time is over: the server ends."""
        while self._line:
            waiter = self._line.popleft()
            if not waiter.future.done():
                waiter.future.set_result(None)
        self._poke.set()

    def end(self, failure: Callable[[], Exception]) -> None:
        """The queue is gone."""
        while self._line:
            waiter = self._line.popleft()
            if not waiter.future.done():
                waiter.future.set_exception(failure())
        self._poke.set()

    async def _run(self) -> None:
        try:
            while self._line:
                self._poke.clear()
                next_ms = self._of.promote()
                self.wake()
                now_ms = self._clock.epoch_ms()
                for waiter in [each for each in self._line if each.until_ms <= now_ms]:
                    self._line.remove(waiter)
                    if not waiter.future.done():
                        waiter.future.set_result(None)
                times = [waiter.until_ms for waiter in self._line]
                if next_ms is not None:
                    times.append(next_ms)
                if not self._line:
                    return
                self._next_ms = min(times)
                await pause(self._clock, max(0, self._next_ms - self._clock.epoch_ms()) / 1000, self._poke)
        finally:
            self._timer = None
            self._next_ms = None
