"""The durable queue."""

import sqlalchemy as sa
from alembic import op

from lambent.store.columns import ordered_text, row_id

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "queue_messages",
        sa.Column("id", row_id(), primary_key=True),
        sa.Column("queue", sa.String(32), nullable=False),
        sa.Column("lane", ordered_text(160), nullable=False),
        sa.Column("visible_ms", sa.BigInteger(), nullable=False),
        sa.Column("takes", sa.Integer(), nullable=False),
        sa.Column("taken_by", sa.String(36), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("queue_messages_visible", "queue_messages", ["queue", "lane", "visible_ms"])


def downgrade() -> None:
    raise NotImplementedError("Lambent only goes forward; restore a copy of the data directory instead.")
