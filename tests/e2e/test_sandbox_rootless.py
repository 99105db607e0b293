"""Sandboxes of an ordinary user: with and without numbers of its own for functions, with and without control groups.

What holds for every driver is in the other test_sandbox modules; here is what depends on what the user was given.
"""

import importlib.util
import json
import os
import subprocess
from pathlib import Path

import pytest

from lambent.environments.sandbox import probe
from lambent.environments.sandbox.guarantees import GUARANTEES
from lambent.testing.running_server import COMMAND, Server
from tests.e2e import ordinary_user
from tests.e2e.packages import create_function
from tests.e2e.sandbox_kit import as_ordinary_user, printed, rootless_driver, run, spec

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="root makes the ordinary user that these tests need")

WHO = "print(open('/proc/self/uid_map').read().split(), os.getuid(), os.getgid(), os.getgroups())"


@pytest.mark.parametrize(
    ("ids", "cgroups", "missing"),
    [
        (True, True, {"tmp"}),
        (True, False, {"tmp", "memory", "cpu"}),
        (False, True, {"tmp", "user"}),
        (False, False, {"tmp", "memory", "cpu", "user"}),
    ],
    ids=["both", "no control groups", "no numbers", "neither"],
)
async def test_what_is_missing_is_found_from_inside_and_the_rest_holds(
    tmp_path: Path, ids: bool, cgroups: bool, missing: set[str]
) -> None:
    async with rootless_driver(tmp_path, ids=ids, cgroups=cgroups) as driver:
        assert driver.name == "rootless"
        found = await probe.examine(driver, tmp_path / "packages")
    if "memory" in found and cgroups:
        pytest.skip("no controllers that could be delegated here")
    assert found.keys() == missing
    assert missing < GUARANTEES.keys()


async def test_a_function_has_a_number_that_neither_the_user_nor_another_function_has(tmp_path: Path) -> None:
    async with rootless_driver(tmp_path) as driver:
        script = "import time; print('up', flush=True); time.sleep(60)"
        sandboxes = [await driver.create(spec(tmp_path / "packages", script)) for _ in range(2)]
        owners = set()
        for sandbox in sandboxes:
            await sandbox.start()
            await printed(sandbox, "up")
            owners |= {os.stat(f"/proc/{pid}").st_uid for pid in sandbox.processes()}
    start, size = map(int, ordinary_user.RANGE.split(":"))
    assert len(owners) == 2
    assert all(start <= owner < start + size for owner in owners)


ALONE = """
    import os, signal, socket
    def attempt(name, action):
        try: print(name, action() or "done")
        except OSError as error: print(name, os.strerror(error.errno))
    attempt("see the first process", lambda: os.stat("/proc/1"))
    attempt("its memory", lambda: open("/proc/1/mem", "rb"))
    attempt("its descriptors", lambda: os.listdir("/proc/1/fd"))
    for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        attempt("signal", lambda: os.kill(1, number))
    attempt("the user's home", lambda: os.listdir(HOME))
    attempt("its own groups", lambda: os.setgroups([]))
    attempt("staging", lambda: os.listdir("/.lambent") and None)
    print("survived", os.getuid(), open("/proc/self/uid_map").read().split())
    """


async def test_without_numbers_the_first_process_and_the_users_files_stay_out_of_reach(tmp_path: Path) -> None:
    """The function has the user's own number then: only namespaces and the filter are between them."""
    async with rootless_driver(tmp_path, ids=False) as driver:
        script = f"    HOME = {str(tmp_path)!r}\n" + ALONE
        sandbox = await driver.create(spec(tmp_path / "packages", script))
        text = await run(sandbox)
        for name in ("see the first process", "its memory", "its descriptors", "the user's home"):
            assert f"{name} No such file" in text, text
        assert "its own groups Operation not permitted" in text
        assert "staging done" in text
        assert "survived 993 ['993', '0', '1']" in text
        # Its first process still obeys.
        await sandbox.kill()
        assert "survived" in await run(sandbox)


async def test_without_control_groups_processes_are_limited_by_the_kernels_own_count(tmp_path: Path) -> None:
    script = """
        import os, signal, threading
        children = 0
        try:
            while True:
                if os.fork() == 0: signal.pause()
                children += 1
        except BlockingIOError:
            print("children", children, flush=True)
            signal.pause()
        """
    async with rootless_driver(tmp_path, cgroups=False) as driver:
        made = [spec(tmp_path / "packages", script, environment_id=f"env-{n}", max_processes=20) for n in range(2)]
        for each in made:  # The second while the first has used up its own.
            sandbox = await driver.create(each)
            await sandbox.start()
            assert "children 19" in await printed(sandbox, "children 1")


async def test_without_control_groups_one_process_cannot_take_the_whole_memory(tmp_path: Path) -> None:
    script = "try: held = bytes(1 << 30)\nexcept MemoryError: print('refused')"
    async with rootless_driver(tmp_path, cgroups=False) as driver:
        assert "refused" in await run(await driver.create(spec(tmp_path / "packages", script, memory_mb=128)))


def test_doctor_of_an_ordinary_user_names_the_rootless_sandbox(tmp_path: Path) -> None:
    command = [*as_ordinary_user(ids=True), str(COMMAND), "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/", check=False)
    findings = {each["subject"]: each for each in json.loads(done.stdout)["findings"]}
    assert findings["sandbox"]["text"].startswith("rootless")
    assert "not started as root" in findings["sandbox"]["text"]


def test_doctor_of_an_ordinary_user_looks_at_the_process_sandbox_too() -> None:
    command = [*as_ordinary_user(ids=True), "env", "LAMBENT_SANDBOX=process", str(COMMAND), "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/", check=False)
    findings = {each["subject"]: each for each in json.loads(done.stdout)["findings"]}
    assert findings["sandbox"]["text"].startswith("process")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts something below the interpreter's folder")
def test_a_mount_below_the_interpreter_is_no_obstacle() -> None:
    below = importlib.util.find_spec("this")
    assert below is not None
    script = 'mount --bind /dev/null "$0" && exec "$@"'
    inside = ["unshare", "--mount", "sh", "-c", script, str(below.origin)]
    command = [*inside, *as_ordinary_user(ids=True), str(COMMAND), "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/", check=False)
    findings = {each["subject"]: each for each in json.loads(done.stdout)["findings"]}
    assert findings["sandbox"]["text"].startswith("rootless: filesystem")


def test_an_ordinary_users_server_runs_functions(tmp_path: Path) -> None:
    """Not only the launcher: the server too is an ordinary user here."""
    home = tmp_path / "home"
    home.mkdir()
    command = (*as_ordinary_user(home, ids=True), str(COMMAND))
    with Server.start(home / "data", "--sandbox", "auto", command=command) as server:
        assert server.sandbox == "rootless"
        assert os.stat(f"/proc/{server.pid}").st_uid == ordinary_user.UID
        client = server.client("lambda")
        create_function(client, "who", "import os\ndef handler(event, context): return [os.getuid(), event]")
        reply = client.invoke(FunctionName="who", Payload=b"7")
        assert json.loads(reply["Payload"].read()) == [993, 7]
