"""A function gets its memory, processes, files and /tmp, and no more; and it ends when it is told to. What only the
host can measure is in test_limits_from_outside."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lambent.environments.sandbox.launched import NativeSandbox
from lambent.environments.sandbox.native import NativeDriver
from lambent.environments.sandbox.ports import ProcessExit
from tests.e2e.sandbox_kit import DRIVERS, PATIENCE, drain, printed, run, spec, until


@pytest.fixture(params=DRIVERS)
async def driver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[NativeDriver]:
    async with DRIVERS[request.param](tmp_path) as made:
        yield made


def _only_with_disk_images(driver: NativeDriver) -> None:
    if "tmp" in driver.launcher_missing:
        pytest.skip(driver.launcher_missing["tmp"])


async def make(driver: NativeDriver, tmp_path: Path, script: str, **more: object) -> NativeSandbox:
    return await driver.create(spec(tmp_path / "packages", script, **more))  # type: ignore[arg-type]


async def test_more_memory_than_allowed_is_a_kill_that_is_told_apart(driver: NativeDriver, tmp_path: Path) -> None:
    script = "held = [b'x' * (1 << 20) for _ in range({})]\nprint('held', flush=True)"
    sandbox = await make(driver, tmp_path, script.format(300), memory_mb=128)
    assert "held" not in await run(sandbox)
    assert await sandbox.exited() == ProcessExit(None, 9)
    assert sandbox.out_of_memory()
    await sandbox.kill()
    await sandbox.stop()
    sandbox = await make(driver, tmp_path, script.format(90), memory_mb=128)
    assert "held" in await run(sandbox)
    assert not sandbox.out_of_memory()
    await sandbox.stop()


async def test_child_that_runs_out_of_memory_takes_the_whole_function_with_it(
    driver: NativeDriver, tmp_path: Path
) -> None:
    script = """
        import os, time
        if os.fork() == 0:
            held = [b"x" * (1 << 20) for _ in range(300)]
        time.sleep(60)
        """
    sandbox = await make(driver, tmp_path, script, memory_mb=128)
    await run(sandbox)
    assert await sandbox.exited() == ProcessExit(None, 9)
    assert sandbox.out_of_memory()
    await sandbox.stop()


async def test_memory_counter_starts_anew_after_reset(driver: NativeDriver, tmp_path: Path) -> None:
    script = """
        import os, time
        if not os.path.exists("/tmp/second"):
            open("/tmp/second", "w")
            held = [b"x" * (1 << 20) for _ in range(300)]
        print("second", flush=True)
        time.sleep(60)
        """
    sandbox = await make(driver, tmp_path, script, memory_mb=128)
    await run(sandbox)
    assert sandbox.out_of_memory()
    await sandbox.kill()
    await sandbox.start()
    await printed(sandbox, "second")
    assert not sandbox.out_of_memory()
    assert sandbox.memory_peak_bytes() < 64 << 20
    await sandbox.stop()


async def test_buffers_of_sockets_are_limited_too(driver: NativeDriver, tmp_path: Path) -> None:
    script = """
        import socket
        sockets = []
        for _ in range(20):
            each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            each.bind(("127.0.0.1", 0))
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
            each.setblocking(False)
            for _ in range(200):
                each.sendto(b"x" * 60_000, each.getsockname())
            sockets.append(each)
        held = 0
        for each in sockets:
            try:
                while True:
                    held += len(each.recv(65_536))
            except BlockingIOError:
                pass
        print("held", held >> 20, flush=True)
        """
    sandbox = await make(driver, tmp_path, script, memory_mb=128)
    printed = await run(sandbox)
    assert int(printed.split()[1]) <= 128, printed
    await sandbox.stop()


async def test_shared_memory_does_not_outlive_a_reset(driver: NativeDriver, tmp_path: Path) -> None:
    script = """
        import ctypes
        libc = ctypes.CDLL(None)
        libc.shmat.restype = ctypes.c_void_p
        print(len(open("/proc/sysvipc/shm").readlines()), flush=True)
        place = libc.shmat(libc.shmget(0, 90 << 20, 0o1600), None, 0)
        ctypes.memset(ctypes.c_void_p(place), 1, 90 << 20)
        print("filled", flush=True)
        """
    sandbox = await make(driver, tmp_path, script, memory_mb=128)
    for _ in range(2):
        assert (await run(sandbox)).split() == ["1", "filled"]
        await sandbox.kill()
    await sandbox.stop()


async def test_peak_memory_is_what_processes_hold_without_page_cache(driver: NativeDriver, tmp_path: Path) -> None:
    _only_with_disk_images(driver)
    script = """
        import os, time
        with open("/tmp/file", "wb") as file:
            for _ in range(100): file.write(bytes(1 << 20))
        with open("/tmp/file", "rb") as file:
            while file.read(1 << 20): pass
        print("cached", flush=True)
        os.read(os.open("/tmp/go", os.O_RDONLY), 1)
        """
    script = script.replace('print("cached"', 'os.mkfifo("/tmp/go"); print("cached"')
    sandbox = await make(driver, tmp_path, script, memory_mb=512, tmp_mb=256)
    await sandbox.start()
    await printed(sandbox, "cached")
    assert 5 << 20 < sandbox.memory_peak_bytes() < 40 << 20
    await sandbox.stop()


async def test_peak_memory_counts_children_that_live_at_the_same_time(driver: NativeDriver, tmp_path: Path) -> None:
    script = """
        import os, time
        for _ in range(3):
            if os.fork() == 0:
                held = b"x" * (50 << 20)
                print("child", flush=True)
                time.sleep(60)
        time.sleep(60)
        """
    sandbox = await make(driver, tmp_path, script, memory_mb=512)
    await sandbox.start()
    text = await printed(sandbox, "child")
    while text.count("child") < 3:
        text += await printed(sandbox, "child")
    # The kernel adds up what each CPU has counted, now and then.
    await until(lambda: sandbox.memory_peak_bytes() > 150 << 20)
    await sandbox.stop()


@pytest.mark.parametrize("memory_mb", [128, 512])
async def test_fork_bomb_ends_with_a_small_share_of_the_cpu_too(
    driver: NativeDriver, tmp_path: Path, memory_mb: int
) -> None:
    script = """
        import os
        print("bomb", flush=True)
        while True:
            try: os.fork()
            except OSError: pass
        """
    sandbox = await make(driver, tmp_path, script, memory_mb=memory_mb, max_processes=1024)
    await sandbox.start()
    sandbox.limit_cpu(memory_mb / 1769)
    await printed(sandbox, "bomb")
    await until(lambda: len(sandbox.processes()) > 50)
    await sandbox.kill()
    assert sandbox.processes() == []
    assert (await sandbox.exited()).signal == 9
    await sandbox.stop()


async def test_a_small_function_has_a_thousand_threads_as_on_aws(driver: NativeDriver, tmp_path: Path) -> None:
    script = """
        import threading
        end, threads = threading.Event(), 0
        try:
            while True:
                threading.Thread(target=end.wait, daemon=True).start()
                threads += 1
        except RuntimeError:
            print("threads", threads)
        """
    sandbox = await make(driver, tmp_path, script, memory_mb=128, max_processes=1024)
    assert "threads 1023" in await run(sandbox)
    await sandbox.stop()


async def test_processes_are_limited(driver: NativeDriver, tmp_path: Path) -> None:
    script = """
        import os, signal
        children = 0
        try:
            while True:
                if os.fork() == 0: signal.pause()
                children += 1
        except BlockingIOError:
            print("children", children)
        """
    sandbox = await make(driver, tmp_path, script, max_processes=20)
    assert "children 19" in await run(sandbox)
    await sandbox.kill()
    await sandbox.stop()


async def test_open_files_are_limited(driver: NativeDriver, tmp_path: Path) -> None:
    script = """
        import os, resource
        print(resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_CORE))
        try:
            while True: last = os.open("/dev/null", os.O_RDONLY)
        except OSError as error: print(last, error.errno)
        """
    text = await run(sandbox := await make(driver, tmp_path, script))
    assert "(1024, 1024) (1, 1)" in text
    assert "1023 24" in text
    await sandbox.stop()


async def test_full_tmp_is_enospc_and_no_memory_kill(driver: NativeDriver, tmp_path: Path) -> None:
    _only_with_disk_images(driver)
    script = """
        written = 0
        try:
            with open("/tmp/file", "wb", buffering=0) as file:
                while True: written += file.write(bytes(1 << 20))
        except OSError as error:
            print("written", written >> 20, error.errno)
        """
    sandbox = await make(driver, tmp_path, script, memory_mb=128, tmp_mb=512)
    text = await run(sandbox, timeout_s=50)
    assert await sandbox.exited() == ProcessExit(0, None), text
    words = text.split()
    assert 490 <= int(words[1]) <= 512
    assert words[2] == "28"
    assert not sandbox.out_of_memory()
    await sandbox.stop()


async def test_nothing_runs_on_after_kill(driver: NativeDriver, tmp_path: Path) -> None:
    script = """
        import os, signal, sys, time
        for number in range(1, 32):
            try: signal.signal(number, signal.SIG_IGN)
            except OSError: pass
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                print("daemon", flush=True)
                while True: print(".", end="", flush=True)
        time.sleep(60)
        """
    sandbox = await make(driver, tmp_path, script)
    await sandbox.start()
    await printed(sandbox, "daemon")
    await sandbox.kill()
    drain(sandbox)
    assert drain(sandbox) == ""
    assert sandbox.processes() == []
    await sandbox.stop()


async def test_several_sandboxes_start_side_by_side(driver: NativeDriver, tmp_path: Path) -> None:
    script = "import os\nprint(sorted(os.listdir('/tmp')), open('/tmp/own', 'w').write('x'))"
    count = max(2, round(8 / PATIENCE))
    made = [spec(tmp_path / "packages", script, environment_id=f"env-{number}") for number in range(count)]
    sandboxes = await asyncio.gather(*(driver.create(each) for each in made))
    texts = await asyncio.gather(*(run(sandbox) for sandbox in sandboxes))
    assert texts == ["[] 1\n"] * count
    await asyncio.gather(*(sandbox.stop() for sandbox in sandboxes))
