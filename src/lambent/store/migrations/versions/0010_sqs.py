"""Queues of SQS, and what the durable queue keeps of messages whose visibility is their owner's."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from lambent.store.columns import ordered_text, row_id

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("queue_messages", sa.Column("group_id", sa.String(128), nullable=True))
    op.add_column("queue_messages", sa.Column("sent_ms", sa.BigInteger(), nullable=True))
    op.add_column("queue_messages", sa.Column("first_ms", sa.BigInteger(), nullable=True))
    # By the name of this one alone: each dialect that is named is loaded.
    where: dict[str, Any] = {f"{op.get_bind().dialect.name}_where": sa.text("sent_ms IS NOT NULL")}
    op.create_index(
        "queue_messages_recorded",
        "queue_messages",
        ["queue", "lane", "id", "sent_ms"],
        **where,
    )
    op.create_table(
        "sqs_queues",
        sa.Column("id", row_id(), primary_key=True, autoincrement=True),
        sa.Column("account", sa.String(12), nullable=False),
        sa.Column("region", sa.String(32), nullable=False),
        sa.Column("name", ordered_text(80), nullable=False),
        sa.Column("fifo", sa.Integer(), nullable=False),
        sa.Column("by_group", sa.Integer(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("modified_ms", sa.BigInteger(), nullable=False),
        sa.Column("purged_ms", sa.BigInteger(), nullable=True),
        sa.Column("floor", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("account", "region", "name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sqs_gone",
        sa.Column("id", row_id(), primary_key=True, autoincrement=False),
        sa.Column("account", sa.String(12), nullable=False),
        sa.Column("region", sa.String(32), nullable=False),
        sa.Column("name", ordered_text(80), nullable=False),
        sa.Column("deleted_ms", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "sqs_deduplications",
        sa.Column("queue_id", row_id(), primary_key=True, autoincrement=False),
        sa.Column("key", sa.LargeBinary(16), primary_key=True),
        sa.Column("message_id", sa.String(36), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
    )
    op.create_index("sqs_deduplications_until", "sqs_deduplications", ["until_ms"])
    op.create_table(
        "sqs_moves",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("source_arn", ordered_text(160), nullable=False),
        sa.Column("destination_arn", ordered_text(160), nullable=True),
        sa.Column("rate", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("moved", sa.BigInteger(), nullable=False),
        sa.Column("to_move", sa.BigInteger(), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
    )


def downgrade() -> None:
    raise NotImplementedError("Lambent only goes forward; restore a copy of the data directory instead.")
