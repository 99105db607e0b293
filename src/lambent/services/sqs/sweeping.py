"""What goes without being asked: messages past their retention, those of purged and deleted queues, old deduplication.

Nobody waits for it: what is too old is given to nobody, and what is purged or deleted is not read any more.
"""

import asyncio
from functools import partial
from typing import Final

from lambent.core.clock import Clock
from lambent.core.tasks import keep_running
from lambent.services.sqs import deduplication
from lambent.services.sqs.catalog import Catalog
from lambent.services.sqs.lines import Lines
from lambent.services.sqs.pause import pause
from lambent.services.sqs.records import QueueRecord
from lambent.store.database import Database
from lambent.store.recorded import RecordedQueue

EVERY_S: Final = 60.0
PART: Final = 1000


class Sweeper:
    def __init__(self, database: Database, queue: RecordedQueue, catalog: Catalog, lines: Lines, clock: Clock) -> None:
        self._database = database
        self._queue = queue
        self._catalog = catalog
        self._lines = lines
        self._clock = clock
        self._alarm = asyncio.Event()
        self._purged = {record.id: record.floor for record in catalog.every() if record.floor}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = keep_running("sqs sweep", self._run)

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def wake(self) -> None:
        self._alarm.set()

    def purged(self, record: QueueRecord) -> None:
        self._purged[record.id] = record.floor
        self._alarm.set()

    async def sweep(self) -> None:
        """Everything that has to go now."""
        for queue_id in list(self._catalog.gone):
            self._purged.pop(queue_id, None)
            await self._queue.sweep(str(queue_id), None)
            await self._catalog.swept(queue_id)
        for queue_id, floor in list(self._purged.items()):
            await self._queue.sweep(str(queue_id), floor)
            if self._purged.get(queue_id) == floor:
                del self._purged[queue_id]
        for record in self._catalog.every():
            await self._expire(record)
        now_ms = self._clock.epoch_ms()
        await self._database.write(partial(deduplication.forget, now_ms=now_ms))

    async def _expire(self, record: QueueRecord) -> None:
        line = self._lines.opened(record.id)
        if line is not None:
            line.expire()
            if not line.behind:
                return
        since_ms = self._clock.epoch_ms() - record.retention_s * 1000
        while True:
            above = record.floor if line is None else line.cursor
            numbers = await self._queue.expired(str(record.id), above, since_ms, PART)
            if not numbers:
                return
            line = self._lines.opened(record.id)
            if line is not None:
                await line.expired_behind(numbers)
            else:
                await self._queue.drop(numbers)

    async def _run(self) -> None:
        while True:
            self._alarm.clear()
            await self.sweep()
            await pause(self._clock, EVERY_S, self._alarm)
