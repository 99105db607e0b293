"""Subscribers of an environment: who is told what, in which order, when, and what a bad one costs."""

import asyncio
import socket

import pytest

from lambent.environments.events import ColdStart, Extension, LogsDropped, RestoreReport, RestoreStart, Status
from lambent.environments.telemetry.memory import Memory
from lambent.environments.telemetry.schemas import Schema
from lambent.environments.telemetry.subscriber import PAUSES_S
from lambent.environments.telemetry.subscription import Refused
from lambent.testing.manual_clock import settle
from tests.unit.environments.kit import until, within
from tests.unit.environments.telemetry.kit import TIME, TIME_MS, listening, told

ATTEMPTS = 1 + len(PAUSES_S)
EVENTS_OF_AN_INVOCATION = ["platform.start", "function", "platform.runtimeDone", "platform.report"]


async def test_without_subscribers_the_members_are_those_of_the_journal() -> None:
    it = told()
    journal = it.stream._journal
    for when in ("before", "after"):
        assert it.stream.start == journal.start, when
        assert it.stream.output == journal.output, when
        assert it.stream.report == journal.report, when
        it.init()
        assert it.stream.start != journal.start
        it.init_ended()
    it.invocation()
    assert it.log.lines[0].startswith("START ")


async def test_a_late_subscriber_is_told_of_this_init_and_the_log_is_written_as_ever() -> None:
    async with listening() as listener:
        it = told()
        it.init()
        it.stream.output(TIME_MS, "loading\n")
        assert it.subscribe(listener.port, timeout_ms=100) == "OK"
        it.stream.extension(Extension(time_ms=TIME_MS, name="agent", state="Ready", events=("INVOKE",)))
        it.init_ended()
        it.invocation()
        await it.clock.advance(0.1)
        await listener.has(1)
        assert listener.types == [
            "platform.initStart",
            "function",
            "platform.telemetrySubscription",
            "platform.extension",
            "platform.initReport",
            *EVENTS_OF_AN_INVOCATION,
        ]
        head = listener.requests[0][0]
        assert head.startswith("POST /in HTTP/1.1\r\nHost: sandbox.localdomain:")
        assert "Content-Type: application/json\r\n" in head
        assert listener.events[1] == {"time": TIME, "type": "function", "record": "loading\n"}
        assert it.log.lines == [
            "loading\n",
            "TELEMETRY\tName: agent\tState: Subscribed\tTypes: [Platform, Function, Extension]\n",
            "EXTENSION\tName: agent\tState: Ready\tEvents: [INVOKE]\n",
            f"START RequestId: {listener.events[5]['record']['requestId']} Version: $LATEST\n",
            "hello\n",
            *it.log.lines[5:],
        ]
        it.stream.close()


async def test_each_subscriber_gets_its_types_in_its_schema() -> None:
    async with listening() as lines, listening() as old:
        it = told()
        it.init()
        it.subscribe(lines.port, "lines", types=("function", "extension"), timeout_ms=25)
        it.subscribe(old.port, "old", types=("platform",), schema=Schema.LOGS_2020_08_15, timeout_ms=25)
        it.init_ended()
        it.stream.extension_output(TIME_MS, "of an extension\n")
        it.invocation()
        await it.clock.advance(0.025)
        await lines.has(1)
        await old.has(1)
        assert lines.types == ["extension", "function"]
        assert old.types == [
            "platform.telemetrySubscription",
            "platform.logsSubscription",
            "platform.start",
            "platform.end",
            "platform.report",
        ]
        it.stream.close()


async def test_a_portion_goes_out_when_it_is_full_before_its_time() -> None:
    async with listening() as listener:
        it = told()
        it.init()
        it.subscribe(listener.port, types=("function",), max_items=3)
        it.init_ended()
        for number in range(7):
            it.stream.output(TIME_MS, f"{number}\n")
            await settle()
        await listener.has(1)
        assert [event["record"] for event in listener.batches[0]] == ["0\n", "1\n", "2\n"]
        it.stream.close()


async def test_nothing_is_delivered_while_frozen_and_what_is_due_goes_first_after() -> None:
    async with listening() as listener:
        it = told()
        it.init()
        it.subscribe(listener.port, types=("platform",), timeout_ms=25)
        it.init_ended()
        it.stream.freeze()
        await it.clock.advance(60)
        assert listener.requests == []
        it.stream.thaw()
        await listener.has(1)
        assert listener.types[0] == "platform.initStart"
        it.stream.close()


async def test_flush_delivers_before_its_time() -> None:
    async with listening() as listener:
        it = told()
        it.init()
        it.subscribe(listener.port, timeout_ms=30_000)
        it.init_ended()
        it.stream.flush()
        await listener.has(1)
        it.stream.close()


async def test_subscribing_again_changes_nothing_when_it_asks_for_the_same_and_replaces_otherwise() -> None:
    async with listening() as first, listening() as second:
        it = told()
        it.init()
        assert it.subscribe(first.port, timeout_ms=25) == "OK"
        assert it.subscribe(first.port, timeout_ms=25) == "AlreadySubscribed"
        assert it.subscribe(second.port, timeout_ms=25) == "OK"
        it.init_ended()
        await it.clock.advance(0.025)
        await second.has(1)
        subscriptions = [event for event in second.events if event["type"] == "platform.telemetrySubscription"]
        assert [event["record"]["state"] for event in subscriptions] == [
            "Subscribed",
            "Already subscribed",
            "Subscribed",
        ]
        assert second.types.count("platform.initStart") == 1
        assert first.requests == []
        it.stream.close()


async def test_an_extension_has_one_of_the_two_apis() -> None:
    it = told()
    it.init()
    it.subscribe(1)
    with pytest.raises(Refused) as caught:
        it.subscribe(1, schema=Schema.LOGS_2021_03_18)
    assert caught.value.message == (
        "The extension agent is already subscribed to the TelemetryAPI. "
        "You must either subscribe to the LogsAPI or the TelemetryAPI"
    )
    it.stream.close()


async def test_after_a_reset_who_subscribes_again_gets_what_was_not_delivered() -> None:
    async with listening() as listener:
        it = told()
        it.init()
        it.subscribe(1, types=("platform",), timeout_ms=30_000)
        it.init_ended()
        it.invocation()
        it.init()
        it.subscribe(listener.port, types=("platform",), timeout_ms=25)
        it.init_ended()
        await it.clock.advance(0.025)
        await listener.has(1)
        assert listener.types.count("platform.initStart") == 2
        assert listener.types.index("platform.report") < len(listener.types) - 3
        it.stream.close()


async def test_what_is_told_after_a_reset_waits_for_the_next_init() -> None:
    async with listening() as listener:
        it = told()
        it.init()
        it.subscribe(listener.port, types=("function",), timeout_ms=25)
        it.init_ended()
        it.stream.freeze()
        it.stream.output(TIME_MS, "last words\n")
        await it.clock.advance(60)
        it.init()
        it.subscribe(listener.port, types=("function",), timeout_ms=25)
        await it.clock.advance(0.025)
        await listener.has(1)
        assert [event["record"] for event in listener.events] == ["last words\n"]
        it.stream.close()


async def test_after_a_reset_who_does_not_subscribe_again_costs_nothing() -> None:
    memory = Memory()
    it = told(memory=memory)
    it.init()
    it.subscribe(1, timeout_ms=30_000)
    it.init_ended()
    assert memory.used_bytes
    it.init()
    it.init_ended()
    assert memory.used_bytes == 0
    assert it.stream.start == it.stream._journal.start


async def test_during_a_restore_one_subscribes_as_during_an_init() -> None:
    async with listening() as listener:
        it = told()
        it.stream.restore_start(RestoreStart(time_ms=TIME_MS, runtime_version=None, runtime_version_arn=None))
        it.subscribe(listener.port, types=("platform",), timeout_ms=25)
        it.stream.restore_report(
            RestoreReport(time_ms=TIME_MS, status=Status.SUCCESS, error_type=None, duration_ms=12.5)
        )
        assert not it.stream.open
        await it.clock.advance(0.025)
        await listener.has(1)
        assert listener.types == ["platform.restoreStart", "platform.telemetrySubscription", "platform.restoreReport"]
        it.stream.close()


async def test_what_a_subscriber_did_not_take_is_tried_again_given_up_and_counted() -> None:
    async with listening(status=500) as listener:
        it = told()
        it.init()
        it.subscribe(listener.port, types=("platform",), timeout_ms=25)
        it.init_ended()
        await it.moved_until(lambda: len(listener.requests) == ATTEMPTS)
        assert listener.batches == [listener.batches[0]] * ATTEMPTS
        listener.status = 200
        it.invocation()
        await it.moved_until(lambda: "platform.logsDropped" in listener.types)
        dropped = listener.events[-1]
        assert dropped["type"] == "platform.logsDropped"
        assert dropped["record"]["droppedRecords"] == 3
        assert dropped["record"]["droppedBytes"] > 300
        assert dropped["record"]["reason"].startswith("Some logs were dropped because the downstream consumer")
        it.stream.close()


async def test_a_subscriber_that_never_answers_holds_two_portions_at_most() -> None:
    memory = Memory()
    sockets: list[socket.socket] = []

    async def connect(port: int) -> socket.socket:
        mine, theirs = socket.socketpair()
        mine.setblocking(False)
        sockets.append(theirs)
        return mine

    it = told(connect=connect, memory=memory)
    it.init()
    it.subscribe(1, types=("function",))
    it.init_ended()
    for number in range(200):
        it.stream.output(TIME_MS, "x" * 10_000)
        if number % 10 == 0:
            await settle()
    assert 262_144 <= memory.used_bytes <= 2 * (262_144 + 11_000)
    it.stream.close()
    await settle()
    assert memory.used_bytes == 0
    for each in sockets:
        each.close()


async def test_the_phases_of_a_cold_start_are_spans_of_the_report_of_its_init() -> None:
    from lambent.environments.events import Cause, HowStarted

    async with listening() as listener:
        it = told()
        it.init()
        it.subscribe(listener.port, types=("platform",), timeout_ms=25)
        it.stream.cold_start(
            ColdStart(
                time_ms=TIME_MS,
                environment_id="e",
                runtime="python3.12",
                cause=Cause.FIRST,
                busy=0,
                how=HowStarted.EXECUTED,
                status=Status.SUCCESS,
                queued_ms=1.0,
                sandbox_ms=5.0,
                runtime_ms=2.0,
                init_ms=12.5,
            )
        )
        it.init_ended()
        await it.clock.advance(0.025)
        await listener.has(1)
        assert listener.events[-1]["record"]["spans"] == [
            {"name": "queued", "start": "2025-11-20T20:04:39.123Z", "durationMs": 1.0},
            {"name": "sandbox", "start": "2025-11-20T20:04:39.124Z", "durationMs": 5.0},
            {"name": "runtime", "start": "2025-11-20T20:04:39.129Z", "durationMs": 2.0},
            {"name": "init", "start": "2025-11-20T20:04:39.131Z", "durationMs": 12.5},
        ]
        it.stream.close()


async def test_a_line_that_is_an_object_is_told_as_one_where_the_function_logs_in_json() -> None:
    from lambent.functions.records import LoggingConfig

    async with listening() as new, listening() as old:
        it = told(logging=LoggingConfig("/g", "JSON"))
        it.init()
        it.subscribe(new.port, "new", types=("function",), timeout_ms=25)
        it.subscribe(old.port, "old", types=("function",), timeout_ms=25, schema=Schema.TELEMETRY_2022_07_01)
        it.init_ended()
        for line in ('{"level": "INFO"}\n', "{no json\n", "[1]\n", "text\n"):
            it.stream.output(TIME_MS, line)
        await it.clock.advance(0.025)
        await new.has(1)
        await old.has(1)
        assert [event["record"] for event in new.events] == [{"level": "INFO"}, "{no json\n", "[1]\n", "text\n"]
        assert old.events[0]["record"] == '{"level": "INFO"}\n'
        it.stream.close()


async def test_tcp_gets_a_line_for_each_event_on_one_connection() -> None:
    lines: list[bytes] = []
    connections = 0
    changed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while line := await reader.readline():
            lines.append(line)
            changed.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    it = told()
    it.init()
    it.subscribe(server.sockets[0].getsockname()[1], types=("function",), protocol="TCP", timeout_ms=25)
    it.init_ended()
    for number in range(2):
        it.stream.output(TIME_MS, f"{number}\n")
        await it.clock.advance(0.025)
        await until(lambda: len(lines) > number)  # noqa: B023 - awaited in this turn
    assert lines == [
        b'{"time":"%s","type":"function","record":"%d\\n"}\n' % (TIME.encode(), number) for number in range(2)
    ]
    assert connections == 1
    it.stream.close()
    server.close()
    await within(server.wait_closed())


async def test_logs_that_were_dropped_are_told_to_the_journal_too() -> None:
    it = told()
    it.init()
    it.subscribe(1)
    it.stream.logs_dropped(LogsDropped(time_ms=0, dropped_records=1, dropped_bytes=1, reason="r"))
    it.stream.close()
    assert it.log.closed
