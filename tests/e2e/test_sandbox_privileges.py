"""What is left of root after `drop`. Each attempt runs before, where it must succeed, and after, where it must fail."""

import asyncio
import json
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lambent.launcher import privileges
from lambent.launcher.kernel import landlock
from tests.e2e import ordinary_user
from tests.e2e.sandbox_kit import as_ordinary_user, delegated_groups

_CHILD = """
import json, os, socket, sys
from pathlib import Path
from lambent.launcher import privileges

data, outside, user = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] or None

def attempt(action):
    try:
        action()
    except (OSError, PermissionError) as error:
        return type(error).__name__
    return "ok"

def attempts(round):
    return {
        "write outside": attempt(lambda: (outside / round).write_text("x")),
        "truncate outside": attempt(lambda: os.truncate(outside / "file", 0)),
        "remove outside": attempt(lambda: os.unlink(outside / ("gone-" + round))),
        "write inside": attempt(lambda: (data / round).write_text("x")),
        "null": attempt(lambda: open("/dev/null", "w").write("x")),
        "chroot": attempt(lambda: os.chroot("/")),
        "chown": attempt(lambda: os.chown(outside / "theirs", 12345, 12345)),
        "setuid": attempt(lambda: os.setresuid(-1, -1, 54321 if os.getuid() == 0 else 0) or os.setresuid(-1, -1, 0)),
        "read theirs": attempt(lambda: (outside / "theirs").read_text()),
    }

before = attempts("before")
who = privileges.identity(user, {})
privileges.make_folder(data, who)
privileges.drop(who, data)
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
print(json.dumps({"before": before, "after": attempts("after"), "status": {k: v.strip() for k, v in status.items()}}))
"""


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that other users can enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


async def dropped(tmp_path: Path, user: str) -> dict[str, Any]:
    data, outside = tmp_path / "data", tmp_path / "outside"
    for folder in (data, outside):
        folder.mkdir()
    if user:
        os.chown(data, pwd.getpwnam(user).pw_uid, -1)
    for name in ("file", "gone-before", "gone-after", "theirs"):
        (outside / name).write_text("x")
    (outside / "theirs").chmod(0o600)
    os.chown(outside / "theirs", 23456, 23456)
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", _CHILD, str(data), str(outside), user]
    done = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, timeout=30, text=True)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert set(told["before"].values()) == {"ok"}, "an attempt that never works proves nothing"
    return told


async def test_root_without_privileges_writes_only_in_the_data_dir(open_path: Path) -> None:
    told = await dropped(open_path, "")
    assert told["after"] == {
        "write outside": "PermissionError",
        # By path, and only what root owns: Landlock learnt to refuse it in Linux 6.2.
        "truncate outside": "PermissionError" if landlock.abi() >= 3 else "ok",
        "remove outside": "PermissionError",
        "write inside": "ok",
        "null": "ok",
        "chroot": "PermissionError",
        "chown": "PermissionError",
        "setuid": "PermissionError",
        "read theirs": "PermissionError",
    }


async def test_another_user_cannot_become_root_again(open_path: Path) -> None:
    told = await dropped(open_path, "nobody")
    assert told["status"]["Uid"].split() == [str(pwd.getpwnam("nobody").pw_uid)] * 4
    refused = [name for name, result in told["after"].items() if result == "PermissionError"]
    assert sorted(refused) == sorted({*told["after"]} - {"write inside", "null"})


@pytest.mark.parametrize("user", ["", "nobody"])
async def test_no_capability_is_left_in_any_set(open_path: Path, user: str) -> None:
    status = (await dropped(open_path, user))["status"]
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"] == "1"


def test_data_dir_of_another_user_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    who = privileges.Identity(4711, 4711, (), "/", "someone")
    with pytest.raises(privileges.PrivilegesError, match=r"sudo chown -R someone"):
        privileges.make_folder(tmp_path, who)


def test_sudo_names_the_user_and_an_unknown_one_is_refused() -> None:
    nobody = pwd.getpwnam("nobody")
    found = privileges.identity(None, {"SUDO_UID": str(nobody.pw_uid)})
    assert found is not None
    assert (found.uid, found.name) == (nobody.pw_uid, "nobody")
    with pytest.raises(privileges.PrivilegesError, match="no user"):
        privileges.identity("no-such-user", {})


_SUPERVISOR = """
import asyncio, json, os, sys
from pathlib import Path
from lambent.environments.sandbox import probe
from lambent.environments.sandbox.native import NativeDriver
from lambent.launcher import privileges, starting
from tests.e2e.sandbox_kit import PREFIX, printed, spec
import encodings.idna, concurrent.futures.thread  # Not readable any more once we are another user.

async def main(data, launcher):
    folders = {"packages_dir": data / "packages", "scratch": data / "run"}
    choice = await probe.choose(wanted, launcher=launcher, problem=None, runtime_entries={}, **folders)
    driver = choice.driver
    script = "import os, time\\nheld = b'x' * (64 << 20)\\n"
    script += "if not os.fork(): own = b'y' * (48 << 20); print('up', flush=True)\\ntime.sleep(60)"
    sandbox = await driver.create(spec(data / "packages", script))
    for _ in range(2):
        await sandbox.start()
        await printed(sandbox, "up")
        sandbox.limit_cpu(0.1)
        sandbox.freeze()
        sandbox.thaw()
        peak, ids = sandbox.memory_peak_bytes(), {os.stat(f"/proc/{pid}").st_uid for pid in sandbox.processes()}
        await sandbox.kill()
    await sandbox.stop()
    await driver.close()
    print(json.dumps({"guarantees": dict(driver.guarantees), "peak": peak, "ids": list(ids), "uid": os.getuid()}))

data, user, wanted = Path(sys.argv[1]), sys.argv[2] or None, sys.argv[3]
who = privileges.identity(user, {})
for folder in (data, data / "packages"):
    privileges.make_folder(folder, who)
folders = {"data_dir": data, "packages_dir": data / "packages"}
launcher = starting.begin(**folders, prefixes=[PREFIX], runtime_entries={}, wanted=wanted).await_ready()
privileges.drop(who, data)
asyncio.run(main(data, launcher))
"""


@pytest.mark.parametrize("user", ["", "nobody"])
async def test_supervisor_without_privileges_has_full_control_of_its_sandboxes(open_path: Path, user: str) -> None:
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", _SUPERVISOR, str(open_path / "data"), user, "native"]
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, timeout=40, text=True, cwd=open_path
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["uid"] == (pwd.getpwnam(user).pw_uid if user else 0)
    assert all(told["guarantees"].values())
    assert told["peak"] > 100 << 20, "the runtime and its child, what they share once"
    assert all(uid >= 0x7000_0000 for uid in told["ids"])


async def test_ordinary_user_has_full_control_of_its_sandboxes(open_path: Path) -> None:
    (open_path / "data").mkdir()
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with delegated_groups() as groups:
        through = as_ordinary_user(open_path / "data", ids=True, groups=groups)
        command = [*through, sys.executable, "-c", _SUPERVISOR, str(open_path / "data"), "", "rootless"]
        done = await asyncio.to_thread(
            subprocess.run, command, env=environment, capture_output=True, timeout=40, text=True, cwd=open_path
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["uid"] == ordinary_user.UID
    assert [name for name, given in told["guarantees"].items() if not given] == ["tmp"]
    assert told["peak"] > 100 << 20
    assert all(uid >= int(ordinary_user.RANGE.split(":")[0]) for uid in told["ids"])
