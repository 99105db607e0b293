"""CopyObject. The bytes of an object that was put at once are shared by a second name of its file."""

from dataclasses import replace
from typing import Final

from lambent.aws.errors import ApiError
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.aws.streams import FileRange, Upload, read_range
from lambent.core.clock import Clock
from lambent.services.s3 import tagging
from lambent.services.s3.api import common, written
from lambent.services.s3.api.put import MAX_BYTES, Stored, received
from lambent.services.s3.bodies import Opened
from lambent.services.s3.buckets import Buckets
from lambent.services.s3.conditions import check_source, check_wish, quoted
from lambent.services.s3.configs.configs import Configs
from lambent.services.s3.errors import error, invalid_argument, invalid_request
from lambent.services.s3.expiration import Expirations
from lambent.services.s3.lookup import shown_id
from lambent.services.s3.objects import Objects
from lambent.services.s3.records import ARCHIVED, Bucket, Details, ObjectVersion, State
from lambent.services.s3.sources import Source, as_source, source_of

DEFAULT: Final = "CRC64NVME"


class CopyApi:
    def __init__(
        self, objects: Objects, buckets: Buckets, configs: Configs, clock: Clock, expirations: Expirations
    ) -> None:
        self._objects = objects
        self._buckets = buckets
        self._configs = configs
        self._clock = clock
        self._expirations = expirations

    def operations(self) -> Operations:
        return {"CopyObject": self.copy_object}

    async def copy_object(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        key = parameters["Key"]
        written.check_key(key)
        check_wish(parameters)
        replaced = _directive(parameters, "Metadata")
        retagged = _directive(parameters, "Tagging")
        source = source_of(parameters["CopySource"])
        storage_class = written.storage_class_of(parameters)
        from_bucket, opened = await opened_source(self._objects, self._buckets, source, parameters)
        try:
            found = opened.version
            check_source(found, parameters)
            itself = (from_bucket.id, source.key, source.version_id) == (bucket.id, key, None)
            if itself and not replaced and not _changes(parameters):
                text = (
                    "This copy request is illegal because it is trying to copy an object to itself without changing"
                    " the object's metadata, storage class, website redirect location or encryption attributes."
                )
                raise invalid_request(text)
            if found.size > MAX_BYTES:
                text = "The specified copy source is larger than the maximum allowable size for a copy source"
                raise invalid_request(f"{text}: {MAX_BYTES}")
            if found.storage_class in ARCHIVED and found.state.restored_until_ms <= self._clock.epoch_ms():
                text = "The operation is not valid for the object's storage class"
                raise error("InvalidObjectState", text, 403, StorageClass=found.storage_class)
            details = self._details(bucket, found, parameters, replaced=replaced)
            state = self._state(bucket, found, parameters, retagged=retagged)
            stored = await self._stored(opened, parameters.get("ChecksumAlgorithm"))
        finally:
            opened.close()
        draft = ObjectVersion(
            bucket_id=bucket.id,
            key=key,
            version_id="",
            sequence=0,
            latest=True,
            marker=False,
            modified_ms=0,
            size=stored.size,
            etag=stored.etag,
            storage_class=storage_class,
            file=stored.file,
            details=replace(details, checksums=stored.checksums, checksum_type="FULL_OBJECT"),
            state=state,
        )
        origin = common.origin_of(context)
        bucket, version = await self._objects.put(bucket, draft, origin, "ObjectCreated:Copy", parameters)
        return common.without_none(
            {
                "CopyObjectResult": {
                    "ETag": quoted(version.etag),
                    "LastModified": common.moment(version.modified_ms),
                    **common.checksums_of(version.details),
                },
                "CopySourceVersionId": shown_id(from_bucket, found),
                "VersionId": shown_id(bucket, version),
                "Expiration": self._expirations.header(bucket, version),
                **common.encryption_of(version.details),
            }
        )

    def _details(self, bucket: Bucket, found: ObjectVersion, parameters: Parameters, *, replaced: bool) -> Details:
        if replaced:
            return written.details_of(bucket, self._configs, parameters)
        headers = {name: value for name, value in found.details.headers.items() if name != "WebsiteRedirectLocation"}
        if parameters.get("WebsiteRedirectLocation"):
            headers["WebsiteRedirectLocation"] = parameters["WebsiteRedirectLocation"]
        return Details(
            headers=headers,
            metadata=found.details.metadata,
            encryption=written.encryption(bucket, self._configs, parameters),
        )

    def _state(self, bucket: Bucket, found: ObjectVersion, parameters: Parameters, *, retagged: bool) -> State:
        state = written.state_of(bucket, self._configs, {**parameters, "Tagging": None}, self._clock.epoch_ms())
        tags = tagging.from_header(parameters.get("Tagging")) if retagged else found.state.tags
        return replace(state, tags=tags)

    async def _stored(self, opened: Opened, algorithm: str | None) -> Stored:
        found = opened.version
        known = found.details.checksums if found.details.checksum_type == "FULL_OBJECT" else {}
        wanted = algorithm or next(iter(found.details.checksums), DEFAULT)
        if not found.parts and wanted in known:
            if found.file is None:
                return Stored(None, 0, found.etag, {wanted: known[wanted]})
            if (file := await self._objects.files.link(found.file)) is not None:
                return Stored(file, found.size, found.etag, {wanted: known[wanted]})
        upload = read_again(opened, 0, found.size)
        return await received(self._objects, {"Body": upload}, default=wanted)


def read_again(opened: Opened, offset: int, length: int) -> Upload:
    body = opened.body(offset, length)
    if isinstance(body, bytes):
        return Upload.of(body)
    return Upload(read_range(body) if isinstance(body, FileRange) else body, length_bytes=length)


async def opened_source(
    objects: Objects, buckets: Buckets, source: Source, parameters: Parameters
) -> tuple[Bucket, Opened]:
    """Raises what AWS says of a source that is not there."""
    bucket = buckets.get(source.bucket)
    common.check_owner(bucket, parameters.get("ExpectedSourceBucketOwner"))
    try:
        return bucket, await objects.open(bucket, source.key, source.version_id)
    except ApiError as refused:
        raise as_source(refused, source.version_id) from refused


def _directive(parameters: Parameters, of: str) -> bool:
    directive = parameters.get(f"{of}Directive")
    if directive not in (None, "COPY", "REPLACE"):
        word = of.lower()
        raise invalid_argument(f"Unknown {word} directive.", f"x-amz-{word}-directive", directive)
    return directive == "REPLACE"


def _changes(parameters: Parameters) -> bool:
    names = ("StorageClass", "ServerSideEncryption", "WebsiteRedirectLocation", "SSEKMSKeyId")
    return any(parameters.get(name) is not None for name in names)
