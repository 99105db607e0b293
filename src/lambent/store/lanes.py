"""The worker of a durable queue: takes messages from all lanes in turn and has each handled, so many at one time.

Owns fairness (a lane leaves room for others, whatever it has waiting), the window of messages in memory, and that what
is held stays hidden from others. What a message means, and whether it is deleted or delayed, is the handler's.
"""

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from lambent.core import tasks
from lambent.core.clock import Clock
from lambent.store.messages import Message, NewMessage, Taken
from lambent.store.queue import Queue
from lambent.store.ramp import LOOK_EVERY_S, Ramp

logger = logging.getLogger(__name__)

HIDDEN_MS: Final = 300_000
"""How long a taken message stays hidden without a sign of life from us."""
KEEP_EVERY_S: Final = 60.0
MAX_BYTES: Final = 8 * 1024 * 1024
"""Of one take."""
MAX_HELD_BYTES: Final = 32 * 1024 * 1024
"""Beyond this messages are taken one by one."""
TAKES_AT_ONE_TIME: Final = 16
TAKE_AGAIN_MS: Final = 1000
"""After a failure of the store."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is to be stored of a message that was handled, and what follows when it is."""

    store: Callable[[], asyncio.Future[None]]
    then: Callable[[], object] = lambda: None


Handle = Callable[[Message], Coroutine[None, None, Settlement | None]]
"""None: the message is left as it is, and comes again."""
LaneLimit = Callable[[str], int | None]
"""How many messages of a lane may be handled at one time; None: what is fair."""


@dataclass(slots=True)
class _Lane:
    name: str
    ready: deque[Message] = field(default_factory=deque)
    running: int = 0
    asked: int = 0
    """How many messages a take that is under way may bring."""
    coming: int = 0
    """How many are being put for us."""
    settling: int = 0
    """How many were handled, and what follows is not stored yet."""
    next_ms: int | None = None
    """The time for which its timer is set."""
    ramp: Ramp = field(default_factory=Ramp)

    @property
    def held(self) -> int:
        return len(self.ready) + self.running + self.asked + self.coming


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
        self._window = 4 * budget
        self._lanes: dict[str, _Lane] = {}
        self._due: dict[str, _Lane] = {}
        """Lanes that have messages in the store which may be taken; the one that waited longest first."""
        self._ready: deque[_Lane] = deque()
        """Lanes that have messages in memory, each once; the next one in turn first."""
        self._timers: list[tuple[int, str]] = []
        self._held: dict[int, Message] = {}
        self._held_bytes = 0
        self._running: set[int] = set()
        self.begun = 0
        """Messages that were ever given to the handler."""
        self._asked = 0
        self._takes = 0
        self._settling = 0
        self._closing = False
        self._woken = asyncio.Event()
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_ms = 0
        self._looking: asyncio.TimerHandle | None = None

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def starting(self) -> bool:
        """Whether anything is about to begin that need not wait for an end."""
        waits = self._timers and self._timers[0][0] <= self._clock.epoch_ms()
        return bool(self._asked or self._settling or waits or self._woken.is_set())

    def running_in(self, name: str) -> int:
        lane = self._lanes.get(name)
        return 0 if lane is None else lane.running

    def runs(self, id: int) -> bool:
        """Whether the message is being handled."""
        return id in self._running

    @property
    def held(self) -> int:
        """Messages in memory."""
        return len(self._held)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way and nothing can begin now."""
        waits = self._timers and self._timers[0][0] <= self._clock.epoch_ms()
        return not (self._running or self._asked or self._settling or self._due or self._ready or waits)

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
        lane = self._lane(new.lane)
        # Callbacks: the caller may go away meanwhile, and the message does not.
        if not self._has_room_for(lane, len(new.body)):
            put = self._queue.putting(new)
            put.add_done_callback(partial(self._is_put, lane))
            return asyncio.shield(put)
        lane.coming += 1
        self._asked += 1
        taken = self._queue.put_taken(new, self._clock.epoch_ms() + HIDDEN_MS)
        taken.add_done_callback(partial(self._came, lane))
        return asyncio.shield(taken)

    def wake(self, name: str, at_ms: int = 0) -> None:
        """The lane has a message that may be taken at that time."""
        lane = self._lane(name)
        if at_ms <= self._clock.epoch_ms():
            self._due.setdefault(name, lane)
        elif lane.next_ms is None or at_ms < lane.next_ms:
            lane.next_ms = at_ms
            heapq.heappush(self._timers, (at_ms, name))
        self._woken.set()

    async def run(self) -> None:
        try:
            while not self._closing:
                self._woken.clear()
                self._ring()
                self._start_ready()
                self._refill()
                await self._wait()
        finally:
            if self._alarm is not None:
                self._alarm.cancel()

    async def keep(self) -> None:
        """Show that what is held is still held, until cancelled."""
        while True:
            await self._clock.sleep(KEEP_EVERY_S)
            await self._queue.extend(list(self._held), self._clock.epoch_ms() + HIDDEN_MS)

    def close(self) -> None:
        """Start no more messages. What is held and not done comes again at the next start."""
        self._closing = True
        self._woken.set()

    def forget(self, name: str | None = None) -> None:
        """The queue, or this lane of it, was emptied: drop what waits in memory."""
        for lane in list(self._ready):
            if name in (None, lane.name):
                for message in lane.ready:
                    self._let_go(message)
                lane.ready.clear()
                self._ready.remove(lane)
        if name is None:
            self._due.clear()
            for lane in list(self._lanes.values()):
                self._drop_if_empty(lane)

    # Time

    def _ring(self) -> None:
        now_ms = self._clock.epoch_ms()
        while self._timers and self._timers[0][0] <= now_ms:
            at_ms, name = heapq.heappop(self._timers)
            lane = self._lanes.get(name)
            if lane is not None and lane.next_ms == at_ms:
                lane.next_ms = None
                self._due.setdefault(name, lane)

    async def _wait(self) -> None:
        if self._timers and not self._woken.is_set():
            self._set_alarm(self._timers[0][0])
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

    # From the store to memory

    def _refill(self) -> None:
        """Begin to take from every lane that is due, to fill everybody's share of the window."""
        share = self._share()
        for lane in list(self._due.values()):
            room = 2 * self._window - len(self._held) - self._asked
            if self._takes == TAKES_AT_ONE_TIME or room <= 0:
                break
            limit = self._limit(lane.name)
            want = min(share if limit is None else min(share, 2 * limit), room)
            if self._held_bytes > MAX_HELD_BYTES:
                want = 1
            if not lane.asked and lane.held < want and len(lane.ready) <= want // 2:
                del self._due[lane.name]
                self._begin_take(lane, want - lane.held)

    def _share(self) -> int:
        return max(1, self._window // max(1, len(self._due) + len(self._ready)))

    def _has_room_for(self, lane: _Lane, size: int) -> bool:
        """Not where older messages of the lane wait in the store: they come first."""
        if self._closing or lane.asked or lane.name in self._due:
            return False
        if len(self._held) + self._asked >= self._window or self._held_bytes + size > MAX_HELD_BYTES:
            return False
        limit = self._limit(lane.name)
        share = self._share()
        return len(lane.ready) + lane.coming < (share if limit is None else min(share, 2 * limit))

    def _is_put(self, lane: _Lane, put: asyncio.Future[None]) -> None:
        if not put.cancelled() and put.exception() is None:
            self.wake(lane.name)
        self._drop_if_empty(lane)

    def _came(self, lane: _Lane, taken: asyncio.Future[Message]) -> None:
        lane.coming -= 1
        self._asked -= 1
        if not taken.cancelled() and taken.exception() is None:
            self._hold(lane, (taken.result(),))
        self._drop_if_empty(lane)
        self._woken.set()

    def _hold(self, lane: _Lane, messages: Sequence[Message]) -> None:
        for message in messages:
            self._held[message.id] = message
            self._held_bytes += len(message.body)
        if messages and not lane.ready:
            self._ready.append(lane)
        lane.ready.extend(messages)

    def _begin_take(self, lane: _Lane, limit: int) -> None:
        lane.asked = limit
        self._asked += limit
        self._takes += 1
        task = tasks.detach(f"take from queue {self._queue.name}", self._take(lane, limit))
        task.add_done_callback(lambda task: self._took(lane, task))

    async def _take(self, lane: _Lane, limit: int) -> Taken:
        now_ms = self._clock.epoch_ms()
        return await self._queue.take(
            lane.name,
            now_ms=now_ms,
            until_ms=now_ms + HIDDEN_MS,
            limit=limit,
            max_bytes=MAX_BYTES,
            held=self._held.keys(),
        )

    def _took(self, lane: _Lane, task: asyncio.Task[Taken]) -> None:
        self._asked -= lane.asked
        self._takes -= 1
        lane.asked = 0
        if task.cancelled() or task.exception() is not None:
            self.wake(lane.name, self._clock.epoch_ms() + TAKE_AGAIN_MS)
            return
        taken = task.result()
        self._hold(lane, taken.messages)
        if taken.next_ms is not None:
            self.wake(lane.name, taken.next_ms)
        self._drop_if_empty(lane)
        self._woken.set()

    # From memory to the handler

    def _start_ready(self) -> None:
        """One of each lane in turn, as long as anything may start."""
        passed = 0
        while self._ready and passed < len(self._ready) and len(self._running) < self._budget and not self._closing:
            lane = self._ready.popleft()
            if self._may_start(lane):
                self._start(lane)
                passed = 0
            else:
                passed += 1
            if lane.ready:
                self._ready.append(lane)

    def _may_start(self, lane: _Lane) -> bool:
        """A lane has at most twice as much as it leaves free, so that no number of busy lanes keeps a new one out."""
        if lane.running >= lane.ramp.allowed:
            loop = asyncio.get_running_loop()
            lane.ramp.look(loop.time())
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

    def _start(self, lane: _Lane) -> None:
        message = lane.ready.popleft()
        lane.running += 1
        self._running.add(message.id)
        self.begun += 1
        task = tasks.detach(f"message of queue {self._queue.name}", self._handle(message))
        task.add_done_callback(partial(self._handled, lane, message))

    def _handled(self, lane: _Lane, message: Message, task: asyncio.Task[Settlement | None]) -> None:
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
        self._let_go(message)
        if failed:
            # Neither deleted nor delayed: it comes again when its time is over.
            self.wake(lane.name, self._clock.epoch_ms() + HIDDEN_MS)
        self._drop_if_empty(lane)

    def _settle(self, lane: _Lane, message: Message, settlement: Settlement) -> None:
        settlement.store().add_done_callback(partial(self._settled, lane, message, settlement))

    def _settled(self, lane: _Lane, message: Message, settlement: Settlement, done: asyncio.Future[None]) -> None:
        stored = not done.cancelled() and done.exception() is None
        if not stored and not self._closing:
            # It is done, and only the store does not know it: it is not handled again for that.
            tasks.detach(f"result of queue {self._queue.name}", self._settle_later(lane, message, settlement))
            return
        self._settling -= 1
        lane.settling -= 1
        self._let_go(message)
        if stored:
            settlement.then()
        self._drop_if_empty(lane)
        self._woken.set()

    async def _settle_later(self, lane: _Lane, message: Message, settlement: Settlement) -> None:
        await self._clock.sleep(TAKE_AGAIN_MS / 1000)
        self._settle(lane, message, settlement)

    def _lane(self, name: str) -> _Lane:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane(name)
        return lane

    def _let_go(self, message: Message) -> None:
        if self._held.pop(message.id, None) is not None:
            self._held_bytes -= len(message.body)

    def _drop_if_empty(self, lane: _Lane) -> None:
        empty = not (lane.held or lane.settling) and lane.next_ms is None and lane.name not in self._due
        # Not its successor, when it was dropped before.
        if empty and self._lanes.get(lane.name) is lane:
            del self._lanes[lane.name]
