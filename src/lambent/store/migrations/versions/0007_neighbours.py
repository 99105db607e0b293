"""Accepted writes of IAM, in the order in which they are done again, and sessions that STS gave out."""

import sqlalchemy as sa
from alembic import op

from lambent.store.columns import row_id

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "iam_writes",
        sa.Column("sequence", row_id(), primary_key=True, autoincrement=True),
        sa.Column("account", sa.String(12), nullable=False),
        sa.Column("region", sa.String(32), nullable=False),
        sa.Column("moment", sa.Float(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "iam_gone_keys",
        sa.Column("sequence", row_id(), primary_key=True, autoincrement=True),
        sa.Column("access_key_id", sa.String(128), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sts_sessions",
        sa.Column("access_key_id", sa.String(20), primary_key=True),
        sa.Column("account", sa.String(12), nullable=False),
        sa.Column("arn", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
    )


def downgrade() -> None:
    raise NotImplementedError("Lambent only goes forward; restore a copy of the data directory instead.")
