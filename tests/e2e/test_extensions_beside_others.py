"""Extensions in sandboxes that were prepared before anybody asked, and what environments with extensions leave."""

from pathlib import Path

from lambent.environments.events import HowStarted
from lambent.environments.stock import Limits
from lambent.runtimes.python.files import runtime_files
from tests.e2e.census import census
from tests.e2e.extension_kit import agent
from tests.e2e.invoke_kit import CATALOG, RUNTIME, Machine
from tests.e2e.sandbox_kit import launcher_pid, native_driver
from tests.e2e.test_environment_cycles import grown, held
from tests.unit.environments.kit import until, within

SOURCE = """
    import os
    def handler(event, context):
        return [os.environ["GREETING"], sorted(os.listdir("/opt/extensions"))]
"""
LIMIT_S = 30.0


async def test_a_runtime_that_waited_gets_its_extensions_first(tmp_path: Path) -> None:
    start = CATALOG.find(RUNTIME).start
    async with native_driver(tmp_path, start, **runtime_files()) as driver:
        machine = Machine(driver, tmp_path / "packages", prewarm=Limits(few=1, most=1, blanks=1, zygotes=1))
        layer = machine.layer({"extensions/one": agent()})
        function = machine.deploy(SOURCE, layers=(layer,), variables={"GREETING": "hello"})
        await until(lambda: machine.pool.prewarm.prepared().get(RUNTIME) == 1, LIMIT_S)
        assert await machine.result(function) == ["hello", ["one"]]
        await until(lambda: machine.in_use() == 0, LIMIT_S)
        assert {how for _, how in machine.pool.cold_starts.totals} == {HowStarted.POOLED}
        assert "[one] INVOKE \n" in machine.log.lines
        machine.pool.retire(function.deployment_id)
        await until(lambda: not list(machine.pool.environments), LIMIT_S)
        assert "[one] SHUTDOWN spindown\n" in machine.log.lines
        await within(machine.close(), LIMIT_S)


async def test_environments_with_extensions_leave_nothing(tmp_path: Path) -> None:
    with census() as host:
        async with native_driver(tmp_path, **runtime_files()) as driver:
            machine = Machine(driver, tmp_path / "packages")
            layer = machine.layer({"extensions/one": agent(), "extensions/two": agent('serve("SHUTDOWN")')})
            function = machine.deploy(SOURCE, layers=(layer,), variables={"GREETING": "hello"})
            before: dict[str, int] = {}
            for number in range(10):
                await machine.result(function)
                await until(lambda: machine.in_use() == 0, LIMIT_S)
                machine.pool.retire(function.deployment_id)
                await until(lambda: not list(machine.pool.environments), LIMIT_S)
                if number == 3:
                    before = held(host, launcher_pid(driver), tmp_path)
            await until(lambda: not grown(before, held(host, launcher_pid(driver), tmp_path)), LIMIT_S)
            await within(machine.close(), LIMIT_S)
        assert host.left() == {}
