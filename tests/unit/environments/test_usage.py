"""What is metered: each ended invocation once, with what its REPORT line says; nothing that did not begin."""

import asyncio
import re
from dataclasses import dataclass, field

import pytest

from lambent.aws.errors import ApiError, throttled
from lambent.environments.events import Status, Usage
from lambent.functions.records import FunctionKey
from lambent.invocation.router import Router
from lambent.testing.manual_clock import ManualClock
from lambent.testing.scripted_runtime import Die, Echo, Fail, Hang, Next, Respond
from tests.unit.environments.kit import Machine, function_version, request, until, within
from tests.unit.environments.test_streaming import ListSink


@dataclass
class Usages:
    seen: list[Usage] = field(default_factory=list)

    def ended(self, usage: Usage) -> None:
        self.seen.append(usage)


def billed(lines: list[str]) -> list[int]:
    return [int(found[1]) for line in lines if (found := re.search(r"Billed Duration: (\d+) ms", line))]


async def test_each_ended_invocation_is_metered_as_its_report_says() -> None:
    meter = Usages()
    async with Machine(meter=meter) as machine:
        await machine.invoke(b"1")
        await machine.invoke(b"2", request_units=3)
        await until(lambda: machine.in_use() == 0)
        first, second = meter.seen
        assert [first.billed_ms, second.billed_ms] == billed(machine.log.lines)
        assert (first.version, first.status, first.request_units) == (function_version(), Status.SUCCESS, 1)
        assert (first.first, first.restored, first.provisioned) == (True, False, False)
        assert (second.first, second.request_units) == (False, 3)


async def test_errors_and_crashes_are_metered() -> None:
    meter = Usages()
    async with Machine(((Next(), Fail(b"{}", "Own.Error"), Next(), Die(9)), (Echo(),)), meter=meter) as machine:
        await machine.invoke()
        await until(lambda: machine.in_use() == 0)
        await machine.invoke()
        await until(lambda: machine.in_use() == 0)
        assert [usage.status for usage in meter.seen] == [Status.ERROR, Status.FAILURE]
        assert [usage.billed_ms for usage in meter.seen] == billed(machine.log.lines)


async def test_a_timeout_is_metered_with_the_whole_time() -> None:
    meter, clock = Usages(), ManualClock()
    async with Machine(((Next(), Hang()), (Echo(),)), clock=clock, meter=meter) as machine:
        invoked = asyncio.create_task(machine.invoke(version=function_version(timeout_s=2)))
        await until(lambda: machine.in_use() == 1 and len(machine.driver.sandboxes) == 1)
        await until(lambda: any(line.startswith("START") for line in machine.log.lines))
        await clock.advance(2)
        await within(invoked)
        (usage,) = meter.seen
        assert (usage.status, usage.billed_ms) == (Status.TIMEOUT, 2000)


@dataclass
class Shut:
    refusal: ApiError | None
    asked: list[FunctionKey] = field(default_factory=list)

    def refuses(self, key: FunctionKey) -> ApiError | None:
        self.asked.append(key)
        return self.refusal


async def test_what_is_not_admitted_takes_no_lease_and_is_not_metered() -> None:
    meter, admission = Usages(), Shut(throttled("no"))
    async with Machine(meter=meter) as machine:
        router = Router(machine.concurrency, machine.pool, admission=admission)
        with pytest.raises(ApiError, match="TooManyRequestsException"):
            await router.invoke(function_version(), request())
        assert admission.asked == [function_version().key]
        assert (machine.in_use(), machine.driver.sandboxes, meter.seen) == (0, [], [])
        admission.refusal = None
        assert (await within(router.invoke(function_version(), request(b"7")))).payload == b"7"
        await until(lambda: machine.in_use() == 0)
        assert len(meter.seen) == 1


async def test_streamed_bytes_are_metered() -> None:
    meter, sink = Usages(), ListSink()
    async with Machine(((Next(), Respond(b'"all"'), Echo()),), meter=meter) as machine:
        await machine.invoke(sink=sink)
        await until(lambda: machine.in_use() == 0)
        assert [usage.streamed_bytes for usage in meter.seen] == [5]
