"""What comes from S3: bounded objects, few at one time, and none of them into memory as a whole."""

import asyncio
import os
from mmap import mmap
from pathlib import Path

import pytest

from lambent.aws.errors import ApiError, PlatformFault
from lambent.aws.service import Parameters, Result, Source
from lambent.functions.code_source import PART_BYTES, S3Code
from lambent.functions.ports import S3Object
from lambent.functions.quotas import Quotas

OBJECT = S3Object("bucket", "key")
MEGABYTES_16 = 16 * 1024 * 1024


class Slow:
    """A `Caller` that answers when it is told to, and counts who waits."""

    def __init__(self, body: bytes = b"archive") -> None:
        self.body = body
        self.asked: list[Parameters] = []
        self.waiting = 0
        self.most = 0
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def call(
        self,
        service: str,
        operation: str,
        parameters: Parameters,
        *,
        account: str,
        region: str,
        principal: str,
        source: Source | None = None,
        trace_header: str | None = None,
    ) -> Result:
        if operation != "GetObject":
            raise ApiError("NoSuchBucket", "none", status=404)
        self.asked.append(parameters)
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self.go.wait()
        self.waiting -= 1
        if self.error is not None:
            raise self.error
        return {"Body": self.body}


async def fetched(code: S3Code) -> bytes:
    return (await code.fetch(OBJECT, account="1" * 12, region="us-east-1", principal="p"))[:]


async def test_few_archives_are_read_at_one_time_and_the_others_wait(tmp_path: Path) -> None:
    caller = Slow()
    code = S3Code(caller, Quotas(), tmp_path)
    reads = [asyncio.create_task(fetched(code)) for _ in range(7)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert caller.waiting == 2
    reads.pop().cancel()
    caller.go.set()
    assert await asyncio.gather(*reads) == [b"archive"] * 6
    assert caller.most == 2


async def test_an_object_longer_than_any_archive_is_refused_after_one_byte_too_many(tmp_path: Path) -> None:
    limit = MEGABYTES_16 + 1000
    caller = Slow(b"x" * (limit + 1))
    caller.go.set()
    with pytest.raises(ApiError, match="Unzipped size must be smaller than 1000 bytes"):
        await fetched(S3Code(caller, Quotas(max_unzipped_bytes=1000), tmp_path))
    assert caller.asked[0]["Range"] == f"bytes=0-{limit}"
    caller.body = caller.body[1:]
    assert len(await fetched(S3Code(caller, Quotas(max_unzipped_bytes=1000), tmp_path))) == limit


class Ranges:
    """A `Caller` with one object, which it gives out by ranges."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.asked: list[Parameters] = []

    async def call(
        self,
        service: str,
        operation: str,
        parameters: Parameters,
        *,
        account: str,
        region: str,
        principal: str,
        source: Source | None = None,
        trace_header: str | None = None,
    ) -> Result:
        if operation != "GetObject":
            raise ApiError("NoSuchBucket", "none", status=404)
        self.asked.append(parameters)
        first, last = map(int, parameters["Range"].removeprefix("bytes=").split("-"))
        if first >= self.size:
            raise ApiError("InvalidRange", "The requested range is not satisfiable", status=416)
        last = min(last, self.size - 1)
        body = bytes([first // PART_BYTES]) * (last - first + 1)
        return {"Body": body, "ContentRange": f"bytes {first}-{last}/{self.size}", "ETag": '"1"'}


async def test_a_large_object_comes_in_parts_of_one_state(tmp_path: Path) -> None:
    caller = Ranges(2 * PART_BYTES + 10)
    body = await fetched(S3Code(caller, Quotas(), tmp_path))
    assert (len(body), body[0], body[PART_BYTES], body[-1]) == (caller.size, 0, 1, 2)
    assert [asked.get("IfMatch") for asked in caller.asked] == [None, '"1"', '"1"']


@pytest.mark.parametrize(("size", "calls"), [(0, 1), (1, 1), (PART_BYTES, 1), (PART_BYTES + 1, 2)])
async def test_no_more_is_asked_than_there_is(size: int, calls: int, tmp_path: Path) -> None:
    caller = Ranges(size)
    assert len(await fetched(S3Code(caller, Quotas(), tmp_path))) == size
    assert len(caller.asked) == calls


async def test_an_object_that_says_it_is_too_long_is_read_no_further(tmp_path: Path) -> None:
    caller = Ranges(10**12)
    with pytest.raises(ApiError, match="Unzipped size must be smaller than"):
        await fetched(S3Code(caller, Quotas(), tmp_path))
    assert len(caller.asked) == 1


async def test_an_archive_is_a_file_that_nobody_else_sees(tmp_path: Path) -> None:
    caller = Slow(b"x" * 100_000)
    caller.go.set()
    content = await S3Code(caller, Quotas(), tmp_path).fetch(
        OBJECT, account="1" * 12, region="us-east-1", principal="p"
    )
    assert isinstance(content, mmap)
    assert (len(content), content[:3], await asyncio.to_thread(os.listdir, tmp_path)) == (100_000, b"xxx", [])


async def test_a_failure_gives_its_place_back(tmp_path: Path) -> None:
    caller = Slow()
    caller.go.set()
    code = S3Code(caller, Quotas(), tmp_path)
    for error in (
        PlatformFault("S3 is away"),
        ApiError("SlowDown", "Slow down.", status=503),
    ) * 2:
        caller.error = error
        with pytest.raises((PlatformFault, ApiError)):
            await fetched(code)
    caller.error = None
    assert await fetched(code) == b"archive"
