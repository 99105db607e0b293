"""Environments that come and go, from the stock, from the zygote and by exec, leave nothing: no descriptor, process,
mount, namespace, cgroup or file.

`LAMBENT_CYCLES` is their number (200 here, 10,000 in `make soak`).
"""

import asyncio
import gc
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from lambent.environments.events import HowStarted
from lambent.environments.stock import BLANK, Limits
from lambent.functions.records import FunctionVersion
from lambent.runtimes.python.files import runtime_files
from tests.e2e.census import Census, census, resources
from tests.e2e.invoke_kit import CATALOG, RUNTIME, Machine
from tests.e2e.sandbox_kit import launcher_pid, native_driver
from tests.e2e.test_sandbox_leaks import groups
from tests.unit.environments.kit import until, within

CYCLES = int(os.environ.get("LAMBENT_CYCLES", "200"))
AT_ONCE = 4
SETTLE_S = 20.0
PART = 500
ALLOWED = {
    "supervisor resident_kb": 2 * 1024,
    "launcher resident_kb": 2 * 1024,
    "supervisor threads": 4,
    "supervisor objects": 500,
}
"""Of thousands of cycles too: less than a record for each."""
LIMITS = Limits(few=1, most=1, blanks=1, zygotes=1)

pytestmark = pytest.mark.timeout(120 + CYCLES)

SOURCE = """
import os
def handler(event, context):
    with open("/tmp/file", "w") as file:
        file.write("x" * 100_000)
    return os.getpid()
"""


async def cycle(machine: Machine, version: FunctionVersion, number: int) -> None:
    """From nothing to an answer to nothing. Every fourth must be exec'd."""
    variables = {"PYTHONHASHSEED": "1"} if number % AT_ONCE == 0 else None
    mine = replace(version, deployment_id=f"deployment-{number}", variables=variables)
    await machine.result(mine)
    machine.pool.retire(mine.deployment_id)


async def cycles(machine: Machine, version: FunctionVersion, first: int, count: int) -> None:
    for start in range(first, first + count, AT_ONCE):
        await asyncio.gather(*(cycle(machine, version, number) for number in range(start, start + AT_ONCE)))
    await until(lambda: not list(machine.pool.environments), SETTLE_S)
    # What a server has stored by now, the kit keeps.
    machine.log.streams.clear()


def held(host: Census, launcher: int, home: Path) -> dict[str, int]:
    """Once the stock is full. Nothing of other programs is counted."""
    gc.collect()
    found = {f"supervisor {key}": value for key, value in resources(os.getpid()).items()}
    found |= {f"launcher {key}": value for key, value in resources(launcher).items()}
    return found | {
        "supervisor objects": len(gc.get_objects()),
        "processes": len(host.processes()),
        "host mounts": len(host.mounts()),
        "networks": len(host.networks()),
        "cgroups": len(groups(home)),
        "loop devices": len(host.loop_devices()),
        "files": sum(len(files) for _, _, files in os.walk(home)),
    }


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, tuple[int, int]]:
    return {key: (before[key], value) for key, value in after.items() if value > before[key] + ALLOWED.get(key, 0)}


async def test_environments_that_come_and_go_leave_nothing(tmp_path: Path) -> None:
    with census() as host:
        async with native_driver(tmp_path, CATALOG.find(RUNTIME).start, **runtime_files()) as driver:
            machine = Machine(driver, tmp_path / "packages", prewarm=LIMITS)
            version = machine.deploy(SOURCE)
            launcher = launcher_pid(driver)

            def full() -> bool:
                prepared = machine.pool.prewarm.prepared()
                return prepared.get(RUNTIME) == prepared.get(BLANK) == 1

            await cycles(machine, version, 0, 40)
            await until(full, SETTLE_S)
            before = held(host, launcher, tmp_path)
            for first in range(40, 40 + CYCLES, PART):
                await cycles(machine, version, first, min(PART, 40 + CYCLES - first))
                print(f"from {first} on:", held(host, launcher, tmp_path))
            with suppress(TimeoutError):
                await until(lambda: full() and not grown(before, held(host, launcher, tmp_path)), SETTLE_S)
            after = held(host, launcher, tmp_path)
            assert not grown(before, after), f"(before, after): {grown(before, after)}; full: {full()}; all: {after}"
            origins = {how for _, how in machine.pool.cold_starts.totals}
            assert origins == {HowStarted.POOLED, HowStarted.FORKED, HowStarted.EXECUTED}
            await within(machine.close(), SETTLE_S)
        assert host.left() == {}
        assert groups(tmp_path) == set()
