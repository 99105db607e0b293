"""Messages of the durable queue, as they are put, taken and shown, and the table that they are rows of."""

from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct
from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

from lambent.store.columns import ordered_text, row_id

metadata = MetaData()

messages = Table(
    "queue_messages",
    metadata,
    Column("id", row_id(), primary_key=True),
    Column("queue", String(32), nullable=False),
    Column("lane", ordered_text(160), nullable=False),
    Column("visible_ms", BigInteger, nullable=False),
    Column("takes", Integer, nullable=False),
    Column("taken_by", String(36), nullable=True),
    Column("state", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("size", Integer, nullable=False),
    Column("group_id", String(128), nullable=True),
    Column("sent_ms", BigInteger, nullable=True),
    Column("first_ms", BigInteger, nullable=True),
    # Numbers are never used twice: a stale receipt must not hit a new message.
    sqlite_autoincrement=True,
)
Index("queue_messages_visible", messages.c.queue, messages.c.lane, messages.c.visible_ms)
IS_RECORDED: Final = messages.c.sent_ms.is_not(None)
"""A row of a `RecordedQueue`, which are read in the order of their numbers. Others pay nothing for that index."""
RECORDED: Final = Index(
    "queue_messages_recorded",
    messages.c.queue,
    messages.c.lane,
    messages.c.id,
    messages.c.sent_ms,
    sqlite_where=IS_RECORDED,
)
"""`postgres` says the same of it to its own dialect, which other servers do not load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """`state` is small text that may change with each delay, `body` stays as it is."""

    queue: str
    lane: str
    visible_ms: int
    state: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A taken message. `id` and `takes` together are its receipt: an older one has no effect any more."""

    id: int
    lane: str
    takes: int
    state: str
    body: bytes = field(repr=False)


class Taken(Struct, frozen=True):
    messages: tuple[Message, ...]
    next_ms: int | None
    """When the next message of the lane can be taken; None: there is no other."""


class Lane(Struct, frozen=True):
    name: str
    messages: int
    taken: int
    next_ms: int


class Holding(Struct, frozen=True):
    """What a lane has."""

    messages: int
    size_bytes: int

    def __add__(self, other: "Holding") -> "Holding":
        return Holding(self.messages + other.messages, self.size_bytes + other.size_bytes)

    def __sub__(self, other: "Holding") -> "Holding":
        return Holding(self.messages - other.messages, self.size_bytes - other.size_bytes)


class Standing(Struct, frozen=True):
    """How many messages of a lane there are."""

    messages: int
    later: int
    """Which may not be taken yet."""
    taken: int


class Listed(Struct, frozen=True, kw_only=True):
    """A message as it is shown to people."""

    id: int
    lane: str
    visible_ms: int
    taken: bool
    state: str
    size_bytes: int
