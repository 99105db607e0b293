"""The ledger of what was used, and budgets."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

SUMS = (
    "invocations",
    "requests",
    "errors",
    "billed_ms",
    "memory_mb_ms",
    "storage_mb_ms",
    "streamed_bytes",
    "restored_mb",
    "tenant_mb",
)


def upgrade() -> None:
    op.create_table(
        "billing_usage",
        sa.Column("span", sa.String(8), primary_key=True),
        sa.Column("start_ms", sa.BigInteger(), primary_key=True),
        sa.Column("account", sa.String(12), primary_key=True),
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("function", sa.String(64), primary_key=True),
        sa.Column("version", sa.String(16), primary_key=True),
        sa.Column("architecture", sa.String(16), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("tenant", sa.String(256), primary_key=True),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in SUMS),
    )
    op.create_table(
        "billing_budgets",
        sa.Column("account", sa.String(12), primary_key=True),
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("function", sa.String(64), primary_key=True),
        sa.Column("amount", sa.String(32), nullable=False),
        sa.Column("stop", sa.Integer(), nullable=False),
    )


def downgrade() -> None:
    raise NotImplementedError("Lambent only goes forward; restore a copy of the data directory instead.")
