"""CreateMultipartUpload, UploadPart, UploadPartCopy, CompleteMultipartUpload, AbortMultipartUpload, ListParts."""

from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.core.clock import Clock
from lambent.services.s3.api import common, written
from lambent.services.s3.api.copy import opened_source, read_again
from lambent.services.s3.api.put import MAX_BYTES, Stored, received
from lambent.services.s3.buckets import Buckets
from lambent.services.s3.completion import COMPOSITE, DEFAULT, type_of
from lambent.services.s3.conditions import check_source, check_wish, quoted
from lambent.services.s3.configs.configs import Configs
from lambent.services.s3.errors import invalid_argument, invalid_request, not_implemented
from lambent.services.s3.expiration import Expirations
from lambent.services.s3.lookup import shown_id
from lambent.services.s3.multipart import Multipart
from lambent.services.s3.objects import Objects
from lambent.services.s3.owners import canonical_id
from lambent.services.s3.records import ENABLED, MultipartUpload, Part
from lambent.services.s3.sources import part_of, source_of

MOST_PARTS: Final = 10_000
PAGE: Final = 1000


class MultipartApi:
    def __init__(
        self,
        objects: Objects,
        multipart: Multipart,
        buckets: Buckets,
        configs: Configs,
        clock: Clock,
        expirations: Expirations,
    ) -> None:
        self._objects = objects
        self._multipart = multipart
        self._buckets = buckets
        self._configs = configs
        self._clock = clock
        self._expirations = expirations

    def operations(self) -> Operations:
        return {
            "CreateMultipartUpload": self.create_multipart_upload,
            "UploadPart": self.upload_part,
            "UploadPartCopy": self.upload_part_copy,
            "CompleteMultipartUpload": self.complete_multipart_upload,
            "AbortMultipartUpload": self.abort_multipart_upload,
            "ListParts": self.list_parts,
        }

    async def create_multipart_upload(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        written.check_key(parameters["Key"])
        algorithm = parameters.get("ChecksumAlgorithm")
        kind = type_of(algorithm, parameters.get("ChecksumType"))
        details = written.details_of(bucket, self._configs, parameters)
        upload = await self._multipart.create(
            MultipartUpload(
                id="",
                bucket_id=bucket.id,
                key=parameters["Key"],
                sequence=0,
                initiated_ms=0,
                details=replace(details, checksum_type=kind),
                state=written.state_of(bucket, self._configs, parameters, self._clock.epoch_ms()),
                storage_class=written.storage_class_of(parameters),
                algorithm=algorithm or "",
                initiator=context.identity.arn,
            )
        )
        return {
            "Bucket": bucket.name,
            "Key": upload.key,
            "UploadId": upload.id,
            **({"ChecksumAlgorithm": algorithm, "ChecksumType": kind} if algorithm else {}),
            **common.encryption_of(upload.details),
        }

    async def upload_part(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        number = _number(parameters)
        upload = await self._multipart.find(bucket, parameters["Key"], parameters["UploadId"])
        sent = getattr(parameters.get("Body"), "checksum_algorithm", None)
        _check_algorithm(upload, sent)
        stored = await received(self._objects, parameters, default=None, also=upload.algorithm or DEFAULT)
        part = await self._multipart.put_part(bucket, upload, _part(number, stored))
        shown = sent or upload.algorithm
        sums = {shown: part.checksums[shown]} if shown else {}
        return {
            "ETag": quoted(part.etag),
            **common.checksum_members(sums),
            **common.encryption_of(upload.details),
        }

    async def upload_part_copy(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        number = _number(parameters)
        source = source_of(parameters["CopySource"])
        upload = await self._multipart.find(bucket, parameters["Key"], parameters["UploadId"])
        from_bucket, opened = await opened_source(self._objects, self._buckets, source, parameters)
        try:
            found = opened.version
            check_source(found, parameters)
            offset, length = part_of(parameters.get("CopySourceRange"), found.size)
            if length > MAX_BYTES:
                text = "The specified copy source is larger than the maximum allowable size for a copy source"
                raise invalid_request(f"{text}: {MAX_BYTES}")
            body = read_again(opened, offset, length)
            stored = await received(self._objects, {"Body": body}, default=upload.algorithm or DEFAULT)
        finally:
            opened.close()
        part = await self._multipart.put_part(bucket, upload, _part(number, stored))
        shown = {upload.algorithm: part.checksums[upload.algorithm]} if upload.algorithm else {}
        return common.without_none(
            {
                "CopySourceVersionId": shown_id(from_bucket, found),
                "CopyPartResult": {
                    "ETag": quoted(part.etag),
                    "LastModified": common.moment(part.modified_ms),
                    **common.checksum_members(shown),
                },
                **common.encryption_of(upload.details),
            }
        )

    async def complete_multipart_upload(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        check_wish(parameters)
        key, body = parameters["Key"], parameters.get("MultipartUpload")
        asked = None if body is None else body.get("Parts") or ()
        origin = common.origin_of(context)
        bucket, version = await self._multipart.complete(bucket, key, parameters["UploadId"], asked, parameters, origin)
        return common.without_none(
            {
                "Location": f"{context.base_url}/{bucket.name}/{quote(key, safe='/', errors='surrogateescape')}",
                "Bucket": bucket.name,
                "Key": key,
                "ETag": quoted(version.etag),
                "VersionId": version.version_id if bucket.versioning == ENABLED else None,
                "Expiration": self._expirations.header(bucket, version),
                **common.checksums_of(version.details),
                **common.encryption_of(version.details),
            }
        )

    async def abort_multipart_upload(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        if parameters.get("IfMatchInitiatedTime") is not None:
            raise not_implemented("x-amz-if-match-initiated-time")
        await self._multipart.abort(bucket, parameters["Key"], parameters["UploadId"])
        return {}

    async def list_parts(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        upload = await self._multipart.find(bucket, parameters["Key"], parameters["UploadId"])
        marker, asked = parameters.get("PartNumberMarker") or 0, parameters.get("MaxParts")
        limit = PAGE if asked is None else min(asked, PAGE)
        if limit < 0:
            text = "Argument max-parts must be an integer between 0 and 2147483647"
            raise invalid_argument(text, "max-parts", asked)
        found = await self._multipart.parts(upload, marker, limit + 1)
        page = found[:limit]
        result: dict[str, Any] = {
            "Bucket": bucket.name,
            "Key": upload.key,
            "UploadId": upload.id,
            "PartNumberMarker": marker,
            "NextPartNumberMarker": page[-1].number if page else 0,
            "MaxParts": limit,
            "IsTruncated": len(found) > limit and limit > 0,
            "Initiator": {"ID": upload.initiator, "DisplayName": upload.initiator},
            "Owner": {"ID": canonical_id(bucket.account)},
            "StorageClass": upload.storage_class,
        }
        if upload.algorithm:
            result |= {"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.details.checksum_type}
        if page:
            result["Parts"] = [_listed(part, upload) for part in page]
        return result


def _number(parameters: Parameters) -> int:
    number = parameters["PartNumber"]
    if not 1 <= number <= MOST_PARTS:
        text = f"Part number must be an integer between 1 and {MOST_PARTS}, inclusive"
        raise invalid_argument(text, "partNumber", number)
    return int(number)


def _check_algorithm(upload: MultipartUpload, sent: str | None) -> None:
    if not upload.algorithm or sent == upload.algorithm:
        return
    if sent is None and upload.details.checksum_type != COMPOSITE:
        return
    expected, actual = upload.algorithm.lower(), (sent or "null").lower()
    text = f"Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum Type: {actual}"
    raise invalid_request(text)


def _part(number: int, stored: Stored) -> Part:
    return Part(
        number=number,
        file=stored.file,
        size=stored.size,
        etag=stored.etag,
        modified_ms=0,
        checksums=stored.checksums,
    )


def _listed(part: Part, upload: MultipartUpload) -> dict[str, Any]:
    shown = {upload.algorithm: part.checksums[upload.algorithm]} if upload.algorithm else {}
    return common.part_members(part) | common.checksum_members(shown)
