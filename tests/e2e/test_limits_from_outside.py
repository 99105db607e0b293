"""Limits as the host sees them: what a function holds, what two functions share (nothing), what is left of it."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from lambent.environments.sandbox.launched import NativeSandbox
from lambent.environments.sandbox.native import NativeDriver
from lambent.environments.states import State
from lambent.runtimes.python.files import runtime_files
from tests.e2e.invoke_kit import Machine
from tests.e2e.sandbox_kit import DRIVERS, PATIENCE, PREFIX, printed, run, spec, until
from tests.e2e.test_sandbox_leaks import groups


@pytest.fixture(params=DRIVERS)
async def driver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[NativeDriver]:
    async with DRIVERS[request.param](tmp_path) as made:
        yield made


async def make(driver: NativeDriver, home: Path, script: str, name: str = "env-1", **more: object) -> NativeSandbox:
    return await driver.create(spec(home / "packages", script, environment_id=name, **more))  # type: ignore[arg-type]


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    """Environments, which know Init, deadlines and shares."""
    async with next(iter(DRIVERS.values()))(tmp_path, **runtime_files()) as driver:
        made = Machine(driver, tmp_path / "packages")
        yield made
        await made.close()


def native(machine: Machine) -> NativeSandbox:
    sandbox = machine.environment.domain._sandbox
    assert isinstance(sandbox, NativeSandbox)
    return sandbox


def has_processes(machine: Machine) -> bool:
    return hasattr(machine.environment, "domain") and bool(native(machine).processes())


def groups_of(home: Path, pid: int) -> list[Path]:
    """Of a process in a sandbox, in each hierarchy."""
    found = [Path(folder) for folder in groups(home)]
    return [folder for folder in found if str(pid) in (folder / "cgroup.procs").read_text().split()]


def used(folders: Sequence[Path]) -> tuple[float, int]:
    """Seconds of CPU, and how many times a period had no more for it."""
    counted: Counter[str] = Counter()
    for folder in folders:
        with suppress(FileNotFoundError):
            lines = (line.split() for line in (folder / "cpu.stat").read_text().splitlines())
            counted.update({name: int(value) for name, value in lines})
    return counted["usage_usec"] / 1e6, counted["nr_throttled"]


THREADS = """
    import os, signal, threading
    never, count = threading.Event(), 0
    threading.stack_size(65536)
    try:
        while True:
            threading.Thread(target=never.wait, daemon=True).start()
            count += 1
    except RuntimeError:
        print("threads", count, "end", flush=True)
    signal.pause()
    """


def tasks(sandbox: NativeSandbox) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/task")) for pid in sandbox.processes())


async def test_threads_count_and_two_environments_do_not_share_the_number(driver: NativeDriver, tmp_path: Path) -> None:
    made = [await make(driver, tmp_path, THREADS, f"env-{n}", max_processes=1024, memory_mb=1024) for n in range(2)]
    for sandbox in made:  # The second while the first has used up its own.
        await sandbox.start()
        assert "threads 1023 end" in await printed(sandbox, "end")
        if sandbox.processes():
            assert tasks(sandbox) == 1024
    for sandbox in made:
        await sandbox.kill()
        assert sandbox.processes() == []
        await sandbox.stop()


async def test_what_was_stopped_or_is_nobodys_child_dies_as_well(driver: NativeDriver, tmp_path: Path) -> None:
    script = """
        import os, signal, sys, time
        def detached(action):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    action()
                os._exit(0)
            os.wait()
        def stop():
            print("stopped", flush=True)
            os.kill(os.getpid(), signal.SIGSTOP)
        def deaf():
            for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
                signal.signal(number, signal.SIG_IGN)
            print("deaf", flush=True)
            time.sleep(600)
        detached(stop)
        detached(deaf)
        print("both", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
        """
    sandbox = await make(driver, tmp_path, script)
    await sandbox.start()
    text = await printed(sandbox, "both")
    while "stopped" not in text or "deaf" not in text:
        text += await printed(sandbox, "\n")
    pids = sandbox.processes()
    async with asyncio.timeout(10):
        await sandbox.kill()
    assert sandbox.processes() == []
    assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]  # noqa: ASYNC240 - a fact of the kernel
    await sandbox.stop()


async def test_a_fork_bomb_with_full_cpu_is_gone_within_a_second(driver: NativeDriver, tmp_path: Path) -> None:
    """As in Init, which has no quota. The best of three: another process may have the machine for a while."""
    script = """
        import os
        print("bomb", flush=True)
        while True:
            try: os.fork()
            except OSError: pass
        """
    took = []
    for number in range(3):
        sandbox = await make(driver, tmp_path, script, f"bomb-{number}", max_processes=1024, memory_mb=512)
        await sandbox.start()
        await printed(sandbox, "bomb")
        if sandbox.processes():
            await until(lambda sandbox=sandbox: len(sandbox.processes()) > 50)  # type: ignore[misc]
        began = asyncio.get_running_loop().time()
        await sandbox.kill()
        took.append(asyncio.get_running_loop().time() - began)
        assert sandbox.processes() == []
        await sandbox.stop()
    assert min(took) < 1.0 * PATIENCE


DETACHED = """
    import os, signal, time
    def detached(action):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                action()
            os._exit(0)
        os.wait()
    def stop():
        os.kill(os.getpid(), signal.SIGSTOP)
    def deaf():
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        time.sleep(600)
    def handler(event, context):
        if event:
            for _ in range(20):
                detached(stop)
                detached(deaf)
            deaf()
    """


async def test_at_the_deadline_everything_dies_that_a_function_has_started(machine: Machine) -> None:
    """From the deadline until the group is empty: 12 to 260 ms on a machine with eight times the work it can do."""
    timeout_s = round(2 * PATIENCE)
    function = machine.deploy(DETACHED, memory_mb=1769, timeout_s=timeout_s)
    await machine.result(function)
    await until(lambda: machine.in_use() == 0)
    sandbox = native(machine)
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout_s
    invocation = asyncio.create_task(machine.invoke(function, True))
    await until(lambda: len(sandbox.processes()) > 40)
    await until(lambda: not sandbox.processes())
    took_ms = (clock() - deadline) * 1000
    assert (await invocation).error_type == "Sandbox.Timedout"
    print(f"{took_ms:.1f} ms from the deadline to an empty group")
    assert 0 < took_ms < 1000 * PATIENCE


BUSY = """
    import time
    def work(seconds):
        began = time.process_time()
        while time.process_time() - began < seconds: pass
    work(0.5)
    def handler(event, context): work(0.2)
    """


async def test_init_has_a_whole_cpu_and_the_function_the_share_of_its_memory(machine: Machine, tmp_path: Path) -> None:
    """By the kernel's own accounts. A busy machine gives less than that: what is exact is whether it was held back."""
    function = machine.deploy(BUSY, memory_mb=128, timeout_s=60)
    invocation = asyncio.create_task(machine.invoke(function))
    await until(lambda: bool(tuple(machine.pool.environments)) and has_processes(machine))
    folders = groups_of(tmp_path, native(machine).processes()[0])
    await until(lambda: used(folders)[0] > 0.3)
    assert used(folders)[1] == 0
    await until(lambda: machine.environment.state is State.BUSY)
    used_s = used(folders)[0]
    assert used_s > 0.5
    began = asyncio.get_running_loop().time()
    await until(lambda: used(folders)[0] > used_s + 0.1)
    share = (used(folders)[0] - used_s) / (asyncio.get_running_loop().time() - began)
    assert share < 1.5 * 128 / 1769
    assert used(folders)[1] > 0
    assert (await invocation).error_type is None


async def test_tmp_of_ten_gigabytes_takes_no_room_before_it_is_written(driver: NativeDriver, tmp_path: Path) -> None:
    if "tmp" in driver.launcher_missing:
        pytest.skip(driver.launcher_missing["tmp"])
    script = """
        import os
        found = os.statvfs("/tmp")
        with open("/tmp/far", "wb") as file:
            file.seek(9 << 30)
            file.write(b"end")
        print("size", found.f_blocks * found.f_frsize >> 20, os.path.getsize("/tmp/far") >> 20, "end")
        """
    before = os.statvfs(tmp_path)
    text = await run(sandbox := await make(driver, tmp_path, script, tmp_mb=10_240))
    size, written = (int(word) for word in text.split()[1:3])
    assert 9_900 <= size <= 10_240
    assert written == 9 << 10
    taken = (before.f_bavail - os.statvfs(tmp_path).f_bavail) * before.f_frsize
    assert taken < 2 << 30, "others write to this disk too; but not 9 GB"
    await sandbox.stop()


async def test_multiprocessing_has_no_shared_memory_and_pipes_work(driver: NativeDriver, tmp_path: Path) -> None:
    script = """
        import multiprocessing, os
        for kind in ("Queue", "Lock"):
            try:
                getattr(multiprocessing, kind)()
            except OSError as error:
                print(kind, error.errno)
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.Process(target=theirs.send, args=("by pipe",))
        child.start()
        print(ours.recv(), os.path.exists("/dev/shm"))
        child.join()
        """
    text = await run(sandbox := await make(driver, tmp_path, script))
    told = dict(line.split() for line in text.splitlines() if line.startswith(("Queue", "Lock")))
    # No such file, or not implemented: which of them is the C library's choice.
    assert set(told) == {"Queue", "Lock"}
    assert set(told.values()) <= {"2", "38"}
    assert "by pipe False" in text
    await sandbox.stop()


async def test_of_the_hosts_paths_a_function_learns_only_where_its_own_files_are(
    driver: NativeDriver, tmp_path: Path
) -> None:
    """/proc/self/mountinfo tells the folder of each bind mount: of the package and of the interpreter, nothing else."""
    script = "print(open('/proc/self/mountinfo').read())\nprint('end')"
    text = await run(sandbox := await make(driver, tmp_path, script))
    roots = {line.split()[3] for line in text.splitlines() if " - " in line}
    home = str(tmp_path)
    private = {root for root in roots if root.startswith((home, str(PREFIX), "/home", "/root/", "/var"))}
    assert private <= {f"{home}/packages/code-env-1", str(PREFIX)}
    await sandbox.stop()


@pytest.fixture
def dumped(tmp_path: Path) -> Iterator[Path]:
    """A file that is there once the kernel has sent a core dump to a program. For the whole machine."""
    if os.environ.get("LAMBENT_TEST_OWN_MACHINE") != "1" or os.geteuid() != 0:
        pytest.skip("sets where the machine sends core dumps: only in scripts/try-vm")
    told, program = tmp_path / "told", tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho x >>{told}\n")
    program.chmod(0o755)
    pattern = Path("/proc/sys/kernel/core_pattern")
    before = pattern.read_text()
    pattern.write_text(f"|{program}")
    yield told
    pattern.write_text(before)


async def test_a_crash_starts_no_program_of_the_host(driver: NativeDriver, tmp_path: Path, dumped: Path) -> None:
    crash = "import ctypes; ctypes.string_at(0)"  # Its own signals would not end the first process of a container.
    sandbox = await make(driver, tmp_path, crash)
    await run(sandbox)
    assert (await sandbox.exited()).signal == 11
    await sandbox.stop()
    assert not os.path.exists(dumped)  # noqa: ASYNC240 - a fact of the kernel
    outside = await asyncio.create_subprocess_exec(sys.executable, "-c", crash)
    await outside.wait()
    await until(dumped.exists)
