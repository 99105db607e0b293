"""ListObjects, ListObjectsV2, ListObjectVersions, ListMultipartUploads."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import quote_plus

from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.services.s3.api import common
from lambent.services.s3.buckets import Buckets
from lambent.services.s3.changes import sequence_of
from lambent.services.s3.conditions import quoted
from lambent.services.s3.errors import invalid_argument
from lambent.services.s3.owners import canonical_id
from lambent.services.s3.records import NULL, Bucket, MultipartUpload, ObjectVersion
from lambent.services.s3.store import listing, uploads, versions
from lambent.services.s3.store.columns import key_bytes, key_text
from lambent.services.s3.store.listing import ALL, Page, Start
from lambent.store.database import Database

MOST: Final = 1000
_TOKEN: Final = b"1"
Shown = Callable[[str], str]


class ListApi:
    def __init__(self, database: Database, buckets: Buckets) -> None:
        self._database = database
        self._buckets = buckets

    def operations(self) -> Operations:
        return {
            "ListObjects": self.list_objects,
            "ListObjectsV2": self.list_objects_v2,
            "ListObjectVersions": self.list_object_versions,
            "ListMultipartUploads": self.list_multipart_uploads,
        }

    async def list_objects(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        shown, limit = _encoding(parameters), _limit(parameters, "MaxKeys", "max-keys")
        marker = parameters.get("Marker") or ""
        page = await self._page(bucket, parameters, key_bytes(marker) if marker else None, limit)
        result = _head(bucket, parameters, limit, page, shown) | {"Marker": shown(marker)}
        if page.truncated and parameters.get("Delimiter"):
            result["NextMarker"] = shown(key_text(page.last))
        owner = {"ID": canonical_id(bucket.account)}
        return result | _contents([_entry(entry, shown, parameters) | {"Owner": owner} for entry in page.entries])

    async def list_objects_v2(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        shown, limit = _encoding(parameters), _limit(parameters, "MaxKeys", "max-keys")
        token, start_after = parameters.get("ContinuationToken"), parameters.get("StartAfter")
        after = _from_token(token) if token else key_bytes(start_after) if start_after else None
        page = await self._page(bucket, parameters, after, limit)
        result = _head(bucket, parameters, limit, page, shown)
        result["KeyCount"] = len(page.entries) + len(page.prefixes)
        if token is not None:
            result["ContinuationToken"] = token
        if start_after is not None:
            result["StartAfter"] = shown(start_after)
        if page.truncated:
            result["NextContinuationToken"] = urlsafe_b64encode(_TOKEN + page.last).decode()
        entries = [_entry(entry, shown, parameters) for entry in page.entries]
        if parameters.get("FetchOwner"):
            entries = [entry | {"Owner": {"ID": canonical_id(bucket.account)}} for entry in entries]
        return result | _contents(entries)

    async def list_object_versions(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        shown, limit = _encoding(parameters), _limit(parameters, "MaxKeys", "max-keys")
        key, version_id = parameters.get("KeyMarker") or "", parameters.get("VersionIdMarker") or ""
        if version_id and not key:
            text = "A version-id marker cannot be specified without a key marker."
            raise invalid_argument(text, "version-id-marker", version_id)
        after = await self._version_start(bucket, key, version_id)
        page: Page[ObjectVersion] = await self._database.read(
            lambda connection: listing.all_versions(
                connection, bucket.id, after=after, limit=limit, **_where(parameters)
            )
        )
        result = _head(bucket, parameters, limit, page, shown)
        result |= {"KeyMarker": shown(key), "VersionIdMarker": version_id}
        if page.truncated:
            result["NextKeyMarker"] = shown(key_text(page.last))
            if not page.ends_on_prefix:
                result["NextVersionIdMarker"] = page.entries[-1].version_id
        owner = {"ID": canonical_id(bucket.account)}
        found = [(entry.marker, _version(entry, shown, parameters) | {"Owner": owner}) for entry in page.entries]
        # In the order of the list, for the writer of XML puts both kinds in one row.
        for name, marker in (("Versions", False), ("DeleteMarkers", True)):
            entries = [entry for is_marker, entry in found if is_marker == marker]
            if entries:
                result[name] = entries
        return result

    async def list_multipart_uploads(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        shown, limit = _encoding(parameters), _limit(parameters, "MaxUploads", "max-uploads")
        key, upload_id = parameters.get("KeyMarker") or "", parameters.get("UploadIdMarker") or ""
        after: Start | None = (key_bytes(key), ALL) if key else None
        if key and upload_id:
            upload = await self._database.read(lambda connection: uploads.find(connection, bucket.id, key, upload_id))
            if upload is None:
                raise invalid_argument("Invalid uploadId marker", "upload-id-marker", upload_id)
            after = key_bytes(key), upload.sequence
        page: Page[MultipartUpload] = await self._database.read(
            lambda connection: listing.open_uploads(
                connection, bucket.id, after=after, limit=limit, **_where(parameters)
            )
        )
        on_upload = bool(page.entries) and not page.ends_on_prefix
        result: dict[str, Any] = {
            "Bucket": bucket.name,
            "KeyMarker": shown(key),
            "UploadIdMarker": upload_id if key else "",
            "NextKeyMarker": shown(page.entries[-1].key) if on_upload else "",
            "NextUploadIdMarker": page.entries[-1].id if on_upload else "",
            "MaxUploads": limit,
            "IsTruncated": page.truncated,
            "EncodingType": parameters.get("EncodingType"),
            "Prefix": shown(parameters["Prefix"]) if parameters.get("Prefix") is not None else None,
            "Delimiter": shown(parameters["Delimiter"]) if parameters.get("Delimiter") else None,
            "CommonPrefixes": _prefixes(page, shown),
        }
        if page.truncated and page.ends_on_prefix:
            result["NextKeyMarker"] = ""
        if page.entries:
            result["Uploads"] = [_upload(bucket, upload, shown) for upload in page.entries]
        return common.without_none(result)

    async def _page(
        self, bucket: Bucket, parameters: Parameters, after: bytes | None, limit: int
    ) -> Page[ObjectVersion]:
        return await self._database.read(
            lambda connection: listing.objects(connection, bucket.id, after=after, limit=limit, **_where(parameters))
        )

    async def _version_start(self, bucket: Bucket, key: str, version_id: str) -> Start | None:
        if not key:
            return None
        if not version_id:
            return key_bytes(key), ALL
        if version_id != NULL and (number := sequence_of(version_id)) is not None:
            return key_bytes(key), number
        if version_id != NULL:
            raise invalid_argument("Invalid version id specified", "version-id-marker", version_id)
        null = await self._database.read(lambda connection: versions.by_id(connection, bucket.id, key, NULL))
        return key_bytes(key), ALL if null is None else null.sequence


def _encoding(parameters: Parameters) -> Shown:
    encoding = parameters.get("EncodingType")
    if encoding is None:
        return lambda text: text
    if encoding != "url":
        raise invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", encoding)
    return lambda text: quote_plus(text, safe="/*", errors="surrogateescape").replace("~", "%7E")


def _limit(parameters: Parameters, name: str, header: str) -> int:
    asked = parameters.get(name)
    if asked is None:
        return MOST
    if not 0 <= asked <= 2**31 - 1:
        text = f"Argument {name[0].lower()}{name[1:]} must be an integer between 0 and 2147483647"
        raise invalid_argument(text, header, asked)
    return min(int(asked), MOST)


def _where(parameters: Parameters) -> dict[str, Any]:
    return {
        "prefix": key_bytes(parameters.get("Prefix") or ""),
        "delimiter": key_bytes(parameters.get("Delimiter") or ""),
    }


def _head(
    bucket: Bucket, parameters: Parameters, limit: int, page: Page[ObjectVersion], shown: Shown
) -> dict[str, Any]:
    return common.without_none(
        {
            "Name": bucket.name,
            "Prefix": shown(parameters.get("Prefix") or ""),
            "Delimiter": shown(parameters["Delimiter"]) if parameters.get("Delimiter") else None,
            "MaxKeys": limit,
            "IsTruncated": page.truncated,
            "EncodingType": parameters.get("EncodingType"),
            "CommonPrefixes": _prefixes(page, shown),
        }
    )


def _prefixes(page: Page[Any], shown: Shown) -> list[dict[str, str]] | None:
    return [{"Prefix": shown(key_text(prefix))} for prefix in page.prefixes] or None


def _contents(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"Contents": list(entries)} if entries else {}


def _entry(version: ObjectVersion, shown: Shown, parameters: Parameters) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "Key": shown(version.key),
        "LastModified": common.moment(version.modified_ms),
        "ETag": quoted(version.etag),
        "Size": version.size,
        "StorageClass": version.storage_class,
    }
    if version.details.checksums:
        entry["ChecksumAlgorithm"] = list(version.details.checksums)
        entry["ChecksumType"] = version.details.checksum_type
    if version.state.restored_until_ms and "RestoreStatus" in (parameters.get("OptionalObjectAttributes") or ()):
        until = common.moment(version.state.restored_until_ms)
        entry["RestoreStatus"] = {"IsRestoreInProgress": False, "RestoreExpiryDate": until}
    return entry


def _version(version: ObjectVersion, shown: Shown, parameters: Parameters) -> dict[str, Any]:
    latest = {"VersionId": version.version_id, "IsLatest": version.latest}
    if version.marker:
        return {"Key": shown(version.key), "LastModified": common.moment(version.modified_ms), **latest}
    return _entry(version, shown, parameters) | latest


def _upload(bucket: Bucket, upload: MultipartUpload, shown: Shown) -> dict[str, Any]:
    owner = {"ID": canonical_id(bucket.account)}
    entry: dict[str, Any] = {
        "UploadId": upload.id,
        "Key": shown(upload.key),
        "Initiated": common.moment(upload.initiated_ms),
        "StorageClass": upload.storage_class,
        "Owner": owner,
        "Initiator": {"ID": upload.initiator, "DisplayName": upload.initiator},
    }
    if upload.algorithm:
        entry |= {"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.details.checksum_type}
    return entry


def _from_token(token: str) -> bytes:
    try:
        raw = urlsafe_b64decode(token.encode())
    except ValueError:
        raw = b""
    if not raw.startswith(_TOKEN):
        raise invalid_argument("The continuation token provided is incorrect", "continuation-token", token)
    return raw[len(_TOKEN) :]
