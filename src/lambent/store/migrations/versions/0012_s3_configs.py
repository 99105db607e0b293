"""What is configured of buckets."""

import sqlalchemy as sa
from alembic import op

from lambent.store.columns import ordered_text, row_id

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "s3_configs",
        sa.Column("bucket_id", row_id(), primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(24), primary_key=True),
        sa.Column("id", ordered_text(64), primary_key=True),
        sa.Column("document", sa.Text(), nullable=False),
    )


def downgrade() -> None:
    raise NotImplementedError("Lambent only goes forward; restore a copy of the data directory instead.")
