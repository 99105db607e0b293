"""What of a durable queue is in memory: its lanes, the messages that were taken from the store, and when more are due.

Owns how many messages are held and by which lane, and that all lanes have their share of that. Whose turn it is and
what is done with a message is the worker's (`lanes`).
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Awaitable, Callable, KeysView, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from lambent.core import tasks
from lambent.core.clock import Clock
from lambent.store.messages import Message, NewMessage, Taken
from lambent.store.queue import Queue
from lambent.store.ramp import Ramp

HIDDEN_MS: Final = 300_000
"""How long a taken message stays hidden without a sign of life from us."""
MAX_BYTES: Final = 8 * 1024 * 1024
"""Of one take."""
MAX_HELD_BYTES: Final = 32 * 1024 * 1024
"""Beyond this messages are taken one by one."""
TAKES_AT_ONE_TIME: Final = 16
TAKE_AGAIN_MS: Final = 1000
"""After a failure of the store."""

LaneLimit = Callable[[str], int | None]
"""How many messages of a lane may be handled at one time; None: what is fair."""


@dataclass(slots=True)
class Lane:
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


class Window:
    """`refill` asks the store for more, `let_go` is for each message that is done with. `changed` is told what came."""

    def __init__(self, queue: Queue, clock: Clock, *, size: int, limit: LaneLimit, changed: Callable[[], None]) -> None:
        self._queue = queue
        self._clock = clock
        self._size = size
        self._limit = limit
        self._changed = changed
        self._lanes: dict[str, Lane] = {}
        self._due: dict[str, Lane] = {}
        """Lanes that have messages in the store which may be taken; the one that waited longest first."""
        self.ready: deque[Lane] = deque()
        """Lanes that have messages in memory, each once; the next one in turn first."""
        self._timers: list[tuple[int, str]] = []
        self._held: dict[int, Message] = {}
        self._held_bytes = 0
        self._asked = 0
        self._takes = 0
        self.closing = False
        """Nothing more is taken with what is put."""

    @property
    def held(self) -> KeysView[int]:
        """Ids of the messages in memory."""
        return self._held.keys()

    @property
    def empty(self) -> bool:
        """Whether nothing of any lane is known, or in memory."""
        return not (self._lanes or self._held or self._held_bytes)

    @property
    def asking(self) -> bool:
        """Whether messages are on their way into memory."""
        return self._asked > 0

    @property
    def idle(self) -> bool:
        """Whether there is nothing to begin with now, neither in memory nor in the store."""
        return not (self._asked or self._due or self.ready or self.rings)

    @property
    def rings(self) -> bool:
        """Whether the time of a lane has come."""
        return bool(self._timers) and self._timers[0][0] <= self._clock.epoch_ms()

    @property
    def rings_ms(self) -> int | None:
        """When the next timer does."""
        return self._timers[0][0] if self._timers else None

    def running_in(self, name: str) -> int:
        lane = self._lanes.get(name)
        return 0 if lane is None else lane.running

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
        self._changed()

    def ring(self) -> None:
        """Lanes whose time has come are due."""
        now_ms = self._clock.epoch_ms()
        while self._timers and self._timers[0][0] <= now_ms:
            at_ms, name = heapq.heappop(self._timers)
            lane = self._lanes.get(name)
            if lane is not None and lane.next_ms == at_ms:
                lane.next_ms = None
                self._due.setdefault(name, lane)

    def refill(self) -> None:
        """Begin to take from every lane that is due, to fill everybody's share of the window."""
        share = self._share()
        for lane in list(self._due.values()):
            room = 2 * self._size - len(self._held) - self._asked
            if self._takes == TAKES_AT_ONE_TIME or room <= 0:
                break
            limit = self._limit(lane.name)
            want = min(share if limit is None else min(share, 2 * limit), room)
            if self._held_bytes > MAX_HELD_BYTES:
                want = 1
            if not lane.asked and lane.held < want and len(lane.ready) <= want // 2:
                del self._due[lane.name]
                self._begin_take(lane, want - lane.held)

    def forget(self, name: str | None = None) -> None:
        """The queue, or this lane of it, was emptied: drop what waits in memory."""
        for lane in list(self.ready):
            if name in (None, lane.name):
                for message in lane.ready:
                    self.let_go(message)
                lane.ready.clear()
                self.ready.remove(lane)
        if name is None:
            self._due.clear()
            for lane in list(self._lanes.values()):
                self.drop_if_empty(lane)

    def _share(self) -> int:
        return max(1, self._size // max(1, len(self._due) + len(self.ready)))

    def _has_room_for(self, lane: Lane, size: int) -> bool:
        """Not where older messages of the lane wait in the store: they come first."""
        if self.closing or lane.asked or lane.name in self._due:
            return False
        if len(self._held) + self._asked >= self._size or self._held_bytes + size > MAX_HELD_BYTES:
            return False
        limit = self._limit(lane.name)
        share = self._share()
        return len(lane.ready) + lane.coming < (share if limit is None else min(share, 2 * limit))

    def _is_put(self, lane: Lane, put: asyncio.Future[None]) -> None:
        if not put.cancelled() and put.exception() is None:
            self.wake(lane.name)
        self.drop_if_empty(lane)

    def _came(self, lane: Lane, taken: asyncio.Future[Message]) -> None:
        lane.coming -= 1
        self._asked -= 1
        if not taken.cancelled() and taken.exception() is None:
            self._hold(lane, (taken.result(),))
        self.drop_if_empty(lane)
        self._changed()

    def _hold(self, lane: Lane, messages: Sequence[Message]) -> None:
        for message in messages:
            self._held[message.id] = message
            self._held_bytes += len(message.body)
        if messages and not lane.ready:
            self.ready.append(lane)
        lane.ready.extend(messages)

    def _begin_take(self, lane: Lane, limit: int) -> None:
        lane.asked = limit
        self._asked += limit
        self._takes += 1
        task = tasks.detach(f"take from queue {self._queue.name}", self._take(lane, limit))
        task.add_done_callback(lambda task: self._took(lane, task))

    async def _take(self, lane: Lane, limit: int) -> Taken:
        now_ms = self._clock.epoch_ms()
        return await self._queue.take(
            lane.name,
            now_ms=now_ms,
            until_ms=now_ms + HIDDEN_MS,
            limit=limit,
            max_bytes=MAX_BYTES,
            held=self._held.keys(),
        )

    def _took(self, lane: Lane, task: asyncio.Task[Taken]) -> None:
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
        self.drop_if_empty(lane)
        self._changed()

    def _lane(self, name: str) -> Lane:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(name)
        return lane

    def let_go(self, message: Message) -> None:
        if self._held.pop(message.id, None) is not None:
            self._held_bytes -= len(message.body)

    def drop_if_empty(self, lane: Lane) -> None:
        empty = not (lane.held or lane.settling) and lane.next_ms is None and lane.name not in self._due
        # Not its successor, when it was dropped before.
        if empty and self._lanes.get(lane.name) is lane:
            del self._lanes[lane.name]
