"""Code that is in S3: fetched through whatever answers S3 here, in the account of the one who asks.

Owns the texts of AWS for an object that cannot be had, and how much of one is held in memory. What is in the archive
is the business of `packages`.
"""

import asyncio
from typing import Final

from lambent.aws.caller import Caller
from lambent.aws.errors import ApiError, invalid_parameter, not_built
from lambent.aws.streams import whole
from lambent.functions.archive import too_large
from lambent.functions.ports import S3Object
from lambent.functions.quotas import Quotas

_AT_ONE_TIME: Final = 2
"""Archives that are on their way into memory; others wait."""
PART_BYTES: Final = 64 * 1024 * 1024
"""Of an object, at one time: less than any reply may have."""
_OVERHEAD_BYTES: Final = 16 * 1024 * 1024
"""What an archive may be larger than its contents: names and records of its entries."""


class S3Code:
    """`functions.ports.CodeSource` over the S3 that the server's callers see."""

    def __init__(self, caller: Caller, quotas: Quotas) -> None:
        self._caller = caller
        self._quotas = quotas
        self._slots = asyncio.Semaphore(_AT_ONE_TIME)

    async def fetch(self, found: S3Object, *, account: str, region: str, principal: str) -> bytes:
        limit = self._quotas.max_unzipped_bytes + _OVERHEAD_BYTES
        parameters = {"Bucket": found.bucket, "Key": found.key}
        if found.version is not None:
            parameters["VersionId"] = found.version
        parts: list[bytes] = []
        size = 0
        async with self._slots:
            while size == len(parts) * PART_BYTES:
                # One byte more than may be: what is longer shows itself, and no more of it comes into memory.
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
                body = await whole(reply.get("Body"))
                total = str(reply.get("ContentRange", "")).rpartition("/")[2]
                size += len(body)
                if size > limit or (total.isdecimal() and int(total) > limit):
                    raise invalid_parameter(str(too_large(self._quotas)))
                parts.append(body)
                if total.isdecimal() and size == int(total):
                    break
                if "ETag" in reply:
                    # Parts of one object, not of one that took its place meanwhile.
                    parameters["IfMatch"] = reply["ETag"]
        return parts[0] if len(parts) == 1 else b"".join(parts)


class NoS3Code:
    """For a server without neighbours."""

    async def fetch(self, found: S3Object, *, account: str, region: str, principal: str) -> bytes:
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
