"""Environment output: seen at once, stored in batches, bounded, durable but for the last moment."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection

from lambent.aws.errors import PlatformFault
from lambent.services.logs.unflushed import Limits
from lambent.testing.manual_clock import START, ManualClock
from tests.places import Place
from tests.unit.services.logs.conftest import Logs, MakeLogs

START_MS = int(START.timestamp() * 1000)


class Disk:
    """Stands before `Database.write` and can be full."""

    def __init__(self, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        write = logs.database.write

        async def guarded(work: Callable[[Connection], Any], **more: Any) -> Any:
            if self.full:
                raise PlatformFault("The store cannot write: database or disk is full")
            return await write(work, **more)

        monkeypatch.setattr(logs.database, "write", guarded)


async def test_the_first_line_makes_group_and_stream_and_is_seen_at_once(logs: Logs) -> None:
    stream = logs.open("/aws/lambda/f", "2026/11/20/[$LATEST]0")
    assert (await logs("DescribeLogGroups"))["logGroups"] == []
    stream.write(START_MS, "hello\n")
    assert await logs.messages("/aws/lambda/f") == ["hello\n"]
    stream.write(START_MS + 1, "again\n")
    page = await logs("GetLogEvents", logGroupName="/aws/lambda/f", logStreamName="2026/11/20/[$LATEST]0")
    assert [event["message"] for event in page["events"]] == ["hello\n", "again\n"]
    (described,) = (await logs("DescribeLogStreams", logGroupName="/aws/lambda/f"))["logStreams"]
    assert described["lastEventTimestamp"] == START_MS + 1


async def test_lines_are_stored_within_200_ms_of_the_clock(logs: Logs) -> None:
    logs.service.start()
    stream = logs.open("g", "s")
    stream.write(START_MS, "line")
    stored = asyncio.ensure_future(_stored(logs))
    while not stored.done():
        await logs.clock.advance(0.1)
        await asyncio.sleep(0.001)
        assert logs.clock.monotonic() < 1000
    assert stored.result() == 1


async def _stored(logs: Logs) -> int:
    while not (count := len(await _rows(logs))):  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    return count


async def _rows(logs: Logs) -> list[Any]:
    return await logs.database.read(lambda connection: list(connection.exec_driver_sql("SELECT id FROM log_chunks")))


async def test_a_flush_makes_one_chunk_for_each_stream(logs: Logs) -> None:
    streams = [logs.open("g", str(number)) for number in range(3)]
    for line in range(100):
        for stream in streams:
            stream.write(START_MS + line, f"line {line}")
    await logs.service.sink.flush()
    assert len(await _rows(logs)) == 3
    assert len(await logs.messages("g")) == 300


async def test_events_keep_their_order_within_a_millisecond(logs: Logs) -> None:
    stream = logs.open("g", "s")
    for number in range(50):
        stream.write(START_MS, str(number))
        if number % 10 == 0:
            await logs.service.sink.flush()
    assert await logs.messages("g") == [str(number) for number in range(50)]


async def test_a_line_after_a_delete_makes_the_group_again(logs: Logs) -> None:
    stream = logs.open("g", "s")
    stream.write(START_MS, "before")
    await logs("DeleteLogGroup", logGroupName="g")
    assert (await logs("DescribeLogGroups"))["logGroups"] == []
    stream.write(START_MS, "after")
    assert await logs.messages("g") == ["after"]


async def test_after_a_reset_nothing_is_left_and_open_streams_go_on(logs: Logs) -> None:
    stream = logs.open("g", "s")
    stream.write(START_MS, "before")
    await logs.service.reset()
    assert (await logs("DescribeLogGroups"))["logGroups"] == []
    stream.write(START_MS, "after")
    assert await logs.messages("g") == ["after"]


async def test_a_restart_finds_everything_that_was_flushed_and_numbers_go_on(make_logs: MakeLogs) -> None:
    first = await make_logs()
    first.open("g", "s").write(START_MS, "one")
    await first.service.close()
    await first.database.close()
    second = await make_logs()
    second.open("g", "s").write(START_MS, "two")
    assert await second.messages("g") == ["one", "two"]


async def test_a_flood_stays_within_its_memory_and_says_what_was_lost(make_logs: MakeLogs) -> None:
    logs = await make_logs(limits=Limits(stream_bytes=100_000, total_bytes=150_000))
    flood, other = logs.open("g", "flood"), logs.open("g", "other")
    for _ in range(10_000):
        flood.write(START_MS, "x" * 100)
    other.write(START_MS, "still here")
    assert logs.service._unflushed.held_bytes <= 150_000
    assert logs.service.dropped_records > 9_000
    await logs.service.sink.flush()
    assert await logs.messages("g", logStreamNames=["other"]) == ["still here"]
    lines = await logs.messages("g", logStreamNames=["flood"])
    kept = [line for line in lines if line.startswith("x")]
    (notice,) = [line for line in lines if not line.startswith("x")]
    assert '"type":"platform.logsDropped"' in notice
    assert f'"droppedRecords":{10_000 - len(kept)}' in notice
    assert logs.service._unflushed.held_bytes == 0
    flood.write(START_MS, "y")
    assert (await logs.messages("g", filterPattern="y", logStreamNames=["flood"]))[-1] == "y"


async def test_a_full_disk_loses_nothing_that_fits_and_recovers(
    logs: Logs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk(logs, monkeypatch)
    stream = logs.open("g", "s")
    stream.write(START_MS, "stored")
    await logs.service.sink.flush()
    disk.full = True
    with caplog.at_level(logging.WARNING):
        stream.write(START_MS, "waits")
        assert not await logs.service.sink.flush()
        assert not await logs.service.sink.flush()
    assert len([record for record in caplog.records if "cannot be stored" in record.message]) == 1
    assert await logs.messages("g") == ["stored", "waits"]
    disk.full = False
    assert await logs.service.sink.flush()
    assert await logs.messages("g") == ["stored", "waits"]
    assert logs.service._unflushed.held_bytes == 0


async def test_what_a_full_disk_drops_is_told_once_it_works_again(
    make_logs: MakeLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = await make_logs(limits=Limits(stream_bytes=2_000))
    disk = Disk(logs, monkeypatch)
    disk.full = True
    stream = logs.open("g", "s")
    for _ in range(3):
        for _ in range(20):
            stream.write(START_MS, "line")
        await logs.service.sink.flush()
    disk.full = False
    lines = await logs.messages("g")
    kept = lines.count("line")
    assert f'"droppedRecords":{60 - kept}' in lines[-1]
    assert len(lines) == kept + 1


async def test_the_flush_loop_tries_again_until_the_disk_works(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(logs, monkeypatch)
    disk.full = True
    logs.service.start()
    logs.open("g", "s").write(START_MS, "line")
    for _ in range(5):
        await logs.clock.advance(1)
        await asyncio.sleep(0.001)
    disk.full = False
    stored = asyncio.ensure_future(_stored(logs))
    async with asyncio.timeout(20):
        while not stored.done():
            await logs.clock.advance(0.5)
            await asyncio.sleep(0.001)
    assert stored.result() == 1


async def test_a_closed_stream_is_forgotten_once_it_is_stored(logs: Logs) -> None:
    stream = logs.open("g", "s")
    stream.write(START_MS, "last words")
    stream.close()
    stream.close()
    assert await logs.messages("g") == ["last words"]
    await logs.service.sink.flush()
    assert not logs.service._unflushed._tails
    stream.write(START_MS, "and one more")
    logs.open("g", "s").write(START_MS, "of its successor")
    assert (await logs.messages("g"))[1:] == ["and one more", "of its successor"]
    unused = logs.open("g", "unused")
    unused.close()
    assert [key.stream for key in logs.service._unflushed._tails] == ["s"]


async def test_a_long_message_becomes_several_events_and_an_empty_one_none(logs: Logs) -> None:
    stream = logs.open("g", "s")
    stream.write(START_MS, "a" * 262_144 + "b")
    stream.write(START_MS, "")
    assert [len(message) for message in await logs.messages("g")] == [262_144, 1]


async def test_a_message_without_utf8_form_is_kept_with_replacements(logs: Logs) -> None:
    stream = logs.open("g", "s")
    stream.write(START_MS, "bad \ud800 end")
    assert await logs.messages("g") == ["bad ? end"]
    await logs.service.sink.flush()
    assert await logs.messages("g") == ["bad ? end"]


async def test_closing_stores_what_is_left(make_logs: MakeLogs) -> None:
    logs = await make_logs()
    logs.service.start()
    logs.open("g", "s").write(START_MS, "end")
    await logs.service.close()
    assert len(await _rows(logs)) == 1


async def test_writing_a_line_takes_microseconds(logs: Logs) -> None:
    stream = logs.open("g", "s")
    begun = time.perf_counter()
    for _ in range(2_000):
        stream.write(START_MS, "a line of ordinary length that a function prints\n")
    # 2 us measured; the bound only catches a write that waits for something.
    assert time.perf_counter() - begun < 0.5


async def test_cancelling_a_reader_does_not_break_the_flush_it_waits_for(logs: Logs) -> None:
    stream = logs.open("g", "s")
    stream.write(START_MS, "one")
    waiting = asyncio.ensure_future(logs.service.sink.flush())
    await asyncio.sleep(0)
    waiting.cancel()
    stream.write(START_MS, "two")
    assert await logs.service.sink.flush()
    assert await logs.messages("g") == ["one", "two"]


def test_the_clock_of_these_tests_stands_still() -> None:
    assert ManualClock().epoch_ms() == START_MS


async def test_a_disk_that_is_really_full_is_survived(logs: Logs, place: Place) -> None:
    if place.url is not None:
        pytest.skip("the limit is one of SQLite")
    stream = logs.open("g", "s")
    stream.write(START_MS, "first")
    await logs.service.sink.flush()
    await logs.database.write(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1"))
    lines = [f"{number:x}{hash((number, 7)):x}{hash((number, 11)):x}" for number in range(5000)]
    for line in lines:
        stream.write(START_MS, line)
    assert not await logs.service.sink.flush()
    assert len(await _rows(logs)) == 1
    # The store drops a connection that has failed, and the limit with it.
    assert await logs.service.sink.flush()
    assert await logs.messages("g") == ["first", *lines]


async def test_a_burst_is_stored_before_its_time_and_loses_nothing(logs: Logs) -> None:
    logs.service.start()
    stream = logs.open("g", "s")
    for number in range(40_000):
        stream.write(START_MS, f"line {number} of a function that prints a lot\n")
        if number % 500 == 0:
            await asyncio.sleep(0.0005)
    assert logs.clock.monotonic() == 0
    assert logs.service.dropped_records == 0
    assert await _rows(logs)
    assert await logs.service.sink.flush()
    assert len(await logs.messages("g")) == 40_000
