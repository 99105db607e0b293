"""Rows of IAM's journal. Requests, their seeds and what they made are sealed: keys and passwords are in them."""

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import Column, Connection, Float, MetaData, String, Table, Text, delete, func, insert, select

from lambent.services.neighbours.journal import Write
from lambent.store.columns import row_id
from lambent.store.vault import vault_of

metadata = MetaData()

writes = Table(
    "iam_writes",
    metadata,
    Column("sequence", row_id(), primary_key=True, autoincrement=True),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("moment", Float, nullable=False),
    Column("sealed", Text, nullable=False),
)

gone_keys = Table(
    "iam_gone_keys",
    metadata,
    Column("sequence", row_id(), primary_key=True, autoincrement=True),
    Column("access_key_id", String(128), nullable=False),
    sqlite_autoincrement=True,
)
"""Access keys that were deleted, so that they are not taken for keys that were never seen."""

GONE_KEYS: Final = 10_000
"""The last ones are kept."""


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


def load_gone_keys(connection: Connection) -> list[str]:
    return list(connection.execute(select(gone_keys.c.access_key_id)).scalars())


def add_gone_keys(connection: Connection, access_key_ids: Sequence[str]) -> list[str]:
    """Those that are kept no longer, for there are too many."""
    if not access_key_ids:
        return []
    connection.execute(insert(gone_keys), [{"access_key_id": key} for key in access_key_ids])
    last = connection.execute(select(func.max(gone_keys.c.sequence))).scalar_one()
    old = gone_keys.c.sequence <= last - GONE_KEYS
    found = list(connection.execute(select(gone_keys.c.access_key_id).where(old)).scalars())
    connection.execute(delete(gone_keys).where(old))
    return found


def remove_everything(connection: Connection) -> list[str]:
    """The access keys that were gone."""
    connection.execute(delete(writes))
    found = load_gone_keys(connection)
    connection.execute(delete(gone_keys))
    return found


def _owner(account: str, region: str, moment: float) -> str:
    return f"a change of IAM in {account}, {region}, at {moment!r}"
