"""GetObject and HeadObject: one version, whole or a range or a part of it."""

from typing import Any, Final

from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.core.clock import Clock
from lambent.services.s3.api import common
from lambent.services.s3.api.written import HEADERS
from lambent.services.s3.buckets import Buckets
from lambent.services.s3.conditions import (
    Span,
    check_read,
    http_date,
    invalid_part_number,
    quoted,
    refuse_range_of_part,
    seconds,
    span_of,
)
from lambent.services.s3.errors import error, invalid_argument
from lambent.services.s3.expiration import Expirations
from lambent.services.s3.lookup import shown_id
from lambent.services.s3.objects import Objects
from lambent.services.s3.records import ARCHIVED, STANDARD, Bucket, ObjectVersion, Part

_OVERRIDES: Final = {
    "ResponseCacheControl": "CacheControl",
    "ResponseContentDisposition": "ContentDisposition",
    "ResponseContentEncoding": "ContentEncoding",
    "ResponseContentLanguage": "ContentLanguage",
    "ResponseContentType": "ContentType",
    "ResponseExpires": "Expires",
}


class GetApi:
    def __init__(self, objects: Objects, buckets: Buckets, clock: Clock, expirations: Expirations) -> None:
        self._objects = objects
        self._buckets = buckets
        self._clock = clock
        self._expirations = expirations

    def operations(self) -> Operations:
        return {"GetObject": self.get_object, "HeadObject": self.head_object}

    async def get_object(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        refuse_range_of_part(parameters)
        opened = await self._objects.open(bucket, parameters["Key"], parameters.get("VersionId"))
        try:
            version = opened.version
            check_read(version, parameters, self._clock.epoch_ms())
            if version.storage_class in ARCHIVED and version.state.restored_until_ms <= self._clock.epoch_ms():
                text = "The operation is not valid for the object's storage class"
                raise error("InvalidObjectState", text, 403, StorageClass=version.storage_class)
            span, part = _span(version, opened.parts, parameters)
            members = self._members(bucket, version, span, part, parameters)
            members["Body"] = opened.body(span.offset, span.length)
        except BaseException:
            opened.close()
            raise
        return members

    async def head_object(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        refuse_range_of_part(parameters)
        version = await self._objects.head(bucket, parameters["Key"], parameters.get("VersionId"))
        check_read(version, parameters, self._clock.epoch_ms())
        parts = await self._objects.parts(version) if parameters.get("PartNumber") else ()
        span, part = _span(version, parts, parameters)
        return self._members(bucket, version, span, part, parameters)

    def _members(
        self, bucket: Bucket, version: ObjectVersion, span: Span, part: Part | None, parameters: Parameters
    ) -> dict[str, Any]:
        details, state = version.details, version.state
        members: dict[str, Any] = {
            "AcceptRanges": "bytes",
            "LastModified": common.moment(version.modified_ms),
            "ContentLength": span.length,
            "ETag": quoted(version.etag),
            "Metadata": dict(details.metadata),
            "VersionId": shown_id(bucket, version),
            "ContentRange": None if span.whole else span.content_range(version.size),
            "StorageClass": None if version.storage_class == STANDARD else version.storage_class,
            "TagCount": len(state.tags) or None,
            "Expiration": self._expirations.header(bucket, version) if parameters.get("VersionId") is None else None,
            **common.encryption_of(details),
            **{name: details.headers.get(name) for name in HEADERS},
            **_overrides(parameters),
        }
        if part is not None and version.parts:
            members["PartsCount"] = version.parts
        if parameters.get("ChecksumMode") == "ENABLED":
            members |= _checksums(version, span, part)
        if state.lock_mode:
            members["ObjectLockMode"] = state.lock_mode
            members["ObjectLockRetainUntilDate"] = common.moment(state.lock_until_ms)
        if state.hold:
            members["ObjectLockLegalHoldStatus"] = "ON"
        if state.restored_until_ms > self._clock.epoch_ms():
            members["Restore"] = f'ongoing-request="false", expiry-date="{http_date(state.restored_until_ms)}"'
        return common.without_none(members)


def _span(version: ObjectVersion, parts: Any, parameters: Parameters) -> tuple[Span, Part | None]:
    number = parameters.get("PartNumber")
    if number is None:
        return span_of(parameters.get("Range"), version.size), None
    if not version.parts:
        if number != 1:
            raise invalid_part_number(number, 1)
        return Span(0, version.size, whole=version.size == 0), None
    if not 1 <= number <= len(parts):
        raise invalid_part_number(number, len(parts))
    part: Part = parts[number - 1]
    offset = sum(each.size for each in parts[: number - 1])
    return Span(offset, part.size, whole=part.size == version.size and part.size == 0), part


def _checksums(version: ObjectVersion, span: Span, part: Part | None) -> dict[str, Any]:
    if part is not None:
        if version.details.checksum_type != "COMPOSITE":
            return {}
        return {**common.checksum_members(part.checksums), "ChecksumType": "COMPOSITE"}
    return common.checksums_of(version.details) if span.length == version.size else {}


def _overrides(parameters: Parameters) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, member in _OVERRIDES.items():
        value = parameters.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            value = http_date(seconds(value) * 1000)
        try:
            value.encode("latin-1")
        except UnicodeEncodeError:
            header = "response-" + "-".join(_words(member)).lower()
            raise invalid_argument("Header value cannot be represented using ISO-8859-1.", header, value) from None
        found[member] = value
    return found


def _words(name: str) -> list[str]:
    return "".join(f" {letter}" if letter.isupper() else letter for letter in name).split()
