"""Rows of the sessions that STS gave out."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Column, Connection, Float, MetaData, String, Table, Text, delete, insert, select

from lambent.aws.keys import KnownKey

metadata = MetaData()

sessions = Table(
    "sts_sessions",
    metadata,
    Column("access_key_id", String(20), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("arn", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("expires", Float, nullable=False),
)


def load(connection: Connection) -> dict[str, KnownKey]:
    """By access key id."""
    return {
        row.access_key_id: KnownKey(row.account, row.arn, row.user_id, datetime.fromtimestamp(row.expires, UTC))
        for row in connection.execute(select(sessions))
    }


def add(connection: Connection, access_key_id: str, key: KnownKey) -> None:
    assert key.expires is not None
    connection.execute(
        insert(sessions).values(
            access_key_id=access_key_id,
            account=key.account,
            arn=key.arn,
            user_id=key.user_id,
            expires=key.expires.timestamp(),
        )
    )


def remove_expired(connection: Connection, before: datetime) -> list[str]:
    """The access key ids of those that had expired by then."""
    rows = select(sessions.c.access_key_id).where(sessions.c.expires < before.timestamp())
    found = [row.access_key_id for row in connection.execute(rows)]
    if found:
        connection.execute(delete(sessions).where(sessions.c.expires < before.timestamp()))
    return found


def remove(connection: Connection, access_key_ids: Sequence[str]) -> None:
    # SQLite takes a bounded number of values in one statement.
    for start in range(0, len(access_key_ids), 500):
        some = access_key_ids[start : start + 500]
        connection.execute(delete(sessions).where(sessions.c.access_key_id.in_(some)))


def remove_everything(connection: Connection) -> None:
    connection.execute(delete(sessions))
