"""Which sandbox this machine gets: decided at start by building one, looking at it from inside, and ending it.

Nothing is weaker in silence: what is missing is named, with the reason, in the result that `up`, `doctor` and
`/_lambent/health` show.
"""

import asyncio
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lambent.environments import peers
from lambent.environments.sandbox.contained import ContainedDriver
from lambent.environments.sandbox.guarantees import GUARANTEES, by_reason
from lambent.environments.sandbox.native import NativeDriver
from lambent.environments.sandbox.ports import Sandbox, SandboxDriver, SandboxError, SandboxSpec
from lambent.environments.sandbox.process import ProcessDriver
from lambent.launcher.client import LauncherClient, LauncherError
from lambent.runtimes.layout import Command, Layout

ISOLATION = frozenset({"filesystem", "processes", "end", "network", "apis", "user", "syscalls"})
"""Without one of these it is not called native or rootless, and `auto` takes the process sandbox."""
OPTIONAL = frozenset({"tmp"})
"""May be missing even where native was demanded by name."""

_INSIDE = Path(__file__).with_name("inside.py")
_MEMORY_MB, _TMP_MB, _PROCESSES = 48, 8, 8
_TIMEOUT_S, _END_TIMEOUT_S = 15.0, 5.0


class SandboxUnavailable(Exception):
    """The sandbox that was asked for cannot be had here. The message says why."""


@dataclass(frozen=True, slots=True)
class Choice:
    driver: SandboxDriver
    missing: Mapping[str, str]
    """Guarantee -> why this machine does not give it."""
    reason: str | None
    """Why it is not the native sandbox, where it is not."""

    def as_json(self) -> dict[str, object]:
        guarantees, missing = dict(self.driver.guarantees), dict(self.missing)
        return {"driver": self.driver.name, "guarantees": guarantees, "missing": missing, "reason": self.reason}


async def choose(
    wanted: str,
    *,
    launcher: LauncherClient | None,
    problem: str | None,
    packages_dir: Path,
    scratch: Path,
    runtime_entries: Mapping[str, Path],
    waiting: asyncio.Event | None = None,
) -> Choice:
    """`wanted` is the setting (auto, native, rootless, oci, process). `launcher` is a started one, or None for the
    reason `problem`. `scratch` is a folder of the data dir for the process driver alone. `waiting` is set once there
    is nothing to do but wait for what the program inside finds.

    Raises SandboxUnavailable when `wanted` names a sandbox that cannot be had.
    """
    missing: dict[str, str] = {}
    contained = launcher is not None and launcher.kind.name == "process"
    if launcher is not None and contained:
        driver: NativeDriver = ContainedDriver(launcher)
        missing = await examine(driver, packages_dir, waiting)
        driver.guarantees = {name: name not in missing for name in GUARANTEES}
        if "user" not in missing:
            return Choice(driver, missing, launcher.kind.reason)
        problem = f"{launcher.kind.reason}; {missing['user']}"
        await driver.close()
    elif wanted != "process":
        if launcher is not None:
            driver = NativeDriver(launcher)
            missing = await examine(driver, packages_dir, waiting)
            driver.guarantees = {name: name not in missing for name in GUARANTEES}
            lacking = sorted(_essential(wanted, driver, missing) & missing.keys())
            if not lacking:
                return Choice(driver, missing, launcher.kind.reason)
            reasons = by_reason({name: missing[name] for name in lacking})
            problem = "; ".join(f"{', '.join(names)}: {why}" for why, names in reasons.items())
            await driver.close()
        if wanted != "auto":
            raise SandboxUnavailable(f"the {wanted} sandbox cannot be had here: {problem}")
    reason = problem or "the process sandbox was asked for"
    process = ProcessDriver(scratch=scratch, runtime_entries=runtime_entries)
    if not sys.platform.startswith("linux"):
        return Choice(process, dict.fromkeys(GUARANTEES, "a plain process of the host"), reason)
    missing = await examine(process, packages_dir, waiting)
    process.guarantees = {name: name not in missing for name in GUARANTEES}
    return Choice(process, missing, reason)


def _essential(wanted: str, driver: NativeDriver, missing: Mapping[str, str]) -> frozenset[str]:
    if wanted == "native":
        return frozenset(GUARANTEES) - OPTIONAL
    if driver.name == "rootless" and missing.get("user") == driver.launcher_missing.get("user"):
        return ISOLATION - {"user"}  # The machine has no numbers for functions; the other walls stand.
    return ISOLATION


async def examine(
    driver: NativeDriver | ProcessDriver, packages_dir: Path, waiting: asyncio.Event | None = None
) -> dict[str, str]:
    """Build one complete sandbox, test it from inside, end it. What is missing: guarantee -> why.

    Once more where time ran out: a machine that is busy for a moment is not one that isolates less.
    """
    missing = dict(driver.launcher_missing)
    try:
        found = await _inside_of_one(driver, packages_dir, waiting)
    except TimeoutError:
        try:
            found = await _inside_of_one(driver, packages_dir, waiting)
        except TimeoutError:
            found = dict.fromkeys(GUARANTEES, f"no sandbox could be built and examined in {2 * _TIMEOUT_S:.0f} s")
    seen = {name: why for name, why in found.items() if why}
    if "user" in seen and "user" in missing:
        missing["user"] += f"; {seen['user']}"
    return seen | missing


async def _inside_of_one(
    driver: NativeDriver | ProcessDriver, packages_dir: Path, waiting: asyncio.Event | None
) -> dict[str, str | None]:
    """Raises TimeoutError."""
    missing = driver.launcher_missing
    code, canary = _code(packages_dir), _code(packages_dir)
    try:
        with socket.create_server(("127.0.0.1", 0)) as host_loopback:
            spec = _spec(code, canary / "inside.py", host_loopback.getsockname()[1])
            sandbox = await driver.create(spec)
            try:
                return await _look(sandbox, waiting, ends="end" not in missing)
            finally:
                await sandbox.stop()
    except TimeoutError:
        raise
    except (SandboxError, LauncherError, OSError, ValueError) as error:
        reason = str(error) or type(error).__name__
        return dict.fromkeys(GUARANTEES, f"no sandbox could be built and examined: {reason}")
    finally:
        for folder in (code, canary):
            shutil.rmtree(folder, ignore_errors=True)


def _code(packages_dir: Path) -> Path:
    """A package of its own for the program that looks from inside."""
    code = Path(tempfile.mkdtemp(prefix=".probe-", dir=packages_dir))
    code.chmod(0o755)
    shutil.copyfile(_INSIDE, code / "inside.py")
    (code / "inside.py").chmod(0o644)
    return code


def _spec(code: Path, canary: Path, port: int) -> SandboxSpec:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"

    def command(layout: Layout) -> Command:
        numbers = map(str, (port, _PROCESSES, _TMP_MB, _MEMORY_MB))
        arguments = (str(canary), layout.runtime_api, *numbers)
        program = (f"{layout.lang}/bin/{version}", "-I", "-S", f"{layout.task}/inside.py")
        return Command((*program, *arguments), {"LD_LIBRARY_PATH": f"{layout.lang}/lib"})

    return SandboxSpec(
        environment_id="probe",
        command=command,
        code_dir=code,
        lang_prefix=Path(sys.base_prefix),
        memory_mb=_MEMORY_MB,
        cpus=1.0,
        tmp_mb=_TMP_MB,
        max_processes=_PROCESSES,
    )


async def _look(sandbox: Sandbox, waiting: asyncio.Event | None, *, ends: bool) -> dict[str, str | None]:
    """`ends`: it claims that no process outlives it."""
    for share in (0.5, None):
        sandbox.limit_cpu(share)  # That it limits is measured by the tests; here the kernel has to accept it.
    await sandbox.start()
    if waiting is not None:
        waiting.set()
    async with asyncio.timeout(_TIMEOUT_S):
        ended = await sandbox.exited()
    try:
        text = os.read(sandbox.output_fd, 1 << 16)
    except BlockingIOError:
        text = b""
    try:
        found: dict[str, str | None] = json.loads(text)
    except ValueError:
        raise SandboxError(f"it ended with {ended} and said {text[-300:].decode(errors='replace')!r}") from None
    if ended.signal != 9 or not sandbox.out_of_memory():
        found["memory"] = f"more than {_MEMORY_MB} MB were possible"
    found["apis"] = _private(sandbox, found["network"])
    if ends:
        found["end"] = await _ended(sandbox)
    return found


async def _ended(sandbox: Sandbox) -> str | None:
    """Whether the process that was left behind ends by a kill: its connection does."""
    for listener in sandbox.runtime_api:
        with suppress(BlockingIOError):
            connection, _ = listener.accept()
            break
    else:
        return "no connection to its Runtime API arrived"
    with connection:
        connection.setblocking(False)
        await sandbox.kill()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_END_TIMEOUT_S):
                while await loop.sock_recv(connection, 16):
                    pass
        except TimeoutError:
            return "a process lived on"
        except ConnectionResetError:
            pass
    return None


def _private(sandbox: Sandbox, network: str | None) -> str | None:
    """In a network of its own nobody else is; else who connects is asked who it is, and we are somebody else."""
    listener = sandbox.runtime_api[0]
    if not isinstance(listener, peers.OwnedListener):
        return network
    with socket.create_connection(listener.getsockname(), 1) as stranger:
        if peers.admits(listener, stranger.getsockname(), stranger.getpeername()):
            return "another user's connection was taken"
    return None
