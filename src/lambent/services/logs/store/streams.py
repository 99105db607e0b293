"""Rows of log streams. A deleted stream leaves its chunks behind, for the sweep."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, literal, select, tuple_, update

from lambent.services.logs.store.tables import chunks, garbage, groups, streams


@dataclass(frozen=True, slots=True)
class Stream:
    id: int
    group_id: int
    name: str
    created_ms: int
    first_event_ms: int | None
    last_event_ms: int | None
    last_ingestion_ms: int | None


def find_stream(connection: Connection, group_id: int, name: str) -> Stream | None:
    query = _streams().where(streams.c.group_id == group_id, streams.c.name == name)
    row = connection.execute(query).one_or_none()
    return None if row is None else Stream(*row)


def list_streams_by_name(
    connection: Connection, group_id: int, *, prefix: str, after: str | None, descending: bool, limit: int
) -> list[Stream]:
    query = _streams().where(streams.c.group_id == group_id)
    if prefix:
        query = query.where(streams.c.name >= prefix, func.substr(streams.c.name, 1, len(prefix)) == prefix)
    if after is not None:
        query = query.where(streams.c.name < after if descending else streams.c.name > after)
    query = query.order_by(streams.c.name.desc() if descending else streams.c.name).limit(limit)
    return [Stream(*row) for row in connection.execute(query)]


def list_streams_by_event(
    connection: Connection, group_id: int, *, after: tuple[int, str] | None, descending: bool, limit: int
) -> list[Stream]:
    """Ordered by the time of the last event; streams without one come as if theirs were at 0."""
    last = func.coalesce(streams.c.last_event_ms, 0)
    query = _streams().where(streams.c.group_id == group_id)
    if after is not None:
        here, there = tuple_(last, streams.c.name), tuple_(literal(after[0]), literal(after[1]))
        query = query.where(here < there if descending else here > there)
    order = (last.desc(), streams.c.name.desc()) if descending else (last, streams.c.name)
    return [Stream(*row) for row in connection.execute(query.order_by(*order).limit(limit))]


def put_stream(connection: Connection, group_id: int, name: str, created_ms: int, *, lazy: bool) -> int | None:
    """Id of the new stream; None when it exists. A `lazy` one goes when its last events have been swept."""
    if find_stream(connection, group_id, name) is not None:
        return None
    row = {"group_id": group_id, "name": name, "created_ms": created_ms, "lazy": int(lazy)}
    key = connection.execute(insert(streams).values(row)).inserted_primary_key
    assert key is not None
    return int(key[0])


def delete_stream(connection: Connection, group_id: int, name: str) -> bool:
    stream = find_stream(connection, group_id, name)
    if stream is None:
        return False
    total = select(func.coalesce(func.sum(chunks.c.raw_bytes), 0)).where(chunks.c.stream_id == stream.id)
    raw_bytes = connection.execute(total).scalar_one()
    connection.execute(
        update(groups).where(groups.c.id == group_id).values(stored_bytes=groups.c.stored_bytes - raw_bytes)
    )
    discard_streams(connection, streams.c.id == stream.id)
    return True


def discard_streams(connection: Connection, condition: Any) -> None:
    connection.execute(insert(garbage).from_select(["stream_id"], select(streams.c.id).where(condition)))
    connection.execute(delete(streams).where(condition))


def _streams() -> Any:
    return select(
        streams.c.id,
        streams.c.group_id,
        streams.c.name,
        streams.c.created_ms,
        streams.c.first_event_ms,
        streams.c.last_event_ms,
        streams.c.last_ingestion_ms,
    )
