"""The native sandbox at work: start, listeners, output, Reset, freeze, end."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lambent.environments.ports import ProcessExit
from lambent.environments.sandbox.channel import SandboxError
from lambent.environments.sandbox.native import NativeDriver, NativeSandbox
from tests.e2e.sandbox_kit import DEADLINE_S, DRIVERS, drain, printed, run, spec


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
    assert "välue 42 /var/task 993 990 []" in text
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
    sandbox = await make(driver, tmp_path, "import os\nos.kill(os.getpid(), 11)")
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
