"""Rows of buckets. Names are unique over all accounts and regions, as they are on AWS."""

from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from lambent.services.s3.errors import no_such_bucket
from lambent.services.s3.records import Bucket
from lambent.services.s3.tables import buckets, parts, uploads, versions

# Made once: each write of an object asks for its bucket.
_BY_NAME = select(buckets).where(buckets.c.name == bindparam("b_name"))


def find_bucket(connection: Connection, name: str) -> Bucket | None:
    row = connection.execute(_BY_NAME, {"b_name": name}).one_or_none()
    return None if row is None else _bucket(row)


def the_bucket(connection: Connection, name: str) -> Bucket:
    """Raises NoSuchBucket."""
    bucket = find_bucket(connection, name)
    if bucket is None:
        raise no_such_bucket(name)
    return bucket


def all_buckets(connection: Connection) -> list[Bucket]:
    return [_bucket(row) for row in connection.execute(select(buckets).order_by(buckets.c.name))]


def list_buckets(
    connection: Connection, account: str, *, after: str, prefix: str, region: str | None, limit: int
) -> list[Bucket]:
    """In the order of names, behind `after`."""
    wanted = select(buckets).where(
        buckets.c.account == account, buckets.c.name > after, buckets.c.name.startswith(prefix, autoescape=True)
    )
    if region is not None:
        wanted = wanted.where(buckets.c.region == region)
    return [_bucket(row) for row in connection.execute(wanted.order_by(buckets.c.name).limit(limit))]


def put_bucket(connection: Connection, bucket: Bucket) -> Bucket:
    """A new one; its `id` is not looked at."""
    row = {
        "name": bucket.name,
        "account": bucket.account,
        "region": bucket.region,
        "constraint_name": bucket.constraint,
        "created_ms": bucket.created_ms,
        "versioning": bucket.versioning,
        "ownership": bucket.ownership,
        "locked": int(bucket.locked),
    }
    connection.execute(insert(buckets).values(row))
    return the_bucket(connection, bucket.name)


def set_bucket(connection: Connection, bucket_id: int, **columns: Any) -> None:
    """Change `versioning`, `ownership` (empty: deleted) or `locked` (0 or 1)."""
    connection.execute(update(buckets).where(buckets.c.id == bucket_id).values(columns))


def is_empty(connection: Connection, bucket_id: int) -> bool:
    found = select(versions.c.sequence).where(versions.c.bucket_id == bucket_id).limit(1)
    return connection.execute(found).one_or_none() is None


def delete_bucket(connection: Connection, bucket_id: int) -> list[str]:
    """An empty one, with the uploads that are under way. Returns the files of their parts: to be deleted later."""
    mine = select(uploads.c.upload).where(uploads.c.bucket_id == bucket_id)
    doomed = parts.c.upload.in_(mine)
    files = [row.file for row in connection.execute(select(parts.c.file).where(doomed)) if row.file]
    connection.execute(delete(parts).where(doomed))
    connection.execute(delete(uploads).where(uploads.c.bucket_id == bucket_id))
    connection.execute(delete(buckets).where(buckets.c.id == bucket_id))
    return files


def _bucket(row: Row[Any]) -> Bucket:
    return Bucket(
        id=row.id,
        name=row.name,
        account=row.account,
        region=row.region,
        constraint=row.constraint_name,
        created_ms=row.created_ms,
        versioning=row.versioning,
        ownership=row.ownership,
        locked=bool(row.locked),
    )
