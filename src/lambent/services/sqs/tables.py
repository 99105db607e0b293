"""The tables of SQS, but that of its messages, which are rows of the durable queue (`store.messages`).

A number of a queue is the lane of its messages and never used twice. A deleted queue stays in `sqs_gone` until its
messages are swept and its name may be used again.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, UniqueConstraint

from lambent.store.columns import ordered_text, row_id

metadata = MetaData()

queues = Table(
    "sqs_queues",
    metadata,
    Column("id", row_id(), primary_key=True, autoincrement=True),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("name", ordered_text(80), nullable=False),
    Column("fifo", Integer, nullable=False),
    Column("by_group", Integer, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("modified_ms", BigInteger, nullable=False),
    Column("purged_ms", BigInteger, nullable=True),
    Column("floor", BigInteger, nullable=False),
    UniqueConstraint("account", "region", "name"),
    sqlite_autoincrement=True,
)

gone = Table(
    "sqs_gone",
    metadata,
    Column("id", row_id(), primary_key=True, autoincrement=False),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("name", ordered_text(80), nullable=False),
    Column("deleted_ms", BigInteger, nullable=False),
)

# `key` is a digest of the scope and the deduplication id; `sequence` is what was added to the first number of all.
deduplications = Table(
    "sqs_deduplications",
    metadata,
    Column("queue_id", row_id(), primary_key=True, autoincrement=False),
    Column("key", LargeBinary(16), primary_key=True),
    Column("message_id", String(36), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Index("sqs_deduplications_until", "until_ms"),
)

moves = Table(
    "sqs_moves",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("source_arn", ordered_text(160), nullable=False),
    Column("destination_arn", ordered_text(160), nullable=True),
    Column("rate", Integer, nullable=True),
    Column("status", String(16), nullable=False),
    Column("moved", BigInteger, nullable=False),
    Column("to_move", BigInteger, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("failure", Text, nullable=True),
)
