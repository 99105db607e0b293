"""Functions invoked in real sandboxes through pool and router, without a server: handlers as text, results as JSON."""

import asyncio
import os
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from lambent.core import ids
from lambent.core.clock import SystemClock
from lambent.environments.environment import Environment
from lambent.environments.pool import Pool
from lambent.environments.ports import ProgramSource
from lambent.environments.program import Programs
from lambent.environments.request import InvokeResult
from lambent.environments.sandbox.ports import SandboxDriver
from lambent.environments.sandbox.process import ProcessDriver
from lambent.environments.stock import OFF, Limits
from lambent.functions.records import CodePackage, FunctionVersion, LayerReference
from lambent.invocation.concurrency import Concurrency
from lambent.invocation.journals import Journals
from lambent.invocation.router import Router
from lambent.runtimes.catalog import Catalog
from lambent.runtimes.interpreters import places
from lambent.runtimes.layout import RuntimeStart
from lambent.runtimes.python.files import runtime_files
from tests.e2e.sandbox_kit import native_driver
from tests.unit.environments.kit import ListSink, function_version, request, within

RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
INTERPRETER = Path(sys.base_prefix) / "bin" / RUNTIME
"""The one that the launcher of the tests knows; another of this version may come first in PATH."""
CATALOG = Catalog(places(os.environ), configured=[(RUNTIME, INTERPRETER)])
DEADLINE_S = 60.0


@dataclass(frozen=True)
class Folder:
    """The unpacked packages of a test: each digest is a folder."""

    root: Path

    @contextmanager
    def hold(self, sha256: str) -> Iterator[Path]:
        yield self.root / sha256

    async def ready(self, code: CodePackage) -> Path:
        return self.root / code.sha256

    @contextmanager
    def hold_opt(self, layers: Sequence[CodePackage]) -> Iterator[None]:
        yield

    async def ready_opt(self, layers: Sequence[CodePackage]) -> Path | None:
        """One layer at most: nothing is merged here."""
        return self.root / layers[0].sha256 if layers else None


@dataclass(frozen=True)
class OneRuntime:
    """Functions of one runtime are there from the beginning."""

    runtime: RuntimeStart

    def in_use(self) -> Mapping[RuntimeStart, int]:
        return {self.runtime: 1}

    def start(self, identifier: str) -> RuntimeStart | None:
        return self.runtime if identifier == self.runtime.identifier else None


class Machine:
    """A pool over a real driver. `deploy` makes a function version, `invoke` calls it."""

    def __init__(
        self, driver: SandboxDriver, root: Path, *, programs: ProgramSource | None = None, prewarm: Limits = OFF
    ) -> None:
        self.log = ListSink()
        self._root = root
        self._driver = driver
        self.pool = Pool(
            driver=driver,
            programs=programs or Programs(CATALOG, Folder(root)),
            journals=Journals(self.log),
            clock=SystemClock(),
            prewarm=prewarm,
            runtimes=OneRuntime(CATALOG.find(RUNTIME).start),
        )
        self._keeping = asyncio.get_running_loop().create_task(self.pool.prewarm.run())
        self.concurrency = Concurrency(1000)
        self.router = Router(self.concurrency, self.pool)

    def deploy(self, source: str, **changes: Any) -> FunctionVersion:
        digest = ids.hex32() + ids.hex32()
        folder = self._root / digest
        folder.mkdir(parents=True)
        (folder / "app.py").write_text(textwrap.dedent(source))
        # The function's uid is not ours.
        os.chmod(folder, 0o755)
        values = {"runtime": RUNTIME, "memory_mb": 256, "timeout_s": 10, "deployment_id": digest}
        return function_version(code=CodePackage(digest, 1, 1), **(values | changes))

    @property
    def native(self) -> bool:
        """Paths inside are those of AWS."""
        return self._driver.name != "process"

    def layer(self, files: Mapping[str, str]) -> LayerReference:
        """What becomes /opt; all files are executable."""
        digest = ids.hex32() + ids.hex32()
        for name, text in files.items():
            path = self._root / digest / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
            path.chmod(0o755)
        for folder in (self._root / digest).glob("**/"):
            folder.chmod(0o755)
        return LayerReference("arn:aws:lambda:us-east-1:000000000000:layer:agents:1", CodePackage(digest, 1, 1))

    async def invoke(self, version: FunctionVersion, event: Any = None, **changes: Any) -> InvokeResult:
        call = request(orjson.dumps(event), request_id=ids.uuid4(), **changes)
        return await within(self.router.invoke(version, call), DEADLINE_S)

    async def result(self, version: FunctionVersion, event: Any = None) -> Any:
        """The JSON that the function returned; fails when it failed."""
        result = await self.invoke(version, event)
        assert result.error_type is None, result.payload
        return orjson.loads(result.payload)

    @property
    def environment(self) -> Environment:
        (environment,) = self.pool.environments
        return environment

    def in_use(self) -> int:
        return self.concurrency.in_use("000000000000", "us-east-1")

    async def close(self) -> None:
        await self.pool.close(5)
        self._keeping.cancel()
        await self._driver.close()


@asynccontextmanager
async def machine_in(home: Path, kind: str = "native") -> AsyncIterator[Machine]:
    """Of the native driver or of the process driver, until all of it is closed."""
    async with AsyncExitStack() as stack:
        driver: SandboxDriver
        if kind == "native":
            driver = await stack.enter_async_context(native_driver(home, **runtime_files()))
        else:
            driver = ProcessDriver(scratch=home / "sandboxes", runtime_entries=runtime_files())
        made = Machine(driver, home / "packages")
        stack.push_async_callback(made.close)
        yield made
