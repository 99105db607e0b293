"""A function cannot reach what is not its own. Each probe succeeds outside first, so that its failure inside means
something."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lambent.environments.sandbox.native import NativeDriver
from lambent.launcher import client, wire
from tests.e2e.sandbox_kit import DRIVERS, PREFIX, drain, printed, spec

PROBES = Path(__file__).with_name("sandbox_probes.py")


@dataclass(frozen=True, slots=True)
class Case:
    """`{...}` in a probe is replaced by what the host has: see `host`."""

    name: str
    probe: str
    expected: str
    """Errno, or several with a bar between."""
    outside: str | None = None
    """Where the same attempt needs other words outside; None: the same."""


CASES = [
    Case("the host's password file", "read /etc/shadow", "ENOENT"),
    Case("the data dir", "listdir {home}", "ENOENT"),
    Case("the code of another function", "read {other_code}/main.py", "ENOENT"),
    Case(
        "the /tmp of another environment",
        "read /tmp/secret",
        "ENOENT",
        outside="read /proc/{other_pid}/root/tmp/secret",
    ),
    Case(
        "the root of the first process",
        "read /proc/1/root/etc/passwd",
        "ENOENT",
        outside="read /proc/{other_pid}/root/etc/passwd",
    ),
    Case("the launcher's folders", "listdir /.lambent", "EACCES", outside="listdir {home}/packages"),
    Case("a disk", "read /dev/{disk}", "ENOENT"),
    Case("a folder of the host", "listdir /var/lib", "ENOENT"),
    Case("a process of the host", "see_process {pid}", "ENOENT"),
    Case("a process of another environment", "see_process {other_pid}", "ENOENT"),
    Case("a signal to a process of the host", "send_signal {pid}", "ESRCH"),
    Case("a signal to the first process", "send_signal 1", "EPERM"),
    Case("a listener on the host's loopback", "tcp 127.0.0.1:{port}", "ECONNREFUSED"),
    Case("the metadata service", "tcp 169.254.169.254:80", "ENETUNREACH", outside="tcp 127.0.0.1:{port}"),
    Case("the internet", "tcp 192.0.2.1:80", "ENETUNREACH", outside="tcp 127.0.0.1:{port}"),
    Case("an abstract socket of the host", "unix @{abstract}", "ECONNREFUSED"),
    Case("a socket file of the host", "unix {home}/socket", "ENOENT"),
    Case("mount", "mount /tmp", "EPERM", outside="mount {home}/empty"),
    Case("ptrace", "ptrace", "EPERM"),
    Case("a new user namespace", "unshare 0x10000000", "EPERM"),
    Case("a new mount namespace", "unshare 0x20000", "EPERM"),
    Case("a clone into a user namespace", "clone 0x10000000", "EPERM"),
    Case("a clone into a network namespace", "clone 0x40000000", "EPERM"),
    Case("clone3, whose flags no filter sees", "clone3 0x10000000", "ENOSYS"),
    Case("setns", "setns /proc/self/ns/uts", "EPERM"),
    Case("bpf", "bpf", "EPERM"),
    Case("io_uring", "io_uring", "EPERM"),
    Case("keyctl", "keyctl", "EPERM"),
    Case("userfaultfd", "userfaultfd", "EPERM"),
    Case("perf_event_open", "perf", "EPERM"),
    Case("a file by its handle", "handle /var/task/main.py", "EPERM", outside="handle {other_code}/main.py"),
    Case("the memory of a process", "vm_read", "EPERM"),
    Case("chroot", "chroot", "EPERM"),
    Case("the host name", "hostname", "EPERM"),
    Case("a device node", "device /tmp", "EPERM", outside="device {home}"),
    Case("root", "become 0", "EINVAL|EPERM"),
    Case("a better priority", "nice -5", "EACCES"),
    Case("a raw socket", "socket_of 2 3 1", "EPERM"),
    Case("a packet socket", "socket_of 17 3 0", "EAFNOSUPPORT"),
    Case("an audit socket", "socket_of 16 3 9", "EAFNOSUPPORT"),
    Case("writing to the root", "create /", "EROFS", outside="create {home}"),
    Case("writing to its code", "create /var/task", "EROFS", outside="create {other_code}"),
    Case("writing to the system", "create /usr", "EROFS", outside="create {home}"),
    Case("writing to the interpreter", "create /var/lang", "EROFS", outside="create {home}"),
    Case("writing to the bootstrap", "create /var/runtime", "EROFS", outside="create {home}"),
    Case("changing the bootstrap", "write /var/runtime/entry.py", "EROFS|EACCES", outside="write {home}/entry.py"),
    Case("shared memory files", "create /dev/shm", "ENOENT", outside="create {home}"),
    Case("a setting of the kernel", "write /proc/sys/kernel/printk", "EROFS|EACCES"),
]
X86_CASES = [Case("a call of another architecture", "foreign_architecture", "killed by SIGSYS")]
if os.uname().machine == "x86_64":
    CASES += X86_CASES

ALLOWED = ["create /tmp", "socket_of 16 3 0", "socket_of 2 1 0", "socket_of 1 1 0", "read /proc/self/status"]


@dataclass(frozen=True, slots=True)
class Results:
    outside: dict[str, str]
    inside: dict[str, str]


@pytest.fixture(scope="module", params=DRIVERS)
def driver_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def home(driver_name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp(f"isolation-{driver_name}")


@pytest.fixture(scope="module")
def results(driver_name: str, home: Path) -> Iterator[Results]:
    """All probes: outside in one process, then inside in one sandbox, while another sandbox runs."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0lambent-test-{os.getpid()}")
        abstract.listen()
        named = stack.enter_context(socket.socket(socket.AF_UNIX))
        named.bind(str(home / "socket"))
        named.listen()
        (home / "empty").mkdir()
        (home / "entry.py").write_text("")
        host = {
            "home": str(home),
            "other_code": str(home / "packages" / "code-other"),
            "pid": str(os.getpid()),
            "port": str(listener.getsockname()[1]),
            "abstract": f"lambent-test-{os.getpid()}",
            "disk": next(iter(sorted(os.listdir("/sys/block")))),
        }
        yield asyncio.run(_run_probes(driver_name, home, host))


async def _run_probes(driver_name: str, home: Path, host: dict[str, str]) -> Results:
    async with DRIVERS[driver_name](home, **{"entry.py": home / "entry.py"}) as driver:
        script = (
            "import os, time\nopen('/tmp/secret', 'w').write('secret')\nprint('written', flush=True)\ntime.sleep(300)"
        )
        other = await driver.create(spec(home / "packages", script, environment_id="other"))
        await other.start()
        await printed(other, "written")
        host = host | {"other_pid": str(other.processes()[0])}
        outside_lines = [(case.outside or case.probe).format(**host) for case in CASES]
        inside_lines = [case.probe.format(**host) for case in CASES] + ALLOWED
        outside = await asyncio.to_thread(_outside, home, outside_lines)
        inside = await _inside(driver, home, inside_lines)
    keys = [case.name for case in CASES]
    return Results(dict(zip(keys, outside, strict=True)), dict(zip(keys + ALLOWED, inside, strict=True)))


def _outside(home: Path, lines: list[str]) -> list[str]:
    commands = home / "commands"
    commands.write_text("\n".join(lines))
    done = subprocess.run(
        [sys.executable, str(PROBES), str(commands)], capture_output=True, text=True, timeout=60, check=True
    )
    return [line.split(" => ")[1] for line in done.stdout.splitlines()]


async def _inside(driver: NativeDriver, home: Path, lines: list[str]) -> list[str]:
    made = spec(home / "packages", "", environment_id="probed")
    shutil.copyfile(PROBES, made.code_dir / "sandbox_probes.py")
    (made.code_dir / "commands").write_text("\n".join(lines))
    (made.code_dir / "main.py").write_text(
        "import runpy, sys\nsys.argv = ['', '/var/task/commands']\n"
        "runpy.run_path('/var/task/sandbox_probes.py', run_name='__main__')\n"
    )
    sandbox = await driver.create(made)
    await sandbox.start()
    async with asyncio.timeout(60):
        await sandbox.exited()
    text = drain(sandbox)
    await sandbox.stop()
    told = [line.split(" => ")[1] for line in text.splitlines() if " => " in line]
    assert len(told) == len(lines), text
    return told


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_out_of_reach(results: Results, case: Case) -> None:
    assert results.outside[case.name] == "ok", "a probe that fails outside too proves nothing"
    assert results.inside[case.name] in case.expected.split("|")


@pytest.mark.parametrize("probe", ALLOWED)
def test_what_functions_need_is_possible(results: Results, probe: str) -> None:
    assert results.inside[probe] == "ok"


async def test_a_connection_to_the_runtime_api_arrives_in_its_own_environment_only(
    driver_name: str, tmp_path: Path
) -> None:
    script = """
        import socket, time
        for address in (("169.254.100.1", 9001), ("127.0.0.1", 9001)):
            socket.create_connection(address, 5).sendall(b"mine")
        print("sent", flush=True)
        time.sleep(60)
        """
    async with DRIVERS[driver_name](tmp_path) as driver:
        speaker = await driver.create(spec(tmp_path / "packages", script, environment_id="a"))
        silent = await driver.create(spec(tmp_path / "packages", "import time; time.sleep(60)", environment_id="b"))
        await silent.start()
        await speaker.start()
        await printed(speaker, "sent")
        for listener in speaker.runtime_api:
            connection, _ = listener.accept()
            connection.close()
        for listener in (*silent.runtime_api, *silent.aws_endpoint):
            with pytest.raises(BlockingIOError):
                listener.accept()


async def test_the_kernels_secrets_are_masked(driver_name: str, tmp_path: Path) -> None:
    script = """
        for name in ("kallsyms", "timer_list", "keys", "kmsg"):
            try: print(name, len(open("/proc/" + name).read(10)))
            except OSError as error: print(name, 0, error)
        """
    with open("/proc/kallsyms") as symbols:  # noqa: ASYNC230 - a file of the kernel
        assert symbols.read(10)
    async with DRIVERS[driver_name](tmp_path) as driver:
        sandbox = await driver.create(spec(tmp_path / "packages", script))
        await sandbox.start()
        await sandbox.exited()
        text = drain(sandbox)
    for name in ("kallsyms", "timer_list", "keys", "kmsg"):
        assert f"{name} 0" in text


async def test_no_descriptor_of_the_launcher_is_inherited(driver_name: str, tmp_path: Path) -> None:
    async with DRIVERS[driver_name](tmp_path) as driver:
        script = "import os\nfds = [fd for fd in range(1024) if os.path.exists(f'/proc/self/fd/{fd}')]\nprint(fds)"
        sandbox = await driver.create(spec(tmp_path / "packages", script))
        await sandbox.start()
        await sandbox.exited()
        assert "[0, 1, 2]" in drain(sandbox)


async def test_launcher_survives_packets_that_are_no_requests(driver_name: str, tmp_path: Path) -> None:
    async with DRIVERS[driver_name](tmp_path) as driver:
        channel = driver._launcher._channel
        for packet in (b"{", b"[]", b"1", b'{"fds": ["control"]}', b'{"fds": 7}', b"\xff", b"{}", b"x" * 100_000):
            channel.send(packet)
        ours, theirs = wire.pair()
        with ours, theirs:
            socket.send_fds(channel, [b"{}"], [theirs.fileno()])
            wire.send(channel, {"do": "prepare"}, {"other": theirs.fileno()})
            wire.send(channel, {"do": "prepare", "tmp_mb": {}}, {"control": theirs.fileno()})
            ours.settimeout(10)
            received = await asyncio.to_thread(wire.receive, ours)
        assert received is not None
        assert received[0]["event"] == "failed"
        sandbox = await driver.create(spec(tmp_path / "packages", "print('works')"))
        await sandbox.start()
        await sandbox.exited()
        assert "works" in drain(sandbox)


@pytest.mark.parametrize(
    ("request_of", "why"),
    [
        ({"code": "/etc"}, "plain path|below the packages"),
        ({"code": "../outside"}, "plain path"),
        ({"code": "link"}, "Too many levels|symbolic"),
        ({"prefix": 7}, "prefix must be"),
        ({"memory_mb": 1 << 40}, "memory_mb must be"),
        ({"memory_mb": "64"}, "memory_mb must be"),
        ({"tmp_mb": 0}, "tmp_mb must be"),
        ({"processes": 100000}, "processes must be"),
        ({"do": "mount"}, "not understood"),
    ],
)
async def test_first_process_refuses_what_was_not_agreed(
    tmp_path: Path, request_of: dict[str, object], why: str
) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "link").symlink_to("/etc")
    (packages / "code").mkdir()
    launcher = client.start(data_dir=tmp_path, packages_dir=packages, prefixes=[PREFIX], runtime_entries={})
    good = {"do": "assign", "code": "code", "prefix": 0, "memory_mb": 64, "tmp_mb": 8, "processes": 8}
    with launcher.prepare(memory_mb=64, tmp_mb=8, processes=8) as control:
        await _ready(control)
        wire.send(control, good | request_of)
        received = await asyncio.to_thread(wire.receive, control)
    await asyncio.to_thread(launcher.close)
    assert received is not None
    assert received[0]["event"] in ("refused", "failed")
    assert re.search(why, received[0]["reason"])


async def test_first_process_survives_messages_that_are_none_and_assigns_once(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    (packages / "code").mkdir(parents=True)
    launcher = client.start(data_dir=tmp_path, packages_dir=packages, prefixes=[PREFIX], runtime_entries={})
    good = {"do": "assign", "code": "code", "prefix": 0, "memory_mb": 64, "tmp_mb": 8, "processes": 8}
    start = {"do": "start", "name": "runtime", "argv": ["/bin/true"], "variables": {}, "folder": "/", "open_files": 64}
    with launcher.prepare(memory_mb=64, tmp_mb=8, processes=8) as control:
        await _ready(control)
        heard = []
        for packet in (b"{", b"[]", b"{}", json.dumps(start).encode(), json.dumps(good).encode()):
            control.send(packet)
            heard.append(await asyncio.to_thread(wire.receive, control))
        for message in (good, start | {"argv": [["x"]]}, {"do": "signal", "name": "1", "number": 9}, {"do": "connect"}):
            wire.send(control, message)
            heard.append(await asyncio.to_thread(wire.receive, control))
        events = [each[0]["event"] for each in heard if each is not None]
        assert events == [*["refused"] * 4, "assigned", *["refused"] * 4]
    await asyncio.to_thread(launcher.close)


async def _ready(control: socket.socket) -> None:
    control.settimeout(10)
    received = await asyncio.to_thread(wire.receive, control)
    assert received is not None
    assert received[0]["event"] == "ready"
    for fd in received[1].values():
        os.close(fd)
