"""The messages of one queue that are in memory: who is ready, hidden until when, and what a receive gets.

Pure: it is told the time, and neither waits nor stores. The order among those that are ready is `standard`'s or
`fifo`'s.
"""

import heapq
from typing import Final, NamedTuple, Protocol

from lambent.services.sqs.entry import Entry, Phase
from lambent.services.sqs.fifo import FifoOrder
from lambent.services.sqs.records import MAX_IN_FLIGHT
from lambent.services.sqs.standard import StandardOrder

STALE_FROM: Final = 1000
_NEVER_MS: Final = 1 << 62
_HIDDEN: Final = (Phase.FLYING, Phase.DELAYED)


class Order(Protocol):
    @property
    def available(self) -> bool:
        """`next` may find something."""
        ...

    def place(self, entry: Entry) -> None:
        """It is new here, and the last one."""
        ...

    def ready(self, entry: Entry) -> None: ...

    def unready(self, entry: Entry) -> None:
        """It is not ready any more, without having been the next one."""
        ...

    def flew(self, entry: Entry) -> None: ...

    def landed(self, entry: Entry) -> None: ...

    def removed(self, entry: Entry) -> None: ...

    def next(self) -> Entry | None:
        """The next one of this take. Its phase is changed before anything else happens."""
        ...

    def stop(self, entry: Entry) -> None:
        """It is not received now after all, and what comes behind it waits for it where order is kept."""
        ...

    def end(self) -> None:
        """The take is over."""
        ...


class Haul(NamedTuple):
    taken: list[Entry]
    spent: list[Entry]
    """Received so often that they are dead letters: leaving now."""
    expired: list[Entry]
    """Too old: gone now."""


class Shelf:
    def __init__(self, *, fifo: bool) -> None:
        self.entries: dict[int, Entry] = {}
        self.delayed = 0
        self.flying = 0
        self.leaving = 0
        self._oldest_ms = _NEVER_MS
        """No message here was sent before."""
        self.order: Order = FifoOrder() if fifo else StandardOrder()
        self._timers: list[tuple[int, int]] = []
        """A heap of when a number is visible again; what has changed meanwhile is passed over."""

    @property
    def available(self) -> bool:
        """A take may find something."""
        return self.order.available

    @property
    def groups_in_flight(self) -> int:
        """On FIFO."""
        return self.order.groups_in_flight if isinstance(self.order, FifoOrder) else 0

    @property
    def full(self) -> bool:
        """So many are in flight that no more are given."""
        return self.flying >= MAX_IN_FLIGHT

    def add(self, entry: Entry, now_ms: int) -> None:
        """A message that is new here; numbers only rise."""
        entry.rank = entry.id
        self._oldest_ms = min(self._oldest_ms, entry.sent_ms)
        self.entries[entry.id] = entry
        self.order.place(entry)
        self._show(entry, entry.visible_ms, now_ms)

    def promote(self, now_ms: int) -> None:
        """Those whose time has come are ready."""
        timers = self._timers
        while timers and timers[0][0] <= now_ms:
            if (entry := self._hidden(heapq.heappop(timers))) is not None:
                self._set(entry, Phase.READY)

    def next_ms(self) -> int | None:
        """When the next one is visible again."""
        while self._timers:
            if self._hidden(self._timers[0]) is not None:
                return self._timers[0][0]
            heapq.heappop(self._timers)
        return None

    def take(self, now_ms: int, *, limit: int, until_ms: int, since_ms: int, most: int | None) -> Haul:
        """What a receive gets, hidden until `until_ms`: nothing sent by `since_ms`, nor received `most` times."""
        haul = Haul([], [], [])
        limit = min(limit, MAX_IN_FLIGHT - self.flying)
        while len(haul.taken) < limit and (entry := self.order.next()) is not None:
            if entry.sent_ms <= since_ms:
                self._drop(entry, popped=True)
                haul.expired.append(entry)
            elif most is not None and entry.takes >= most:
                self._set(entry, Phase.LEAVING, popped=True)
                self.order.stop(entry)
                haul.spent.append(entry)
            else:
                entry.takes += 1
                entry.first_ms = entry.first_ms or now_ms
                entry.visible_ms = until_ms
                self._set(entry, Phase.FLYING, popped=True)
                haul.taken.append(entry)
        for entry in haul.taken:
            self._show(entry, until_ms, now_ms)
        self.order.end()
        if len(self._timers) > 2 * (self.flying + self.delayed) + STALE_FROM:
            kept = {timer for timer in self._timers if self._hidden(timer) is not None}
            self._timers = list(kept)
            heapq.heapify(self._timers)
        return haul

    def give_back(self, entry: Entry, now_ms: int) -> None:
        """As if it had not been received."""
        if entry.phase in (Phase.FLYING, Phase.READY) and entry.takes:
            entry.takes -= 1
            if not entry.takes:
                entry.first_ms = None
            self._show(entry, now_ms, now_ms)

    def hide(self, entry: Entry, until_ms: int, now_ms: int) -> None:
        """Visible again at that time, which may be now."""
        self._show(entry, until_ms, now_ms)

    def leave(self, entry: Entry) -> None:
        """Nobody receives it while its end is on its way to the disk."""
        self._set(entry, Phase.LEAVING)

    def stay(self, entry: Entry, now_ms: int) -> None:
        """Its end could not be stored."""
        if entry.phase is Phase.LEAVING:
            self._show(entry, entry.visible_ms, now_ms)

    def remove(self, entry: Entry) -> None:
        if entry.phase is not Phase.GONE:
            self._drop(entry)

    def expire(self, since_ms: int) -> list[Entry]:
        """Those that are too old, in flight or not. They are gone now."""
        if since_ms < self._oldest_ms:
            return []
        old = [entry for entry in self.entries.values() if entry.sent_ms <= since_ms]
        for entry in old:
            self._drop(entry)
        self._oldest_ms = min((entry.sent_ms for entry in self.entries.values()), default=_NEVER_MS)
        return old

    def redelay(self, delay_ms: int, now_ms: int) -> None:
        """What was never received is delayed so long from when it was sent."""
        for entry in self.entries.values():
            if not entry.takes and entry.phase in (Phase.READY, Phase.DELAYED):
                self._show(entry, entry.sent_ms + delay_ms, now_ms)

    def _show(self, entry: Entry, visible_ms: int, now_ms: int) -> None:
        entry.visible_ms = visible_ms
        if visible_ms <= now_ms:
            phase = Phase.READY
        else:
            phase = Phase.FLYING if entry.takes else Phase.DELAYED
            heapq.heappush(self._timers, (visible_ms, entry.id))
        if phase is not entry.phase:
            self._set(entry, phase)

    def _drop(self, entry: Entry, *, popped: bool = False) -> None:
        self._set(entry, Phase.GONE, popped=popped)
        del self.entries[entry.id]
        self.order.removed(entry)

    def _set(self, entry: Entry, phase: Phase, *, popped: bool = False) -> None:
        """`popped`: the order gave it, and has it among those that are ready no more."""
        was, entry.phase = entry.phase, phase
        if was is Phase.FLYING:
            self.flying -= 1
            self.order.landed(entry)
        elif was is Phase.DELAYED:
            self.delayed -= 1
        elif was is Phase.LEAVING:
            self.leaving -= 1
        elif was is Phase.READY and not popped:
            self.order.unready(entry)
        if phase is Phase.FLYING:
            self.flying += 1
            self.order.flew(entry)
        elif phase is Phase.DELAYED:
            self.delayed += 1
        elif phase is Phase.LEAVING:
            self.leaving += 1
        elif phase is Phase.READY:
            self.order.ready(entry)

    def _hidden(self, timer: tuple[int, int]) -> Entry | None:
        """Whom it is for, if it is still true."""
        entry = self.entries.get(timer[1])
        return entry if entry is not None and entry.visible_ms == timer[0] and entry.phase in _HIDDEN else None
