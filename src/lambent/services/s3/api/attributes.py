"""GetObjectAttributes."""

from collections.abc import Sequence
from typing import Any, Final

from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.services.s3.api import common
from lambent.services.s3.buckets import Buckets
from lambent.services.s3.errors import invalid_argument
from lambent.services.s3.lookup import shown_id
from lambent.services.s3.objects import Objects
from lambent.services.s3.records import ObjectVersion, Part

NAMES: Final = ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")
MOST: Final = 1000


class AttributeApi:
    def __init__(self, objects: Objects, buckets: Buckets) -> None:
        self._objects = objects
        self._buckets = buckets

    def operations(self) -> Operations:
        return {"GetObjectAttributes": self.get_object_attributes}

    async def get_object_attributes(self, context: CallContext, parameters: Parameters) -> Result:
        bucket = common.bucket_of(self._buckets, context, parameters)
        wanted = {name.strip() for each in parameters["ObjectAttributes"] for name in each.split(",")}
        for name in sorted(wanted - set(NAMES)):
            raise invalid_argument("Invalid attribute name specified.", "x-amz-object-attributes", name)
        version = await self._objects.head(bucket, parameters["Key"], parameters.get("VersionId"), "GET")
        found: dict[str, Any] = {
            "LastModified": common.moment(version.modified_ms),
            "VersionId": shown_id(bucket, version),
        }
        if "ETag" in wanted:
            found["ETag"] = version.etag
        if "Checksum" in wanted and version.details.checksums:
            sums = {name: value.partition("-")[0] for name, value in version.details.checksums.items()}
            found["Checksum"] = common.checksum_members(sums) | {"ChecksumType": version.details.checksum_type}
        if "ObjectParts" in wanted and version.parts:
            found["ObjectParts"] = _parts(version, await self._objects.parts(version), parameters)
        if "StorageClass" in wanted:
            found["StorageClass"] = version.storage_class
        if "ObjectSize" in wanted:
            found["ObjectSize"] = version.size
        return common.without_none(found)


def _parts(version: ObjectVersion, parts: Sequence[Part], parameters: Parameters) -> dict[str, Any]:
    marker, asked = parameters.get("PartNumberMarker") or 0, parameters.get("MaxParts")
    limit = MOST if asked is None else min(asked, MOST)
    result: dict[str, Any] = {"TotalPartsCount": version.parts}
    if version.details.checksum_type != "COMPOSITE":
        return result
    # Of parts without a checksum of their own AWS tells the number alone.
    behind = [(number, part) for number, part in enumerate(parts, 1) if number > marker]
    page = behind[:limit]
    return result | {
        "PartNumberMarker": marker,
        "NextPartNumberMarker": page[-1][0] if page else 0,
        "MaxParts": limit,
        "IsTruncated": len(behind) > limit,
        "Parts": [
            {"PartNumber": number, "Size": part.size, **common.checksum_members(part.checksums)}
            for number, part in page
        ],
    }
