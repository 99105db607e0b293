"""PutObject."""

from base64 import b64encode
from dataclasses import replace
from typing import Any, Final

from lambent.aws import checksums
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.aws.streams import Upload
from lambent.core.clock import Clock
from lambent.services.s3.api import common, written
from lambent.services.s3.buckets import Buckets
from lambent.services.s3.conditions import check_wish, quoted
from lambent.services.s3.configs.configs import Configs
from lambent.services.s3.errors import error
from lambent.services.s3.expiration import Expirations
from lambent.services.s3.objects import Objects
from lambent.services.s3.records import ENABLED, ObjectVersion

MAX_BYTES: Final = 5 * 1024**3
"""Of one PUT, one part, one copy."""


class PutApi:
    def __init__(
        self, objects: Objects, buckets: Buckets, configs: Configs, clock: Clock, expirations: Expirations
    ) -> None:
        self._objects = objects
        self._buckets = buckets
        self._configs = configs
        self._clock = clock
        self._expirations = expirations

    def operations(self) -> Operations:
        return {"PutObject": self.put_object}

    async def put_object(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        key = parameters["Key"]
        written.check_key(key)
        check_wish(parameters)
        draft = ObjectVersion(
            bucket_id=bucket.id,
            key=key,
            version_id="",
            sequence=0,
            latest=True,
            marker=False,
            modified_ms=0,
            storage_class=written.storage_class_of(parameters),
            details=written.details_of(bucket, self._configs, parameters),
            state=written.state_of(bucket, self._configs, parameters, self._clock.epoch_ms()),
        )
        stored = await received(self._objects, parameters)
        draft = replace(
            draft,
            file=stored.file,
            size=stored.size,
            etag=stored.etag,
            details=replace(draft.details, checksums=stored.checksums, checksum_type="FULL_OBJECT"),
        )
        event = parameters.get("@event", "ObjectCreated:Put")
        bucket, version = await self._objects.put(bucket, draft, common.origin_of(context), event, parameters)
        return common.without_none(
            {
                "ETag": quoted(version.etag),
                "VersionId": version.version_id if bucket.versioning == ENABLED else None,
                "Expiration": self._expirations.header(bucket, version),
                **common.checksums_of(version.details),
                **common.encryption_of(version.details),
            }
        )


class Stored:
    """Bytes that are in a file, and what was learned of them on the way."""

    __slots__ = ("checksums", "etag", "file", "size")

    def __init__(self, file: str | None, size: int, etag: str, sums: dict[str, str]) -> None:
        self.file = file
        self.size = size
        self.etag = etag
        self.checksums = sums


async def received(
    objects: Objects, parameters: Parameters, *, default: str | None = checksums.DEFAULT, also: str | None = None
) -> Stored:
    """Store the payload. `default`: the checksum that is made where the client has sent none; `also`: one more."""
    body: Any = parameters.get("Body")
    upload = body if isinstance(body, Upload) else Upload.of(body or b"")
    if upload.length_bytes is not None and upload.length_bytes > MAX_BYTES:
        text = "Your proposed upload exceeds the maximum allowed size"
        raise error("EntityTooLarge", text, 400, ProposedSize=upload.length_bytes, MaxSizeAllowed=MAX_BYTES)
    algorithms = {each for each in (upload.checksum_algorithm or default, also) if each is not None}
    for algorithm in algorithms:
        upload.want(algorithm)
    file = await objects.store(upload)
    sums = {each: b64encode(upload.digest(each)).decode() for each in sorted(algorithms)}
    return Stored(file, upload.size_bytes, upload.digest(checksums.MD5).hex(), sums)
