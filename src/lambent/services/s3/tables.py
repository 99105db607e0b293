"""The tables of S3. Keys are bytes, because AWS sorts them by bytes and a key may hold what text may not.

An object put at once has one file; one of a multipart upload has the parts of that upload, whose rows and files stay
as they are: completing moves no byte. Numbers of `sequence` grow with time, over restarts too.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

from lambent.store.columns import ordered_text, row_id

metadata = MetaData()

buckets = Table(
    "s3_buckets",
    metadata,
    Column("id", row_id(), primary_key=True, autoincrement=True),
    Column("name", ordered_text(63), nullable=False, unique=True),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("constraint_name", String(32), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("versioning", String(9), nullable=False),
    Column("ownership", String(24), nullable=False),
    Column("locked", Integer, nullable=False),
    # The rows of a bucket that is made again have nothing to do with those of the one before.
    sqlite_autoincrement=True,
)

versions = Table(
    "s3_versions",
    metadata,
    Column("sequence", row_id(), primary_key=True, autoincrement=False),
    Column("bucket_id", row_id(), nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("version", String(32), nullable=False),
    Column("latest", Integer, nullable=False),
    Column("marker", Integer, nullable=False),
    Column("modified_ms", BigInteger, nullable=False),
    Column("noncurrent_ms", BigInteger, nullable=True),
    Column("size", BigInteger, nullable=False),
    Column("etag", String(40), nullable=False),
    Column("storage_class", String(24), nullable=False),
    Column("file", String(16), nullable=True),
    Column("upload", String(64), nullable=True),
    Column("parts", Integer, nullable=False),
    Column("details", Text, nullable=False),
    Column("state", Text, nullable=False),
    Index("s3_versions_by_key", "bucket_id", "key", "sequence"),
    Index("s3_versions_current", "bucket_id", "latest", "key"),
    Index("s3_versions_by_file", "file"),
)

uploads = Table(
    "s3_uploads",
    metadata,
    Column("upload", String(64), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("bucket_id", row_id(), nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("initiated_ms", BigInteger, nullable=False),
    Column("details", Text, nullable=False),
    Column("completed", Text, nullable=True),
    Index("s3_uploads_by_key", "bucket_id", "key", "sequence"),
)

parts = Table(
    "s3_parts",
    metadata,
    Column("upload", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("file", String(16), nullable=True),
    Column("size", BigInteger, nullable=False),
    Column("etag", String(40), nullable=False),
    Column("modified_ms", BigInteger, nullable=False),
    Column("checksums", Text, nullable=False),
    Index("s3_parts_by_file", "file"),
)

# `id` tells documents of one kind apart where a bucket may have several; `document` is JSON, `null` where the bucket
# has none although buckets have one by default.
configs = Table(
    "s3_configs",
    metadata,
    Column("bucket_id", row_id(), primary_key=True, autoincrement=False),
    Column("kind", String(24), primary_key=True),
    Column("id", ordered_text(64), primary_key=True),
    Column("document", Text, nullable=False),
)
