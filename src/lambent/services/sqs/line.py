"""One queue at work: a window of its messages in memory, the rest on disk behind it.

Owns what is in the window. Every message with a number up to the cursor is in it or is no more; the others are read a
page at a time when a receive finds nothing. So memory is bounded by the window and what is in flight, however long the
queue is.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lambent.core.clock import Clock
from lambent.services.sqs.attempts import Attempts
from lambent.services.sqs.deduplication import Deduplication
from lambent.services.sqs.entry import Entry, Phase
from lambent.services.sqs.records import MAX_IN_FLIGHT, QueueMissing, QueueRecord
from lambent.services.sqs.shelf import Haul, Shelf
from lambent.services.sqs.tally import Tally
from lambent.services.sqs.throughput import Throughput
from lambent.services.sqs.waiting import Waiters
from lambent.store.recorded import Extent, RecordedQueue, Visibility


@dataclass(frozen=True, slots=True)
class Room:
    """What a queue may take in memory, beside what is in flight."""

    window: int = 10_000
    """Messages that are kept for having been sent just now."""
    page: int = 500
    body_bytes: int = 2 * 1024 * 1024
    ahead: int = 200
    """Bodies that are read along, for the next receives."""


class Line:
    """`record` is replaced when the queue is changed."""

    def __init__(
        self,
        record: QueueRecord,
        queue: RecordedQueue,
        clock: Clock,
        extent: Extent,
        room: Room,
        fifo_calls_per_s: int = 0,
    ) -> None:
        self.record = record
        self.tally = Tally()
        self.throughput = Throughput(fifo_calls_per_s)
        """Asked on FIFO alone."""
        self.lane = str(record.id)
        self.shelf = Shelf(fifo=record.fifo)
        self.waiters = Waiters(clock, self)
        self.deduplication = Deduplication(record.id, ())
        self.attempts = Attempts()
        self.closed = False
        self._queue = queue
        self._clock = clock
        self._room = room
        self.behind = extent.messages
        """Messages above the cursor, as far as we were told."""
        self._cursor = record.floor
        self._kept_bytes = 0
        self._loading = asyncio.Lock()
        self._reading = asyncio.Lock()
        self._wanted: set[int] = set()
        """Numbers of those that were received, and whose bodies are read."""
        self._arrived: list[int] = []
        """Numbers above the cursor that we were told while a page was read."""
        self._purges = 0

    @property
    def cursor(self) -> int:
        return self._cursor

    @property
    def available(self) -> bool:
        return self.shelf.available or (self.behind > 0 and self._has_room)

    @property
    def _has_room(self) -> bool:
        """FIFO looks so far for a free group, and a standard queue past what is delayed."""
        return len(self.shelf.entries) < 2 * MAX_IN_FLIGHT

    def promote(self) -> int | None:
        self.shelf.promote(self._clock.epoch_ms())
        return self.shelf.next_ms()

    def stored(self, entries: Sequence[Entry], numbers: Sequence[int]) -> None:
        """Messages were put. Called in the order of the commits."""
        if self.closed:
            return
        now_ms = self._clock.epoch_ms()
        for entry, number in zip(entries, numbers, strict=True):
            if number <= self._cursor:
                # Purged, or a page has brought it before we were told.
                continue
            if self.behind or self._loading.locked() or len(self.shelf.entries) >= self._room.window:
                self.behind += 1
                if self._loading.locked():
                    self._arrived.append(number)
                continue
            self._cursor = entry.id = number
            content, entry.content = entry.content, None
            self.shelf.add(entry, now_ms)
            if content is not None:
                self._keep(entry, content)
            if entry.phase is Phase.DELAYED:
                self.waiters.changed(entry.visible_ms)
        self.waiters.wake()

    async def take(self, limit: int, visibility_ms: int, most: int | None) -> Haul:
        """The next messages; pages are read until there is one, or nothing is behind the window."""
        while True:
            if self.closed:
                raise QueueMissing
            now_ms = self._clock.epoch_ms()
            self.shelf.promote(now_ms)
            haul = self.shelf.take(
                now_ms,
                limit=limit,
                until_ms=now_ms + visibility_ms,
                since_ms=now_ms - self.record.retention_s * 1000,
                most=most,
            )
            if haul.expired:
                self.dropped(haul.expired)
            if haul.taken:
                self._queue.record_soon(map(visibility_of, haul.taken))
                if visibility_ms:
                    self.waiters.changed(now_ms + visibility_ms)
            if haul.taken or haul.spent or self.shelf.full or not self.behind or not self._has_room:
                return haul
            await self.load()

    async def reach(self, number: int) -> Entry | None:
        """The message of that number, if there is one. After a start it may be behind the window."""
        while number > self._cursor and self.behind and self._has_room:
            await self.load()
        return self.shelf.entries.get(number)

    async def contents(self, entries: Sequence[Entry]) -> list[bytes | None]:
        """What they say; None for one that is no more. What is received is kept in memory no longer."""
        contents = [entry.content for entry in entries]
        missing = [entry.id for entry, content in zip(entries, contents, strict=True) if content is None]
        if missing:
            self._wanted.update(missing)
            try:
                async with self._reading:
                    found = await self._read(entries)
            finally:
                self._wanted.difference_update(missing)
            contents = [found.get(entry.id, entry.content) for entry in entries]
        for entry in entries:
            self._unkeep(entry)
        return contents

    async def _read(self, entries: Sequence[Entry]) -> dict[int, bytes]:
        """What they say, as far as nobody has read it meanwhile; and what those behind them say, for the next ones."""
        missing = [entry.id for entry in entries if entry.content is None]
        if not missing:
            return {}
        room = self._room.body_bytes - self._kept_bytes
        found = await self._queue.bodies(self.lane, missing, self._room.ahead, room)
        for number in found.keys() - set(missing):
            entry = self.shelf.entries.get(number)
            if entry is not None and entry.content is None and (entry.phase is Phase.READY or number in self._wanted):
                self._keep(entry, found[number])
        return found

    def gone(self, entry: Entry) -> None:
        """Its row is deleted."""
        if entry.phase is not Phase.GONE:
            self.shelf.remove(entry)
            self._unkeep(entry)
            self.waiters.wake()

    def dropped(self, entries: Iterable[Entry]) -> None:
        """They left the shelf; their rows go too."""
        numbers = []
        for entry in entries:
            numbers.append(entry.id)
            self._unkeep(entry)
        self._queue.drop(numbers)

    def give_back(self, entries: Iterable[Entry]) -> None:
        """Nobody has got them after all."""
        now_ms = self._clock.epoch_ms()
        entries = [entry for entry in entries if entry.phase is not Phase.GONE]
        for entry in entries:
            self.shelf.give_back(entry, now_ms)
        self._queue.record_soon(map(visibility_of, entries))
        self.waiters.wake()

    def stay(self, entries: Iterable[Entry]) -> None:
        """Their end could not be stored."""
        for entry in entries:
            self.shelf.stay(entry, self._clock.epoch_ms())
        self.waiters.wake()

    def hide(self, entry: Entry, until_ms: int) -> None:
        """Visible again at that time, which may be now."""
        self.shelf.hide(entry, until_ms, self._clock.epoch_ms())
        self.waiters.changed(until_ms)
        self.waiters.wake()

    def expire(self) -> None:
        """Forget what is too old, in flight or not, of what is in the window."""
        old = self.shelf.expire(self._clock.epoch_ms() - self.record.retention_s * 1000)
        if old:
            self.dropped(old)
            self.waiters.wake()

    async def expired_behind(self, numbers: Sequence[int]) -> None:
        """Rows that are too old and were not in the window."""
        for number in numbers:
            entry = self.shelf.entries.get(number)
            if entry is not None:
                self.gone(entry)
            elif number > self._cursor:
                self.behind = max(0, self.behind - 1)
        await asyncio.shield(self._queue.drop(numbers))

    def purged(self, record: QueueRecord) -> None:
        """Nothing up to the record's floor is there any more."""
        self.record = record
        self.shelf = Shelf(fifo=record.fifo)
        self._purges += 1
        # Something may have been sent since, and been told to us before this.
        self.behind = 1
        self.deduplication.clear()
        self._kept_bytes = 0
        self._cursor = record.floor

    def close(self) -> None:
        """The queue is gone."""
        self.closed = True
        self.waiters.end(QueueMissing)

    async def load(self) -> None:
        """Bring the next page into the window."""
        purges, before, room = self._purges, self._cursor, self._room
        async with self._loading:
            if purges != self._purges or before != self._cursor:
                # Somebody else has done it.
                return
            self._arrived.clear()
            rows = await self._queue.page(self.lane, self._cursor, room.page, room.body_bytes - self._kept_bytes)
            if purges != self._purges or self.closed:
                return
            now_ms = self._clock.epoch_ms()
            for row in rows:
                self._cursor = row.id
                entry = Entry(
                    id=row.id,
                    sent_ms=row.sent_ms,
                    visible_ms=row.visible_ms,
                    takes=row.takes,
                    first_ms=row.first_ms,
                    group=row.group_id,
                    source=row.state,
                )
                self.shelf.add(entry, now_ms)
                if row.body is not None:
                    self._keep(entry, row.body)
            if len(rows) == room.page:
                self.behind = max(0, self.behind - room.page)
            else:
                self.behind = sum(number > self._cursor for number in self._arrived)

    def _keep(self, entry: Entry, content: bytes) -> None:
        if self._kept_bytes + len(content) <= self._room.body_bytes:
            entry.content = content
            self._kept_bytes += len(content)

    def _unkeep(self, entry: Entry) -> None:
        if entry.content is not None:
            self._kept_bytes -= len(entry.content)
            entry.content = None


def visibility_of(entry: Entry) -> Visibility:
    return Visibility(entry.id, entry.visible_ms, entry.takes, entry.first_ms)
