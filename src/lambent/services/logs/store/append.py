"""Appending chunks to streams, for the flush and for PutLogEvents."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import BindParameter, Connection, bindparam, case, delete, func, insert, or_, select, update

from lambent.services.logs.chunk import Chunk
from lambent.services.logs.names import Scope
from lambent.services.logs.store.groups import find_group, put_group
from lambent.services.logs.store.streams import find_stream, put_stream
from lambent.services.logs.store.tables import chunks, garbage, groups, streams

CHUNK_ROW_BYTES = 160
"""About what a row of `log_chunks` and its index entries take beside the body."""


class StreamKey(Struct, frozen=True):
    scope: Scope
    group: str
    stream: str


class Place(Struct, frozen=True):
    """Row ids of a stream and of its group."""

    group_id: int
    stream_id: int


class Batch(Struct, frozen=True):
    """Chunks for one stream. With `place` unknown or deleted since, group and stream are found by name or made."""

    key: StreamKey
    place: Place | None
    ingested_ms: int
    chunks: Sequence[Chunk]

    @property
    def disk_bytes(self) -> int:
        return sum(disk_bytes(chunk) for chunk in self.chunks)


def disk_bytes(chunk: Chunk) -> int:
    return len(chunk.body) + CHUNK_ROW_BYTES


def append(connection: Connection, batches: Sequence[Batch]) -> list[Place]:
    """Store the chunks of each batch; the places in the order of `batches`."""
    known = [batch.place.stream_id for batch in batches if batch.place is not None]
    alive = _alive(connection, known)
    group_ids: dict[tuple[Scope, str], int] = {}
    places = [
        batch.place
        if batch.place is not None and batch.place.stream_id in alive
        else _ensure(connection, batch, group_ids)
        for batch in batches
    ]
    _insert_chunks(connection, places, batches)
    return places


def append_to(connection: Connection, batch: Batch) -> bool:
    """Store a batch at its place; False when the stream has been deleted meanwhile."""
    assert batch.place is not None
    if batch.place.stream_id not in _alive(connection, [batch.place.stream_id]):
        return False
    _insert_chunks(connection, [batch.place], [batch])
    return True


def last_sequence(connection: Connection) -> int:
    """The highest sequence in use; 0 when there is none. Commits are nearly in the order of sequences."""
    newest = select(chunks.c.last_sequence).order_by(chunks.c.id.desc()).limit(1000).subquery()
    return connection.execute(select(func.max(newest.c.last_sequence))).scalar() or 0


def delete_everything(connection: Connection) -> None:
    for table in (chunks, streams, groups, garbage):
        connection.execute(delete(table))


def _insert_chunks(connection: Connection, places: Sequence[Place], batches: Sequence[Batch]) -> None:
    rows: list[dict[str, Any]] = []
    stream_changes, group_changes = [], []
    for place, batch in zip(places, batches, strict=True):
        rows.extend(chunk_row(place, chunk) for chunk in batch.chunks)
        stream_changes.append(
            {
                "at_stream": place.stream_id,
                "first": min(chunk.first_ms for chunk in batch.chunks),
                "last": max(chunk.last_ms for chunk in batch.chunks),
                "ingested": batch.ingested_ms,
            }
        )
        size = sum(chunk.raw_bytes for chunk in batch.chunks)
        group_changes.append({"at_group": place.group_id, "more_bytes": size})
    if not rows:
        return
    connection.execute(insert(chunks), rows)
    connection.execute(_GROW_STREAM, stream_changes)
    connection.execute(_GROW_GROUP, group_changes)


def chunk_row(place: Place, chunk: Chunk) -> dict[str, Any]:
    return {
        "group_id": place.group_id,
        "stream_id": place.stream_id,
        "first_ms": chunk.first_ms,
        "last_ms": chunk.last_ms,
        "last_sequence": chunk.last_sequence,
        "ingested_ms": chunk.ingested_ms,
        "raw_bytes": chunk.raw_bytes,
        "disk_bytes": disk_bytes(chunk),
        "body": chunk.body,
    }


_first: BindParameter[int] = bindparam("first")
_last: BindParameter[int] = bindparam("last")
_GROW_STREAM = (
    update(streams)
    .where(streams.c.id == bindparam("at_stream"))
    .values(
        first_event_ms=case(
            (or_(streams.c.first_event_ms.is_(None), streams.c.first_event_ms > _first), _first),
            else_=streams.c.first_event_ms,
        ),
        last_event_ms=case(
            (or_(streams.c.last_event_ms.is_(None), streams.c.last_event_ms < _last), _last),
            else_=streams.c.last_event_ms,
        ),
        last_ingestion_ms=bindparam("ingested"),
    )
)
_GROW_GROUP = (
    update(groups)
    .where(groups.c.id == bindparam("at_group"))
    .values(stored_bytes=groups.c.stored_bytes + bindparam("more_bytes"))
)


def _ensure(connection: Connection, batch: Batch, group_ids: dict[tuple[Scope, str], int]) -> Place:
    """`group_ids` are those met in this transaction: the environments of a burst write to one group."""
    key = batch.key
    created_ms = min((chunk.first_ms for chunk in batch.chunks), default=batch.ingested_ms)
    group_id = group_ids.get((key.scope, key.group))
    if group_id is None:
        group_id = _ensure_group(connection, key, created_ms)
        group_ids[key.scope, key.group] = group_id
    stream_id = put_stream(connection, group_id, key.stream, created_ms, lazy=True)
    if stream_id is None:
        stream = find_stream(connection, group_id, key.stream)
        assert stream is not None
        stream_id = stream.id
    return Place(group_id, stream_id)


def _ensure_group(connection: Connection, key: StreamKey, created_ms: int) -> int:
    group_id = put_group(connection, key.scope, key.group, created_ms, {})
    if group_id is None:
        found = find_group(connection, key.scope, key.group)
        assert found is not None
        group_id = found.id
    return group_id


def _alive(connection: Connection, ids: Sequence[int]) -> set[int]:
    found: set[int] = set()
    for start in range(0, len(ids), 500):
        query = select(streams.c.id).where(streams.c.id.in_(ids[start : start + 500]))
        found.update(connection.execute(query).scalars())
    return found
