"""A service S3 of a few lines behind the real gateway: it notes what reaches a handler, objects are files."""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lambent.aws.buckets import BucketFacts
from lambent.aws.errors import ApiError
from lambent.aws.service import ANYONE, CallContext, Handler, Parameters, Result, Service
from lambent.aws.streams import FileRange, Upload

OWNER = "123456789012"


@dataclass
class SmallS3:
    folder: Path
    seen: list[tuple[str, CallContext, dict[str, Any]]] = field(default_factory=list)
    known: dict[str, BucketFacts] = field(default_factory=dict)
    public: set[tuple[str, str]] = field(default_factory=set)
    """Of operation and bucket."""
    stored: list[dict[str, Any]] = field(default_factory=list)
    reading: asyncio.Event = field(default_factory=asyncio.Event)
    """Somebody is about to read a body."""

    def service(self) -> Service:
        operations = {
            name: self._open(name, getattr(self, "_" + name))
            for name in (
                "PutObject", "UploadPart", "GetObject", "HeadObject", "DeleteObject", "ListObjectsV2", "ListBuckets",
                "CreateBucket", "GetBucketLocation", "PutBucketTagging", "DeleteObjects", "PutBucketPolicy",
            )
        }  # fmt: skip
        return Service("s3", operations, streamed=frozenset({"PutObject", "UploadPart"}), buckets=self)

    async def facts(self, bucket: str) -> BucketFacts | None:
        return self.known.get(bucket)

    def _open(self, operation: str, handler: Handler) -> Handler:
        """As the service does: nobody gets what is not open to all."""

        async def admitted(context: CallContext, parameters: Parameters) -> Result:
            if context.identity is ANYONE and (operation, parameters.get("Bucket")) not in self.public:
                raise ApiError("AccessDenied", "Access Denied", status=403)
            return await handler(context, parameters)

        return admitted

    def bucket(self, name: str, *, region: str = "us-east-1", cors: Sequence[Mapping[str, Any]] = ()) -> None:
        self.known[name] = BucketFacts(OWNER, region, cors)

    def path(self, key: str) -> Path:
        return self.folder / quote(key, safe="")

    def note(self, operation: str, context: CallContext, parameters: Parameters) -> None:
        self.seen.append((operation, context, dict(parameters)))

    async def _PutObject(self, context: CallContext, parameters: Parameters) -> Result:
        self.note("PutObject", context, parameters)
        if parameters["Bucket"] == "missing":
            raise ApiError("NoSuchBucket", "The specified bucket does not exist", members={"BucketName": "missing"})
        return await self._kept(parameters)

    async def _UploadPart(self, context: CallContext, parameters: Parameters) -> Result:
        self.note("UploadPart", context, parameters)
        return await self._kept(parameters)

    async def _kept(self, parameters: Parameters) -> Result:
        upload: Upload = parameters["Body"]
        path = self.path(parameters["Key"])
        largest = 0
        self.reading.set()
        with path.with_suffix(".part").open("wb") as file:
            async for chunk in upload:
                largest = max(largest, len(chunk))
                file.write(chunk)
        path.with_suffix(".part").rename(path)
        self.stored.append({"size": upload.size_bytes, "largest": largest, "length": upload.length_bytes})
        result = {"ETag": f'"{upload.digest("MD5").hex()}"'}
        if upload.checksum_algorithm is not None:
            name = f"Checksum{upload.checksum_algorithm}"
            result[name] = base64.b64encode(upload.digest(upload.checksum_algorithm)).decode()
        return result

    async def _GetObject(self, context: CallContext, parameters: Parameters) -> Result:
        self.note("GetObject", context, parameters)
        path = self.path(parameters["Key"])
        if not path.exists():
            raise ApiError("NoSuchKey", "The specified key does not exist.", members={"Key": parameters["Key"]})
        size = path.stat().st_size
        return {"ContentLength": size, "ContentType": "text/plain", "Body": FileRange.opened(path, 0, size)}

    async def _HeadObject(self, context: CallContext, parameters: Parameters) -> Result:
        path = self.path(parameters["Key"])
        if not path.exists():
            raise ApiError("NoSuchKey", "The specified key does not exist.", members={"Key": parameters["Key"]})
        return {"ContentLength": path.stat().st_size, "Metadata": {"word": "h\u00f6lle"}}

    async def _DeleteObject(self, context: CallContext, parameters: Parameters) -> Result:
        self.note("DeleteObject", context, parameters)
        return {}

    async def _ListObjectsV2(self, context: CallContext, parameters: Parameters) -> Result:
        self.note("ListObjectsV2", context, parameters)
        contents = [{"Key": "odd\x01key", "Size": 1}, {"Key": "b", "Size": 2}]
        return {"Contents": contents, "Name": parameters["Bucket"], "Prefix": "", "IsTruncated": False, "MaxKeys": 9}

    async def _ListBuckets(self, context: CallContext, parameters: Parameters) -> Result:
        self.note("ListBuckets", context, parameters)
        return {"Buckets": [{"Name": "b"}], "Owner": {"ID": "0" * 64}}

    async def _CreateBucket(self, context: CallContext, parameters: Parameters) -> Result:
        self.note("CreateBucket", context, parameters)
        return {"Location": f"/{parameters['Bucket']}"}

    async def _GetBucketLocation(self, context: CallContext, parameters: Parameters) -> Result:
        return {"LocationConstraint": "eu-west-3"}

    async def _PutBucketTagging(self, context: CallContext, parameters: Parameters) -> Result:
        self.note("PutBucketTagging", context, parameters)
        return {}

    async def _PutBucketPolicy(self, context: CallContext, parameters: Parameters) -> Result:
        self.note("PutBucketPolicy", context, parameters)
        return {}

    async def _DeleteObjects(self, context: CallContext, parameters: Parameters) -> Result:
        self.note("DeleteObjects", context, parameters)
        return {"Deleted": [{"Key": item["Key"]} for item in parameters["Delete"]["Objects"]]}
