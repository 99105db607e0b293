"""DeleteObject and DeleteObjects."""

import asyncio
from typing import Any, Final

from lambent.aws.errors import ApiError
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.services.s3.api import common
from lambent.services.s3.buckets import Buckets
from lambent.services.s3.changes import Change
from lambent.services.s3.errors import (
    invalid_argument,
    malformed_xml,
    no_such_version,
    not_implemented,
)
from lambent.services.s3.objects import Objects
from lambent.services.s3.records import NULL, Bucket, Origin

MOST: Final = 1000


class DeleteApi:
    def __init__(self, objects: Objects, buckets: Buckets) -> None:
        self._objects = objects
        self._buckets = buckets

    def operations(self) -> Operations:
        return {"DeleteObject": self.delete_object, "DeleteObjects": self.delete_objects}

    async def delete_object(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        for member, header in (
            ("IfMatchLastModifiedTime", "x-amz-if-match-last-modified-time"),
            ("IfMatchSize", "x-amz-if-match-size"),
        ):
            if parameters.get(member) is not None:
                raise not_implemented(header)
        version_id = parameters.get("VersionId")
        done = await self._objects.delete(
            bucket,
            parameters["Key"],
            version_id,
            common.origin_of(context),
            match=parameters.get("IfMatch"),
            bypass=_bypass(bucket, parameters),
        )
        return common.without_none(
            {
                "DeleteMarker": True if done.version is not None and done.version.marker else None,
                "VersionId": _shown(done, version_id),
            }
        )

    async def delete_objects(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        wanted = parameters["Delete"]
        if not 1 <= len(wanted["Objects"]) <= MOST:
            raise malformed_xml()
        origin, bypass = common.origin_of(context), _bypass(bucket, parameters)
        deleted: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        # At one time, so that they share commits; they are begun, and so done, in their order.
        for failed, shown in await asyncio.gather(
            *(self._one(bucket, item, origin, bypass=bypass) for item in wanted["Objects"])
        ):
            (errors if failed else deleted).append(shown)
        result: dict[str, Any] = {}
        if deleted and not wanted.get("Quiet"):
            result["Deleted"] = deleted
        if errors:
            result["Errors"] = errors
        return result

    async def _one(
        self, bucket: Bucket, item: Parameters, origin: Origin, *, bypass: bool
    ) -> tuple[bool, dict[str, Any]]:
        try:
            return False, await self._delete(bucket, item, origin, bypass=bypass)
        except ApiError as error:
            shown = {"Key": item["Key"], "VersionId": item.get("VersionId")}
            return True, common.without_none({**shown, "Code": error.code, "Message": error.message})

    async def _delete(self, bucket: Bucket, item: Parameters, origin: Origin, *, bypass: bool) -> dict[str, Any]:
        key, version_id = item["Key"], item.get("VersionId") or None
        try:
            done = await self._objects.delete(bucket, key, version_id, origin, match=item.get("ETag"), bypass=bypass)
        except ApiError as error:
            if error.code == "InvalidArgument" and version_id is not None:
                raise no_such_version(key, version_id) from error
            raise
        shown: dict[str, Any] = {"Key": key, "VersionId": version_id}
        if done.version is not None and done.version.marker:
            shown |= {"DeleteMarker": True, "DeleteMarkerVersionId": done.version.version_id}
        return common.without_none(shown)


def _bypass(bucket: Bucket, parameters: Parameters) -> bool:
    if parameters.get("BypassGovernanceRetention") is None:
        return False
    if not bucket.locked:
        text = "x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets."
        raise invalid_argument(text, "x-amz-bypass-governance-retention", parameters["BypassGovernanceRetention"])
    return bool(parameters["BypassGovernanceRetention"])


def _shown(done: Change, asked: str | None) -> str | None:
    if asked is not None:
        return asked if asked != NULL or done.version is not None else None
    return None if done.version is None else done.version.version_id
