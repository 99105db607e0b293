"""What a new environment is made of: a prepared sandbox, a fork, or an exec; and what keeps the stock."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lambent.environments.events import HowStarted
from lambent.environments.prewarm import FIRST_PAUSE_S, LOOK_EVERY_S, Prewarm, Traffic
from lambent.environments.sandbox.ports import Preparation, SandboxError, SandboxSpec
from lambent.environments.stock import BLANK, GIVE_WAY_S, RECENT_S, Limits
from lambent.runtimes.layout import Command, RuntimeStart
from lambent.testing.fake_sandbox import FakeDriver, FakePrepared
from lambent.testing.manual_clock import ManualClock
from tests.unit.environments.kit import ECHO, until

PYTHON = RuntimeStart("python3.12", Path("/lang"), ("/var/lang/bin/python",), {})
QUIET = Traffic(room=100, invoking=False, starting=0, waiting=0)


def spec(**changes: Any) -> SandboxSpec:
    given: dict[str, Any] = {
        "environment_id": "environment-1",
        "command": lambda layout: Command(("/var/lang/bin/python",), {}),
        "code_dir": Path("/code"),
        "lang_prefix": Path("/lang"),
        "memory_mb": 128,
        "cpus": 0.1,
        "tmp_mb": 512,
        "account": "000000000000",
        "runtime": PYTHON,
        "must_exec": False,
    }
    return SandboxSpec(**given | changes)


class InUse:
    """Implements `prewarm.Runtimes`."""

    def __init__(self, functions: int = 0) -> None:
        self.functions = functions

    def in_use(self) -> Mapping[RuntimeStart, int]:
        return {PYTHON: self.functions} if self.functions else {}

    def start(self, identifier: str) -> RuntimeStart | None:
        return PYTHON if identifier == PYTHON.identifier else None


class Stock:
    """A Prewarm over fakes, with its loop running."""

    def __init__(self, limits: Limits | None = None, runtimes: InUse | None = None) -> None:
        self.driver = FakeDriver(ECHO)
        self.clock = ManualClock()
        self.traffic = QUIET
        self.available = 1.0
        self.runtimes = runtimes or InUse()
        self.prewarm = Prewarm(
            self.driver,
            self.clock,
            limits or Limits(),
            traffic=lambda: self.traffic,
            runtimes=self.runtimes,
            available_memory=lambda: self.available,
            cpus=2,
        )

    async def __aenter__(self) -> "Stock":
        self._loop = asyncio.create_task(self.prewarm.run())
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.prewarm.close()
        self._loop.cancel()
        await self.driver.close()

    def waiting(self, kind: str = PYTHON.identifier) -> int:
        return self.prewarm.prepared().get(kind, 0)

    async def how(self, **changes: Any) -> HowStarted:
        return (await self.prewarm.obtain(spec(**changes))).how

    @property
    def idle(self) -> list[FakePrepared]:
        return [each for each in self.driver.prepared if each.sandbox is None and not each.stopped]


async def test_a_server_without_functions_prepares_nothing() -> None:
    async with Stock() as stock:
        await stock.clock.advance(60)
        assert stock.driver.prepared == []


async def test_a_function_that_was_deployed_finds_something_prepared_at_its_first_invocation() -> None:
    async with Stock() as stock:
        stock.runtimes.functions = 1
        stock.prewarm.deployed("python3.12")
        await until(lambda: stock.waiting() == Limits().few)
        assert await stock.how() is HowStarted.POOLED
        await until(lambda: stock.waiting() == Limits().few + 1)


async def test_after_a_restart_one_waits_for_each_runtime_that_functions_name() -> None:
    async with Stock(runtimes=InUse(3)) as stock:
        await until(lambda: stock.waiting() == 1)
        await stock.clock.advance(30)
        assert stock.waiting() == 1


async def test_the_stock_follows_the_rate_of_cold_starts_and_shrinks_again() -> None:
    async with Stock(runtimes=InUse(1)) as stock:
        for _ in range(40):
            await stock.how()
            await stock.clock.advance(0.1)
        assert stock.waiting() > 2 * Limits().few
        await stock.clock.advance(120)
        assert stock.waiting() == Limits().few
        await stock.clock.advance(RECENT_S)
        assert stock.waiting() == 1
        assert len(stock.idle) == 1 + stock.waiting(BLANK)


async def test_with_the_last_function_of_a_runtime_its_stock_goes() -> None:
    async with Stock(runtimes=InUse(1)) as stock:
        await until(lambda: stock.waiting() == 1)
        stock.runtimes.functions = 0
        await stock.clock.advance(LOOK_EVERY_S)
        assert stock.waiting() == 0
        assert stock.idle == []


async def test_what_must_be_execd_gets_a_sandbox_without_an_interpreter() -> None:
    async with Stock() as stock:
        assert await stock.how(must_exec=True) is HowStarted.EXECUTED
        await until(lambda: stock.waiting(BLANK) >= 1)
        before = stock.idle
        assert await stock.how(must_exec=True) is HowStarted.EXECUTED
        assert any(each.sandbox is not None for each in before)


async def test_beyond_the_stock_the_accounts_zygote_forks() -> None:
    async with Stock(Limits(few=0, most=0)) as stock:
        assert await stock.how() is HowStarted.EXECUTED
        await until(lambda: bool(stock.driver.zygotes))
        assert await stock.how() is HowStarted.FORKED
        assert await stock.how(account="999999999999") is HowStarted.EXECUTED, "a zygote is its account's alone"
        await until(lambda: stock.prewarm.zygotes == 2)
        assert await stock.how(must_exec=True) is HowStarted.EXECUTED


async def test_a_start_waits_for_a_zygote_that_is_on_its_way() -> None:
    async with Stock(Limits(few=0, most=0)) as stock:
        go_on, start_zygote = asyncio.Event(), stock.driver.start_zygote

        async def slowly(account: str, runtime: RuntimeStart) -> None:
            await go_on.wait()
            await start_zygote(account, runtime)

        stock.driver.start_zygote = slowly  # type: ignore[method-assign]
        assert await stock.how() is HowStarted.EXECUTED
        second = asyncio.create_task(stock.how())
        await stock.clock.advance(0.01)
        assert not second.done()
        go_on.set()
        assert await second is HowStarted.FORKED


async def test_an_idle_zygote_expires_and_all_end_at_close() -> None:
    async with Stock(Limits(few=0, most=0, zygote_idle_s=60)) as stock:
        await stock.how()
        await until(lambda: bool(stock.driver.zygotes))
        await stock.clock.advance(59)
        assert await stock.how() is HowStarted.FORKED
        await stock.clock.advance(59)
        assert stock.driver.zygotes
        await stock.clock.advance(LOOK_EVERY_S)
        assert not stock.driver.zygotes
        await stock.how()
        await until(lambda: bool(stock.driver.zygotes))
    assert not stock.driver.zygotes


async def test_at_their_limit_the_zygote_used_longest_ago_makes_room() -> None:
    async with Stock(Limits(few=0, most=0, zygotes=2)) as stock:
        for account in ("a", "b", "c"):
            await stock.how(account=account)
            await stock.clock.advance(2)
        assert {account for account, _ in stock.driver.zygotes} == {"b", "c"}


async def test_a_zygote_that_ended_by_itself_is_replaced() -> None:
    async with Stock(Limits(few=0, most=0)) as stock:
        await stock.how()
        await until(lambda: bool(stock.driver.zygotes))
        stock.driver.zygotes.clear()
        assert await stock.how() is HowStarted.EXECUTED
        await until(lambda: bool(stock.driver.zygotes))
        assert await stock.how() is HowStarted.FORKED


async def test_a_zygote_that_cannot_be_started_is_not_tried_at_each_start(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    async with Stock(Limits(few=0, most=0)) as stock:
        tries = []

        async def refuse(account: str, runtime: RuntimeStart) -> None:
            tries.append(account)
            raise SandboxError("no place")

        stock.driver.start_zygote = refuse  # type: ignore[method-assign]
        for _ in range(5):
            assert await stock.how() is HowStarted.EXECUTED
            await stock.clock.advance(0.1)
        assert len(tries) == 1


async def test_when_memory_is_low_everything_prepared_goes() -> None:
    async with Stock(runtimes=InUse(1)) as stock:
        await until(lambda: stock.waiting() == 1)
        stock.available = 0.05
        await stock.clock.advance(LOOK_EVERY_S)
        assert stock.idle == []
        stock.available = 1.0
        await stock.clock.advance(LOOK_EVERY_S)
        assert stock.waiting() == 1


async def test_a_prepared_sandbox_that_dies_is_replaced() -> None:
    async with Stock(runtimes=InUse(1)) as stock:
        await until(lambda: stock.waiting() == 1)
        first = stock.idle[0]
        first.die()
        await until(lambda: first.stopped and len(stock.idle) == 1 and stock.waiting() == 1)
        assert stock.idle[0] is not first


async def test_one_that_died_unseen_costs_nobody_an_environment() -> None:
    async with Stock(runtimes=InUse(1)) as stock:
        await until(lambda: stock.waiting() == 1)
        stock.idle[0].die()
        assert await stock.how() is HowStarted.EXECUTED


async def test_preparations_give_way_to_environments_that_start_but_not_for_ever() -> None:
    async with Stock(runtimes=InUse(1)) as stock:
        stock.traffic = replace(QUIET, starting=3)
        await stock.clock.advance(10)
        await stock.how()
        await stock.how()
        await stock.clock.advance(0)
        before = len(stock.driver.prepared)
        await stock.clock.advance(GIVE_WAY_S / 2)
        assert len(stock.driver.prepared) - before <= 1
        await stock.clock.advance(20 * GIVE_WAY_S)
        assert stock.waiting() >= 2


async def test_preparations_that_fail_are_repeated_after_growing_pauses(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    async with Stock(runtimes=InUse(1)) as stock:
        tries: list[float] = []

        async def refuse(wish: Preparation) -> FakePrepared:
            tries.append(stock.clock.monotonic())
            raise SandboxError("no namespaces")

        stock.driver.prepare = refuse  # type: ignore[method-assign]
        await stock.clock.advance(20 * FIRST_PAUSE_S)
        gaps = [round(after - before) for before, after in pairwise(tries)]
        assert gaps == [1, 2, 4, 8][: len(gaps)]
        assert len(gaps) >= 3
        assert await stock.how() is HowStarted.EXECUTED


async def test_a_new_interpreter_of_a_runtime_is_not_served_by_the_old_one() -> None:
    async with Stock(runtimes=InUse(1)) as stock:
        await until(lambda: stock.waiting() == 1)
        old = stock.idle[0]
        newer = replace(PYTHON, lang_prefix=Path("/newer"))
        assert await stock.how(runtime=newer) is HowStarted.EXECUTED
        await until(lambda: old.stopped)


async def test_what_is_being_prepared_at_the_end_is_ended_too() -> None:
    async with Stock(runtimes=InUse(1)) as stock:
        go_on, prepare = asyncio.Event(), stock.driver.prepare

        async def slowly(wish: Preparation) -> FakePrepared:
            await go_on.wait()
            return await prepare(wish)

        stock.driver.prepare = slowly  # type: ignore[method-assign]
        await stock.clock.advance(0)
    go_on.set()
    await until(lambda: len(stock.driver.prepared) == 1 and stock.driver.prepared[0].stopped)


async def test_a_driver_that_cannot_prepare_makes_each_sandbox_when_it_is_wanted() -> None:
    stock = Stock(runtimes=InUse(1))
    stock.driver.can_prepare = False
    stock.prewarm = Prewarm(stock.driver, stock.clock, Limits(), traffic=lambda: QUIET, runtimes=stock.runtimes)
    async with stock:
        stock.prewarm.deployed("python3.12")
        assert await stock.how() is HowStarted.EXECUTED
        await stock.clock.advance(10)
        assert stock.driver.prepared == []
        assert not stock.driver.zygotes
