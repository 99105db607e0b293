"""Rows of queues, and of those that are gone."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from lambent.services.sqs.records import QueueKey, QueueRecord
from lambent.services.sqs.tables import deduplications, gone, moves, queues
from lambent.store.messages import messages


def all_queues(connection: Connection) -> list[QueueRecord]:
    return [_record(row) for row in connection.execute(select(queues))]


def find_queue(connection: Connection, key: QueueKey) -> QueueRecord | None:
    account, region, name = queues.c.account == key.account, queues.c.region == key.region, queues.c.name == key.name
    row = connection.execute(select(queues).where(account, region, name)).one_or_none()
    return None if row is None else _record(row)


def all_gone(connection: Connection) -> dict[int, tuple[QueueKey, int]]:
    """By their numbers: which queue it was, and when it was deleted."""
    rows = connection.execute(select(gone))
    return {row.id: (QueueKey(row.account, row.region, row.name), row.deleted_ms) for row in rows}


def insert_queue(connection: Connection, record: QueueRecord) -> int:
    """Returns its number."""
    key = connection.execute(insert(queues).values(_row(record))).inserted_primary_key
    assert key is not None
    return int(key[0])


def update_queue(connection: Connection, record: QueueRecord) -> None:
    connection.execute(update(queues).where(queues.c.id == record.id).values(_row(record)))


def newest_message(connection: Connection) -> int:
    """The highest number of all messages there are."""
    return int(connection.execute(select(func.coalesce(func.max(messages.c.id), 0))).scalar_one())


def forget_deduplications(connection: Connection, queue_id: int) -> None:
    connection.execute(delete(deduplications).where(deduplications.c.queue_id == queue_id))


def delete_queue(connection: Connection, record: QueueRecord, now_ms: int) -> None:
    connection.execute(delete(queues).where(queues.c.id == record.id))
    connection.execute(insert(gone).values(id=record.id, **record.key._asdict(), deleted_ms=now_ms))
    forget_deduplications(connection, record.id)


def delete_gone(connection: Connection, queue_id: int) -> None:
    connection.execute(delete(gone).where(gone.c.id == queue_id))


def delete_everything(connection: Connection) -> None:
    for table in (queues, gone, deduplications, moves):
        connection.execute(delete(table))


def _row(record: QueueRecord) -> dict[str, Any]:
    return {
        **record.key._asdict(),
        "fifo": record.fifo,
        "by_group": record.by_group,
        "attributes": _text(record.attributes),
        "tags": _text(record.tags),
        "created_ms": record.created_ms,
        "modified_ms": record.modified_ms,
        "purged_ms": record.purged_ms,
        "floor": record.floor,
    }


def _record(row: Any) -> QueueRecord:
    return QueueRecord(
        id=row.id,
        key=QueueKey(row.account, row.region, row.name),
        fifo=bool(row.fifo),
        by_group=bool(row.by_group),
        attributes=json.loads(row.attributes),
        tags=json.loads(row.tags),
        created_ms=row.created_ms,
        modified_ms=row.modified_ms,
        purged_ms=row.purged_ms,
        floor=row.floor,
    )


def _text(values: Mapping[str, str]) -> str:
    return json.dumps(dict(values))
