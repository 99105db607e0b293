"""Rows of multipart uploads and their parts. The parts of a completed one stay, as the bytes of its object."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from lambent.services.s3.records import MultipartUpload, Part
from lambent.services.s3.store.columns import key_bytes, part_of, upload_columns, upload_of
from lambent.services.s3.tables import parts, uploads, versions

_SOME = 500
# Made once: to build a statement takes longer than to execute it.
_PART = (parts.c.upload == bindparam("b_upload")) & (parts.c.number == bindparam("b_number"))
_FILE_OF_PART = select(parts.c.file).where(_PART)
_ADD_PART = insert(parts)
_SET_PART = (
    update(parts)
    .where(_PART)
    .values({name: bindparam(f"b_{name}") for name in ("file", "size", "etag", "modified_ms", "checksums")})
)
_BY_ID = select(uploads).where(uploads.c.upload == bindparam("b_upload"))


def add(connection: Connection, upload: MultipartUpload) -> None:
    connection.execute(insert(uploads).values(upload_columns(upload)))


def find(connection: Connection, bucket_id: int, key: str, upload: str) -> MultipartUpload | None:
    """Also one that is completed."""
    row = connection.execute(_BY_ID, {"b_upload": upload}).one_or_none()
    if row is None or row.bucket_id != bucket_id or bytes(row.key) != key_bytes(key):
        return None
    return upload_of(row)


def put_part(connection: Connection, upload: str, part: Part) -> str | None:
    """Returns the file of the part that it takes the place of."""
    this = {"b_upload": upload, "b_number": part.number}
    before = connection.execute(_FILE_OF_PART, this).one_or_none()
    row: dict[str, Any] = {
        "file": part.file,
        "size": part.size,
        "etag": part.etag,
        "modified_ms": part.modified_ms,
        "checksums": orjson.dumps(dict(part.checksums)).decode(),
    }
    if before is None:
        connection.execute(_ADD_PART, {"upload": upload, "number": part.number, **row})
        return None
    connection.execute(_SET_PART, {**this, **{f"b_{name}": value for name, value in row.items()}})
    file: str | None = before.file
    return file


def all_parts(connection: Connection, upload: str) -> list[Part]:
    return [
        part_of(row)
        for row in connection.execute(select(parts).where(parts.c.upload == upload).order_by(parts.c.number))
    ]


def some_parts(connection: Connection, upload: str, after: int, limit: int) -> list[Part]:
    wanted = select(parts).where(parts.c.upload == upload, parts.c.number > after).order_by(parts.c.number)
    return [part_of(row) for row in connection.execute(wanted.limit(limit))]


def drop_parts(connection: Connection, upload: str, numbers: Sequence[int]) -> None:
    for start in range(0, len(numbers), _SOME):
        some = numbers[start : start + _SOME]
        connection.execute(delete(parts).where(parts.c.upload == upload, parts.c.number.in_(some)))


def drop_all_parts(connection: Connection, upload: str) -> list[str]:
    """Returns their files."""
    files = [row.file for row in connection.execute(select(parts.c.file).where(parts.c.upload == upload))]
    connection.execute(delete(parts).where(parts.c.upload == upload))
    return [file for file in files if file]


def complete(connection: Connection, upload: str, result: str) -> None:
    """Keep of it what a repeated completion is answered with."""
    connection.execute(update(uploads).where(uploads.c.upload == upload).values(completed=result))


def remove(connection: Connection, upload: str) -> list[str]:
    """Returns the files of its parts."""
    files = drop_all_parts(connection, upload)
    connection.execute(delete(uploads).where(uploads.c.upload == upload))
    return files


def forget_completed(connection: Connection, before_ms: int) -> None:
    gone = delete(uploads).where(uploads.c.completed.is_not(None), uploads.c.initiated_ms < before_ms)
    connection.execute(gone)


def unknown_files(connection: Connection, files: Sequence[str]) -> set[str]:
    """Those of `files` that neither a version nor a part names."""
    unknown = set(files)
    for column in (versions.c.file, parts.c.file):
        known = connection.execute(select(column).where(column.in_(files))).scalars()
        unknown.difference_update(known)
    return unknown
