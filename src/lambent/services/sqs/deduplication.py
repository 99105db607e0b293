"""What a FIFO queue was sent in the last five minutes: a second send of it answers with the first one's ids.

In memory, and in a row of the same commit as its message, so that it outlives a restart. It knows no message: one that
was received and deleted is still remembered.
"""

import asyncio
from collections.abc import Iterable
from hashlib import blake2b, sha256
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, select

from lambent.services.sqs.records import DEDUPLICATED_S
from lambent.services.sqs.tables import deduplications
from lambent.store.recorded import Also

KEEP_MS: Final = DEDUPLICATED_S * 1000


class Remembered(NamedTuple):
    until_ms: int
    message_id: str
    sequence: int
    stored: "asyncio.Future[None] | None"
    """While the first one is on its way to the disk."""


class Deduplication:
    def __init__(self, queue_id: int, rows: Iterable[tuple[bytes, Remembered]]) -> None:
        self._queue_id = queue_id
        self._sent = dict(rows)

    def find(self, key: bytes, now_ms: int) -> Remembered | None:
        found = self._sent.get(key)
        return found if found is not None and found.until_ms > now_ms else None

    def remember(self, key: bytes, sent: Remembered) -> None:
        self._forget_old(sent.until_ms - KEEP_MS)
        self._sent.pop(key, None)
        self._sent[key] = sent

    def row(self, key: bytes, sent: Remembered) -> list[Also]:
        """To be written with the message. What was there is over."""
        values = {"m_queue_id": self._queue_id, "m_key": key}
        new = {"n_queue_id": self._queue_id, "n_key": key, "n_message_id": sent.message_id}
        return [(_DELETE, values), (_INSERT, {**new, "n_sequence": sent.sequence, "n_until_ms": sent.until_ms})]

    def settle(self, key: bytes, sent: Remembered, *, stored: bool) -> None:
        if self._sent.get(key) is sent:
            if stored:
                self._sent[key] = sent._replace(stored=None)
            else:
                del self._sent[key]

    def clear(self) -> None:
        self._sent.clear()

    def _forget_old(self, now_ms: int) -> None:
        while self._sent:
            key = next(iter(self._sent))
            if self._sent[key].until_ms > now_ms:
                return
            del self._sent[key]


def key_of(deduplication_id: str, group_id: str | None) -> bytes:
    """`group_id` where each group has its own."""
    text = deduplication_id if group_id is None else f"{group_id}\0{deduplication_id}"
    return blake2b(text.encode(), digest_size=16).digest()


def content_id(body: bytes) -> str:
    return sha256(body).hexdigest()


def remembered(connection: Connection, queue_id: int, now_ms: int) -> list[tuple[bytes, Remembered]]:
    rows = connection.execute(
        select(deduplications)
        .where(deduplications.c.queue_id == queue_id, deduplications.c.until_ms > now_ms)
        .order_by(deduplications.c.until_ms)
    )
    return [(row.key, Remembered(row.until_ms, row.message_id, row.sequence, None)) for row in rows]


def forget(connection: Connection, now_ms: int) -> None:
    connection.execute(delete(deduplications).where(deduplications.c.until_ms <= now_ms))


_DELETE: Final = delete(deduplications).where(
    deduplications.c.queue_id == bindparam("m_queue_id"), deduplications.c.key == bindparam("m_key")
)
_INSERT: Any = deduplications.insert().values(
    {name: bindparam(f"n_{name}") for name in ("queue_id", "key", "message_id", "sequence", "until_ms")}
)
