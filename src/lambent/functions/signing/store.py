"""Rows of code signing configurations: one JSON document each."""

from typing import Final

import msgspec
from sqlalchemy import Column, Connection, MetaData, String, Table, Text, and_, delete, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from lambent.functions.signing.records import ConfigKey, SigningConfig

metadata = MetaData()

configs = Table(
    "code_signing_configs",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("config_id", String(32), primary_key=True),
    Column("record", Text, nullable=False),
)

_CONFIG: Final = msgspec.json.Decoder(SigningConfig)


def load_all(connection: Connection) -> list[SigningConfig]:
    return [_CONFIG.decode(record) for record in connection.execute(select(configs.c.record)).scalars()]


def load(connection: Connection, key: ConfigKey) -> SigningConfig | None:
    record = connection.execute(select(configs.c.record).where(_is(key))).scalar_one_or_none()
    return None if record is None else _CONFIG.decode(record)


def put(connection: Connection, config: SigningConfig) -> None:
    """New, or in place of what was."""
    record = msgspec.json.encode(config).decode()
    if connection.execute(update(configs).where(_is(config.key)).values(record=record)).rowcount == 0:
        connection.execute(insert(configs).values(**config.key._asdict(), record=record))


def remove(connection: Connection, key: ConfigKey) -> None:
    connection.execute(delete(configs).where(_is(key)))


def remove_everything(connection: Connection) -> None:
    connection.execute(delete(configs))


def _is(key: ConfigKey) -> ColumnElement[bool]:
    table = configs.c
    return and_(table.account == key.account, table.region == key.region, table.config_id == key.config_id)
