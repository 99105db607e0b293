"""Deleting chunks in small steps: each call is one short transaction, so that writers wait a few milliseconds."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, exists, func, select, update

from lambent.services.logs.store.tables import chunks, garbage, groups, streams

STEP_CHUNKS = 200


@dataclass(frozen=True, slots=True)
class Swept:
    chunks: int
    disk_bytes: int


def total_disk_bytes(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.sum(chunks.c.disk_bytes), 0))).scalar_one())


def delete_garbage(connection: Connection) -> Swept:
    while True:
        stream_id = connection.execute(select(garbage.c.stream_id).limit(1)).scalar()
        if stream_id is None:
            return Swept(0, 0)
        swept = _delete_chunks(connection, chunks.c.stream_id == stream_id, chunks.c.id, in_group=False)
        if swept.chunks:
            return swept
        connection.execute(delete(garbage).where(garbage.c.stream_id == stream_id))


def has_expired(group_id: int, before_ms: int) -> Any:
    condition = (chunks.c.group_id == group_id) & (chunks.c.last_ms < before_ms)
    return lambda connection: connection.execute(select(exists().where(condition))).scalar()


def expire(group_id: int, before_ms: int) -> Any:
    condition = (chunks.c.group_id == group_id) & (chunks.c.last_ms < before_ms)
    return lambda connection: _delete_chunks(connection, condition, chunks.c.last_ms)


def delete_oldest(excess: int) -> Any:
    def work(connection: Connection) -> Swept:
        candidates = select(chunks.c.id, chunks.c.disk_bytes).order_by(chunks.c.id).limit(STEP_CHUNKS)
        size, last = 0, None
        for chunk_id, disk_bytes in connection.execute(candidates):
            size, last = size + disk_bytes, chunk_id
            if size >= excess:
                break
        if last is None:
            return Swept(0, 0)
        return _delete_chunks(connection, chunks.c.id <= last, chunks.c.id)

    return work


def drop_empty_streams(group_id: int, before_ms: int) -> Any:
    """Streams that environments made, whose events are all gone. AWS keeps them; here they would pile up for ever."""
    condition = (
        (streams.c.group_id == group_id)
        & (streams.c.lazy == 1)
        & (streams.c.last_event_ms < before_ms)
        & ~exists().where(chunks.c.stream_id == streams.c.id)
    )
    return lambda connection: connection.execute(delete(streams).where(condition)).rowcount


def _delete_chunks(connection: Connection, condition: Any, order: Any, *, in_group: bool = True) -> Swept:
    """One step: the first chunks that fulfil `condition`, and their part of the size of their groups."""
    query = select(chunks.c.id, chunks.c.group_id, chunks.c.raw_bytes, chunks.c.disk_bytes)
    rows = connection.execute(query.where(condition).order_by(order).limit(STEP_CHUNKS)).all()
    if not rows:
        return Swept(0, 0)
    connection.execute(delete(chunks).where(chunks.c.id.in_([row.id for row in rows])))
    if in_group:
        sizes: dict[int, int] = {}
        for row in rows:
            sizes[row.group_id] = sizes.get(row.group_id, 0) + row.raw_bytes
        for group_id, raw_bytes in sizes.items():
            smaller = update(groups).where(groups.c.id == group_id)
            connection.execute(smaller.values(stored_bytes=groups.c.stored_bytes - raw_bytes))
    return Swept(len(rows), sum(row.disk_bytes for row in rows))
