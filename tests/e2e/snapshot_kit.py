"""Templates and their clones in real sandboxes, without a server. What functions and hooks print is the result."""

import hashlib
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lambent.environments.sandbox.launched import NativeSandbox
from lambent.environments.sandbox.native import NativeDriver
from lambent.environments.sandbox.ports import SandboxSpec
from lambent.runtimes.layout import Command, Layout
from lambent.runtimes.python.files import runtime_files
from tests.e2e.sandbox_kit import PREFIX, PYTHON, criu_driver, drain, native_driver, printed

DONE = "-- after restore\n"
_PRELUDE = """
import os, sys
from snapshot_restore_py import register_before_snapshot, register_after_restore
def handler(event, context): return None
"""


class Studio:
    """Makes templates of functions given as text."""

    def __init__(self, driver: NativeDriver, packages: Path) -> None:
        self.driver = driver
        self._packages = packages

    def spec(self, source: str, *, template: bool = False, image: bool = False, memory_mb: int = 256) -> SandboxSpec:
        code = self._packages / f"code-{abs(hash(source))}"
        code.mkdir(exist_ok=True)
        end = f"\nregister_after_restore(print, {DONE.strip()!r})\n"
        (code / "app.py").write_text(_PRELUDE + textwrap.dedent(source) + end)

        def command(layout: Layout) -> Command:
            variables = {
                "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
                "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
                "AWS_LAMBDA_RUNTIME_API": layout.runtime_api,
                "LAMBDA_RUNTIME_DIR": layout.runtime,
                "LAMBDA_TASK_ROOT": layout.task,
                "_HANDLER": "app.handler",
                "LD_LIBRARY_PATH": f"{layout.lang}/lib",
            }
            return Command((f"{layout.lang}/{PYTHON}", "-S", f"{layout.runtime}/bootstrap.py"), variables)

        return SandboxSpec(
            environment_id="snapshots",
            command=command,
            code_dir=code,
            lang_prefix=PREFIX,
            memory_mb=memory_mb,
            cpus=1.0,
            tmp_mb=64,
            max_processes=256,
            template=template,
            image=image,
        )

    async def template(self, source: str) -> tuple[NativeSandbox, str | None]:
        """And what is in the way of clones, or None."""
        template = await self.driver.create(self.spec(source, template=True))
        await template.start()
        return template, await template.snapshot()

    async def clone(self, template: NativeSandbox, source: str) -> tuple[NativeSandbox, str]:
        """And what it printed until its last hook had run."""
        clone = await self.driver.restore(template, self.spec(source))
        await clone.start()
        return clone, (await printed(clone, DONE)).removesuffix(DONE)

    def groups(self, number: int) -> list[Path]:
        """The control groups that the sandbox of this number has."""
        home = self._packages.parent
        parents = (home / "launcher" / "cgroups").read_text().splitlines()
        mark = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:8]
        return [group for each in parents for group in Path(each).glob(f"lambent-{mark}-*/{number}")]

    async def said_by_clones(self, source: str, count: int = 1) -> list[str]:
        template, obstacle = await self.template(source)
        assert obstacle is None, (obstacle, drain(template))
        found = []
        for _ in range(count):
            clone, said = await self.clone(template, source)
            found.append(said)
            await clone.stop()
        await template.stop()
        return found


@asynccontextmanager
async def studio(home: Path, criu: str | None = None) -> AsyncIterator[Studio]:
    made = native_driver(home, **runtime_files()) if criu is None else criu_driver(home, criu, runtime_files())
    async with made as driver:
        yield Studio(driver, home / "packages")
