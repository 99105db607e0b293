"""Nothing is left: after many sandboxes, after a supervisor or a launcher that was killed, after a failed start.

LAMBENT_TEST_SANDBOX_CYCLES sets the number of sandboxes (30 here; `make soak` asks for more).
"""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from lambent.environments.events import HowStarted
from lambent.environments.sandbox.native import NativeDriver
from lambent.environments.sandbox.ports import Preparation, SandboxError
from lambent.launcher import hierarchies
from tests.e2e import origins
from tests.e2e.sandbox_kit import DRIVERS, launcher_pid, printed, spec, until

CYCLES = int(os.environ.get("LAMBENT_TEST_SANDBOX_CYCLES", "30"))
SYSTEMD_COLLECTS = Path(hierarchies.SYSTEMD).is_dir()
"""The scope of a launcher, with all that is below, once no process is left in it."""
LOOP_MAJOR = 7
SLEEPER = "import os, time\nopen('/tmp/file', 'wb').write(bytes(1 << 20))\nprint('up', flush=True)\ntime.sleep(600)"


@pytest.fixture(params=DRIVERS)
def driver_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def groups(home: Path) -> set[str]:
    """Cgroups of the launchers of this data dir; other servers may run on this machine."""
    prefix = f"lambent-{hashlib.sha256(str(home).encode()).hexdigest()[:8]}-"
    return {
        folder
        for folder, _, _ in os.walk("/sys/fs/cgroup")
        if any(part.startswith(prefix) for part in folder.split("/"))
    }


def loop_devices() -> dict[str, str]:
    """Attached ones -> their file. Files of ours have no name, only a number that no other has."""
    found = {}
    for device in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):
            found[str(device)] = device.read_text()
    return found


def tmp_devices(processes: list[int]) -> dict[str, str]:
    """The loop devices that are /tmp of these processes."""
    found = [os.stat(f"/proc/{pid}/root/tmp").st_dev for pid in processes]
    numbers = {os.minor(device) for device in found if os.major(device) == LOOP_MAJOR}
    return {name: file for name, file in loop_devices().items() if name in {_loop_path(each) for each in numbers}}


def _loop_path(number: int) -> str:
    return f"/sys/block/loop{number}/loop/backing_file"


def detached(devices: dict[str, str]) -> Callable[[], bool]:
    return lambda: not devices.items() & loop_devices().items()


def descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        direct = [int(child) for child in children.read_text().split()]
    except OSError:
        return []
    return direct + [each for child in direct for each in descendants(child)]


def rss_kb(pid: int) -> int:
    return next(
        int(line.split()[1])
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


async def cycle(driver: NativeDriver, tmp_path: Path, number: int) -> dict[str, str]:
    """One sandbox from create to stop, with a Reset now and then; returns its loop device."""
    made = spec(tmp_path / "packages", "print('up', flush=True)", environment_id=f"env-{number % 3}")
    sandbox = await driver.create(made)
    devices = tmp_devices(descendants(launcher_pid(driver)))
    await sandbox.start()
    await sandbox.exited()
    if number % 3 == 0:
        await sandbox.kill()
        await sandbox.start()
    await sandbox.stop()
    return devices


async def test_many_sandboxes_leave_everything_flat(driver_name: str, tmp_path: Path) -> None:
    async with DRIVERS[driver_name](tmp_path) as driver:
        launcher = launcher_pid(driver)
        for number in range(5):
            await cycle(driver, tmp_path, number)
        sizes = rss_kb(launcher), open_files(launcher), open_files(os.getpid()), rss_kb(os.getpid())
        inside = groups(tmp_path)
        devices: dict[str, str] = {}
        for number in range(CYCLES):
            devices |= await cycle(driver, tmp_path, number)
        assert bool(devices) == ("tmp" not in driver.launcher_missing)
        await until(detached(devices))
        assert descendants(launcher) == []
        assert groups(tmp_path) == inside, "only the launcher's own folders"
        after = rss_kb(launcher), open_files(launcher), open_files(os.getpid()), rss_kb(os.getpid())
        await until(lambda: open_files(launcher) <= sizes[1] and open_files(os.getpid()) <= sizes[2])
        assert after[0] - sizes[0] < 512
        assert after[3] - sizes[3] < 2048
    assert groups(tmp_path) == set()


@pytest.mark.parametrize("how", [HowStarted.EXECUTED, HowStarted.POOLED, HowStarted.FORKED])
async def test_starts_of_each_kind_leave_everything_flat(tmp_path: Path, how: HowStarted) -> None:
    runtime = origins.runtime_of()
    driver = origins.driver_for(tmp_path, runtime)
    made = origins.spec_of(tmp_path, runtime, tmp_mb=8 if how is HowStarted.POOLED else 512)

    async def once(number: int) -> None:
        sandbox = await origins.begin(driver, made, how)
        await origins.said(sandbox)
        if number % 3 == 0:
            assert await sandbox.kill()
        if number % 5 == 0:  # One that nobody ever wanted.
            zygote_of = made.account if how is HowStarted.FORKED else None
            wish = Preparation(None if how is HowStarted.EXECUTED else made.runtime, zygote_of)
            await (await driver.prepare(wish)).stop()
        await sandbox.stop()

    def held() -> dict[str, int]:
        """What may not grow, of the launcher, of its zygote, and of this process."""
        family = (os.getpid(), launcher, *descendants(launcher))
        found = {f"files of {pid}": open_files(pid) for pid in family}
        found |= {f"mounts of {pid}": _mounts(pid) for pid in family}
        return found | {"processes": len(family), "cgroups": len(groups(tmp_path))}

    launcher = launcher_pid(driver)
    try:
        for number in range(6):
            await once(number)
        before, loops = held(), set(loop_devices().items())
        sizes = [rss_kb(pid) for pid in (launcher, os.getpid())]
        for number in range(CYCLES):
            await once(number)
        # The launcher closes its end of a sandbox a moment after it has said that it is gone.
        await until(lambda: all(count <= before[name] for name, count in held().items()), timeout_s=5)
        assert len(descendants(launcher)) == (1 if how is HowStarted.FORKED else 0)
        await until(lambda: not {path for path, _ in loop_devices().items() - loops if _is_of(path, tmp_path)})
        for pid, size in zip((launcher, os.getpid()), sizes, strict=True):
            assert rss_kb(pid) - size < 2048
    finally:
        await driver.close()
    assert groups(tmp_path) == set()


def _mounts(pid: int) -> int:
    return Path(f"/proc/{pid}/mountinfo").read_text().count("\n")


def _is_of(device: str, home: Path) -> bool:
    """Whether a loop device is over a file of this data dir. Such files have no name, but their folder has."""
    try:
        return Path(device).read_text().startswith(str(home))
    except OSError:
        return False


SUPERVISOR = """
import asyncio, os, signal
from pathlib import Path
from lambent.environments.sandbox.ports import Preparation
from lambent.runtimes.python.files import runtime_files
from tests.e2e.origins import runtime_of
from tests.e2e.sandbox_kit import DRIVERS, launcher_pid, native_driver, printed, spec

async def main():
    home, native, start = Path({home!r}), {driver!r} == "native", runtime_of().start
    made = native_driver(home, start, **runtime_files()) if native else DRIVERS[{driver!r}](home)
    async with made as driver:
        sandboxes = []
        for number in range(3):
            sandbox = await driver.create(spec(home / "packages", {script!r}, environment_id=f"env-{{number}}"))
            await sandbox.start()
            await printed(sandbox, "up")
            sandboxes.append(sandbox)
        if native:
            await driver.start_zygote("123456789012", start)
            await driver.prepare(Preparation(start))
            await driver.prepare(Preparation(start, "123456789012"))
        sandboxes[1].freeze()
        print(launcher_pid(driver), *(pid for each in sandboxes for pid in each.processes()), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@dataclass(slots=True)
class Running:
    supervisor: "subprocess.Popen[str]"
    launcher: int
    processes: list[int]


def begin(driver_name: str, home: Path) -> Running:
    """A supervisor process of its own, with three sandboxes."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    program = SUPERVISOR.format(home=str(home), script=SLEEPER, driver=driver_name)
    process = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    launcher, *processes = map(int, process.stdout.readline().split())
    assert len(processes) == 3
    return Running(process, launcher, processes)


def end(running: Running) -> None:
    assert running.supervisor.stdout is not None
    running.supervisor.stdout.close()
    running.supervisor.kill()
    running.supervisor.wait(10)


def gone(*pids: int) -> Callable[[], bool]:
    return lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids)


async def test_killed_supervisor_takes_everything_with_it(driver_name: str, tmp_path: Path) -> None:
    running = begin(driver_name, tmp_path)
    try:
        inits = descendants(running.launcher)
        devices = tmp_devices(running.processes)
        assert len(devices) == (0 if driver_name == "rootless" else 3)
        assert groups(tmp_path)
        os.kill(running.supervisor.pid, signal.SIGKILL)
        await until(gone(running.launcher, *inits, *running.processes), timeout_s=5)
        await until(detached(devices), timeout_s=5)
        assert groups(tmp_path) == set()
    finally:
        end(running)


async def test_killed_launcher_takes_all_sandboxes_and_the_next_start_sweeps_its_cgroups(
    driver_name: str, tmp_path: Path
) -> None:
    running = begin(driver_name, tmp_path)
    try:
        inits, devices = descendants(running.launcher), tmp_devices(running.processes)
        os.kill(running.launcher, signal.SIGKILL)
        await until(gone(*inits, *running.processes), timeout_s=5)
        await until(detached(devices), timeout_s=5)
        if not SYSTEMD_COLLECTS:
            assert groups(tmp_path), "nobody was left to remove them"
    finally:
        end(running)
    async with DRIVERS[driver_name](tmp_path) as driver:
        left = {folder for folder in groups(tmp_path) if f"-{running.launcher}-" in folder}
        assert left == set()
        await cycle(driver, tmp_path, 0)
    assert groups(tmp_path) == set()


async def test_second_launcher_leaves_the_cgroups_of_a_running_one_alone(driver_name: str, tmp_path: Path) -> None:
    async with DRIVERS[driver_name](tmp_path) as first:
        sandbox = await first.create(spec(tmp_path / "packages", SLEEPER))
        await sandbox.start()
        await printed(sandbox, "up")
        theirs = groups(tmp_path)
        async with DRIVERS[driver_name](tmp_path):
            assert theirs <= groups(tmp_path)
        assert sandbox.processes() != []


async def test_sandbox_whose_launcher_died_ends_with_an_exit_and_not_with_a_hang(
    driver_name: str, tmp_path: Path
) -> None:
    async with DRIVERS[driver_name](tmp_path) as driver:
        sandbox = await driver.create(spec(tmp_path / "packages", SLEEPER))
        await sandbox.start()
        await printed(sandbox, "up")
        os.kill(launcher_pid(driver), signal.SIGKILL)
        async with asyncio.timeout(5):
            assert (await sandbox.exited()).signal == signal.SIGKILL
            await sandbox.kill()
            with pytest.raises(SandboxError, match="ended by itself"):
                await sandbox.start()
            await sandbox.stop()
    async with DRIVERS[driver_name](tmp_path):
        pass  # Sweeps what the killed one could not remove.
    assert groups(tmp_path) == set()


async def test_sandbox_that_cannot_be_built_leaves_nothing(driver_name: str, tmp_path: Path) -> None:
    async with DRIVERS[driver_name](tmp_path) as driver:
        made = spec(tmp_path / "packages", "", environment_id="short-lived")
        (made.code_dir / "main.py").unlink()
        made.code_dir.rmdir()
        files, inside = open_files(os.getpid()), groups(tmp_path)
        for _ in range(3):
            with pytest.raises(SandboxError, match="No such file"):
                await driver.create(made)
        assert groups(tmp_path) == inside
        assert open_files(os.getpid()) == files
        assert descendants(launcher_pid(driver)) == []


async def test_stop_in_the_middle_of_everything_leaves_nothing(driver_name: str, tmp_path: Path) -> None:
    async with DRIVERS[driver_name](tmp_path) as driver:

        async def brief(number: int) -> None:
            sandbox = await driver.create(spec(tmp_path / "packages", SLEEPER, environment_id=f"env-{number}"))
            start = asyncio.create_task(sandbox.start())
            await asyncio.sleep(0)
            await asyncio.gather(sandbox.stop(), start, return_exceptions=True)

        async with asyncio.timeout(20):
            await asyncio.gather(*(brief(number) for number in range(6)))
        assert descendants(launcher_pid(driver)) == []
