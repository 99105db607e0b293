"""Rows of the versions of objects. One of a key's versions is its latest, whether an object or a delete marker."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from lambent.services.s3.records import ObjectVersion, State
from lambent.services.s3.store.columns import key_bytes, state_text, version_columns, version_of
from lambent.services.s3.tables import versions


def latest(connection: Connection, bucket_id: int, key: str) -> ObjectVersion | None:
    return _one(connection, _of(bucket_id, key).where(versions.c.latest == 1))


def by_id(connection: Connection, bucket_id: int, key: str, version: str) -> ObjectVersion | None:
    return _one(connection, _of(bucket_id, key).where(versions.c.version == version))


def by_sequence(connection: Connection, sequence: int) -> ObjectVersion | None:
    return _one(connection, select(versions).where(versions.c.sequence == sequence))


def newest(connection: Connection, bucket_id: int, key: str) -> ObjectVersion | None:
    return _one(connection, _of(bucket_id, key).order_by(versions.c.sequence.desc()).limit(1))


def last_sequence(connection: Connection) -> int:
    return int(connection.execute(select(func.max(versions.c.sequence))).scalar() or 0)


def add(connection: Connection, version: ObjectVersion) -> None:
    connection.execute(insert(versions).values(version_columns(version)))


def remove(connection: Connection, sequence: int) -> None:
    connection.execute(delete(versions).where(versions.c.sequence == sequence))


def set_latest(connection: Connection, sequence: int, value: bool, noncurrent_ms: int | None) -> None:
    row = {"latest": int(value), "noncurrent_ms": noncurrent_ms}
    connection.execute(update(versions).where(versions.c.sequence == sequence).values(row))


def set_state(connection: Connection, sequence: int, state: State) -> None:
    connection.execute(update(versions).where(versions.c.sequence == sequence).values(state=state_text(state)))


def set_class(connection: Connection, sequence: int, storage_class: str) -> None:
    connection.execute(update(versions).where(versions.c.sequence == sequence).values(storage_class=storage_class))


def restored(connection: Connection, classes: Collection[str], limit: int, after: int) -> list[ObjectVersion]:
    """Of those classes and with a time until which they can be read, in the order of their numbers."""
    wanted = select(versions).where(
        versions.c.storage_class.in_(classes), versions.c.state.like('%"restored":%'), versions.c.sequence > after
    )
    return [version_of(row) for row in connection.execute(wanted.order_by(versions.c.sequence).limit(limit))]


def _of(bucket_id: int, key: str) -> Select[Any]:
    return select(versions).where(versions.c.bucket_id == bucket_id, versions.c.key == key_bytes(key))


def _one(connection: Connection, wanted: Select[Any]) -> ObjectVersion | None:
    row = connection.execute(wanted).one_or_none()
    return None if row is None else version_of(row)
