"""Which queues there are: records in memory, changed after the commit of their rows.

Owns names, and that a name is not used again for a minute after its queue was deleted. Knows no message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from lambent.core.clock import Clock
from lambent.services.sqs.records import (
    PURGED_AFTER_S,
    RECREATED_AFTER_S,
    DeletedRecently,
    NameTaken,
    PurgeInProgress,
    QueueKey,
    QueueMissing,
    QueueRecord,
)
from lambent.services.sqs.store import queues as rows
from lambent.store.database import Database


class Catalog:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._queues = {record.key: record for record in database.read_now(rows.all_queues)}
        self.gone = database.read_now(rows.all_gone)
        """Deleted ones whose messages are not swept yet, or whose names not free."""

    def find(self, key: QueueKey) -> QueueRecord | None:
        return self._queues.get(key)

    def get(self, key: QueueKey) -> QueueRecord:
        """Raises QueueMissing."""
        record = self._queues.get(key)
        if record is None:
            raise QueueMissing
        return record

    def every(self) -> Sequence[QueueRecord]:
        return list(self._queues.values())

    def list(self, account: str, region: str) -> Sequence[QueueRecord]:
        here = [record for key, record in self._queues.items() if key[:2] == (account, region)]
        return sorted(here, key=lambda record: record.key.name)

    def sources_of(self, target: QueueKey) -> Sequence[QueueRecord]:
        redrives = [(record, record.redrive) for record in self._queues.values()]
        sources = [record for record, redrive in redrives if redrive is not None and redrive.target == target]
        return sorted(sources, key=lambda record: record.key)

    async def create(
        self, key: QueueKey, *, fifo: bool, attributes: Mapping[str, str], tags: Mapping[str, str]
    ) -> QueueRecord:
        now_ms = self._clock.epoch_ms()

        def work(connection: Connection) -> QueueRecord:
            # On the one thread that writes: of two at the same time one comes first.
            if rows.find_queue(connection, key) is not None:
                raise NameTaken
            for was, deleted_ms in rows.all_gone(connection).values():
                if was == key and now_ms - deleted_ms < RECREATED_AFTER_S * 1000:
                    raise DeletedRecently
            record = QueueRecord(
                id=0,
                key=key,
                fifo=fifo,
                by_group=attributes.get("DeduplicationScope") == "messageGroup",
                attributes=dict(attributes),
                tags=dict(tags),
                created_ms=now_ms,
                modified_ms=now_ms,
            )
            return replace(record, id=rows.insert_queue(connection, record))

        return await self._database.write(work, applied=self._put)

    async def change(
        self,
        key: QueueKey,
        *,
        attributes: Mapping[str, str | None] | None = None,
        tags: Mapping[str, str | None] | None = None,
    ) -> QueueRecord:
        """Merge; None takes one away."""
        now_ms = self._clock.epoch_ms()

        def work(connection: Connection) -> QueueRecord:
            record = _get(connection, key)
            if attributes is not None:
                merged = _merged(record.attributes, attributes)
                record = replace(record, attributes=merged, modified_ms=now_ms)
            if tags is not None:
                record = replace(record, tags=_merged(record.tags, tags))
            rows.update_queue(connection, record)
            return record

        return await self._database.write(work, applied=self._put)

    async def purge(self, key: QueueKey) -> QueueRecord:
        """What is stored of it now is no more, and is swept later."""
        now_ms = self._clock.epoch_ms()

        def work(connection: Connection) -> QueueRecord:
            record = _get(connection, key)
            if record.purged_ms is not None and now_ms - record.purged_ms < PURGED_AFTER_S * 1000:
                raise PurgeInProgress
            record = replace(record, purged_ms=now_ms, floor=rows.newest_message(connection))
            rows.update_queue(connection, record)
            rows.forget_deduplications(connection, record.id)
            return record

        return await self._database.write(work, applied=self._put)

    async def delete(self, key: QueueKey) -> QueueRecord:
        now_ms = self._clock.epoch_ms()

        def work(connection: Connection) -> QueueRecord:
            record = _get(connection, key)
            rows.delete_queue(connection, record, now_ms)
            return record

        def applied(record: QueueRecord) -> None:
            del self._queues[key]
            self.gone[record.id] = key, now_ms

        return await self._database.write(work, applied=applied)

    async def swept(self, queue_id: int) -> None:
        """Its messages are gone; its name is free when its minute is over."""
        _, deleted_ms = self.gone[queue_id]
        if self._clock.epoch_ms() - deleted_ms >= RECREATED_AFTER_S * 1000:
            await self._database.write(lambda connection: rows.delete_gone(connection, queue_id))
            self.gone.pop(queue_id, None)

    def clear(self) -> None:
        self._queues.clear()
        self.gone.clear()

    def _put(self, record: QueueRecord) -> None:
        self._queues[record.key] = record


def _get(connection: Connection, key: QueueKey) -> QueueRecord:
    record = rows.find_queue(connection, key)
    if record is None:
        raise QueueMissing
    return record


def _merged(old: Mapping[str, str], new: Mapping[str, str | None]) -> dict[str, str]:
    merged = {**old, **{name: value for name, value in new.items() if value is not None}}
    return {name: value for name, value in merged.items() if new.get(name, value) is not None}
