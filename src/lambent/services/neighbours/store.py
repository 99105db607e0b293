"""Rows of IAM's journal."""

import msgspec
from sqlalchemy import Column, Connection, Float, Integer, MetaData, String, Table, Text, delete, insert, select

from lambent.services.neighbours.journal import Write

metadata = MetaData()

writes = Table(
    "iam_writes",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("form", Text, nullable=False),
    Column("seed", String(32), nullable=False),
    Column("moment", Float, nullable=False),
    Column("made", Text, nullable=False),
)


def load(connection: Connection) -> list[Write]:
    """All of them, oldest first."""
    return [
        Write(row.account, row.region, row.form, row.seed, row.moment, msgspec.json.decode(row.made), row.sequence)
        for row in connection.execute(select(writes).order_by(writes.c.sequence))
    ]


def add(connection: Connection, write: Write) -> int:
    """Its sequence."""
    result = connection.execute(
        insert(writes).values(
            account=write.account,
            region=write.region,
            form=write.form,
            seed=write.seed,
            moment=write.moment,
            made=msgspec.json.encode(dict(write.made)).decode(),
        )
    )
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def remove(connection: Connection, sequences: frozenset[int]) -> None:
    # SQLite takes a bounded number of values in one statement.
    ordered = sorted(sequences)
    for start in range(0, len(ordered), 500):
        connection.execute(delete(writes).where(writes.c.sequence.in_(ordered[start : start + 500])))


def remove_everything(connection: Connection) -> None:
    connection.execute(delete(writes))
