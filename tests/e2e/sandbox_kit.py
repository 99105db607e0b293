"""Scripts as runtimes: what the sandbox tests start inside, and how they read what it printed."""

import asyncio
import os
import shutil
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

import lambent
from lambent.environments.sandbox.contained import ContainedDriver
from lambent.environments.sandbox.native import NativeDriver
from lambent.environments.sandbox.ports import Sandbox, SandboxSpec
from lambent.launcher import cgroups, starting
from lambent.launcher.client import LauncherClient
from lambent.launcher.hierarchies import discover
from lambent.runtimes.layout import Command, Layout, RuntimeStart
from tests.e2e import ordinary_user, plain_container
from tests.e2e.census import eventually

PREFIX = Path(sys.base_prefix)
PYTHON = f"bin/python{sys.version_info.major}.{sys.version_info.minor}"
PATIENCE = float(os.environ.get("LAMBENT_TEST_PATIENCE", "1"))
"""How many times slower than a usual one the machine may be: an emulated one is."""
DEADLINE_S = 15.0 * PATIENCE


def spec(
    home: Path,
    script: str,
    *,
    environment_id: str = "env-1",
    variables: dict[str, str] | None = None,
    memory_mb: int = 256,
    tmp_mb: int = 64,
    max_processes: int = 256,
    cpus: float = 1.0,
) -> SandboxSpec:
    """A sandbox whose runtime is `script`, in a code folder made below `home`."""
    code = home / f"code-{environment_id}"
    code.mkdir(exist_ok=True, parents=True)
    (code / "main.py").write_text(textwrap.dedent(script))

    def command(layout: Layout) -> Command:
        given = {"API": layout.runtime_api, "ENDPOINT": layout.aws_endpoint_url, "TMP": layout.tmp}
        given |= {"RUNTIME": layout.runtime, **(variables or {})}
        return Command((f"{layout.lang}/{PYTHON}", "-I", "-S", f"{layout.task}/main.py"), given)

    return SandboxSpec(
        environment_id=environment_id,
        command=command,
        code_dir=code,
        lang_prefix=PREFIX,
        memory_mb=memory_mb,
        cpus=cpus,
        tmp_mb=tmp_mb,
        max_processes=max_processes,
    )


async def until(condition: Callable[[], bool], *, timeout_s: float = DEADLINE_S) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - the conditions are facts of the system; nothing announces them
            await asyncio.sleep(0.005)


def drain(sandbox: Sandbox) -> str:
    """Everything printed up to now."""
    taken = []
    while True:
        try:
            data = os.read(sandbox.output_fd, 65536)
        except BlockingIOError:
            break
        if not data:
            break
        taken.append(data)
    return b"".join(taken).decode(errors="replace")


async def printed(sandbox: Sandbox, marker: str, *, timeout_s: float = DEADLINE_S) -> str:
    """Wait until `marker` was printed; return everything printed up to then."""
    loop = asyncio.get_running_loop()
    text = ""
    async with asyncio.timeout(timeout_s):
        while marker not in text:
            readable = asyncio.Event()
            loop.add_reader(sandbox.output_fd, readable.set)
            try:
                await readable.wait()
            except asyncio.CancelledError:
                raise AssertionError(f"{marker!r} was never printed, only: {text!r}") from None
            finally:
                loop.remove_reader(sandbox.output_fd)
            text += drain(sandbox)
    return text


async def run(sandbox: Sandbox, *, timeout_s: float = DEADLINE_S) -> str:
    """Start the runtime, wait for its end, return what it printed."""
    await sandbox.start()
    async with asyncio.timeout(timeout_s):
        await sandbox.exited()
    return drain(sandbox)


def launcher_in(home: Path, *runtimes: RuntimeStart, **options: Any) -> LauncherClient:
    """A launcher with the packages of `home`/packages and the interpreter of the tests; `options` are those of
    `starting.begin`. Its native kind fails without root."""
    packages = home / "packages"
    packages.mkdir(exist_ok=True)
    chosen = {"prefixes": [PREFIX], "runtime_entries": {}} | options
    return starting.begin(data_dir=home, packages_dir=packages, runtimes=runtimes, **chosen).await_ready()


def launcher_pid(driver: NativeDriver) -> int:
    return driver._launcher._process.pid


@asynccontextmanager
async def native_driver(home: Path, *runtimes: RuntimeStart, **entries: Path) -> AsyncIterator[NativeDriver]:
    """A launcher and its driver, until all of it is closed. Fails where native is impossible: needs root."""
    driver = NativeDriver(launcher_in(home, *runtimes, runtime_entries=entries))
    try:
        yield driver
    finally:
        await driver.close()


@asynccontextmanager
async def criu_driver(home: Path, criu: str, entries: Mapping[str, Path]) -> AsyncIterator[NativeDriver]:
    """The same, with a program that saves what cannot be cloned."""
    driver = NativeDriver(launcher_in(home, runtime_entries=entries, criu=criu))
    try:
        yield driver
    finally:
        await driver.close()


@asynccontextmanager
async def oci_driver(home: Path, *runtimes: RuntimeStart, **entries: Path) -> AsyncIterator[NativeDriver]:
    """The same by an OCI runtime, which is runc."""
    needs_program("runc", "runc")
    driver = NativeDriver(launcher_in(home, *runtimes, runtime_entries=entries, wanted="oci", oci_runtime="runc"))
    try:
        yield driver
    finally:
        await driver.close()


@asynccontextmanager
async def rootless_driver(
    home: Path,
    *runtimes: RuntimeStart,
    ids: bool = True,
    cgroups: bool = True,
    **entries: Path,
) -> AsyncIterator[NativeDriver]:
    """The same by a launcher of an ordinary user, who has numbers for functions (`ids`) and control groups of its own.

    Where root tests, it makes that user, stays root and looks from outside; else the user is the one who tests, and has
    what it has."""
    (home / "packages").mkdir(exist_ok=True)
    root = os.geteuid() == 0
    if root and ids:
        needs_program("newuidmap", "uidmap")
    with delegated_groups() if root and cgroups else nullcontext(()) as groups:
        through = as_ordinary_user(home, ids=ids, groups=groups) if root else ()
        launcher = launcher_in(home, *runtimes, runtime_entries=entries, wanted="rootless", through=through)
        driver = NativeDriver(launcher)
        try:
            yield driver
        finally:
            await driver.close()


def as_ordinary_user(*paths: Path, ids: bool, groups: Sequence[str] = ()) -> tuple[str, ...]:
    """What to put before a command so that an ordinary user runs it, who owns the folders `paths` then."""
    for path in paths:
        os.chown(path, ordinary_user.UID, ordinary_user.UID)
    shown = dict.fromkeys((PREFIX, Path(sys.prefix), Path(lambent.__file__).parents[2], *paths))
    options = [*(f"--show={path}" for path in shown), *(f"--cgroup={group}" for group in groups)]
    numbers = ["--ids"] if ids else []
    return (sys.executable, "-I", "-S", ordinary_user.__file__, *numbers, *options, "--")


def in_plain_container(*paths: Path, user: int | None = None) -> tuple[str, ...]:
    """What to put before a command so that it runs as in a Docker container without further rights."""
    shown = dict.fromkeys((PREFIX, Path(sys.prefix), Path(lambent.__file__).parents[2], *paths))
    options = [f"--show={path}" for path in shown] + ([] if user is None else [f"--user={user}"])
    return (sys.executable, "-I", "-S", plain_container.__file__, *options, "--")


@asynccontextmanager
async def contained_driver(home: Path, **entries: Path) -> AsyncIterator[ContainedDriver]:
    """The process driver of a plain container whose root has CAP_SETUID."""
    through = in_plain_container(home)
    driver = ContainedDriver(launcher_in(home, runtime_entries=entries, wanted="process", through=through))
    try:
        yield driver
    finally:
        await driver.close()


@contextmanager
def delegated_groups() -> Iterator[tuple[str, ...]]:
    """A control group in each hierarchy that is an ordinary user's, as systemd delegates one."""
    hierarchies = discover()
    for each in hierarchies:
        for left in Path(each.folder).glob("lambent-test-*-*"):
            if not Path("/proc", left.name.split("-")[2]).exists():
                _remove_groups(str(left))  # Of a test that was killed.
    # On v2 a group has the controllers that the one above hands down: root's own does so for the user's in it.
    made = cgroups.prepare(hierarchies, f"lambent-test-{os.getpid()}-{os.urandom(4).hex()}")
    delegated = [f"{folder}/user" for folder in made]
    for folder in delegated:
        os.mkdir(folder)
        for path in (folder, *(f"{folder}/{name}" for name in ("tasks", "cgroup.procs", "cgroup.subtree_control"))):
            if os.path.exists(path):
                os.chown(path, ordinary_user.UID, ordinary_user.UID)
    try:
        yield tuple(delegated)
    finally:
        for folder in made:
            _remove_groups(folder)


def _remove_groups(folder: str) -> None:
    """A group that was just left by its last process may be busy for a moment."""
    eventually(lambda: _removed(folder), timeout_s=5, until=bool)


def _removed(folder: str) -> bool:
    for group, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            os.rmdir(group)
    return not os.path.exists(folder)


DRIVERS: dict[str, Callable[..., AbstractAsyncContextManager[NativeDriver]]] = {
    "native": native_driver,
    "rootless": rootless_driver,
    "oci": oci_driver,
}
"""The drivers that isolate, for tests that hold for each of them; without root there is one."""
if os.geteuid() != 0:
    del DRIVERS["native"], DRIVERS["oci"]


def needs_program(name: str, package: str) -> None:
    """Skip without it, but never where all is expected to be there."""
    if shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        tell = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        tell(f"{name} is missing (package {package})")
