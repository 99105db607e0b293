"""The process sandbox of a plain container: no namespaces, but a user, Landlock, a filter and ports for each
environment. Such a container is imitated: Docker's capabilities and what its filter refuses (see plain_container)."""

import asyncio
import json
import os
import signal
import socket
import urllib.request
from pathlib import Path

import pytest

from lambent.environments import peers
from lambent.environments.sandbox import probe
from lambent.environments.sandbox.contained import ContainedSandbox
from lambent.environments.sandbox.ports import ProcessExit, SandboxError
from lambent.launcher import client, starting
from lambent.launcher.contained.server import MISSING
from lambent.launcher.kernel import landlock
from lambent.testing.running_server import COMMAND, Server
from tests.e2e import ordinary_user
from tests.e2e.census import eventually
from tests.e2e.packages import create_function
from tests.e2e.sandbox_kit import PREFIX, contained_driver, in_plain_container, launcher_pid, printed, run, spec, until

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can imitate the root of a container"),
    pytest.mark.skipif(not landlock.abi(), reason="the kernel has no Landlock, without which this sandbox refuses"),
]
SLEEPER = "import time\nprint('up', flush=True)\ntime.sleep(600)"


def users_processes(user: int) -> list[int]:
    """All that run as `user`, wherever they are in the tree."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            status = Path(f"/proc/{name}/status").read_text()
        except OSError:
            continue
        lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        if str(user) in lines["Uid"].split() and lines["State"].split()[0] not in "ZX":
            found.append(int(name))
    return found


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def user_of(sandbox: ContainedSandbox) -> int:
    return os.stat(sandbox.layout.tmp).st_uid


async def test_what_it_gives_is_found_from_inside_and_the_rest_is_named(tmp_path: Path) -> None:
    async with contained_driver(tmp_path) as driver:
        assert driver.name == "process"
        assert await probe.examine(driver, tmp_path / "packages") == driver.launcher_missing
        assert driver.launcher_missing.keys() == MISSING.keys()


async def test_each_environment_is_a_user_without_capabilities(tmp_path: Path) -> None:
    script = """
        import os
        lines = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
        print(os.getresuid(), os.getresgid(), len(os.getgroups()), os.getcwd() == os.path.dirname(__file__))
        print(*(int(lines[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")))
        print(lines["NoNewPrivs"].strip(), lines["Seccomp"].strip())
        """
    async with contained_driver(tmp_path) as driver:
        users = set()
        for _ in range(2):
            sandbox = await driver.create(spec(tmp_path / "packages", script))
            user = user_of(sandbox)
            text = await run(sandbox)
            assert f"({user}, {user}, {user}) ({user}, {user}, {user}) 1 True" in text
            assert "0 0 0 0 0\n1 2" in text
            users.add(user)
        assert len(users) == 2


def test_the_numbers_of_functions_can_be_chosen(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    command = (*in_plain_container(home), str(COMMAND))
    with Server.start(home / "data", "--function-users", "300000:9", command=command) as server:
        create_function(server.client("lambda"), "who", "import os\ndef handler(event, context): return os.getuid()")
        reply = server.client("lambda").invoke(FunctionName="who")
        assert json.loads(reply["Payload"].read()) in range(300_000, 300_009)


ATTEMPTS = """
    import ctypes, errno, os, socket
    other, home, pid, api, port, abstract = WITH
    def attempt(name, action):
        try: action(); print(name, "ok")
        except OSError as error: print(name, errno.errorcode[error.errno])
    def connect(port): socket.create_connection(("127.0.0.1", port), 2).close()
    def unix(name):
        with socket.socket(socket.AF_UNIX) as client: client.connect(name)
    def unshare():
        if ctypes.CDLL(None, use_errno=True).unshare(0x10000000): raise OSError(ctypes.get_errno(), "unshare")
    attempt("other-tmp", lambda: os.listdir(other))
    attempt("other-code", lambda: open(home + "/packages/code-other/main.py").read())
    attempt("data-dir", lambda: os.listdir(home))
    attempt("database", lambda: open(home + "/lambent.db").read())
    attempt("password", lambda: open("/etc/shadow").read())
    attempt("command-line", lambda: open(f"/proc/{pid}/cmdline").read())
    attempt("variables", lambda: open(f"/proc/{pid}/environ").read())
    attempt("memory", lambda: open(f"/proc/{pid}/mem", "rb"))
    attempt("signal", lambda: os.kill(pid, 0))
    attempt("other-api", lambda: connect(api))
    attempt("host-port", lambda: connect(port))
    attempt("abstract", lambda: unix(abstract))
    attempt("tmp", lambda: open("/tmp/made", "w"))
    attempt("shm", lambda: open("/dev/shm/made", "w"))
    attempt("code", lambda: open(__file__, "a"))
    attempt("chmod", lambda: os.chmod(__file__, 0o777))
    attempt("root", lambda: os.setuid(0))
    attempt("namespace", unshare)
    """
REFUSED = {
    "other-tmp": "EACCES",
    "other-code": "EACCES",
    "data-dir": "EACCES",
    "database": "EACCES",
    "password": "EACCES",
    "command-line": "EACCES",
    "variables": "EACCES",
    "memory": "EACCES",
    "signal": "EPERM",
    "tmp": "EACCES",
    "shm": "EACCES",
    "code": "EACCES",
    "chmod": "EPERM",
    "root": "EPERM",
    "namespace": "EPERM",
    **({"other-api": "EACCES", "host-port": "EACCES"} if landlock.abi() >= 4 else {}),
    **({"abstract": "EPERM"} if landlock.abi() >= 6 else {}),
}


async def test_what_is_not_its_own_is_refused(tmp_path: Path) -> None:
    """That each works for somebody is shown by the other environment, which owns it, or by this test."""
    (tmp_path / "lambent.db").write_text("readable by all who reach it")
    (tmp_path / "lambent.db").chmod(0o644)
    unshare = (
        "    def unshare():\n        import ctypes\n        if ctypes.CDLL(None, use_errno=True).unshare(0x10000000):"
    )
    unshare += "\n            raise OSError(ctypes.get_errno(), 'unshare')\n"
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_UNIX) as named:
        name = f"\0lambent-contained-{os.getpid()}"
        named.bind(name)
        named.listen()
        async with contained_driver(tmp_path) as driver:
            other = await driver.create(spec(tmp_path / "packages", SLEEPER, environment_id="other"))
            await other.start()
            await printed(other, "up")
            (pid,) = users_processes(user_of(other))
            api = int(other.layout.runtime_api.rpartition(":")[2])
            given = (other.layout.tmp, str(tmp_path), pid, api, listener.getsockname()[1], name)
            script = ATTEMPTS.replace("WITH", repr(given))
            text = await run(await driver.create(spec(tmp_path / "packages", script)))
    told = dict(line.split() for line in text.splitlines())
    assert {key: told[key] for key in REFUSED} == REFUSED


async def test_a_connection_of_another_user_is_told_apart_from_its_own(tmp_path: Path) -> None:
    script = "import os, socket, time\nhost, port = os.environ['API'].split(':')\n"
    script += "held = socket.create_connection((host, int(port)), 5)\nprint('connected', flush=True)\ntime.sleep(60)"
    async with contained_driver(tmp_path) as driver:
        sandbox = await driver.create(spec(tmp_path / "packages", script))
        await sandbox.start()
        await printed(sandbox, "connected")
        (listener,) = sandbox.runtime_api
        accepted, own = listener.accept()
        with accepted, socket.create_connection(listener.getsockname(), 5) as stranger:
            assert peers.admits(listener, own, listener.getsockname())
            assert not peers.admits(listener, stranger.getsockname(), listener.getsockname())


async def test_the_server_connects_to_what_the_environment_itself_serves_and_to_nobody_else(tmp_path: Path) -> None:
    """As for telemetry: otherwise a function could have it send to any port of the container."""
    script = "import socket, time\nlistener = socket.create_server(('127.0.0.1', 0))\n"
    script += "print('port', listener.getsockname()[1], 'is open', flush=True)\ntime.sleep(60)"
    async with contained_driver(tmp_path) as driver:
        sandbox, other = [
            await driver.create(spec(tmp_path / "packages", script, environment_id=name)) for name in ("one", "other")
        ]
        for each in (sandbox, other):
            await each.start()
        own, others = [int((await printed(each, "is open")).split()[1]) for each in (sandbox, other)]
        (await sandbox.connect(own)).close()
        with socket.create_server(("127.0.0.1", 0)) as of_container:
            for port in (others, of_container.getsockname()[1], sandbox.aws_endpoint[0].getsockname()[1]):
                with pytest.raises(ConnectionRefusedError):
                    await sandbox.connect(port)


DAEMONS = """
    import os, signal, time
    for number in range(1, 32):
        try: signal.signal(number, signal.SIG_IGN)
        except OSError: pass
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                print("daemon", flush=True)
                while True: time.sleep(1)
            os._exit(0)
    time.sleep(60)
    """


async def test_nothing_lives_on_after_a_kill_whatever_sessions_it_made(tmp_path: Path) -> None:
    async with contained_driver(tmp_path) as driver:
        sandbox = await driver.create(spec(tmp_path / "packages", DAEMONS))
        user = user_of(sandbox)
        await sandbox.start()
        await until(lambda: len(users_processes(user)) == 4)
        await sandbox.kill()
        assert users_processes(user) == []
        assert await sandbox.exited() == ProcessExit(None, signal.SIGKILL)
        await sandbox.start()
        await until(lambda: len(users_processes(user)) == 4)
        await sandbox.stop()
        assert users_processes(user) == []


async def test_a_fork_bomb_is_limited_and_killed(tmp_path: Path) -> None:
    script = "import os\nprint('bomb', flush=True)\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    async with contained_driver(tmp_path) as driver:
        sandbox = await driver.create(spec(tmp_path / "packages", script, max_processes=64))
        user = user_of(sandbox)
        await sandbox.start()
        await until(lambda: len(users_processes(user)) == 64)
        await sandbox.kill()
        assert users_processes(user) == []
        await sandbox.stop()


async def test_shared_memory_goes_with_a_reset_and_tmp_with_the_environment(tmp_path: Path) -> None:
    script = """
        import ctypes, os
        libc = ctypes.CDLL(None)
        print(len(open("/proc/sysvipc/shm").readlines()), len(open("/proc/sysvipc/msg").readlines()))
        assert libc.shmget(0, 1 << 20, 0o1600) >= 0 and libc.msgget(0, 0o1600) >= 0 and libc.semget(0, 1, 0o1600) >= 0
        tmp = os.environ["TMP"]
        print(sorted(os.listdir(tmp)))
        os.makedirs(tmp + "/deep" + "/down" * 40, exist_ok=True)
        os.chmod(tmp + "/deep", 0o500)
        """

    def objects(user: int) -> int:
        texts = [Path(f"/proc/sysvipc/{kind}").read_text() for kind in ("shm", "msg", "sem")]
        return sum(str(user) in line.split() for text in texts for line in text.splitlines())

    async with contained_driver(tmp_path) as driver:
        sandbox = await driver.create(spec(tmp_path / "packages", script))
        user, folder = user_of(sandbox), Path(sandbox.layout.tmp).parent
        assert "[]" in await run(sandbox)
        assert objects(user) == 3
        await sandbox.kill()
        assert objects(user) == 0
        assert "['deep']" in await run(sandbox), "/tmp is kept over a Reset"
        await sandbox.stop()
        assert objects(user) == 0
        assert not folder.exists()


async def test_a_killed_first_process_takes_the_function_with_it(tmp_path: Path) -> None:
    async with contained_driver(tmp_path) as driver:
        sandbox = await driver.create(spec(tmp_path / "packages", DAEMONS))
        user, folder = user_of(sandbox), Path(sandbox.layout.tmp).parent
        await sandbox.start()
        await until(lambda: len(users_processes(user)) == 4)
        (first,) = children(launcher_pid(driver))
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(10):
            assert (await sandbox.exited()).signal == signal.SIGKILL
            await sandbox.stop()
        assert users_processes(user) == []
        assert not folder.exists()


async def test_a_killed_launcher_takes_all_with_it(tmp_path: Path) -> None:
    async with contained_driver(tmp_path) as driver:
        sandbox = await driver.create(spec(tmp_path / "packages", DAEMONS))
        user, folder = user_of(sandbox), Path(sandbox.layout.tmp).parent
        await sandbox.start()
        await until(lambda: len(users_processes(user)) == 4)
        driver._launcher._process.kill()
        await until(lambda: users_processes(user) == [] and not folder.exists())
        async with asyncio.timeout(10):
            await sandbox.stop()


async def test_the_next_start_sweeps_what_a_launcher_and_its_sandboxes_left_that_were_killed(tmp_path: Path) -> None:
    async with contained_driver(tmp_path) as driver:
        sandbox = await driver.create(spec(tmp_path / "packages", DAEMONS))
        user, folder = user_of(sandbox), Path(sandbox.layout.tmp).parent
        await sandbox.start()
        await until(lambda: len(users_processes(user)) == 4)
        launcher = launcher_pid(driver)
        firsts = children(launcher)
        os.kill(launcher, signal.SIGSTOP)  # Or it would clean up after its child.
        for pid in firsts:
            os.kill(pid, signal.SIGKILL)
        os.kill(launcher, signal.SIGKILL)
        async with asyncio.timeout(10):
            await sandbox.stop()
    assert users_processes(user)
    async with contained_driver(tmp_path):
        assert users_processes(user) == []
        assert not folder.exists()


async def test_many_sandboxes_leave_nothing(tmp_path: Path) -> None:
    async with contained_driver(tmp_path) as driver:
        for number in range(12):
            sandbox = await driver.create(spec(tmp_path / "packages", "print('up')"))
            await run(sandbox)
            if number % 3 == 0:
                await sandbox.kill()
            await sandbox.stop()
            if number == 2:
                files = len(os.listdir(f"/proc/{launcher_pid(driver)}/fd")), len(os.listdir("/proc/self/fd"))
        await until(lambda: len(os.listdir("/proc/self/fd")) <= files[1])
        await until(lambda: len(os.listdir(f"/proc/{launcher_pid(driver)}/fd")) <= files[0])
        assert os.listdir(tmp_path / "contained") == ["runtime"]


async def test_code_outside_the_packages_is_refused(tmp_path: Path) -> None:
    async with contained_driver(tmp_path) as driver:
        made = spec(tmp_path / "packages", "")
        (made.code_dir / "main.py").unlink()
        made.code_dir.rmdir()
        with pytest.raises(SandboxError, match="No such file"):
            await driver.create(made)


def test_a_data_dir_that_functions_cannot_reach_is_refused_with_the_folder(tmp_path: Path) -> None:
    """Not shown to others here, as a data dir below a private home."""
    (tmp_path / "private" / "data" / "packages").mkdir(parents=True)
    (tmp_path / "private").chmod(0o700)
    data = tmp_path / "private" / "data"
    options = {"packages_dir": data / "packages", "prefixes": [PREFIX], "runtime_entries": {}}
    with pytest.raises(client.LauncherError, match="cannot be entered by other users"):
        starting.begin(data_dir=data, wanted="process", through=in_plain_container(), **options).await_ready()  # type: ignore[arg-type]


def only_runtime(names: list[str]) -> bool:
    return names == ["runtime"]


def health(server: Server) -> dict[str, object]:
    with urllib.request.urlopen(f"{server.url}/_lambent/health", timeout=10) as reply:
        told: dict[str, object] = json.load(reply)["sandbox"]
    return told


def test_a_server_in_a_plain_container_runs_functions_and_says_what_it_gives(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with Server.start(home / "data", "--sandbox", "auto", command=(*in_plain_container(home), str(COMMAND))) as server:
        assert server.sandbox == "process"
        told = health(server)
        assert told["missing"].keys() == MISSING.keys()  # type: ignore[attr-defined]
        assert "CAP_SYS_ADMIN" in str(told["reason"])
        assert "isolated in part only" in server.log()
        lambda_client = server.client("lambda")
        source = "import boto3, os\ndef handler(event, context):\n"
        source += "    return [os.getuid(), boto3.client('lambda').list_functions()['Functions'][0]['FunctionName']]"
        create_function(lambda_client, "who", source, Timeout=20)
        reply = json.loads(lambda_client.invoke(FunctionName="who")["Payload"].read())
        assert reply[0] > 0x4000
        assert reply[1] == "who"
        assert users_processes(reply[0])
        server.kill()
        assert eventually(lambda: users_processes(reply[0]), timeout_s=10) == []
        assert eventually(lambda: sorted(os.listdir(home / "data" / "contained")), timeout_s=5, until=only_runtime)


def test_a_container_without_cap_setuid_gives_landlock_and_the_filter_and_says_so(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, ordinary_user.UID, ordinary_user.UID)
    command = (*in_plain_container(home, user=ordinary_user.UID), str(COMMAND))
    with Server.start(home / "data", "--sandbox", "auto", command=command) as server:
        assert server.sandbox == "process"
        told = health(server)
        given = [name for name, there in told["guarantees"].items() if there]  # type: ignore[attr-defined]
        assert given == ["filesystem", "syscalls"]
        assert "refuses a user namespace" in str(told["reason"])
        assert "isolated in part only" in server.log()
