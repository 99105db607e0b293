"""The official runtime interface client against our Runtime API: what we serve is what it expects."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import orjson
import pytest

from lambent.environments import program
from lambent.environments.ports import EnvironmentIdentity, Program
from lambent.environments.sandbox.process import ProcessDriver
from lambent.functions.records import FunctionVersion
from lambent.runtimes.layout import Command, Layout
from lambent.runtimes.variables import python_variables
from tests.e2e.invoke_kit import Folder, Machine
from tests.unit.environments.kit import until

MODULES = ("awslambdaric", "simplejson", "snapshot_restore_py", "runtime_client")
PYTHON = f"bin/python{sys.version_info.major}.{sys.version_info.minor}"


def entries() -> dict[str, Path]:
    """The client and what it imports, as they are installed for the tests."""
    found: dict[str, Path] = {}
    for name in MODULES:
        module = find_spec(name)
        if module is None or module.origin is None:
            raise ModuleNotFoundError(f"{name} is locked in requirements/dev.txt and not installed", name=name)
        path = Path(module.origin)
        path = path.parent if path.name == "__init__.py" else path
        found[path.name] = path
    return found


class OfficialClient:
    """A ProgramSource that starts awslambdaric where our bootstrap would be."""

    def __init__(self, packages: Folder) -> None:
        self._packages = packages

    @asynccontextmanager
    async def program(self, version: FunctionVersion, identity: EnvironmentIdentity) -> AsyncIterator[Program]:
        process = program.process(version, identity)

        def command(layout: Layout) -> Command:
            argv = (f"{layout.lang}/{PYTHON}", "-S", "-B", "-m", "awslambdaric", version.handler)
            return Command(argv, python_variables(process, layout))

        yield Program(
            command=command, code_dir=await self._packages.ready(version.code), lang_prefix=Path(sys.base_prefix)
        )


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    driver = ProcessDriver(scratch=tmp_path / "sandboxes", runtime_entries=entries())
    made = Machine(driver, tmp_path / "packages", programs=OfficialClient(Folder(tmp_path / "packages")))
    yield made
    await made.close()


async def test_events_and_context_go_through(machine: Machine) -> None:
    function = machine.deploy("""
        def handler(event, context):
            left = context.get_remaining_time_in_millis()
            return [event, context.invoked_function_arn, 0 < left <= 10_000, context.client_context.custom["a"]]
    """)
    for number in range(3):
        result = await machine.invoke(function, {"number": number}, client_context='{"custom":{"a":"ä"}}')
        assert result.error_type is None, result.payload
        arn = "arn:aws:lambda:us-east-1:000000000000:function:thumbnail"
        assert orjson.loads(result.payload) == [{"number": number}, arn, True, "ä"]
        await until(lambda: machine.in_use() == 0)
    assert len(machine.log.streams) == 1


async def test_errors_of_handler_and_import_come_through(machine: Machine) -> None:
    raises = machine.deploy("def handler(event, context): raise KeyError('x')")
    result = await machine.invoke(raises)
    assert orjson.loads(result.payload)["errorType"] == "KeyError"
    missing = machine.deploy("import nothing")
    result = await machine.invoke(missing)
    error = orjson.loads(result.payload)
    assert (error["errorType"], error["requestId"]) == ("Runtime.ImportModuleError", "")
    await until(lambda: machine.in_use() == 0)
    init_reports = [line for line in machine.log.lines if line.startswith("INIT_REPORT")]
    assert ["Phase: init" in line for line in init_reports] == [True, False]


async def test_six_megabytes_go_both_ways(machine: Machine) -> None:
    function = machine.deploy("def handler(event, context): return event")
    event = "x" * 6_000_000
    assert await machine.result(function, event) == event


async def test_a_timeout_resets_it(machine: Machine) -> None:
    function = machine.deploy(
        "import time\ndef handler(event, context):\n    time.sleep(60 if event == 'hang' else 0)\n    return 'fine'",
        timeout_s=1,
    )
    assert (await machine.invoke(function, "hang")).error_type == "Sandbox.Timedout"
    assert await machine.result(function) == "fine"
