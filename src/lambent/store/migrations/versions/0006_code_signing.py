"""Tables of code signing."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "code_signing_configs",
        sa.Column("account", sa.String(12), primary_key=True),
        sa.Column("region", sa.String(32), primary_key=True),
        sa.Column("config_id", sa.String(32), primary_key=True),
        sa.Column("record", sa.Text(), nullable=False),
    )


def downgrade() -> None:
    raise NotImplementedError("Lambent only goes forward; restore a copy of the data directory instead.")
