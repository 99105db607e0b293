"""The tables of logs. Chunks and streams carry no foreign keys: a deleted group must not delete a gigabyte at once;
its streams go to `log_garbage` and a loop sweeps their chunks in steps. Ids are never used twice."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, UniqueConstraint

from lambent.store.columns import ordered_text, row_id

metadata = MetaData()

groups = Table(
    "log_groups",
    metadata,
    Column("id", row_id(), primary_key=True, autoincrement=True),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("name", ordered_text(512), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("retention_days", Integer, nullable=True),
    Column("tags", Text, nullable=False),
    Column("stored_bytes", BigInteger, nullable=False),
    UniqueConstraint("account", "region", "name"),
    sqlite_autoincrement=True,
)

streams = Table(
    "log_streams",
    metadata,
    Column("id", row_id(), primary_key=True, autoincrement=True),
    Column("group_id", row_id(), nullable=False),
    Column("name", ordered_text(512), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("lazy", Integer, nullable=False),
    Column("first_event_ms", BigInteger, nullable=True),
    Column("last_event_ms", BigInteger, nullable=True),
    Column("last_ingestion_ms", BigInteger, nullable=True),
    UniqueConstraint("group_id", "name"),
    sqlite_autoincrement=True,
)

chunks = Table(
    "log_chunks",
    metadata,
    Column("id", row_id(), primary_key=True, autoincrement=True),
    Column("group_id", row_id(), nullable=False),
    Column("stream_id", row_id(), nullable=False),
    Column("first_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    Column("last_sequence", BigInteger, nullable=False),
    Column("ingested_ms", BigInteger, nullable=True),
    Column("raw_bytes", Integer, nullable=False),
    Column("disk_bytes", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("log_chunks_by_first", "group_id", "first_ms", "last_ms", "stream_id"),
    Index("log_chunks_by_last", "group_id", "last_ms", "first_ms", "stream_id"),
    Index("log_chunks_by_stream", "stream_id", "disk_bytes"),
    sqlite_autoincrement=True,
)

garbage = Table("log_garbage", metadata, Column("stream_id", row_id(), primary_key=True, autoincrement=False))
