import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from lambent.environments.sandbox import probe
from lambent.environments.sandbox.ports import ProcessExit
from lambent.environments.sandbox.process import MISSING, ProcessDriver, ProcessSandbox
from lambent.launcher.kernel import landlock
from tests.e2e.sandbox_kit import drain, printed, run, spec, until


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[ProcessDriver]:
    entry = tmp_path / "bootstrap.py"
    entry.write_text("answer = 42\n")
    made = ProcessDriver(scratch=tmp_path / "sandboxes", runtime_entries={"bootstrap.py": entry})
    yield made
    await made.close()


async def make(driver: ProcessDriver, tmp_path: Path, script: str, **more: object) -> ProcessSandbox:
    return await driver.create(spec(tmp_path, script, **more))  # type: ignore[arg-type]


async def test_runtime_gets_exactly_its_variables_folders_and_both_streams(
    driver: ProcessDriver, tmp_path: Path
) -> None:
    sandbox = await make(
        driver,
        tmp_path,
        """
        import os, sys
        sys.path.insert(0, os.environ["RUNTIME"])
        import bootstrap
        print(sorted(os.environ), bootstrap.answer, os.getcwd() == os.path.dirname(os.path.abspath(__file__)))
        open(os.environ["TMP"] + "/file", "w").write("kept")
        print("error", file=sys.stderr)
        """,
        variables={"NAME": "välue"},
    )
    text = await run(sandbox)
    assert "['API', 'ENDPOINT', 'NAME', 'RUNTIME', 'TMP'] 42 True" in text.replace(", 'LC_CTYPE'", "")
    assert "error" in text
    assert await sandbox.exited() == ProcessExit(0, None)
    await sandbox.stop()


async def test_listeners_answer_the_process(driver: ProcessDriver, tmp_path: Path) -> None:
    sandbox = await make(
        driver,
        tmp_path,
        """
        import os, socket
        host, port = os.environ["API"].split(":")
        print(socket.create_connection((host, int(port)), 5).recv(5))
        """,
    )
    await sandbox.start()
    async with asyncio.timeout(10):
        connection, _ = await asyncio.get_running_loop().sock_accept(sandbox.runtime_api[0])
    with connection:
        connection.sendall(b"hello")
        await sandbox.exited()
    assert "hello" in drain(sandbox)
    await sandbox.stop()


async def test_reset_keeps_tmp_and_the_pipe(driver: ProcessDriver, tmp_path: Path) -> None:
    sandbox = await make(
        driver,
        tmp_path,
        """
        import os, time
        mark = os.environ["TMP"] + "/mark"
        round = "second" if os.path.exists(mark) else "first"
        open(mark, "w")
        print(round, flush=True)
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
    assert not os.path.exists(sandbox.layout.tmp)  # noqa: ASYNC240


async def test_freeze_stops_and_thaw_continues(driver: ProcessDriver, tmp_path: Path) -> None:
    sandbox = await make(
        driver,
        tmp_path,
        "import time\nprint('up', flush=True)\nwhile True: time.sleep(0.01); print('.', end='', flush=True)",
    )
    await sandbox.start()
    await printed(sandbox, "up")
    sandbox.freeze()
    pid = sandbox._running._process.pid  # type: ignore[union-attr]
    await until(lambda: "(stopped)" in Path(f"/proc/{pid}/status").read_text())
    drain(sandbox)
    assert drain(sandbox) == ""
    sandbox.thaw()
    await printed(sandbox, ".")
    assert sandbox.memory_peak_bytes() > 1_000_000
    await sandbox.stop()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Landlock is Linux")
async def test_landlock_hides_the_rest_of_the_host(driver: ProcessDriver, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    script = f"""
        def attempt(action):
            try: return action()
            except OSError as error: return error.errno
        print("read", attempt(lambda: open({str(secret)!r}).read()))
        print("write", attempt(lambda: open(__file__, "a").write("x")))
        """
    sandbox = await make(driver, tmp_path, script)
    text = await run(sandbox)
    assert "read 13" in text
    assert "write 13" in text
    await sandbox.stop()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the parent-death signal is Linux")
async def test_code_dies_with_the_supervisor(tmp_path: Path) -> None:
    supervisor = f"""
import asyncio, os, signal
from pathlib import Path
from lambent.environments.sandbox.process import ProcessDriver
from tests.e2e.sandbox_kit import printed, spec
async def main():
    home = Path({str(tmp_path)!r})
    driver = ProcessDriver(scratch=home / "sandboxes", runtime_entries={{}})
    script = "import os, time; print('pid', os.getpid(), 'end', flush=True); time.sleep(60)"
    sandbox = await driver.create(spec(home, script))
    await sandbox.start()
    print((await printed(sandbox, "end")).split()[1], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", supervisor], env=environment, capture_output=True, timeout=30, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    pid = int(done.stdout)
    await until(lambda: not Path(f"/proc/{pid}").exists())


def test_a_process_sandbox_promises_nothing_that_was_not_seen() -> None:
    assert not any(ProcessDriver.guarantees.values())


def commands() -> list[bytes]:
    """Of all processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes())
    return found


@pytest.mark.skipif(not landlock.abi(), reason="without Landlock it keeps nothing apart")
async def test_landlock_and_the_filter_are_seen_from_inside(driver: ProcessDriver, tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    assert (await probe.examine(driver, tmp_path / "packages")).keys() == MISSING.keys()
    # Nor does the process that it leaves to see whether it is ended.
    mark = str(tmp_path / "packages").encode()
    await until(lambda: not any(mark in command for command in commands()))


@pytest.mark.skipif(not landlock.abi(), reason="without Landlock it keeps nothing apart")
async def test_the_servers_own_processes_cannot_be_read(driver: ProcessDriver, tmp_path: Path) -> None:
    script = f"""
        for name in ("environ", "cmdline", "maps", "mem"):
            try: print(name, len(open("/proc/{os.getpid()}/" + name, "rb").read(1)))
            except OSError as error: print(name, error.errno)
        print("self", len(open("/proc/self/environ").read()) > 0)
        """
    sandbox = await make(driver, tmp_path, script)
    assert await run(sandbox) == "environ 13\ncmdline 13\nmaps 13\nmem 13\nself True\n"
    await sandbox.stop()
