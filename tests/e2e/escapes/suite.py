"""Runs the attempts of the table: once outside, and once in a sandbox of each kind, while another sandbox runs."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lambent.environments.events import HowStarted
from lambent.environments.sandbox.launched import NativeSandbox
from lambent.environments.sandbox.native import NativeDriver
from lambent.environments.sandbox.ports import NetworkSpec, Preparation, SandboxError, SandboxSpec
from lambent.launcher import hierarchies
from lambent.launcher.client import Egress
from lambent.runtimes.catalog import Catalog
from lambent.runtimes.interpreters import places
from lambent.runtimes.python.files import runtime_files
from lambent.runtimes.python.runtime import PythonRuntime
from lambent.runtimes.variables import SNAP_START, Process
from tests.e2e import network_kit
from tests.e2e.census import eventually
from tests.e2e.escapes.table import ALLOWED, CASES, IN_CLONES, IN_CONTAINERS, WITH_INTERNET, Case
from tests.e2e.invoke_kit import INTERPRETER, RUNTIME
from tests.e2e.sandbox_kit import DRIVERS, PYTHON, printed, spec

ATTEMPTS = Path(__file__).with_name("attempts")
END = "end of attempts"
MARK = "LAMBENT_PROBE_SECRET"
ACCOUNT = "123456789012"
OTHER_LAUNCHER = "other"
METADATA, OF_INTERNET = "169.254.169.254", "192.0.2.1"
"""Of the table."""
LACKING = ("ENOSYS", "EAFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "ENOPROTOOPT", "ENODEV", "ENXIO")
"""Outside: this kernel does not have it, or this machine not such a device."""
_KERNEL_FILES = ("/proc/", "/dev/")


@dataclass(frozen=True, slots=True)
class Variant:
    """One kind of sandbox, and the way its interpreter came to be."""

    driver: str
    how: HowStarted
    plugged: bool = False
    """It reaches the internet."""

    def __str__(self) -> str:
        return f"{self.driver}, {WAYS[self.how]}" + (", with internet" if self.plugged else "")

    def expected(self, case: Case) -> list[str]:
        other: Mapping[str, str] = {}
        if self.plugged:
            other = WITH_INTERNET
        elif self.driver == "oci":
            other = IN_CONTAINERS
        elif self.how is HowStarted.RESTORED:
            other = IN_CLONES
        return other.get(case.name, case.expected).split("|")


WAYS = {
    HowStarted.EXECUTED: "by exec",
    HowStarted.POOLED: "from the pool",
    HowStarted.FORKED: "by fork",
    HowStarted.RESTORED: "restored",
}
_STARTS = (HowStarted.EXECUTED, HowStarted.POOLED, HowStarted.FORKED)
PLUGGED = Variant("native", HowStarted.EXECUTED, plugged=True)
VARIANTS = (
    *(Variant("native", how) for how in (*_STARTS, HowStarted.RESTORED)),
    PLUGGED,
    *(Variant("rootless", how) for how in _STARTS),
    *(Variant("oci", how) for how in _STARTS if how is not HowStarted.FORKED),
)
SOMETIMES = () if os.environ.get("CI") == "true" else (PLUGGED,)
"""What need not be there on every machine."""


@dataclass(slots=True)
class Results:
    """How each case ended, by its name: outside by driver, whose other environment is tried, inside by variant."""

    outside: dict[str, dict[str, str]] = field(default_factory=dict)
    inside: dict[Variant, dict[str, str]] = field(default_factory=dict)
    absent: dict[Variant, str] = field(default_factory=dict)
    """Why there is no such sandbox on this machine."""

    def as_expected(self, case: Case, variant: Variant) -> bool:
        return self.inside[variant][case.name] in variant.expected(case)

    def refused(self, case: Case, variant: Variant) -> bool:
        return self.as_expected(case, variant) and self.inside[variant][case.name] != "ok"

    def lacking(self, case: Case, driver: str) -> str | None:
        """Why the case proves nothing on this machine, or None."""
        if driver not in self.outside:
            return "only root can try this outside"
        told = self.outside[driver][case.name]
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
        (home / "secret").write_text("secret")
        bystander = stack.enter_context(_bystander())
        group = stack.enter_context(_group())
        yield {
            "home": str(home),
            "other_code": str(home / "packages" / "code-other"),
            "python": PYTHON,
            "pid": str(bystander),
            "port": str(listener.getsockname()[1]),
            "port6": str(listener6.getsockname()[1]),
            "abstract": f"lambent-test-{os.getpid()}",
            "disk": _disk(),
            "group": group,
            "mark": MARK,
        }


def _disk() -> str:
    disks = [path.parent.name for path in Path("/sys/block").glob("*/size") if int(path.read_text())]
    return min(disks, key=lambda name: (name.startswith("loop"), name), default="no-disk")


@contextlib.contextmanager
def _group() -> Iterator[str]:
    """A group of version 2 that may hold processes: one with groups that have controllers may not."""
    above = next((each.folder for each in hierarchies.discover() if each.version == 2), None)
    if above is None or not os.access(above, os.W_OK):
        yield "/proc/no-cgroup2"
        return
    folder = Path(above, f"lambent-outside-{os.getpid()}")
    folder.mkdir()
    try:
        yield str(folder)
    finally:
        eventually(lambda: _removed(folder), timeout_s=5, until=bool)


def _removed(folder: Path) -> bool:
    """A group that was just left by its last process may be busy for a moment."""
    with contextlib.suppress(OSError):
        folder.rmdir()
    return not folder.exists()


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
        for each in (folder, folder / OTHER_LAUNCHER):
            each.mkdir()
            each.chmod(0o755)
        with host(folder) as facts:
            asyncio.run(_try(driver, folder, facts, results))
    return results


async def _try(name: str, home: Path, facts: dict[str, str], results: Results) -> None:
    runtime = Catalog(places(os.environ), configured=[(RUNTIME, INTERPRETER)]).find(RUNTIME)
    kit = DRIVERS[name](home, runtime.start, **runtime_files())
    async with kit as driver, another(driver, home) as other:
        facts |= {"other_pid": other}
        if os.geteuid() == 0:
            results.outside[name] = await outside(home, facts)
        lines = [case.attempt.format(**facts) for case in CASES] + ALLOWED
        for variant in VARIANTS:
            if variant.driver == name:
                try:
                    if variant.plugged:
                        text = await _with_internet(home / OTHER_LAUNCHER, runtime, lines, int(facts["port"]))
                    else:
                        text = await inside(driver, home, runtime, lines, variant.how)
                except (SandboxError, Lacking) as error:
                    results.absent[variant] = f"{variant}: {error}"
                else:
                    results.inside[variant] = _told(text, lines)


class Lacking(Exception):
    """This machine has not what such a sandbox needs."""


async def _with_internet(home: Path, runtime: PythonRuntime, lines: Sequence[str], port: int) -> str:
    """In a world of its own, whose internet and cloud would answer to the host."""
    if why := network_kit.lacking():
        raise Lacking(why)
    with network_kit.world() as world:
        for address in (METADATA, OF_INTERNET):
            world.run(world.internet, f"ip address add {address}/32 dev lo")
            world.serve(world.internet, address, 80, "here")
            with network_kit.inside(world.host):
                socket.create_connection((address, 80), 5).close()
        world.serve(world.host, "127.0.0.1", port, "the host")
        async with network_kit.driver_in(world, home, Egress("auto"), entries=runtime_files()) as driver:
            made = replace(tried(home, runtime, lines), network=NetworkSpec(kind="internet"))
            sandbox = await driver.create(made)
            assert sandbox.network_missing is None
            return await _said(sandbox)


def _told(text: str, lines: Sequence[str]) -> dict[str, str]:
    said = dict(line.split(" => ", 1) for line in text.splitlines() if " => " in line)
    names = ([case.name for case in CASES] + ALLOWED)[: len(lines)]
    return {name: said.get(line, f"nothing said: {text[-500:]}") for name, line in zip(names, lines, strict=True)}


@contextlib.asynccontextmanager
async def another(driver: NativeDriver, home: Path) -> AsyncIterator[str]:
    """An environment with secrets: in /tmp, in its variables, in what processes share. Its pid on the host."""
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
        yield _pid_of_other()
    finally:
        await sandbox.stop()


def _pid_of_other() -> str:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{MARK}=".encode() in (folder / "environ").read_bytes():
                return folder.name
    return "4194303"  # An ordinary user does not see it: /proc is hidden from the user as well. Nobody has this one.


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


TRY = """
from attempts import run
run.main("/var/task/commands")
def handler(event, context): pass
"""
TRY_RESTORED = """
import os
from snapshot_restore_py import register_after_restore
def attempts():
    child = os.fork()
    if child == 0:
        try:
            from attempts import run
            run.main("/var/task/commands")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
register_after_restore(attempts)
def handler(event, context): pass
"""
"""In a child, which has the memory and the descriptors of the clone, because that is the first process itself."""


def tried(home: Path, runtime: PythonRuntime, lines: Sequence[str], *, restored: bool = False) -> SandboxSpec:
    """A function of the real runtime whose module tries everything when it is imported, or after its restore."""
    name = "tried-restored" if restored else "tried"
    made = spec(home / "packages", TRY_RESTORED if restored else TRY, environment_id=name)
    if not (made.code_dir / "attempts").exists():
        _copy_program(made.code_dir)
    (made.code_dir / "commands").write_text("\n".join(lines))
    kind = SNAP_START if restored else "on-demand"
    return replace(
        made,
        command=runtime.command(_process(runtime.identifier, kind)),
        account=ACCOUNT,
        runtime=runtime.start,
        must_exec=False,
    )


def _process(identifier: str, initialization_type: str) -> Process:
    return Process(
        runtime=identifier,
        initialization_type=initialization_type,
        handler="main.handler",
        function_name="tried",
        function_version="1",
        memory_mb=256,
        region="us-east-1",
        log_group="/aws/lambda/tried",
        log_stream="s",
        access_key_id="A",
        secret_access_key="S",
        session_token="T",
    )


async def inside(
    driver: NativeDriver, home: Path, runtime: PythonRuntime, lines: Sequence[str], how: HowStarted
) -> str:
    if how is not HowStarted.RESTORED:
        return await _said(await begin(driver, tried(home, runtime, lines), how))
    made = tried(home, runtime, lines, restored=True)
    template = await driver.create(replace(made, template=True, must_exec=True))
    try:
        await template.start()
        obstacle = await template.snapshot()
        assert obstacle is None, obstacle
        return await _said(await driver.restore(template, made))
    finally:
        await template.stop()


async def _said(sandbox: NativeSandbox) -> str:
    try:
        await sandbox.start()
        return await printed(sandbox, END, timeout_s=60)
    finally:
        await sandbox.stop()


async def begin(driver: NativeDriver, made: SandboxSpec, how: HowStarted) -> NativeSandbox:
    if how is HowStarted.EXECUTED:
        return await driver.create(made)
    assert made.runtime is not None
    zygote_of = made.account if how is HowStarted.FORKED else None
    if zygote_of is not None:
        await driver.start_zygote(zygote_of, made.runtime)
    prepared = await driver.prepare(Preparation(made.runtime, zygote_of))
    assert prepared.how is how
    return await prepared.assign(made)
