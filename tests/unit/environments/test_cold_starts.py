"""What is remembered of cold starts, and how it is said."""

import asyncio
from typing import Any

import pytest

from lambent.environments.causes import Causes
from lambent.environments.cold_starts import PHASES, ColdStarts
from lambent.environments.events import Cause, ColdStart, HowStarted, Status
from lambent.functions.records import FunctionKey
from lambent.testing.manual_clock import ManualClock
from lambent.testing.scripted_runtime import Echo, Exit, Next, WaitFor
from tests.unit.environments.kit import Machine, function_version, until, within


def cold_start(**changes: Any) -> ColdStart:
    given: dict[str, Any] = {
        "time_ms": 1_000,
        "environment_id": "environment-1",
        "runtime": "python3.12",
        "cause": Cause.FIRST,
        "busy": 0,
        "how": HowStarted.POOLED,
        "status": Status.SUCCESS,
        "queued_ms": 0.5,
        "sandbox_ms": 1.0,
        "runtime_ms": 0.25,
        "init_ms": 2.0,
    }
    return ColdStart(**given | changes)


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_words(cause: Cause) -> None:
    assert cold_start(cause=cause, busy=2).why


def test_a_scale_out_tells_how_many_were_busy() -> None:
    assert "1 environment existed" in cold_start(cause=Cause.BUSY, busy=1).why
    assert "3 environments existed" in cold_start(cause=Cause.BUSY, busy=3).why


def test_the_total_is_the_wait_and_not_the_handlers_time() -> None:
    assert cold_start(handler_ms=100.0).total_ms == 3.75


def test_the_history_is_bounded_and_counts_go_on() -> None:
    cold_starts = ColdStarts(kept=2, versions=2)
    for name in ("a", "b", "c"):
        for number in range(5):
            cold_starts.add(function_version(name=name), cold_start(time_ms=number, environment_id=f"{name}{number}"))
    assert cold_starts.of(FunctionKey("000000000000", "us-east-1", "a")) == []
    kept = cold_starts.of(FunctionKey("000000000000", "us-east-1", "c"))
    assert [event.environment_id for _, event in kept] == ["c4", "c3"]
    assert sum(cold_starts.causes.values()) == 15
    histogram = cold_starts.totals["python3.12", HowStarted.POOLED]
    assert (sum(histogram.counts), histogram.sum_ms) == (15, 15 * 3.75)


def test_a_version_shows_its_own_cold_starts_alone() -> None:
    cold_starts = ColdStarts()
    for version in ("1", "2"):
        cold_starts.add(function_version(version=version), cold_start(environment_id=version))
    key = function_version().key
    assert [version for version, _ in cold_starts.of(key)] == ["1", "2"]
    assert [event.environment_id for _, event in cold_starts.of(key, "2")] == ["2"]


def test_the_past_is_bounded() -> None:
    causes = Causes(remembered=2)
    for name in ("a", "b", "c"):
        assert causes.started(function_version(name=name), busy=0, provisioned=False) is Cause.FIRST
    assert causes.started(function_version(name="a"), busy=0, provisioned=False) is Cause.FIRST
    assert causes.started(function_version(name="c"), busy=0, provisioned=False) is Cause.FAILED


def recorded(machine: Machine) -> list[ColdStart]:
    """Oldest first."""
    return [event for _, event in machine.pool.cold_starts.of(function_version().key)][::-1]


async def test_why_it_was_cold() -> None:
    clock, available = ManualClock(), [1.0]
    async with Machine(clock=clock, idle_environment_s=60, available_memory=lambda: available[0]) as machine:
        first, second = await asyncio.gather(
            machine.pool.acquire(function_version()), machine.pool.acquire(function_version())
        )
        for environment in (first, second):
            machine.pool.environment_ready(environment)
        await clock.advance(61)
        machine.pool.sweep()
        await until(lambda: not list(machine.pool.environments))
        await machine.invoke()
        await clock.advance(1)
        available[0] = 0.01
        machine.pool.sweep()
        await until(lambda: not list(machine.pool.environments))
        await machine.invoke()
        await clock.advance(1)
        machine.pool.retire("deployment-1")
        await until(lambda: not list(machine.pool.environments))
        await machine.invoke(version=function_version(deployment_id="deployment-2"))
        provisioned = machine.pool.provision(function_version(deployment_id="deployment-2"))
        assert provisioned is not None
        await within(asyncio.shield(provisioned.started))
        assert [(event.cause, event.busy) for event in recorded(machine)] == [
            (Cause.FIRST, 0),
            (Cause.BUSY, 1),
            (Cause.IDLE, 0),
            (Cause.EVICTED, 0),
            (Cause.CHANGED, 0),
            (Cause.PROVISIONED, 1),
        ]


async def test_after_an_environment_that_ended_by_itself_that_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lambent.environments.runtime_domain.KILL_LIMIT_S", 0.01)
    async with Machine(((Next(), Exit(1)),)) as machine:
        acquired = await machine.pool.acquire(function_version())
        monkeypatch.setattr(machine.driver.sandboxes[0], "kill", asyncio.Event().wait)
        machine.pool.environment_ready(acquired)
        await machine.invoke()
        await until(lambda: not list(machine.pool.environments))
        acquired = await machine.pool.acquire(function_version())
        assert [event.cause for event in recorded(machine)] == [Cause.FIRST, Cause.FAILED]


async def test_the_phases_of_a_start_are_told_once_it_is_over_and_the_handlers_time_after_it() -> None:
    clock, go_on = ManualClock(), asyncio.Event()
    async with Machine(((WaitFor(go_on), Echo()),), clock=clock) as machine:
        invoked = asyncio.create_task(machine.invoke())
        await until(lambda: bool(machine.driver.sandboxes) and machine.driver.sandboxes[0].starts == 1)
        await clock.advance(0.5)
        go_on.set()
        await within(invoked)
        await until(lambda: machine.in_use() == 0)
        (event,) = recorded(machine)
        counted = machine.pool.cold_starts.phases_ms[event.runtime, HowStarted.EXECUTED]
        assert (counted[PHASES.index("init")], counted[PHASES.index("handler")]) == (event.init_ms, event.handler_ms)
        assert (event.status, event.how) == (Status.SUCCESS, HowStarted.EXECUTED)
        assert (event.queued_ms, event.sandbox_ms, event.runtime_ms) == (0.0, 0.0, 0.0)
        assert event.init_ms == event.total_ms == 500.0
        assert event.handler_ms == 0.0
        await machine.invoke()
        assert recorded(machine) == [event]
