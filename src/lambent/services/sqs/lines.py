"""The queues at work: opened when they are first used, and what is done between two of them."""

import asyncio
from collections.abc import Sequence
from functools import partial

from lambent.aws.errors import PlatformFault
from lambent.core.clock import Clock
from lambent.services.sqs.catalog import Catalog
from lambent.services.sqs.deduplication import Deduplication, remembered
from lambent.services.sqs.entry import Entry
from lambent.services.sqs.line import Line, Room
from lambent.services.sqs.records import Counts, QueueKey, QueueMissing
from lambent.services.sqs.sequences import Sequences
from lambent.services.sqs.shelf import Haul
from lambent.store.database import Database
from lambent.store.recorded import Move, RecordedQueue


class Lines:
    def __init__(
        self,
        database: Database,
        queue: RecordedQueue,
        catalog: Catalog,
        clock: Clock,
        room: Room,
        fifo_calls_per_s: int = 0,
    ) -> None:
        self._database = database
        self._queue = queue
        self._catalog = catalog
        self._clock = clock
        self._room = room
        self._fifo_calls_per_s = fifo_calls_per_s
        self.sequences = Sequences(clock)
        self._open: dict[int, Line] = {}
        self._opening = asyncio.Lock()
        self.no_waiting = False
        """The server ends: who finds nothing does not wait."""

    async def get(self, key: QueueKey) -> Line:
        """Raises QueueMissing."""
        record = self._catalog.get(key)
        line = self._open.get(record.id)
        if line is not None:
            return line
        async with self._opening:
            record = self._catalog.get(key)
            line = self._open.get(record.id)
            if line is None:
                extent = await self._queue.extent(str(record.id), record.floor)
                line = Line(record, self._queue, self._clock, extent, self._room, self._fifo_calls_per_s)
                if record.fifo:
                    now_ms = self._clock.epoch_ms()
                    rows = await self._database.read(partial(remembered, queue_id=record.id, now_ms=now_ms))
                    line.deduplication = Deduplication(record.id, rows)
                    self.sequences.seen(max((sent.sequence for _, sent in rows), default=0))
                if self._catalog.get(key).id != record.id:
                    raise QueueMissing
                line.record = self._catalog.get(key)
                self._open[record.id] = line
        return line

    def opened(self, queue_id: int) -> Line | None:
        return self._open.get(queue_id)

    def opened_keys(self) -> list[QueueKey]:
        """Of those that are open."""
        return [line.record.key for line in self._open.values()]

    def opened_of(self, key: QueueKey) -> Line | None:
        record = self._catalog.find(key)
        return None if record is None else self._open.get(record.id)

    async def counts(self, line: Line) -> Counts:
        line.promote()
        line.expire()
        hidden = delayed = 0
        if line.behind:
            hidden, delayed = await self._queue.hidden(line.lane, line.cursor, self._clock.epoch_ms())
        shelf = line.shelf
        in_flight = shelf.flying + shelf.leaving + hidden
        delayed += shelf.delayed
        return Counts(max(0, len(shelf.entries) + line.behind - in_flight - delayed), in_flight, delayed)

    def close(self, queue_id: int) -> None:
        line = self._open.pop(queue_id, None)
        if line is not None:
            line.close()

    def close_all(self) -> None:
        for queue_id in list(self._open):
            self.close(queue_id)

    def end_waiting(self) -> None:
        self.no_waiting = True
        for line in self._open.values():
            line.waiters.release()

    async def take(self, line: Line, limit: int, visibility_ms: int) -> Haul:
        """Messages of a line; those that were received too often go to its dead-letter queue in their place."""
        while True:
            redrive = line.record.redrive
            target = None if redrive is None else self._catalog.find(redrive.target)
            # Without its dead-letter queue a message stays.
            fits = target is not None and target.fifo == line.record.fifo
            haul = await line.take(limit, visibility_ms, redrive.most if redrive is not None and fits else None)
            if not haul.spent:
                return haul
            assert redrive is not None
            moved = asyncio.ensure_future(self._redrive(line, haul.spent, redrive.target))
            try:
                await asyncio.shield(moved)
            except (asyncio.CancelledError, PlatformFault):
                line.give_back(haul.taken)
                raise
            if haul.taken:
                return haul

    async def _redrive(self, line: Line, entries: Sequence[Entry], target: QueueKey) -> None:
        """Move dead letters, in one commit."""
        try:
            to = await self.get(target)
        except QueueMissing:
            line.stay(entries)
            return
        now_ms = self._clock.epoch_ms()
        source = line.record.key.arn
        letters = [_letter(entry, now_ms if line.record.fifo else entry.sent_ms, now_ms, source) for entry in entries]
        moves = [
            Move(entry.id, to.lane, letter.visible_ms, letter.sent_ms, source)
            for entry, letter in zip(entries, letters, strict=True)
        ]

        def stored(numbers: Sequence[int]) -> None:
            for entry in entries:
                line.gone(entry)
            found = [(letter, number) for letter, number in zip(letters, numbers, strict=True) if number]
            to.stored([letter for letter, _ in found], [number for _, number in found])

        try:
            await asyncio.shield(self._queue.move(moves, stored))
        except PlatformFault:
            line.stay(entries)
            raise


def _letter(entry: Entry, sent_ms: int, now_ms: int, source: str) -> Entry:
    return Entry(
        id=0,
        sent_ms=sent_ms,
        visible_ms=now_ms,
        takes=entry.takes,
        first_ms=entry.first_ms,
        group=entry.group,
        source=source,
        content=entry.content,
    )
