"""What an environment does in each phase, against scripted runtimes over real sockets."""

import asyncio
import re
from itertools import pairwise

import orjson
import pytest

from lambent.environments.states import State
from lambent.functions.quotas import Quotas
from lambent.testing.manual_clock import ManualClock
from lambent.testing.scripted_runtime import (
    Die,
    Echo,
    Exit,
    Fail,
    FailInit,
    Hang,
    Next,
    Respond,
    Say,
    Script,
    WaitFor,
)
from tests.unit.environments.kit import REQUEST_ID, Machine, function_version, until, within

REPORT = re.compile(
    rf"REPORT RequestId: {REQUEST_ID}\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\t"
    r"Memory Size: 128 MB\tMax Memory Used: 35 MB\t(Init Duration: \d+\.\d\d ms\t)?(Status: .*)?\n"
)


async def test_an_event_comes_back_and_the_log_has_its_four_lines() -> None:
    async with Machine(((Next(), Say(b"working\n"), Respond(b'"done"'), Echo()),)) as machine:
        result = await machine.invoke(b'{"a":1}')
        await until(lambda: machine.in_use() == 0)
        assert (result.payload, result.error_type) == (b'"done"', None)
        init_start, start, output, end, report = machine.log.lines
        assert init_start.startswith("INIT_START Runtime Version: python:3.12.v18\tRuntime Version ARN: arn:")
        assert start == f"START RequestId: {REQUEST_ID} Version: $LATEST\n"
        assert output == "working\n"
        assert end == f"END RequestId: {REQUEST_ID}\n"
        assert (match := REPORT.fullmatch(report))
        assert match[1]
        assert not match[2]


async def test_a_warm_invocation_reports_no_init_duration() -> None:
    async with Machine() as machine:
        await machine.invoke(b"1")
        assert (await machine.invoke(b"2")).payload == b"2"
        await until(lambda: machine.in_use() == 0)
        assert len(machine.driver.sandboxes) == 1
        assert (match := REPORT.fullmatch(machine.log.lines[-1]))
        assert not match[1]


async def test_the_runtime_sees_deadline_arn_trace_and_client_context() -> None:
    clock = ManualClock()
    async with Machine(clock=clock) as machine:
        await machine.invoke(b"1", trace_header="Root=1-a-b;Parent=c;Sampled=0", client_context='{"custom":{}}')
        event = machine.driver.sandboxes[0].runtimes[0].events[0]
        assert event.headers == {
            "content-type": "application/json",
            "lambda-runtime-aws-request-id": REQUEST_ID,
            "lambda-runtime-deadline-ms": str(clock.epoch_ms() + 3000),
            "lambda-runtime-invoked-function-arn": "arn:aws:lambda:us-east-1:000000000000:function:thumbnail",
            "lambda-runtime-trace-id": "Root=1-a-b;Parent=c;Sampled=0",
            "lambda-runtime-client-context": '{"custom":{}}',
            "content-length": "1",
        }


async def test_the_error_of_a_function_goes_to_the_caller_as_it_was_posted() -> None:
    async with Machine(((Next(), Fail(b'{"errorMessage":"no"}', error_type="Runtime.Bad"), Echo()),)) as machine:
        result = await machine.invoke()
        assert (result.payload, result.error_type) == (b'{"errorMessage":"no"}', "Runtime.Bad")
        await until(lambda: machine.in_use() == 0)
        assert machine.log.lines[-1].endswith(" ms\t\n")
        assert (await machine.invoke(b"2")).payload == b"2"
        assert len(machine.driver.sandboxes) == 1


async def test_the_answer_reaches_the_caller_before_the_runtime_asks_for_more() -> None:
    go_on = asyncio.Event()
    async with Machine(((Next(), Respond(b"1"), WaitFor(go_on), Echo()),)) as machine:
        assert (await machine.invoke()).payload == b"1"
        assert machine.in_use() == 1
        assert machine.environment.state is State.BUSY
        go_on.set()
        await until(lambda: machine.in_use() == 0)


async def test_a_timeout_kills_and_resets_but_keeps_the_environment_and_its_log_stream() -> None:
    clock = ManualClock()
    async with Machine(((Next(), Say(b"slow\n"), Hang()), (Echo(),)), clock=clock) as machine:
        invoked = asyncio.create_task(machine.invoke(version=function_version(timeout_s=1)))
        await until(lambda: "slow\n" in machine.log.lines)
        await clock.advance(1)
        result = await within(invoked)
        assert orjson.loads(result.payload) == {
            "errorType": "Sandbox.Timedout",
            "errorMessage": f"RequestId: {REQUEST_ID} Error: Task timed out after 1.00 seconds",
        }
        assert result.error_type == "Sandbox.Timedout"
        identity = machine.environment.identity
        assert machine.driver.sandboxes[0].kills == 1
        assert machine.log.lines[-1] == (
            f"REPORT RequestId: {REQUEST_ID}\tDuration: 1000.00 ms\tBilled Duration: 1000 ms\tMemory Size: 128 MB\t"
            "Max Memory Used: 35 MB\tInit Duration: 0.00 ms\tStatus: timeout\n"
        )
        assert (await machine.invoke(b"2", version=function_version(timeout_s=1))).payload == b"2"
        assert machine.environment.identity is identity
        assert len(machine.log.streams) == 1
        assert machine.driver.sandboxes[0].starts == 2


@pytest.mark.parametrize(
    ("end", "error_type", "text"),
    [
        (Exit(0), "Runtime.ExitError", "Runtime exited without providing a reason"),
        (Exit(3), "Runtime.ExitError", "Runtime exited with error: exit status 3"),
        (Die(9), "Runtime.ExitError", "Runtime exited with error: signal: killed"),
        (Die(11), "Runtime.ExitError", "Runtime exited with error: signal: segmentation fault"),
        (Die(9, out_of_memory=True), "Runtime.OutOfMemory", "Runtime exited with error: signal: killed"),
    ],
)
async def test_a_runtime_that_ends_is_reported_in_lambdas_words(end: Exit | Die, error_type: str, text: str) -> None:
    async with Machine(((Next(), Say(b"last words"), end), (Echo(),))) as machine:
        result = await machine.invoke()
        assert orjson.loads(result.payload) == {
            "errorType": error_type,
            "errorMessage": f"RequestId: {REQUEST_ID} Error: {text}",
        }
        assert machine.log.lines[-3:-1] == ["last words", f"END RequestId: {REQUEST_ID}\n"]
        assert machine.log.lines[-1].endswith(f"\tStatus: error\tError Type: {error_type}\n")
        memory = "Max Memory Used: 128 MB" if isinstance(end, Die) and end.out_of_memory else "Max Memory Used: 35 MB"
        assert memory in machine.log.lines[-1]
        assert (await machine.invoke(b"2")).payload == b"2"
        assert len(machine.driver.sandboxes) == 1


async def test_a_response_that_was_posted_before_the_exit_is_the_callers() -> None:
    async with Machine(((Next(), Respond(b"1"), Exit(1)), (Echo(),))) as machine:
        assert (await machine.invoke()).payload == b"1"
        await until(lambda: machine.in_use() == 0)
        assert machine.log.lines[-1].endswith("\tStatus: error\tError Type: Runtime.ExitError\n")


async def test_a_failed_init_is_logged_and_repeated_inside_the_first_invocation() -> None:
    scripts: tuple[Script, ...] = ((FailInit(), Exit(1)), (FailInit(b'{"requestId":""}'), Exit(1)), (Echo(),))
    async with Machine(scripts) as machine:
        result = await machine.invoke()
        assert (result.payload, result.error_type) == (b'{"requestId":""}', "Runtime.ImportModuleError")
        kinds = [re.sub(r"\d+\.\d\d ms", "N ms", line.partition(" RequestId")[0]) for line in machine.log.lines[1:]]
        assert kinds == [
            "INIT_REPORT Init Duration: N ms\tPhase: init\tStatus: error\tError Type: Runtime.ImportModuleError\n",
            "INIT_REPORT Init Duration: N ms\tPhase: invoke\tStatus: error\tError Type: Runtime.ImportModuleError\n",
            "START",
            "END",
            "REPORT",
        ]
        assert machine.log.lines[-1].endswith("\tStatus: error\tError Type: Runtime.ImportModuleError\n")
        assert "Init Duration" not in machine.log.lines[-1]
        assert (await machine.invoke(b"2")).payload == b"2"
        assert machine.driver.sandboxes[0].starts == 3


async def test_an_exit_during_init_is_an_exit_error() -> None:
    async with Machine(((Exit(7),),)) as machine:
        result = await machine.invoke()
        assert orjson.loads(result.payload) == {
            "errorType": "Runtime.ExitError",
            "errorMessage": f"RequestId: {REQUEST_ID} Error: Runtime exited with error: exit status 7",
        }
        assert "Phase: init\tStatus: error\tError Type: Runtime.ExitError\n" in machine.log.lines[1]


async def test_an_init_of_ten_seconds_times_out_and_then_runs_on_the_functions_time() -> None:
    clock = ManualClock()
    async with Machine(((Hang(),),), clock=clock) as machine:
        invoked = asyncio.create_task(machine.invoke(version=function_version(timeout_s=2)))
        await clock.someone_sleeps()
        await clock.advance(10)
        await until(lambda: machine.driver.sandboxes[0].starts == 2)
        await clock.advance(2)
        result = await within(invoked)
        assert result.error_type == "Sandbox.Timedout"
        assert machine.log.lines[1] == "INIT_REPORT Init Duration: 10000.00 ms\tPhase: init\tStatus: timeout\n"
        assert machine.log.lines[2] == "INIT_REPORT Init Duration: 2000.00 ms\tPhase: invoke\tStatus: timeout\n"
        assert "Duration: 2000.00 ms\tBilled Duration: 2000 ms" in machine.log.lines[-1]


async def test_an_init_inside_an_invocation_has_the_whole_cpu_for_ten_seconds() -> None:
    clock = ManualClock()
    async with Machine(((Hang(),),), clock=clock) as machine:
        invoked = asyncio.create_task(machine.invoke(version=function_version(timeout_s=900)))
        await clock.someone_sleeps()
        await clock.advance(10)
        await until(lambda: machine.driver.sandboxes[0].starts == 2)
        await clock.advance(9)
        assert machine.driver.sandboxes[0].cpus is None
        await clock.advance(2)
        assert machine.driver.sandboxes[0].cpus == pytest.approx(128 / 1769)
        await clock.advance(900)
        assert (await within(invoked)).error_type == "Sandbox.Timedout"


async def test_init_has_the_whole_cpu_and_invocations_the_share_of_their_memory() -> None:
    at_start: list[float | None] = []
    async with Machine() as machine:
        create = machine.driver.create

        async def watched(spec):  # type: ignore[no-untyped-def]
            sandbox = await create(spec)
            start = sandbox.start

            async def record() -> None:
                at_start.append(sandbox.cpus)
                await start()

            sandbox.start = record  # type: ignore[method-assign]
            return sandbox

        machine.driver.create = watched  # type: ignore[method-assign]
        await machine.invoke()
        assert at_start == [None]
        assert machine.driver.sandboxes[0].cpus == pytest.approx(128 / 1769)


async def test_an_idle_environment_is_frozen_and_thawed_for_the_next_invocation() -> None:
    clock = ManualClock()
    async with Machine(clock=clock) as machine:
        await machine.invoke()
        await until(lambda: machine.in_use() == 0)
        sandbox = machine.driver.sandboxes[0]
        await clock.advance(0.002)
        assert not sandbox.frozen
        await clock.advance(0.010)
        assert sandbox.frozen
        assert (await machine.invoke(b"2")).payload == b"2"
        assert not sandbox.frozen


async def test_a_response_over_the_limit_is_an_error_and_the_environment_stays_warm() -> None:
    body = b'"' + b"x" * 6_291_556 + b'"'
    async with Machine(((Next(), Respond(body), Echo()),)) as machine:
        result = await machine.invoke()
        assert orjson.loads(result.payload) == {
            "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
            "errorType": "Function.ResponseSizeTooLarge",
        }
        await until(lambda: machine.in_use() == 0)
        reply = machine.driver.sandboxes[0].runtimes[0].replies[0]
        assert (reply.status, orjson.loads(reply.body)["errorType"]) == (413, "RequestEntityTooLarge")
        assert (await machine.invoke(b"2")).payload == b"2"
        assert machine.driver.sandboxes[0].starts == 1


async def test_the_limits_of_an_init_and_of_a_response_are_quotas() -> None:
    clock = ManualClock()
    quotas = Quotas(init_limit_s=3, max_response_bytes=4)
    async with Machine(((Hang(),), (Next(), Respond(b'"abc"'), Echo())), clock=clock, quotas=quotas) as machine:
        invoked = asyncio.create_task(machine.invoke(version=function_version(timeout_s=2)))
        await clock.someone_sleeps()
        await clock.advance(3)
        result = await within(invoked)
        assert orjson.loads(result.payload)["errorMessage"] == (
            "Response payload size exceeded maximum allowed payload size (4 bytes)."
        )
        assert machine.log.lines[1] == "INIT_REPORT Init Duration: 3000.00 ms\tPhase: init\tStatus: timeout\n"


async def test_the_tail_is_the_end_of_the_log_with_the_report() -> None:
    async with Machine(((Next(), Say(b"first " + b"x" * 5000 + b"\n"), Respond(b"1"), Echo()),)) as machine:
        result = await machine.invoke(keep_tail=True)
        assert result.log_tail is not None
        assert len(result.log_tail) == 4096
        assert b"first" not in result.log_tail
        assert result.log_tail.decode().endswith(machine.log.lines[-1])
        short = await machine.invoke(keep_tail=True)
        assert short.log_tail is not None
        assert short.log_tail.startswith(b"START RequestId: ")


async def test_a_caller_who_goes_away_neither_stops_the_function_nor_keeps_its_lease() -> None:
    go_on = asyncio.Event()
    async with Machine(((Next(), WaitFor(go_on), Respond(b"1"), Echo()),)) as machine:
        invoked = asyncio.create_task(machine.invoke())
        await until(lambda: any(line.startswith("START") for line in machine.log.lines))
        invoked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await invoked
        assert machine.in_use() == 1
        go_on.set()
        await until(lambda: machine.in_use() == 0)
        assert machine.log.lines[-1].startswith("REPORT")
        assert (await machine.invoke(b"2")).payload == b"2"


async def test_an_unfinished_line_is_part_of_the_invocation_that_wrote_it() -> None:
    async with Machine(((Next(), Say(b"no line break"), Respond(b"1"), Echo()),)) as machine:
        await machine.invoke()
        await until(lambda: machine.in_use() == 0)
        kinds = [line.partition(" RequestId")[0] for line in machine.log.lines[1:]]
        assert kinds == ["START", "no line break", "END", "REPORT"]


async def test_a_brief_invocation_right_after_another_tells_the_peak_that_was_measured_then() -> None:
    clock = ManualClock()
    async with Machine(((Echo(),),), clock=clock) as machine:

        async def told_mb() -> int:
            before = len(machine.log.lines)
            await machine.invoke()
            await until(lambda: any(line.startswith("REPORT") for line in machine.log.lines[before:]))
            return int(machine.log.lines[-1].partition("Max Memory Used: ")[2].partition(" ")[0])

        first = await told_mb()
        machine.driver.sandboxes[0].peak_bytes = 77 << 20
        assert await told_mb() == first
        await clock.advance(0.05)
        assert await told_mb() == 77


async def test_the_memory_of_a_function_is_looked_at_often_and_then_rarely() -> None:
    clock, looked = ManualClock(), []
    async with Machine(((Next(), Hang()),), clock=clock) as machine:
        invoked = asyncio.create_task(machine.invoke(version=function_version(timeout_s=60)))
        await until(lambda: any(line.startswith("START") for line in machine.log.lines))
        sandbox = machine.driver.sandboxes[0]

        def look() -> int:
            looked.append(clock.monotonic())
            return 0

        sandbox.memory_peak_bytes = look  # type: ignore[method-assign]
        await clock.advance(59)
        gaps = [after - before for before, after in pairwise(looked)]
        assert min(gaps) == pytest.approx(0.05)
        assert max(gaps) == pytest.approx(1.0)
        assert len(looked) < 120
        await clock.advance(2)
        assert (await within(invoked)).error_type == "Sandbox.Timedout"
