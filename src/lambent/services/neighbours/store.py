"""Rows of IAM's journal. Requests, their seeds and what they made are sealed: keys and passwords are in them."""

from typing import Final

import msgspec
from sqlalchemy import Column, Connection, Float, Integer, MetaData, String, Table, Text, delete, insert, select

from lambent.services.neighbours.journal import Write
from lambent.store.vault import vault_of

metadata = MetaData()

writes = Table(
    "iam_writes",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("moment", Float, nullable=False),
    Column("sealed", Text, nullable=False),
)


class _Secrets(msgspec.Struct):
    form: str
    seed: str
    made: dict[str, str]


_SECRETS: Final = msgspec.json.Decoder(_Secrets)


def load(connection: Connection) -> list[Write]:
    """All of them, oldest first."""
    found = []
    for row in connection.execute(select(writes).order_by(writes.c.sequence)):
        sealed = vault_of(connection).open(row.sealed, _owner(row.account, row.region, row.moment))
        secrets = _SECRETS.decode(sealed)
        found.append(Write(row.account, row.region, secrets.form, secrets.seed, row.moment, secrets.made, row.sequence))
    return found


def add(connection: Connection, write: Write) -> int:
    """Its sequence."""
    secrets = msgspec.json.encode(_Secrets(write.form, write.seed, dict(write.made)))
    result = connection.execute(
        insert(writes).values(
            account=write.account,
            region=write.region,
            moment=write.moment,
            sealed=vault_of(connection).seal(secrets, _owner(write.account, write.region, write.moment)),
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


def _owner(account: str, region: str, moment: float) -> str:
    return f"a change of IAM in {account}, {region}, at {moment!r}"
