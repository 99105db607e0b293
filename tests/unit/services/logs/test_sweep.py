"""Retention and the disk cap: what is deleted, and when."""

import tracemalloc

from lambent.services.logs.retention import DAY_MS, RETENTION_DAYS, Retention
from lambent.services.logs.sweep import Sweeper
from lambent.testing.manual_clock import START
from tests.unit.services.logs.conftest import Logs, MakeLogs

START_MS = int(START.timestamp() * 1000)


def sweeper(logs: Logs) -> Sweeper:
    return logs.service._sweeper


async def chunk_count(logs: Logs) -> int:
    return await logs.database.read(
        lambda connection: int(connection.exec_driver_sql("SELECT COUNT(*) FROM log_chunks").scalar() or 0)
    )


async def test_chunks_go_when_the_policy_of_their_group_says_so(logs: Logs) -> None:
    await logs.make("short", "s")
    await logs.make("long", "s")
    await logs("PutRetentionPolicy", logGroupName="short", retentionInDays=3)
    for group in ("short", "long"):
        await logs.put(group, "s", "old")
    await logs.clock.advance(3 * 86_400 - 1)
    await logs.put("short", "s", "new")
    await sweeper(logs).sweep()
    assert await logs.messages("short") == ["old", "new"]
    await logs.clock.advance(2)
    assert await logs.messages("short") == ["new"]
    assert await chunk_count(logs) == 3
    await sweeper(logs).sweep()
    assert await chunk_count(logs) == 2
    assert await logs.messages("long") == ["old"]
    groups = (await logs("DescribeLogGroups"))["logGroups"]
    assert {group["logGroupName"]: group["storedBytes"] for group in groups} == {"short": 29, "long": 29}


async def test_groups_without_a_policy_have_the_default(make_logs: MakeLogs) -> None:
    logs = await make_logs(retention=Retention(default_days=2))
    logs.open("g", "of an environment").write(START_MS, "line")
    await logs("CreateLogGroup", logGroupName="explicit")
    await logs("CreateLogStream", logGroupName="explicit", logStreamName="s")
    await logs.put("explicit", "s", "line")
    await logs.service.sink.flush()
    await logs.clock.advance(2 * 86_400 + 1)
    await sweeper(logs).sweep()
    assert await chunk_count(logs) == 0
    assert (await logs("DescribeLogStreams", logGroupName="g"))["logStreams"] == []
    assert len((await logs("DescribeLogStreams", logGroupName="explicit"))["logStreams"]) == 1


async def test_above_the_disk_cap_the_oldest_chunks_go_first(make_logs: MakeLogs) -> None:
    logs = await make_logs(retention=Retention(disk_bytes=100_000))
    await logs.make("g", "s")
    for number in range(60):
        # Digits that do not compress below a third.
        text = "".join(str(hash((number, index)) % 10**9) for index in range(1000))
        await logs.put("g", "s", f"{number} {text}", at=START_MS + number)
    await sweeper(logs).sweep()
    assert 0 < sweeper(logs).used_bytes <= 100_000
    numbers = [int(message.split()[0]) for message in await logs.messages("g")]
    assert numbers == list(range(60))[-len(numbers) :]
    assert len(numbers) > 5
    stored = (await logs("DescribeLogGroups"))["logGroups"][0]["storedBytes"]
    assert stored == sum(len(message) + 26 for message in await logs.messages("g"))


async def test_the_cap_counts_what_a_former_process_stored(make_logs: MakeLogs) -> None:
    first = await make_logs()
    await first.make("g", "s")
    await first.put("g", "s", "line")
    await first.service.close()
    await first.database.close()
    second = await make_logs(retention=Retention(disk_bytes=10))
    await sweeper(second).sweep()
    assert await chunk_count(second) == 0


async def test_chunks_of_deleted_groups_and_streams_are_swept(logs: Logs) -> None:
    await logs.make("g", "s", "t")
    for stream in ("s", "t"):
        for _ in range(3):
            await logs.put("g", stream, "line")
    await logs("DeleteLogStream", logGroupName="g", logStreamName="s")
    await sweeper(logs).sweep()
    assert await chunk_count(logs) == 3
    await logs("DeleteLogGroup", logGroupName="g")
    assert await chunk_count(logs) == 3
    await sweeper(logs).sweep()
    assert (await chunk_count(logs), sweeper(logs).used_bytes) == (0, 0)


async def test_the_loop_sweeps_by_itself(logs: Logs) -> None:
    await logs.make("g", "s")
    await logs("PutRetentionPolicy", logGroupName="g", retentionInDays=1)
    await logs.put("g", "s", "line")
    logs.service.start()
    await logs.clock.someone_sleeps()
    await logs.clock.advance(86_400)
    while await chunk_count(logs):
        await logs.clock.advance(30)


def test_the_rules_of_retention() -> None:
    retention = Retention(default_days=None, disk_bytes=1000)
    assert retention.expired_before_ms(None, START_MS) == 0
    assert retention.expired_before_ms(1, START_MS) == START_MS - DAY_MS
    assert Retention(default_days=5).expired_before_ms(None, START_MS) == START_MS - 5 * DAY_MS
    assert [retention.excess_bytes(used) for used in (0, 1000, 1001, 2000)] == [0, 0, 101, 1100]
    assert list(RETENTION_DAYS) == sorted(set(RETENTION_DAYS))


async def test_small_chunks_are_put_together_without_a_change_to_be_seen(logs: Logs) -> None:
    stream = logs.open("g", "s")
    other = logs.open("g", "other")
    for number in range(200):
        stream.write(START_MS + number // 3, f"line {number}\n")
        other.write(START_MS + number, f"other {number}\n") if number % 10 == 0 else None
        await logs.service.sink.flush()
    await sweeper(logs).sweep()
    before = await logs("FilterLogEvents", logGroupName="g")
    count = await chunk_count(logs)
    used = sweeper(logs).used_bytes
    assert count == 1 + 20
    assert len(before["events"]) == 220
    for number in range(200, 300):
        stream.write(START_MS + number // 3, f"line {number}\n")
        await logs.service.sink.flush()
    assert await chunk_count(logs) == count + 100
    await sweeper(logs).sweep()
    assert await chunk_count(logs) == count
    after = await logs("FilterLogEvents", logGroupName="g", logStreamNames=["s"])
    assert [event["message"] for event in after["events"]] == [f"line {number}\n" for number in range(300)]
    assert len({event["eventId"] for event in after["events"]}) == 300
    assert used < sweeper(logs).used_bytes < used + 2000
    sizes = "SELECT SUM(disk_bytes) FROM log_chunks"
    total = await logs.database.read(lambda connection: connection.exec_driver_sql(sizes).scalar())
    assert total == sweeper(logs).used_bytes


async def test_what_compresses_well_is_not_held_in_memory_to_be_put_together(logs: Logs) -> None:
    stream = logs.open("g", "s")
    line = "x" * 99 + "\n"
    for lines in [1000] * 100 + [200] * 140:
        for _ in range(lines):
            stream.write(START_MS, line)
        await logs.service.sink.flush()
    tracemalloc.start()
    try:
        await sweeper(logs).sweep()
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 16 << 20
    # The hundred large ones stay, most of the small ones became three.
    assert 100 < await chunk_count(logs) < 170


async def test_a_deleted_group_is_not_brought_back_by_putting_chunks_together(logs: Logs) -> None:
    stream = logs.open("g", "s")
    for number in range(100):
        stream.write(START_MS, str(number))
        await logs.service.sink.flush()
    await logs("DeleteLogGroup", logGroupName="g")
    await sweeper(logs).sweep()
    assert await chunk_count(logs) == 0
    assert (await logs("DescribeLogGroups"))["logGroups"] == []
