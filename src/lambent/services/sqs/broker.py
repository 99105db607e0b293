"""The broker: queues, and messages that are sent, received, deleted, moved and forgotten.

Everything below the operations: durable, ordered, timed. It knows no policy, no text of an error and no wire format;
what it is given is validated. Every method raises QueueMissing for a queue that was deleted meanwhile, and
PlatformFault where the store cannot write. Sends, receives and deletes of a FIFO queue raise Throttled.
"""

import asyncio
from collections.abc import Mapping, Sequence

from lambent.core.clock import Clock
from lambent.services.sqs.catalog import Catalog
from lambent.services.sqs.deleting import Deleting
from lambent.services.sqs.line import Room
from lambent.services.sqs.lines import Lines
from lambent.services.sqs.metering import Meter
from lambent.services.sqs.metrics import QueueMetrics
from lambent.services.sqs.moving import Moving
from lambent.services.sqs.receiving import Receiving
from lambent.services.sqs.records import (
    Counts,
    MoveTask,
    Outgoing,
    QueueKey,
    QueueRecord,
    Received,
    Refusal,
    Sent,
)
from lambent.services.sqs.sending import Sending
from lambent.services.sqs.store.queues import delete_everything
from lambent.services.sqs.sweeping import Sweeper
from lambent.store.database import Database
from lambent.store.recorded import RecordedQueue


class Broker:
    """`start` begins the loops (retention, sweeping, move tasks), `close` ends them before the database closes."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        fifo_calls_per_s: int = 0,
        room: Room = Room(),  # noqa: B008  (frozen)
    ) -> None:
        """`fifo_calls_per_s`: more are refused, see `throughput`; 0: no limit."""
        self._database = database
        self._clock = clock
        self._queue = RecordedQueue(database, "sqs")
        self._catalog = Catalog(database, clock)
        self._lines = Lines(database, self._queue, self._catalog, clock, room, fifo_calls_per_s)
        self._sending = Sending(self._lines, self._queue, clock)
        self._receiving = Receiving(self._lines, self._queue, clock)
        self._deleting = Deleting(self._lines, self._queue, clock)
        self.metrics = QueueMetrics()
        self._meter = Meter(self._lines, self._queue, clock, self.metrics)
        self._sweeper = Sweeper(database, self._queue, self._catalog, self._lines, clock)
        self._moving = Moving(database, self._queue, self._lines, clock)

    # Queues

    def get(self, key: QueueKey) -> QueueRecord | None:
        """From memory."""
        return self._catalog.find(key)

    def list(self, account: str, region: str) -> Sequence[QueueRecord]:
        """By name, from memory."""
        return self._catalog.list(account, region)

    def sources_of(self, target: QueueKey) -> Sequence[QueueRecord]:
        """Queues whose RedrivePolicy names it, by name."""
        return self._catalog.sources_of(target)

    async def create(
        self, key: QueueKey, *, fifo: bool, attributes: Mapping[str, str], tags: Mapping[str, str]
    ) -> QueueRecord:
        """Raises NameTaken (look at `get` then), DeletedRecently."""
        return await self._catalog.create(key, fifo=fifo, attributes=attributes, tags=tags)

    async def set_attributes(self, key: QueueKey, attributes: Mapping[str, str | None]) -> QueueRecord:
        """Merge; None takes one away."""
        line = await self._lines.get(key)
        record = await self._catalog.change(key, attributes=attributes)
        before, line.record = line.record, record
        if record.fifo and record.delay_s != before.delay_s:
            # On FIFO also for what was sent before.
            line.shelf.redelay(record.delay_s * 1000, self._clock.epoch_ms())
            await self._queue.redelay(line.lane, record.delay_s * 1000)
        line.waiters.wake()
        return record

    async def set_tags(self, key: QueueKey, tags: Mapping[str, str | None]) -> QueueRecord:
        """Merge; None takes one away."""
        line = await self._lines.get(key)
        line.record = await self._catalog.change(key, tags=tags)
        return line.record

    async def delete_queue(self, key: QueueKey) -> None:
        """Its messages are gone too. Receives that wait raise QueueMissing."""
        record = await self._catalog.delete(key)
        self._lines.close(record.id)
        self._sweeper.wake()

    async def purge(self, key: QueueKey) -> None:
        """Raises PurgeInProgress."""
        line = await self._lines.get(key)
        line.purged(await self._catalog.purge(key))
        self._sweeper.purged(line.record)
        await line.load()

    async def counts(self, key: QueueKey) -> Counts:
        return await self._lines.counts(await self._lines.get(key))

    async def measure(self, key: QueueKey) -> None:
        """For who reads `metrics` before the minute is over."""
        await self._meter.take(key, self._clock.epoch_ms())

    # Messages

    async def send(self, key: QueueKey, messages: Sequence[Outgoing]) -> Sequence[Sent]:
        """After the commit, all or none. A duplicate on FIFO answers with the first one's ids."""
        return await self._sending.send(key, messages)

    async def receive(
        self,
        key: QueueKey,
        *,
        limit: int = 1,
        visibility_s: int | None = None,
        wait_s: int | None = None,
        attempt_id: str | None = None,
    ) -> Sequence[Received]:
        """Up to `limit` messages as soon as there is one, or none after `wait_s`. None: as the queue says.

        Raises OverLimit, AttemptOver. Cancelled, it leaves nothing in flight.
        """
        return await self._receiving.receive(key, limit, visibility_s, wait_s, attempt_id)

    async def delete(self, key: QueueKey, handles: Sequence[str]) -> Sequence[Refusal | None]:
        """One answer for each handle, after the commit."""
        return await self._deleting.delete(key, handles)

    async def change_visibility(self, key: QueueKey, changes: Sequence[tuple[str, int]]) -> Sequence[Refusal | None]:
        """Pairs of handle and seconds from now; 0 makes the message visible."""
        return await self._deleting.change(key, changes)

    # Move tasks

    async def start_move(
        self, source: QueueKey, *, destination: QueueKey | None = None, rate: int | None = None
    ) -> MoveTask:
        """Raises AlreadyMoving. That the source is a dead-letter queue is the caller's to check."""
        counts = await self.counts(source)
        return await self._moving.begin(source, destination, rate, counts.visible)

    async def cancel_move(self, source: QueueKey, task_id: str) -> MoveTask:
        """Raises TaskMissing when it does not run."""
        return await self._moving.cancel(source, task_id)

    def moves(self, source: QueueKey) -> Sequence[MoveTask]:
        """The newest first."""
        return self._moving.of(source)

    # Life

    def start(self) -> None:
        self._sweeper.start()
        self._meter.start()
        self._moving.start()

    async def sweep(self) -> None:
        """Remove now what a loop removes within a minute: what is too old, purged or of a deleted queue."""
        await self._sweeper.sweep()

    def end_waiting(self) -> None:
        """Long polls return empty, now and later: the server ends."""
        self._lines.end_waiting()

    async def close(self) -> None:
        """Safe to call twice."""
        self._lines.close_all()
        await asyncio.gather(self._sweeper.close(), self._moving.close(), self._meter.close())
        await self._queue.flush()

    async def reset(self) -> None:
        """All queues and messages are gone."""
        await self._moving.forget()
        for record in self._catalog.every():
            await self._catalog.delete(record.key)
            self._lines.close(record.id)
        await self._sweeper.sweep()
        await self._database.write(delete_everything)
        self._catalog.clear()
        self.metrics.clear()
