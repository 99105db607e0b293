"""Pages of keys, of versions and of uploads, in the order of their bytes.

A key that has the delimiter behind the prefix shows as the common prefix up to it, once; what is behind it is passed
over in one step. A page goes on behind the last name that it has shown.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection, Row, select

from lambent.services.s3.records import MultipartUpload, ObjectVersion
from lambent.services.s3.store.columns import upload_of, version_of
from lambent.services.s3.tables import uploads, versions

T = TypeVar("T")
Start = tuple[bytes, int]
"""A key, and the number of the row of it that was the last one; see `ALL` and `FIRST`."""
Rows = Callable[[Start, int], list[Row[Any]]]

BATCH: Final = 1001
ALL: Final = -1
"""All rows of the key are behind us."""
FIRST: Final = 0
"""None of them is."""


@dataclass(slots=True)
class Page(Generic[T]):
    entries: list[T] = field(default_factory=list)
    prefixes: list[bytes] = field(default_factory=list)
    truncated: bool = False
    last: bytes = b""
    """The name that was shown last: a key or a common prefix."""
    ends_on_prefix: bool = False


def objects(
    connection: Connection, bucket_id: int, *, prefix: bytes, delimiter: bytes, after: bytes | None, limit: int
) -> Page[ObjectVersion]:
    def rows(start: Start, count: int) -> list[Row[Any]]:
        wanted = select(versions).where(
            versions.c.bucket_id == bucket_id,
            versions.c.latest == 1,
            versions.c.marker == 0,
            versions.c.key >= start[0] if start[1] == FIRST else versions.c.key > start[0],
            *_below(versions.c.key, prefix),
        )
        return list(connection.execute(wanted.order_by(versions.c.key).limit(count)))

    return _page(rows, version_of, prefix, delimiter, None if after is None else (after, ALL), limit)


def all_versions(
    connection: Connection, bucket_id: int, *, prefix: bytes, delimiter: bytes, after: Start | None, limit: int
) -> Page[ObjectVersion]:
    """Of each key the newest first. `after`: a key and the number of one of its versions, or `ALL` of them."""

    def rows(start: Start, count: int) -> list[Row[Any]]:
        mine = select(versions).where(versions.c.bucket_id == bucket_id, *_below(versions.c.key, prefix))
        found: list[Row[Any]] = []
        key, number = start
        if number > 0:
            rest = mine.where(versions.c.key == key, versions.c.sequence < number)
            found += connection.execute(rest.order_by(versions.c.sequence.desc()).limit(count))
        behind = versions.c.key >= key if number == FIRST else versions.c.key > key
        if len(found) < count:
            later = mine.where(behind).order_by(versions.c.key, versions.c.sequence.desc())
            found += connection.execute(later.limit(count - len(found)))
        return found

    return _page(rows, version_of, prefix, delimiter, after, limit)


def open_uploads(
    connection: Connection, bucket_id: int, *, prefix: bytes, delimiter: bytes, after: Start | None, limit: int
) -> Page[MultipartUpload]:
    """Of each key the oldest first."""

    def rows(start: Start, count: int) -> list[Row[Any]]:
        mine = select(uploads).where(
            uploads.c.bucket_id == bucket_id, uploads.c.completed.is_(None), *_below(uploads.c.key, prefix)
        )
        found: list[Row[Any]] = []
        key, number = start
        if number > 0:
            rest = mine.where(uploads.c.key == key, uploads.c.sequence > number)
            found += connection.execute(rest.order_by(uploads.c.sequence).limit(count))
        behind = uploads.c.key >= key if number == FIRST else uploads.c.key > key
        if len(found) < count:
            later = mine.where(behind).order_by(uploads.c.key, uploads.c.sequence)
            found += connection.execute(later.limit(count - len(found)))
        return found

    return _page(rows, upload_of, prefix, delimiter, after, limit)


def _page(
    rows: Rows,
    made_of: Callable[[Row[Any]], T],
    prefix: bytes,
    delimiter: bytes,
    after: Start | None,
    limit: int,
) -> Page[T]:
    page: Page[T] = Page()
    if limit == 0:
        return page
    for shown, (row, common) in enumerate(_walk(rows, prefix, delimiter, after, limit)):
        if shown == limit:
            page.truncated = True
            break
        page.ends_on_prefix = common is not None
        if common is None:
            page.entries.append(made_of(row))
            page.last = bytes(row.key)
        else:
            page.prefixes.append(common)
            page.last = common
    return page


def _walk(
    rows: Rows, prefix: bytes, delimiter: bytes, after: Start | None, limit: int
) -> Iterator[tuple[Row[Any], bytes | None]]:
    """What shows, in order: rows, or common prefixes, each with the first row behind it."""
    marker = b"" if after is None else after[0]
    start: Start = (prefix, FIRST) if after is None or after[0] < prefix else after
    count = min(limit + 1, BATCH)
    while True:
        found = rows(start, count)
        passed: bytes | None = None
        for row in found:
            key = bytes(row.key)
            if passed is not None and key.startswith(passed):
                continue
            passed = _common(key, prefix, delimiter)
            if passed is None:
                yield row, None
            elif after is None or passed > marker:
                yield row, passed
        if len(found) < count:
            return
        if passed is not None:
            behind = successor(passed)
            if behind is None:
                return
            start = (behind, FIRST)
        else:
            start = (bytes(found[-1].key), found[-1].sequence)
        count = BATCH


def _common(key: bytes, prefix: bytes, delimiter: bytes) -> bytes | None:
    if not delimiter:
        return None
    at = key.find(delimiter, len(prefix))
    return None if at < 0 else key[: at + len(delimiter)]


def successor(prefix: bytes) -> bytes | None:
    """The first text behind all that begin with `prefix`; None: there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else None


def _below(column: Any, prefix: bytes) -> tuple[Any, ...]:
    if not prefix:
        return ()
    end = successor(prefix)
    return (column >= prefix,) if end is None else (column >= prefix, column < end)
