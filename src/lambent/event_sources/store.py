"""Rows of event source mappings. A mapping is one JSON document; the columns beside it are what SQL asks for.

Filters of a mapping with a KMS key are sealed in the document, under the key that also seals environment variables.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec
from sqlalchemy import Column, Connection, Index, MetaData, String, Table, Text, and_, delete, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from lambent.event_sources.records import EventSourceMapping, MappingKey
from lambent.store.vault import vault_of

metadata = MetaData()

mappings = Table(
    "event_source_mappings",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("uuid", String(36), primary_key=True),
    Column("function_name", String(140), nullable=False),
    Column("record", Text, nullable=False),
    Column("sealed_filters", Text, nullable=True),
    Index("event_source_mappings_by_function", "account", "region", "function_name"),
)

_MAPPING: Final = msgspec.json.Decoder(EventSourceMapping)
_FILTERS: Final = msgspec.json.Decoder(tuple[str, ...])


def load_all(connection: Connection) -> list[EventSourceMapping]:
    """Everything, for the start."""
    return [_decode(connection, row) for row in connection.execute(select(mappings))]


def load(connection: Connection, key: MappingKey) -> EventSourceMapping | None:
    row = connection.execute(select(mappings).where(_is(key))).first()
    return None if row is None else _decode(connection, row)


def of_function(connection: Connection, account: str, region: str, name: str) -> Sequence[EventSourceMapping]:
    """All mappings of a function, whatever qualifier they name."""
    table = mappings.c
    rows = connection.execute(
        select(mappings).where(table.account == account, table.region == region, table.function_name == name)
    )
    return [_decode(connection, row) for row in rows]


def put(connection: Connection, mapping: EventSourceMapping) -> None:
    """New, or in place of what was."""
    row = _row(connection, mapping)
    if connection.execute(update(mappings).where(_is(mapping.key)).values(**row)).rowcount == 0:
        connection.execute(insert(mappings).values(**row))


def remove(connection: Connection, key: MappingKey) -> None:
    connection.execute(delete(mappings).where(_is(key)))


def remove_everything(connection: Connection) -> None:
    connection.execute(delete(mappings))


def _is(key: MappingKey) -> ColumnElement[bool]:
    return and_(mappings.c.account == key.account, mappings.c.region == key.region, mappings.c.uuid == key.uuid)


def _row(connection: Connection, mapping: EventSourceMapping) -> dict[str, Any]:
    sealed = None
    kept = mapping
    if mapping.settings.kms_key_arn and mapping.settings.filters:
        sealed = vault_of(connection).seal(msgspec.json.encode(mapping.settings.filters), mapping.key.arn)
        kept = replace(mapping, settings=replace(mapping.settings, filters=()))
    return {
        **mapping.key._asdict(),
        "function_name": mapping.function_name,
        "record": msgspec.json.encode(kept).decode(),
        "sealed_filters": sealed,
    }


def _decode(connection: Connection, row: Any) -> EventSourceMapping:
    mapping = _MAPPING.decode(row.record)
    if row.sealed_filters is None:
        return mapping
    filters = _FILTERS.decode(vault_of(connection).open(row.sealed_filters, mapping.key.arn))
    return replace(mapping, settings=replace(mapping.settings, filters=filters))
