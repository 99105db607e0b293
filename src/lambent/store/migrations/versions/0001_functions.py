"""Functions, their versions, tags, and the counter of version numbers per name."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "functions",
        sa.Column("account", sa.String(12), primary_key=True),
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("tags", sa.Text(), nullable=False),
    )
    op.create_table(
        "function_versions",
        sa.Column("account", sa.String(12), primary_key=True),
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("version", sa.String(16), primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("serving", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account", "region", "name"],
            ["functions.account", "functions.region", "functions.name"],
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "function_counters",
        sa.Column("account", sa.String(12), primary_key=True),
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("last_version", sa.Integer(), nullable=False),
    )


def downgrade() -> None:
    raise NotImplementedError("Lambent only goes forward; restore a copy of the data directory instead.")
