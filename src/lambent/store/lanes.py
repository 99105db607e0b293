"""The worker of a durable queue: takes messages from all lanes in turn and has each handled, so many at one time.

Owns fairness (a lane leaves room for others, whatever it has waiting), what is under way, and that what is held stays
hidden from others. Which messages are in memory is `window`'s; what a message means, and whether it is deleted or
delayed, is the handler's.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Final

from lambent.core import tasks
from lambent.core.clock import Clock
from lambent.core.pressure import cpus_are_taken
from lambent.store.messages import Message, NewMessage
from lambent.store.queue import Queue
from lambent.store.ramp import LOOK_EVERY_S
from lambent.store.window import HIDDEN_MS, TAKE_AGAIN_MS, Lane, LaneLimit, Window

__all__ = ["HIDDEN_MS", "Handle", "LaneLimit", "LaneWorker", "Settlement"]

logger = logging.getLogger(__name__)

KEEP_EVERY_S: Final = 60.0
HELD_OF_BUDGET: Final = 4
"""So many messages in memory for each that may be handled at one time."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is to be stored of a message that was handled, and what follows when it is."""

    store: Callable[[], asyncio.Future[None]]
    then: Callable[[], object] = lambda: None


Handle = Callable[[Message], Coroutine[None, None, Settlement | None]]
"""None: the message is left as it is, and comes again."""


class LaneWorker:
    """`start` before the first `wake`; `run` and `keep` are its background work; `close` stops it taking messages."""

    def __init__(
        self, queue: Queue, handle: Handle, clock: Clock, *, budget: int, limit: LaneLimit = lambda _lane: None
    ) -> None:
        self._queue = queue
        self._handle = handle
        self._clock = clock
        self._budget = budget
        self._limit = limit
        self._woken = asyncio.Event()
        size = HELD_OF_BUDGET * budget
        self.window = Window(queue, clock, size=size, limit=limit, changed=self._woken.set)
        self._running: set[int] = set()
        self.begun = 0
        """Messages that were ever given to the handler."""
        self._settling = 0
        self._closing = False
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_ms = 0
        self._looking: asyncio.TimerHandle | None = None

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def starting(self) -> bool:
        """Whether anything is about to begin that need not wait for an end."""
        window = self.window
        return bool(window.asking or self._settling or window.rings or self._woken.is_set())

    def running_in(self, name: str) -> int:
        return self.window.running_in(name)

    def runs(self, id: int) -> bool:
        """Whether the message is being handled."""
        return id in self._running

    @property
    def held(self) -> int:
        """Messages in memory."""
        return len(self.window.held)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way and nothing can begin now."""
        return not (self._running or self._settling) and self.window.idle

    async def start(self) -> None:
        """Take up what an earlier run has left."""
        now_ms = self._clock.epoch_ms()
        lost = await self._queue.recover(now_ms)
        if lost:
            logger.warning("%d messages of queue %s were under way when the server ended", lost, self._queue.name)
        for lane in await self._queue.lanes():
            self.wake(lane.name, lane.next_ms)

    def put(self, new: NewMessage) -> Awaitable[object]:
        """Return once the message is on disk. Where memory has room it is taken in the same commit, and not read again.

        Raises PlatformFault when nothing was put.
        """
        return self.window.put(new)

    def wake(self, name: str, at_ms: int = 0) -> None:
        """The lane has a message that may be taken at that time."""
        self.window.wake(name, at_ms)

    async def run(self) -> None:
        try:
            while not self._closing:
                self._woken.clear()
                self.window.ring()
                self._start_ready()
                self.window.refill()
                await self._wait()
        finally:
            if self._alarm is not None:
                self._alarm.cancel()

    async def keep(self) -> None:
        """Show that what is held is still held, until cancelled."""
        while True:
            await self._clock.sleep(KEEP_EVERY_S)
            await self._queue.extend(list(self.window.held), self._clock.epoch_ms() + HIDDEN_MS)

    def close(self) -> None:
        """Start no more messages. What is held and not done comes again at the next start."""
        self._closing = self.window.closing = True
        self._woken.set()

    def forget(self, name: str | None = None) -> None:
        """The queue, or this lane of it, was emptied: drop what waits in memory."""
        self.window.forget(name)

    async def _wait(self) -> None:
        rings_ms = self.window.rings_ms
        if rings_ms is not None and not self._woken.is_set():
            self._set_alarm(rings_ms)
        await self._woken.wait()

    def _set_alarm(self, at_ms: int) -> None:
        if self._alarm is not None and not self._alarm.done():
            if self._alarm_ms == at_ms:
                return
            self._alarm.cancel()
        self._alarm_ms = at_ms
        self._alarm = asyncio.get_running_loop().create_task(self._wake_at(at_ms))

    async def _wake_at(self, at_ms: int) -> None:
        await self._clock.sleep(max(0.001, (at_ms - self._clock.epoch_ms()) / 1000))
        self._woken.set()

    # From memory to the handler

    def _start_ready(self) -> None:
        """One of each lane in turn, as long as anything may start."""
        passed, ready = 0, self.window.ready
        while ready and passed < len(ready) and len(self._running) < self._budget and not self._closing:
            lane = ready.popleft()
            if self._may_start(lane):
                self._start(lane)
                passed = 0
            else:
                passed += 1
            if lane.ready:
                ready.append(lane)

    def _may_start(self, lane: Lane) -> bool:
        """A lane has at most twice as much as it leaves free, so that no number of busy lanes keeps a new one out."""
        if lane.running >= lane.ramp.allowed:
            now_s = asyncio.get_running_loop().time()
            lane.ramp.look(now_s, cpus_are_taken=lane.ramp.due(now_s) and cpus_are_taken())
            if lane.running >= lane.ramp.allowed:
                self._look_again()
                return False
        limit = self._limit(lane.name)
        if limit is not None and lane.running >= limit:
            return False
        return lane.running < 2 * (self._budget - len(self._running))

    def _look_again(self) -> None:
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self._looking = None
        self._woken.set()

    def _start(self, lane: Lane) -> None:
        message = lane.ready.popleft()
        lane.running += 1
        self._running.add(message.id)
        self.begun += 1
        task = tasks.detach(f"message of queue {self._queue.name}", self._handle(message))
        task.add_done_callback(partial(self._handled, lane, message))

    def _handled(self, lane: Lane, message: Message, task: asyncio.Task[Settlement | None]) -> None:
        """Its place is free for the next: what is stored of it need not keep an environment from working."""
        lane.running -= 1
        lane.ramp.finished += 1
        self._running.discard(message.id)
        self._woken.set()
        failed = task.cancelled() or task.exception() is not None
        settlement = None if failed else task.result()
        if settlement is not None:
            self._settling += 1
            lane.settling += 1
            self._settle(lane, message, settlement)
            return
        self.window.let_go(message)
        if failed:
            # Neither deleted nor delayed: it comes again when its time is over.
            self.wake(lane.name, self._clock.epoch_ms() + HIDDEN_MS)
        self.window.drop_if_empty(lane)

    def _settle(self, lane: Lane, message: Message, settlement: Settlement) -> None:
        settlement.store().add_done_callback(partial(self._settled, lane, message, settlement))

    def _settled(self, lane: Lane, message: Message, settlement: Settlement, done: asyncio.Future[None]) -> None:
        stored = not done.cancelled() and done.exception() is None
        if not stored and not self._closing:
            # It is done, and only the store does not know it: it is not handled again for that.
            tasks.detach(f"result of queue {self._queue.name}", self._settle_later(lane, message, settlement))
            return
        self._settling -= 1
        lane.settling -= 1
        self.window.let_go(message)
        if stored:
            settlement.then()
        self.window.drop_if_empty(lane)
        self._woken.set()

    async def _settle_later(self, lane: Lane, message: Message, settlement: Settlement) -> None:
        await self._clock.sleep(TAKE_AGAIN_MS / 1000)
        self._settle(lane, message, settlement)
