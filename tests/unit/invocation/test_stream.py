"""The queue between the engine and a client: its pace, its end, and who leaves."""

import asyncio

import pytest

from lambent.aws.errors import ApiError
from lambent.invocation.pace import Pace
from lambent.invocation.stream import QUEUED_BYTES, Stream
from lambent.testing.manual_clock import ManualClock
from lambent.testing.scripted_runtime import Begin, Chunk, Echo, Finish, Next, WaitFor
from tests.unit.environments.kit import Machine, function_version, request, within

PACE = Pace(burst_bytes=100, bytes_per_s=10)


async def test_a_response_beyond_the_burst_waits_for_its_pace() -> None:
    clock = ManualClock()
    stream = Stream(clock, PACE)
    for size in (100, 20, 1):
        stream.chunk(b"x" * size)
    assert [await stream.next(), await stream.next()] == [b"x" * 100, b"x" * 20]
    last = asyncio.create_task(stream.next())
    await clock.advance(1.9)
    assert not last.done()
    await clock.advance(0.2)
    assert await within(last) == b"x"


async def test_a_full_queue_asks_for_a_pause_and_reading_ends_it() -> None:
    stream, resumed = Stream(ManualClock(), Pace(1 << 40, 1)), []
    stream.resumes(lambda: resumed.append(True))
    half = b"x" * (QUEUED_BYTES // 2)
    assert [stream.chunk(half), stream.chunk(half), stream.chunk(b"y")] == [True, False, False]
    await stream.next()
    assert resumed == [True]


async def test_after_the_reader_has_left_everything_is_taken_and_dropped() -> None:
    stream, resumed = Stream(ManualClock(), PACE), []
    stream.resumes(lambda: resumed.append(True))
    stream.chunk(b"x" * QUEUED_BYTES)
    stream.leave()
    assert (stream.chunk(b"x" * QUEUED_BYTES), resumed) == (True, [True])
    stream.end(None)
    assert await stream.next() is None


async def test_a_refused_invocation_is_raised_where_the_response_would_begin() -> None:
    async with Machine(account_limit=0) as machine:
        stream = Stream(machine.clock, PACE)
        stream.start(machine.router, function_version(), request())
        with pytest.raises(ApiError) as refused:
            await within(stream.begun())
        assert refused.value.code == "TooManyRequestsException"


async def test_the_invocation_goes_on_when_nobody_waits_for_it() -> None:
    go_on = asyncio.Event()
    script = (Next(), Begin(), Chunk(b"one"), WaitFor(go_on), Chunk(b"two"), Finish(), Echo())
    async with Machine((script,)) as machine:
        stream = Stream(machine.clock, PACE)
        stream.start(machine.router, function_version(), request())
        assert await within(stream.next()) == b"one"
        stream.leave()
        go_on.set()
        assert (await within(stream.result())).streamed_bytes == 6
