"""Rows of layer versions, and the counters of their numbers, which outlive them.

A layer version is one JSON document in `record`; the columns beside it are what SQL asks for.
"""

from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    delete,
    insert,
    select,
    update,
)

from lambent.functions.layers.records import LayerKey, LayerVersion

metadata = MetaData()

versions = Table(
    "layer_versions",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(140), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("record", Text, nullable=False),
)

counters = Table(
    "layer_counters",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(140), primary_key=True),
    Column("last_number", Integer, nullable=False),
)


def next_number(connection: Connection, key: LayerKey) -> int:
    """Count one version up for the name. The counter is never set back: numbers are not used twice."""
    counted = connection.execute(
        update(counters).where(_is(counters, key)).values(last_number=counters.c.last_number + 1)
    )
    if counted.rowcount == 0:
        connection.execute(insert(counters).values(**key._asdict(), last_number=1))
        return 1
    return int(connection.execute(select(counters.c.last_number).where(_is(counters, key))).scalar_one())


def add(connection: Connection, version: LayerVersion) -> None:
    row: dict[str, Any] = {**version.key._asdict(), "number": version.number, "record": _encode(version)}
    connection.execute(insert(versions).values(**row))


def put(connection: Connection, version: LayerVersion) -> None:
    connection.execute(update(versions).where(_is_version(version.key, version.number)).values(record=_encode(version)))


def load(connection: Connection, key: LayerKey, number: int) -> LayerVersion | None:
    record = connection.execute(select(versions.c.record).where(_is_version(key, number))).scalar()
    return None if record is None else _VERSION.decode(record)


def load_all(connection: Connection) -> list[LayerVersion]:
    """Everything, for the start."""
    return [_VERSION.decode(row.record) for row in connection.execute(select(versions.c.record))]


def remove(connection: Connection, key: LayerKey, number: int) -> None:
    connection.execute(delete(versions).where(_is_version(key, number)))


def remove_everything(connection: Connection) -> None:
    for table in (versions, counters):
        connection.execute(delete(table))


def _is(table: Table, key: LayerKey) -> ColumnElement[bool]:
    return and_(table.c.account == key.account, table.c.region == key.region, table.c.name == key.name)


def _is_version(key: LayerKey, number: int) -> ColumnElement[bool]:
    return and_(_is(versions, key), versions.c.number == number)


def _encode(version: LayerVersion) -> str:
    return msgspec.json.encode(version).decode()


_VERSION = msgspec.json.Decoder(LayerVersion)
