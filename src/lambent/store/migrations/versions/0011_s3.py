"""Buckets, versions of objects, multipart uploads and their parts."""

import sqlalchemy as sa
from alembic import op

from lambent.store.columns import ordered_text, row_id

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "s3_buckets",
        sa.Column("id", row_id(), primary_key=True, autoincrement=True),
        sa.Column("name", ordered_text(63), nullable=False, unique=True),
        sa.Column("account", sa.String(12), nullable=False),
        sa.Column("region", sa.String(32), nullable=False),
        sa.Column("constraint_name", sa.String(32), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("versioning", sa.String(9), nullable=False),
        sa.Column("ownership", sa.String(24), nullable=False),
        sa.Column("locked", sa.Integer(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "s3_versions",
        sa.Column("sequence", row_id(), primary_key=True, autoincrement=False),
        sa.Column("bucket_id", row_id(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("latest", sa.Integer(), nullable=False),
        sa.Column("marker", sa.Integer(), nullable=False),
        sa.Column("modified_ms", sa.BigInteger(), nullable=False),
        sa.Column("noncurrent_ms", sa.BigInteger(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("etag", sa.String(40), nullable=False),
        sa.Column("storage_class", sa.String(24), nullable=False),
        sa.Column("file", sa.String(16), nullable=True),
        sa.Column("upload", sa.String(64), nullable=True),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
    )
    op.create_index("s3_versions_by_key", "s3_versions", ["bucket_id", "key", "sequence"])
    op.create_index("s3_versions_current", "s3_versions", ["bucket_id", "latest", "key"])
    op.create_index("s3_versions_by_file", "s3_versions", ["file"])
    op.create_table(
        "s3_uploads",
        sa.Column("upload", sa.String(64), primary_key=True),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("bucket_id", row_id(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("initiated_ms", sa.BigInteger(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("completed", sa.Text(), nullable=True),
    )
    op.create_index("s3_uploads_by_key", "s3_uploads", ["bucket_id", "key", "sequence"])
    op.create_table(
        "s3_parts",
        sa.Column("upload", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("file", sa.String(16), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("etag", sa.String(40), nullable=False),
        sa.Column("modified_ms", sa.BigInteger(), nullable=False),
        sa.Column("checksums", sa.Text(), nullable=False),
    )
    op.create_index("s3_parts_by_file", "s3_parts", ["file"])


def downgrade() -> None:
    raise NotImplementedError("Lambent only goes forward; restore a copy of the data directory instead.")
