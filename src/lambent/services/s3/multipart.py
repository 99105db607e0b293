"""Multipart uploads: parts are files of their own and stay so, completing is one transaction that moves no byte."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import Connection

from lambent.core.clock import Clock
from lambent.services.s3.changes import Changes, new_upload_id
from lambent.services.s3.completion import completed
from lambent.services.s3.conditions import check_write
from lambent.services.s3.errors import error, no_such_upload
from lambent.services.s3.records import Bucket, MultipartUpload, ObjectVersion, Origin, Part
from lambent.services.s3.store import uploads
from lambent.services.s3.store.buckets import the_bucket
from lambent.store.database import Database


class Multipart:
    def __init__(self, database: Database, changes: Changes, clock: Clock) -> None:
        self._database = database
        self._changes = changes
        self._clock = clock

    async def create(self, draft: MultipartUpload) -> MultipartUpload:
        """`draft` without an id, a number and a time."""

        def work(connection: Connection) -> tuple[MultipartUpload, Sequence[str]]:
            upload = replace(
                draft,
                id=new_upload_id(),
                sequence=self._changes.next_sequence(),
                initiated_ms=self._clock.epoch_ms(),
            )
            uploads.add(connection, upload)
            return upload, ()

        return await self._changes.write(work)

    async def find(self, bucket: Bucket, key: str, upload_id: str) -> MultipartUpload:
        """One that is under way. Raises NoSuchUpload."""
        return await self._database.read(lambda connection: _open(connection, bucket, key, upload_id))

    async def parts(self, upload: MultipartUpload, after: int, limit: int) -> list[Part]:
        return await self._database.read(lambda connection: uploads.some_parts(connection, upload.id, after, limit))

    async def put_part(self, bucket: Bucket, upload: MultipartUpload, part: Part) -> Part:
        """`part` takes the place of one with its number. Raises NoSuchUpload when it has ended meanwhile."""

        def work(connection: Connection) -> tuple[Part, Sequence[str]]:
            _open(connection, bucket, upload.key, upload.id)
            stamped = replace(part, modified_ms=self._clock.epoch_ms())
            before = uploads.put_part(connection, upload.id, stamped)
            return stamped, () if before is None else (before,)

        return await self._changes.write(work, adding=part.file)

    async def abort(self, bucket: Bucket, key: str, upload_id: str) -> None:
        def work(connection: Connection) -> tuple[None, Sequence[str]]:
            return None, uploads.remove(connection, _open(connection, bucket, key, upload_id).id)

        await self._changes.write(work)

    async def complete(
        self,
        bucket: Bucket,
        key: str,
        upload_id: str,
        asked: Sequence[Mapping[str, Any]] | None,
        said: Mapping[str, Any],
        origin: Origin,
    ) -> tuple[Bucket, ObjectVersion]:
        """All or nothing: what is refused leaves the upload as it was. A repeated one has the same result."""
        request = orjson.dumps([[part.get("PartNumber"), part.get("ETag")] for part in asked or ()]).decode()

        def work(connection: Connection) -> tuple[tuple[Bucket, ObjectVersion], Sequence[str]]:
            found = the_bucket(connection, bucket.name)
            upload = uploads.find(connection, found.id, key, upload_id)
            if upload is None:
                raise no_such_upload(upload_id)
            if upload.completed is not None:
                return (found, _again(upload, request)), ()
            stored = {part.number: part for part in uploads.all_parts(connection, upload.id)}
            whole = completed(upload, stored, asked, said)
            draft = ObjectVersion(
                bucket_id=found.id,
                key=key,
                version_id="",
                sequence=0,
                latest=True,
                marker=False,
                modified_ms=0,
                size=whole.size,
                etag=whole.etag,
                storage_class=upload.storage_class,
                upload=upload.id,
                parts=len(whole.parts),
                details=replace(upload.details, checksums=whole.checksums, checksum_type=whole.checksum_type),
                state=upload.state,
            )

            def check(_connection: Connection, current: ObjectVersion | None) -> None:
                check_write(key, current, said)
                _refuse_raced(upload, current, said)

            done = self._changes.put(connection, found, draft, origin, "ObjectCreated:CompleteMultipartUpload", check)
            assert done.version is not None
            unused = [stored[number] for number in stored.keys() - {part.number for part in whole.parts}]
            uploads.drop_parts(connection, upload.id, [part.number for part in unused])
            uploads.complete(connection, upload.id, _result(request, done.version))
            return (found, done.version), [*done.freed, *(part.file for part in unused if part.file is not None)]

        return await self._changes.write(work)


def _open(connection: Connection, bucket: Bucket, key: str, upload_id: str) -> MultipartUpload:
    upload = uploads.find(connection, bucket.id, key, upload_id)
    if upload is None or upload.completed is not None:
        raise no_such_upload(upload_id)
    return upload


def _refuse_raced(upload: MultipartUpload, current: ObjectVersion | None, said: Mapping[str, Any]) -> None:
    """A key that was written, or deleted, since the upload was begun, by whatever content."""
    for member, header in (("IfMatch", "If-Match"), ("IfNoneMatch", "If-None-Match")):
        if said.get(member) is not None and current is not None and current.sequence > upload.sequence:
            text = "The conditional request cannot succeed due to a conflicting operation against this resource."
            raise error("ConditionalRequestConflict", text, 409, Condition=header, Key=upload.key)


def _result(request: str, version: ObjectVersion) -> str:
    kept = {
        "request": request,
        "version": version.version_id,
        "etag": version.etag,
        "sequence": version.sequence,
        "modified_ms": version.modified_ms,
        "size": version.size,
        "parts": version.parts,
        "checksums": dict(version.details.checksums),
        "checksum_type": version.details.checksum_type,
    }
    return orjson.dumps(kept).decode()


def _again(upload: MultipartUpload, request: str) -> ObjectVersion:
    kept = orjson.loads(upload.completed or "{}")
    if kept.get("request") != request:
        raise no_such_upload(upload.id)
    return ObjectVersion(
        bucket_id=upload.bucket_id,
        key=upload.key,
        version_id=kept["version"],
        sequence=kept["sequence"],
        latest=True,
        marker=False,
        modified_ms=kept["modified_ms"],
        size=kept["size"],
        etag=kept["etag"],
        storage_class=upload.storage_class,
        upload=upload.id,
        parts=kept["parts"],
        details=replace(upload.details, checksums=kept["checksums"], checksum_type=kept["checksum_type"]),
        state=upload.state,
    )
