"""Log groups, streams, chunks of events, and the streams whose chunks wait to be swept."""

import sqlalchemy as sa
from alembic import op

from lambent.store.columns import ordered_text, row_id

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "log_groups",
        sa.Column("id", row_id(), primary_key=True, autoincrement=True),
        sa.Column("account", sa.String(12), nullable=False),
        sa.Column("region", sa.String(32), nullable=False),
        sa.Column("name", ordered_text(512), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("retention_days", sa.Integer(), nullable=True),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("account", "region", "name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "log_streams",
        sa.Column("id", row_id(), primary_key=True, autoincrement=True),
        sa.Column("group_id", row_id(), nullable=False),
        sa.Column("name", ordered_text(512), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("lazy", sa.Integer(), nullable=False),
        sa.Column("first_event_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_event_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_ingestion_ms", sa.BigInteger(), nullable=True),
        sa.UniqueConstraint("group_id", "name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "log_chunks",
        sa.Column("id", row_id(), primary_key=True, autoincrement=True),
        sa.Column("group_id", row_id(), nullable=False),
        sa.Column("stream_id", row_id(), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("ingested_ms", sa.BigInteger(), nullable=True),
        sa.Column("raw_bytes", sa.Integer(), nullable=False),
        sa.Column("disk_bytes", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("log_chunks_by_first", "log_chunks", ["group_id", "first_ms", "last_ms", "stream_id"])
    op.create_index("log_chunks_by_last", "log_chunks", ["group_id", "last_ms", "first_ms", "stream_id"])
    op.create_index("log_chunks_by_stream", "log_chunks", ["stream_id", "disk_bytes"])
    op.create_table("log_garbage", sa.Column("stream_id", row_id(), primary_key=True, autoincrement=False))


def downgrade() -> None:
    raise NotImplementedError("Lambent only goes forward; restore a copy of the data directory instead.")
