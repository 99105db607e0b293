"""Rows of the versions of objects. One of a key's versions is its latest, whether an object or a delete marker."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, func, insert, select, update

from lambent.services.s3.records import ObjectVersion, State
from lambent.services.s3.store.columns import key_bytes, state_text, version_columns, version_of
from lambent.services.s3.tables import versions

# Made once: to build a statement takes longer than to execute it.
_OF = select(versions).where(versions.c.bucket_id == bindparam("b_bucket"), versions.c.key == bindparam("b_key"))
_LATEST = _OF.where(versions.c.latest == 1)
_BY_ID = _OF.where(versions.c.version == bindparam("b_version"))
_NEWEST = _OF.order_by(versions.c.sequence.desc()).limit(1)
_IS = versions.c.sequence == bindparam("b_sequence")
_BY_SEQUENCE = select(versions).where(_IS)
_ADD = insert(versions)
_REMOVE = delete(versions).where(_IS)
_SET_LATEST = (
    update(versions).where(_IS).values(latest=bindparam("b_latest"), noncurrent_ms=bindparam("b_noncurrent_ms"))
)
_SET_STATE = update(versions).where(_IS).values(state=bindparam("b_state"))


def latest(connection: Connection, bucket_id: int, key: str) -> ObjectVersion | None:
    return _one(connection, _LATEST, b_bucket=bucket_id, b_key=key_bytes(key))


def by_id(connection: Connection, bucket_id: int, key: str, version: str) -> ObjectVersion | None:
    return _one(connection, _BY_ID, b_bucket=bucket_id, b_key=key_bytes(key), b_version=version)


def by_sequence(connection: Connection, sequence: int) -> ObjectVersion | None:
    return _one(connection, _BY_SEQUENCE, b_sequence=sequence)


def newest(connection: Connection, bucket_id: int, key: str) -> ObjectVersion | None:
    return _one(connection, _NEWEST, b_bucket=bucket_id, b_key=key_bytes(key))


def last_sequence(connection: Connection) -> int:
    return int(connection.execute(select(func.max(versions.c.sequence))).scalar() or 0)


def add(connection: Connection, version: ObjectVersion) -> None:
    connection.execute(_ADD, version_columns(version))


def remove(connection: Connection, sequence: int) -> None:
    connection.execute(_REMOVE, {"b_sequence": sequence})


def set_latest(connection: Connection, sequence: int, value: bool, noncurrent_ms: int | None) -> None:
    row = {"b_sequence": sequence, "b_latest": int(value), "b_noncurrent_ms": noncurrent_ms}
    connection.execute(_SET_LATEST, row)


def set_state(connection: Connection, sequence: int, state: State) -> None:
    connection.execute(_SET_STATE, {"b_sequence": sequence, "b_state": state_text(state)})


def set_class(connection: Connection, sequence: int, storage_class: str) -> None:
    connection.execute(update(versions).where(versions.c.sequence == sequence).values(storage_class=storage_class))


def restored(connection: Connection, classes: Collection[str], limit: int, after: int) -> list[ObjectVersion]:
    """Of those classes and with a time until which they can be read, in the order of their numbers."""
    wanted = select(versions).where(
        versions.c.storage_class.in_(classes), versions.c.state.like('%"restored":%'), versions.c.sequence > after
    )
    return [version_of(row) for row in connection.execute(wanted.order_by(versions.c.sequence).limit(limit))]


def _one(connection: Connection, wanted: Select[Any], **parameters: Any) -> ObjectVersion | None:
    row = connection.execute(wanted, parameters).one_or_none()
    return None if row is None else version_of(row)
