"""The native sandbox at work: start, listeners, output, Reset, freeze, end."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lambent.environments.sandbox.launched import NativeSandbox
from lambent.environments.sandbox.native import NativeDriver
from lambent.environments.sandbox.ports import Preparation, ProcessExit, SandboxError
from lambent.runtimes.layout import Command, Layout
from tests.e2e.sandbox_kit import DEADLINE_S, DRIVERS, PYTHON, drain, printed, run, spec, until


@pytest.fixture(params=DRIVERS)
async def driver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[NativeDriver]:
    entry = tmp_path / "bootstrap.py"
    entry.write_text("answer = 42\n")
    async with DRIVERS[request.param](tmp_path, **{"bootstrap.py": entry}) as made:
        yield made


async def make(driver: NativeDriver, tmp_path: Path, script: str, **more: object) -> NativeSandbox:
    return await driver.create(spec(tmp_path / "packages", script, **more))  # type: ignore[arg-type]


async def test_runtime_gets_its_variables_folders_user_and_both_streams(driver: NativeDriver, tmp_path: Path) -> None:
    sandbox = await make(
        driver,
        tmp_path,
        """
        import os, sys
        sys.path.insert(0, os.environ["RUNTIME"])
        import bootstrap
        print(os.environ["NAME"], bootstrap.answer, os.getcwd(), os.getuid(), os.getgid(), os.getgroups())
        print(sys.argv, sys.prefix, os.listdir("/opt"), os.listdir("/tmp"), os.uname().nodename)
        open("/dev/stdout", "w").write("by name\\n")
        print("error", file=sys.stderr)
        """,
        variables={"NAME": "välue"},
    )
    text = await run(sandbox)
    # A container has no user namespace: its user is the one that it is on the host.
    user = r"\d{10} \d{10}" if driver.name == "oci" else "993 990"
    assert re.search(rf"välue 42 /var/task {user} \[\]", text)
    assert "['/var/task/main.py'] /var/lang [] [] sandbox" in text
    assert "by name" in text
    assert "error" in text
    assert await sandbox.exited() == ProcessExit(0, None)
    await sandbox.stop()


@pytest.mark.parametrize("address", ["169.254.100.1:9001", "127.0.0.1:9001", "127.0.0.1:4566"])
async def test_each_listener_answers_inside(driver: NativeDriver, tmp_path: Path, address: str) -> None:
    sandbox = await make(
        driver,
        tmp_path,
        """
        import os, socket
        host, port = os.environ["ADDRESS"].split(":")
        print(socket.create_connection((host, int(port)), 5).recv(5))
        """,
        variables={"ADDRESS": address},
    )
    listeners = (*sandbox.runtime_api, *sandbox.aws_endpoint)
    (listener,) = [each for each in listeners if f"{each.getsockname()[0]}:{each.getsockname()[1]}" == address]
    await sandbox.start()
    async with asyncio.timeout(DEADLINE_S):
        connection, _ = await asyncio.get_running_loop().sock_accept(listener)
        with connection:
            connection.sendall(b"hello")
            await sandbox.exited()
    assert "hello" in drain(sandbox)
    await sandbox.stop()


async def test_reset_keeps_tmp_and_the_pipe_and_kills_children(driver: NativeDriver, tmp_path: Path) -> None:
    sandbox = await make(
        driver,
        tmp_path,
        """
        import os, time
        round = "second" if os.path.exists("/tmp/mark") else "first"
        open("/tmp/mark", "w")
        print(round, flush=True)
        if os.fork() == 0:
            os.setsid()
        time.sleep(60)
        """,
    )
    await sandbox.start()
    await printed(sandbox, "first")
    await sandbox.kill()
    assert await sandbox.exited() == ProcessExit(None, signal.SIGKILL)
    await sandbox.start()
    await printed(sandbox, "second")
    await sandbox.stop()
    await sandbox.stop()


async def test_exit_status_and_signal_are_told(driver: NativeDriver, tmp_path: Path) -> None:
    sandbox = await make(driver, tmp_path, "import os, sys\nsys.exit(7)")
    await run(sandbox)
    assert await sandbox.exited() == ProcessExit(7, None)
    assert sandbox.memory_peak_bytes() > 1_000_000
    await sandbox.stop()
    # In a container the runtime is the first process, which no signal of its own ends; a fault of it does.
    fault = "ctypes.string_at(0)" if driver.name == "oci" else "os.kill(os.getpid(), 11)"
    sandbox = await make(driver, tmp_path, f"import ctypes, os\n{fault}")
    await run(sandbox)
    assert await sandbox.exited() == ProcessExit(None, signal.SIGSEGV)
    await sandbox.stop()


async def test_freeze_stops_and_thaw_continues(driver: NativeDriver, tmp_path: Path) -> None:
    script = "import time\nprint('up', flush=True)\nwhile True: time.sleep(0.001); print('.', end='', flush=True)"
    sandbox = await make(driver, tmp_path, script)
    await sandbox.start()
    await printed(sandbox, "up")
    sandbox.freeze()
    drain(sandbox)
    loop = asyncio.get_running_loop()
    silent = asyncio.Event()
    loop.add_reader(sandbox.output_fd, silent.set)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(silent.wait(), 0.1)
    loop.remove_reader(sandbox.output_fd)
    sandbox.thaw()
    await printed(sandbox, ".")
    sandbox.freeze()
    await asyncio.wait_for(sandbox.stop(), 2)


async def test_program_that_cannot_start_is_an_error_and_not_an_exit(driver: NativeDriver, tmp_path: Path) -> None:
    made = spec(tmp_path / "packages", "")
    code = made.code_dir
    os.chmod(code, 0o700)
    sandbox = await driver.create(made)
    with pytest.raises(SandboxError, match="Permission denied"):
        await sandbox.start()
    await sandbox.stop()


EXTENSION = """
import os, signal, socket, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
listener = socket.create_server(("127.0.0.1", 8080))
print("extension", os.getcwd(), os.getuid(), os.environ["A"], flush=True)
connection, _ = listener.accept()
connection.sendall(b"hello")
while True: signal.pause()
"""


async def test_extension_runs_beside_the_runtime_is_reached_and_told_to_end(
    driver: NativeDriver, tmp_path: Path
) -> None:
    made = spec(tmp_path / "packages", "import time\nprint('runtime', flush=True)\ntime.sleep(60)")
    (made.code_dir / "extension.py").write_text(EXTENSION)
    sandbox = await driver.create(made)

    def command(layout: Layout) -> Command:
        return Command((f"{layout.lang}/{PYTHON}", "-I", "-S", "/var/task/extension.py"), {"A": "b"})

    await sandbox.start_extension("mine", command)
    await sandbox.start()
    assert "extension" not in await printed(sandbox, "runtime")
    await until(lambda: len(sandbox.processes()) == 2)
    said = await read_until(sandbox.extension_output_fd, b"b\n")
    assert re.fullmatch(rb"extension / (993|\d{10}) b\n", said)
    with await sandbox.connect(8080) as connection:
        assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(connection, 5), 5) == b"hello"
    with pytest.raises(ConnectionRefusedError):
        await sandbox.connect(8081)
    sandbox.terminate("mine")
    assert await asyncio.wait_for(sandbox.extension_exited("mine"), 5) == ProcessExit(3, None)
    sandbox.terminate()
    assert await asyncio.wait_for(sandbox.exited(), 5) == ProcessExit(None, signal.SIGTERM)
    sandbox.terminate()
    sandbox.terminate("mine")
    sandbox.terminate("nobody")
    await sandbox.start_extension("mine", command)
    with pytest.raises(RuntimeError, match="still running"):
        await sandbox.start_extension("mine", command)
    await sandbox.kill()
    assert await sandbox.extension_exited("mine") == ProcessExit(None, signal.SIGKILL)
    await sandbox.stop()


async def test_prepared_sandbox_becomes_one_with_other_limits(driver: NativeDriver, tmp_path: Path) -> None:
    for memory_mb, tmp_mb in ((64, 64), (512, 1024), (128, 512)):
        prepared = await driver.prepare(Preparation())
        made = spec(
            tmp_path / "packages",
            "import os\nat = os.statvfs('/tmp')\nprint(at.f_blocks * at.f_frsize >> 20, os.listdir('/tmp'))",
            memory_mb=memory_mb,
            tmp_mb=tmp_mb,
        )
        sandbox = await prepared.assign(made)
        size = int((await run(sandbox)).split()[0])
        assert tmp_mb * 0.8 < size <= tmp_mb
        assert limit_bytes(sandbox) == {memory_mb << 20}
        await prepared.stop()  # It is somebody's now.
        await sandbox.kill()
        await sandbox.stop()


async def test_prepared_sandbox_that_nobody_wants_ends(driver: NativeDriver, tmp_path: Path) -> None:
    prepared = await driver.prepare(Preparation())
    await prepared.stop()
    await prepared.stop()
    with pytest.raises(RuntimeError, match="assigned or stopped"):
        await prepared.assign(spec(tmp_path / "packages", ""))


def limit_bytes(sandbox: NativeSandbox) -> set[int]:
    """Of memory with and without swap, as the kernel has it."""
    stat = os.fstat(sandbox._fds.get("stat1", sandbox._fds.get("stat2", -1)))
    # The path of the descriptor is the launcher's; on this side the same file is another path.
    found = next(folder for folder, _, _ in os.walk("/sys/fs/cgroup") if _is(f"{folder}/memory.stat", stat))
    names = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max")
    return {int(Path(found, name).read_text()) for name in names if Path(found, name).exists()}


def _is(path: str, stat: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), stat)
    except OSError:  # No such file, or a group of others that is going away.
        return False


async def read_until(fd: int, end: bytes) -> bytes:
    """From a non-blocking pipe."""
    taken = b""

    def take() -> bool:
        nonlocal taken
        try:
            taken += os.read(fd, 65536)
        except BlockingIOError:
            pass
        return taken.endswith(end)

    await until(take)
    return taken
