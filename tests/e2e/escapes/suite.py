"""Runs the attempts of the table: once outside, and once in a sandbox of each kind, while another sandbox runs."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lambent.environments.sandbox.native import NativeDriver, NativeSandbox
from lambent.launcher import cgroups
from tests.e2e.escapes.table import ALLOWED, CASES, Case
from tests.e2e.sandbox_kit import DRIVERS, PYTHON, printed, spec

ATTEMPTS = Path(__file__).with_name("attempts")
END = "end of attempts"
MARK = "LAMBENT_PROBE_SECRET"
LACKING = ("ENOSYS", "EAFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "ENOPROTOOPT", "ENODEV", "ENXIO")
"""Outside: this kernel does not have it, or this machine not such a device."""
_KERNEL_FILES = ("/proc/", "/dev/")


@dataclass(frozen=True, slots=True)
class Variant:
    """One kind of sandbox, and the way its interpreter came to be."""

    driver: str
    started: str

    def __str__(self) -> str:
        return f"{self.driver}, {self.started}"


VARIANTS = tuple(Variant(driver, started) for driver in ("native", "rootless") for started in ("by exec",))


@dataclass(slots=True)
class Results:
    """How each case ended, by its name: outside by driver, whose other environment is tried, inside by variant."""

    outside: dict[str, dict[str, str]] = field(default_factory=dict)
    inside: dict[Variant, dict[str, str]] = field(default_factory=dict)

    def refused(self, case: Case, variant: Variant) -> bool:
        return self.inside[variant][case.name] in case.expected.split("|")

    def lacking(self, case: Case, driver: str) -> str | None:
        """Why the case proves nothing on this machine, or None."""
        told = self.outside[driver][case.name]
        if os.geteuid() != 0:
            return "only root can do most of this outside"
        if case.needs is not None and not _capable(case.needs):
            return f"{case.name}: root has not capability {case.needs} here"
        words = (case.outside or case.attempt).split()
        missing = told in LACKING or (told == "ENOENT" and words[-1].startswith(_KERNEL_FILES))
        return f"{case.name}: this machine lacks it ({told})" if missing else None


def _capable(number: int) -> bool:
    status = Path("/proc/self/status").read_text()
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff"))
    return bool(int(effective, 16) >> number & 1)


@contextlib.contextmanager
def host(home: Path) -> Iterator[dict[str, str]]:
    """What there is to reach on the host, by the names that the table uses."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener6 = stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0lambent-test-{os.getpid()}")
        abstract.listen()
        named = stack.enter_context(socket.socket(socket.AF_UNIX))
        named.bind(str(home / "socket"))
        named.listen()
        (home / "empty").mkdir()
        (home / "entry.py").write_text("")
        (home / "secret").write_text("secret")
        bystander = stack.enter_context(_bystander())
        yield {
            "home": str(home),
            "other_code": str(home / "packages" / "code-other"),
            "python": PYTHON,
            "pid": str(bystander),
            "port": str(listener.getsockname()[1]),
            "port6": str(listener6.getsockname()[1]),
            "abstract": f"lambent-test-{os.getpid()}",
            "disk": _disk(),
            "group": next((each.folder for each in cgroups.discover() if each.version == 2), "/proc/no-cgroup2"),
            "mark": MARK,
        }


def _disk() -> str:
    disks = [path.parent.name for path in Path("/sys/block").glob("*/size") if int(path.read_text())]
    return min(disks, key=lambda name: (name.startswith("loop"), name), default="no-disk")


@contextlib.contextmanager
def _bystander() -> Iterator[int]:
    """A process of the host, in a network of its own with the metadata service in it."""
    command = [sys.executable, str(Path(__file__).with_name("bystander.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process.pid
        finally:
            process.kill()


def run(home: Path) -> Results:
    results = Results()
    for driver in DRIVERS:
        folder = home / driver
        folder.mkdir()
        folder.chmod(0o755)
        with host(folder) as facts:
            asyncio.run(_try(driver, folder, facts, results))
    return results


async def _try(name: str, home: Path, facts: dict[str, str], results: Results) -> None:
    async with DRIVERS[name](home, **{"entry.py": home / "entry.py"}) as driver, another(driver, home) as other:
        facts |= {"other_pid": str(other.processes()[0])}
        results.outside[name] = await outside(home, facts)
        lines = [case.attempt.format(**facts) for case in CASES] + ALLOWED
        results.inside[Variant(name, "by exec")] = _told(await inside(driver, home, lines), lines)


def _told(text: str, lines: Sequence[str]) -> dict[str, str]:
    said = dict(line.split(" => ", 1) for line in text.splitlines() if " => " in line)
    names = ([case.name for case in CASES] + ALLOWED)[: len(lines)]
    return {name: said.get(line, f"nothing said: {text[-500:]}") for name, line in zip(names, lines, strict=True)}


@contextlib.asynccontextmanager
async def another(driver: NativeDriver, home: Path) -> AsyncIterator[NativeSandbox]:
    """An environment with secrets: in /tmp, in its variables, in what processes share."""
    script = """
        import os, sys, time
        sys.path.insert(0, os.path.dirname(__file__))
        open("/tmp/secret", "w").write("secret of its own")
        from attempts import processes
        processes.make_shared()
        print("written", flush=True)
        time.sleep(300)
        """
    made = spec(home / "packages", script, environment_id="other", variables={MARK: "x"})
    _copy_program(made.code_dir)
    sandbox = await driver.create(made)
    try:
        await sandbox.start()
        await printed(sandbox, "written")
        yield sandbox
    finally:
        await sandbox.stop()


def _copy_program(code: Path) -> None:
    shutil.copytree(ATTEMPTS, code / "attempts", ignore=shutil.ignore_patterns("__pycache__"))
    program = shutil.which("id")
    assert program is not None
    shutil.copyfile(program, code / "id")
    (code / "id").chmod(0o4755)


async def outside(home: Path, facts: Mapping[str, str]) -> dict[str, str]:
    """In the scratch namespaces of the program."""
    lines = [(case.outside or case.attempt).format(**facts) for case in CASES]
    commands = home / "commands"
    commands.write_text("\n".join(lines))
    return _told(await asyncio.to_thread(_run_outside, commands), lines)


def _run_outside(commands: Path) -> str:
    read, write = os.pipe()  # For the attempt at inherited descriptors to find.
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(ATTEMPTS / "run.py"), "--scratch", str(commands)],
            capture_output=True,
            text=True,
            timeout=60,
            pass_fds=(read,),
        )
    finally:
        os.close(read)
        os.close(write)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def inside(driver: NativeDriver, home: Path, lines: list[str]) -> str:
    script = """
        import os, sys
        sys.path.insert(0, os.path.dirname(__file__))
        from attempts import run
        run.main("/var/task/commands")
        """
    made = spec(home / "packages", script, environment_id="tried")
    _copy_program(made.code_dir)
    (made.code_dir / "commands").write_text("\n".join(lines))
    sandbox = await driver.create(made)
    try:
        await sandbox.start()
        return await printed(sandbox, END, timeout_s=60)
    finally:
        await sandbox.stop()
