"""The metrics of AWS/Lambda: their names, their dimensions, their minutes, and how much is kept of them."""

import asyncio

import pytest
from msgspec.structs import replace

from lambent.aws.errors import ApiError
from lambent.core.statistics import KEPT_MINUTES, MINUTE_MS, Point, Statistics
from lambent.environments.events import Report, Status
from lambent.functions.records import FunctionKey
from lambent.invocation.gauges import Gauges
from lambent.invocation.metrics import UNITS, Metrics
from lambent.testing.manual_clock import ManualClock
from lambent.testing.scripted_runtime import Echo, Fail, Next, Respond, WaitFor
from tests.unit.environments.kit import Machine, function_version, request, until, within

PLACE = ("000000000000", "us-east-1")
KEY = FunctionKey(*PLACE, "thumbnail")
ARN = KEY.arn


def report(time_ms: int = 5 * MINUTE_MS + 10, duration_ms: float = 2.0, status: Status = Status.SUCCESS) -> Report:
    return Report(time_ms, "r", status, None, duration_ms, None, 128, 30)


def whole(metrics: Metrics, name: str, **dimensions: str) -> Statistics | None:
    together = Statistics()
    for point in metrics.series(*PLACE, name, **dimensions):  # type: ignore[arg-type]
        together.merge(point.value)
    return together if together.count else None


def test_every_value_is_seen_under_all_of_its_dimensions() -> None:
    metrics = Metrics(ManualClock())
    live, latest = function_version(version="2"), function_version()
    metrics.ended(live, f"{ARN}:live", report())
    metrics.ended(live, f"{ARN}:live", report(status=Status.ERROR))
    metrics.ended(latest, ARN, report())
    metrics.ended(function_version(name="other"), ARN.replace("thumbnail", "other"), report())
    assert whole(metrics, "Invocations") == Statistics(4, 4, 1, 1)
    assert whole(metrics, "Invocations", function="thumbnail") == Statistics(3, 3, 1, 1)
    assert whole(metrics, "Invocations", function="thumbnail", qualifier="live") == Statistics(2, 2, 1, 1)
    assert whole(metrics, "Errors", function="thumbnail", qualifier="live", executed="2") == Statistics(2, 1, 0, 1)
    assert whole(metrics, "Errors", function="other") == Statistics(1, 0, 0, 0)
    assert whole(metrics, "Duration", function="other") == Statistics(1, 2, 2, 2)
    assert whole(metrics, "Invocations", function="thumbnail", qualifier="live", executed="1") is None


def test_an_invocation_belongs_to_the_minute_in_which_it_began() -> None:
    metrics = Metrics(ManualClock())
    metrics.ended(function_version(), ARN, report(10 * MINUTE_MS + 1, 2.0))
    metrics.ended(function_version(), ARN, report(10 * MINUTE_MS + 1, 0.5))
    metrics.ended(function_version(), ARN, report(10 * MINUTE_MS + 1, 3 * MINUTE_MS))
    began = {point.epoch_ms // MINUTE_MS: point.value.count for point in metrics.series(*PLACE, "Duration")}
    assert began == {7: 1, 9: 1, 10: 1}
    assert [point.epoch_ms // MINUTE_MS for point in metrics.series(*PLACE, "Duration", since_ms=9 * MINUTE_MS)] == [
        *(9, 10)
    ]


def test_accounts_and_regions_do_not_see_each_other() -> None:
    metrics = Metrics(ManualClock())
    metrics.count(KEY, "Throttles")
    assert metrics.series("111111111111", "us-east-1", "Throttles") == []
    assert metrics.series("000000000000", "eu-west-1", "Throttles") == []
    assert metrics.sources("111111111111", "us-east-1") == set()
    assert [name for _, name in metrics.sources(*PLACE)] == ["Throttles"]


def test_a_misspelt_name_is_refused() -> None:
    with pytest.raises(KeyError):
        Metrics().count(KEY, "Throttle")


async def test_minutes_go_after_three_hours_and_totals_stay() -> None:
    clock = ManualClock()
    metrics = Metrics(clock)
    metrics.count(KEY, "Throttles")
    await clock.advance(60 * (KEPT_MINUTES - 1))
    metrics.count(KEY, "Throttles")
    assert len(metrics.series(*PLACE, "Throttles")) == 2
    await clock.advance(60)
    metrics.count(KEY, "Throttles")
    assert len(metrics.series(*PLACE, "Throttles")) == 2
    metrics.count(KEY, "Throttles", at_ms=0)
    assert metrics.totals()["Throttles"].sum == 4
    assert metrics.dropped == 1


async def test_many_series_cost_the_oldest_minutes_and_then_only_count_in_the_totals() -> None:
    clock = ManualClock()
    metrics = Metrics(clock, max_points=10)
    for number in range(8):
        metrics.count(FunctionKey(*PLACE, str(number)), "Throttles")
    await clock.advance(60)
    for number in range(12):
        metrics.count(FunctionKey(*PLACE, str(number)), "Throttles")
    metrics.ended(function_version(), ARN, report(clock.epoch_ms()))
    assert [point.value.count for point in metrics.series(*PLACE, "Throttles")] == [10]
    assert metrics.dropped == 3
    assert metrics.totals()["Throttles"].sum == 20
    assert metrics.totals()["Invocations"].sum == 1
    await metrics.reset()
    assert metrics.series(*PLACE, "Throttles") == []
    assert metrics.totals()["Throttles"].sum == 20


async def test_invocations_errors_and_throttles_of_a_running_function_are_counted() -> None:
    go_on = asyncio.Event()
    scripts = ((Next(), WaitFor(go_on), Respond(b"1"), Next(), Fail(), Echo()),)
    async with Machine(scripts, account_limit=1) as machine:
        running = asyncio.create_task(machine.invoke())
        await until(lambda: any(line.startswith("START") for line in machine.log.lines))
        with pytest.raises(ApiError):
            await within(machine.router.invoke(function_version(), replace(request(), function_arn=f"{ARN}:live")))
        go_on.set()
        await within(running)
        await until(lambda: machine.in_use() == 0)
        await machine.invoke()
        await until(lambda: machine.in_use() == 0)
        found = machine.metrics.totals()
        assert {name: value.sum for name, value in found.items() if UNITS[name] == "Count"} == {
            "Errors": 1,
            "Invocations": 2,
            "Throttles": 1,
        }
        assert found["Duration"].count == 2
        assert whole(machine.metrics, "Throttles", function="thumbnail", qualifier="live") is not None


async def test_levels_are_the_peaks_of_each_minute() -> None:
    go_on = asyncio.Event()
    clock = ManualClock()
    scripts = ((Next(), WaitFor(go_on), Respond(b"1"), Echo()),)
    async with Machine(scripts, clock=clock) as machine:
        gauges = Gauges(machine.concurrency, machine.metrics, clock)
        running = [asyncio.create_task(machine.invoke()) for _ in range(3)]
        await until(lambda: machine.in_use() == 3)
        now_ms = clock.epoch_ms() // MINUTE_MS * MINUTE_MS
        gauges.take(now_ms)
        go_on.set()
        await within(asyncio.gather(*running))
        await until(lambda: machine.in_use() == 0)
        gauges.take(now_ms + MINUTE_MS)
        gauges.take(now_ms + 2 * MINUTE_MS)
        for name, dimensions in (
            ("ConcurrentExecutions", {}),
            ("ConcurrentExecutions", {"function": "thumbnail"}),
            ("UnreservedConcurrentExecutions", {}),
        ):
            points = machine.metrics.series(*PLACE, name, **dimensions)  # type: ignore[arg-type]
            level = Statistics(1, 3, 3, 3)
            assert points == [Point(now_ms, level), Point(now_ms + MINUTE_MS, level)]
