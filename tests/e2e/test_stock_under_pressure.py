"""What waits and the zygotes, as processes: gone while memory is short, there again after it; capped and expired."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from lambent.environments.events import HowStarted
from lambent.environments.prewarm import LOOK_EVERY_S, Prewarm, Traffic
from lambent.environments.sandbox.native import NativeDriver
from lambent.environments.sandbox.ports import SandboxSpec
from lambent.environments.stock import ZYGOTE_LRU_S, Limits
from lambent.runtimes.layout import RuntimeStart
from lambent.runtimes.python.runtime import PythonRuntime
from lambent.testing.manual_clock import ManualClock
from tests.e2e.origins import children, driver_for, runtime_of, spec_of
from tests.e2e.sandbox_kit import launcher_pid, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="native sandboxes need root")

PLENTY, SHORT = 0.5, 0.05
"""Share of the machine's memory that can be had."""


class Machine:
    """A Prewarm over real sandboxes; `available` is what it is told of the memory."""

    def __init__(self, driver: NativeDriver, runtime: PythonRuntime, limits: Limits) -> None:
        self.available = PLENTY
        self.clock = ManualClock()
        self.driver = driver
        self._runtime = runtime.start
        traffic = Traffic(room=100, invoking=False, starting=0, waiting=0)
        self.prewarm = Prewarm(
            driver,
            self.clock,
            limits,
            traffic=lambda: traffic,
            runtimes=self,
            available_memory=lambda: self.available,
            cpus=2,
        )

    def in_use(self) -> Mapping[RuntimeStart, int]:
        return {self._runtime: 1}

    def start(self, identifier: str) -> RuntimeStart | None:
        return self._runtime if identifier == self._runtime.identifier else None

    async def start_one(self, spec: SandboxSpec) -> HowStarted:
        """An environment that ends at once."""
        obtained = await self.prewarm.obtain(spec)
        await obtained.sandbox.stop()
        return obtained.how

    async def becomes(self, available: float) -> None:
        self.available = available
        await self.clock.advance(LOOK_EVERY_S)

    def zygotes(self) -> set[int]:
        return {pid for pid in self._processes() if _is_zygote(pid)}

    def waiting(self) -> set[int]:
        """First processes of sandboxes."""
        return self._processes() - self.zygotes()

    def _processes(self) -> set[int]:
        return set(children(launcher_pid(self.driver)))


def _is_zygote(pid: int) -> bool:
    try:
        return b"_LAMBENT_ZYGOTE=" in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    runtime = runtime_of()
    driver = driver_for(tmp_path, runtime)
    made = Machine(driver, runtime, Limits(few=1, most=1, blanks=0, zygotes=1))
    loop = asyncio.create_task(made.prewarm.run())
    try:
        yield made
    finally:
        await made.prewarm.close()
        loop.cancel()
        await driver.close()


@pytest.fixture
def spec(tmp_path: Path, machine: Machine) -> SandboxSpec:
    return spec_of(tmp_path, runtime_of())


async def _with_zygote(machine: Machine, spec: SandboxSpec) -> HowStarted:
    """Take what waits, so that the next one finds nothing; how that was started."""
    first = machine.prewarm.obtain(spec), machine.prewarm.obtain(spec)
    obtained = await asyncio.gather(*first)
    await asyncio.gather(*(each.sandbox.stop() for each in obtained))
    await until(lambda: len(machine.driver.zygotes) == 1)
    return obtained[1].how


async def test_sandboxes_that_wait_and_zygotes_end_while_memory_is_short_and_come_back(
    machine: Machine, spec: SandboxSpec
) -> None:
    await until(lambda: len(machine.waiting()) == 1 and sum(machine.prewarm.prepared().values()) == 1)
    assert await _with_zygote(machine, spec) is HowStarted.EXECUTED
    await until(lambda: len(machine.waiting()) == 1 and len(machine.zygotes()) == 1)

    await machine.becomes(SHORT)
    await until(lambda: not machine.waiting() and not machine.zygotes())
    assert await machine.start_one(spec) is HowStarted.EXECUTED
    assert not machine.zygotes()

    await machine.becomes(PLENTY)
    await until(lambda: sum(machine.prewarm.prepared().values()) == 1)
    assert len(machine.waiting()) == 1
    assert await machine.start_one(spec) is HowStarted.POOLED
    await until(lambda: sum(machine.prewarm.prepared().values()) == 1)
    await _with_zygote(machine, spec)
    assert len(machine.zygotes()) == 1


async def test_a_zygote_makes_room_for_another_account_s_and_ends_when_nobody_uses_it(
    machine: Machine, spec: SandboxSpec
) -> None:
    await until(lambda: sum(machine.prewarm.prepared().values()) == 1)
    await _with_zygote(machine, spec)
    (first,) = machine.zygotes()
    await machine.clock.advance(ZYGOTE_LRU_S)
    await until(lambda: sum(machine.prewarm.prepared().values()) == 1)
    other = replace(spec, account="999999999999")
    await asyncio.gather(*(machine.start_one(other) for _ in range(2)))
    await until(lambda: bool(machine.zygotes()) and first not in machine.zygotes())
    await until(lambda: {account for account, _ in machine.driver.zygotes} == {other.account})
    assert len(machine.zygotes()) == 1

    await machine.clock.advance(Limits().zygote_idle_s + LOOK_EVERY_S)
    await until(lambda: not machine.zygotes() and not machine.driver.zygotes)
