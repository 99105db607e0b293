"""Tables of event source mappings."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "event_source_mappings",
        sa.Column("account", sa.String(12), primary_key=True),
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("uuid", sa.String(36), primary_key=True),
        sa.Column("function_name", sa.String(140), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("sealed_filters", sa.Text(), nullable=True),
    )
    op.create_index(
        "event_source_mappings_by_function", "event_source_mappings", ["account", "region", "function_name"]
    )


def downgrade() -> None:
    raise NotImplementedError("Lambent only goes forward; restore a copy of the data directory instead.")
