"""Code that is in S3: fetched through whatever answers S3 here, in the account of the one who asks.

Owns the texts of AWS for an object that cannot be had, and the file without a name that an object comes to: no archive
is ever in memory as a whole. What is in it is the business of `packages`.
"""

import asyncio
import mmap
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

from lambent.aws.caller import Caller
from lambent.aws.errors import ApiError, PlatformFault, invalid_parameter, not_built
from lambent.aws.streams import pieces
from lambent.functions.archive import Content, too_large
from lambent.functions.ports import S3Object
from lambent.functions.quotas import Quotas

_AT_ONE_TIME: Final = 2
"""Archives that are on their way; others wait."""
PART_BYTES: Final = 64 * 1024 * 1024
"""Of an object, at one time: less than any reply may have."""
_OVERHEAD_BYTES: Final = 16 * 1024 * 1024
"""What an archive may be larger than its contents: names and records of its entries."""


class S3Code:
    """`functions.ports.CodeSource` over the S3 that the server's callers see."""

    def __init__(self, caller: Caller, quotas: Quotas, folder: Path) -> None:
        """`folder`: on whose disk archives wait until they are unpacked."""
        self._caller = caller
        self._quotas = quotas
        self._folder = folder
        self._slots = asyncio.Semaphore(_AT_ONE_TIME)

    async def fetch(self, found: S3Object, *, account: str, region: str, principal: str) -> Content:
        await self._check_region(found, account=account, region=region, principal=principal)
        async with self._slots:
            try:
                with TemporaryFile(dir=self._folder, buffering=0) as file:
                    size = await self._read(found, file, account=account, region=region, principal=principal)
                    # The map keeps the file, which nobody else can reach.
                    return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b""
            except OSError as error:
                raise PlatformFault(f"The code cannot be stored: {error.strerror or error}") from error

    async def _check_region(self, found: S3Object, *, account: str, region: str, principal: str) -> None:
        """Code comes from buckets of the function's region alone. What else is wrong with a bucket is told later."""
        asked = {"Bucket": found.bucket}
        try:
            reply = await self._caller.call(
                "s3", "HeadBucket", asked, account=account, region=region, principal=principal
            )
        except ApiError:
            return
        there = reply.get("BucketRegion", region)
        if there != region:
            text = f"The bucket is in this region: {there}. Please use this region to retry the request"
            raise _refused(ApiError("PermanentRedirect", text, status=301), found)

    async def _read(self, found: S3Object, file: IO[bytes], *, account: str, region: str, principal: str) -> int:
        """How many bytes have come."""
        limit = self._quotas.max_unzipped_bytes + _OVERHEAD_BYTES
        parameters = {"Bucket": found.bucket, "Key": found.key}
        if found.version is not None:
            parameters["VersionId"] = found.version
        size = parts = 0
        while size == parts * PART_BYTES:
            # One byte more than may be: what is longer shows itself, and no more of it is read.
            last = min(size + PART_BYTES - 1, limit)
            asked = {**parameters, "Range": f"bytes={size}-{last}"}
            try:
                reply = await self._caller.call(
                    "s3", "GetObject", asked, account=account, region=region, principal=principal
                )
            except ApiError as error:
                if error.code == "InvalidRange":
                    break
                raise _refused(error, found) from error
            async for chunk in pieces(reply.get("Body")):
                await asyncio.to_thread(_write, file, chunk)
                size += len(chunk)
            total = str(reply.get("ContentRange", "")).rpartition("/")[2]
            if size > limit or (total.isdecimal() and int(total) > limit):
                raise invalid_parameter(str(too_large(self._quotas)))
            parts += 1
            if total.isdecimal() and size == int(total):
                break
            if "ETag" in reply:
                # Parts of one object, not of one that took its place meanwhile.
                parameters["IfMatch"] = reply["ETag"]
        return size


def _write(file: IO[bytes], chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[file.write(view) :]


class NoS3Code:
    """For a server without neighbours."""

    async def fetch(self, found: S3Object, *, account: str, region: str, principal: str) -> Content:
        raise not_built("GetObject", "Code from S3")


def _refused(error: ApiError, found: S3Object) -> ApiError:
    if error.code == "NotImplementedException":
        return error
    said = f"S3 Error Code: {error.code}. S3 Error Message: {error.message}"
    if error.code == "AccessDenied":
        return ApiError(
            "AccessDeniedException",
            "Your access has been denied by S3, please make sure your request credentials have permission to GetObject"
            f" for {found.bucket}/{found.key}. {said}",
            status=403,
        )
    return invalid_parameter(f"Error occurred while GetObject. {said}")
