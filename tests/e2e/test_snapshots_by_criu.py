"""What cannot be cloned, saved and restored by CRIU in real sandboxes. Debian's package 3.17 does not work on current
kernels, so where no working one is named by LAMBENT_TEST_CRIU or installed these tests are skipped."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lambent.environments.sandbox.channel import SandboxError
from lambent.environments.sandbox.launched import NativeSandbox
from lambent.testing.running_server import Server
from tests.e2e.census import eventually
from tests.e2e.escapes.suite import ATTEMPTS
from tests.e2e.sandbox_kit import DEADLINE_S, drain, printed
from tests.e2e.snapshot_kit import DONE, Studio, studio
from tests.e2e.test_snapshot_escapes import EXPECTED, TRY, surprises
from tests.e2e.test_snapstart import HOOKS, ask, lines, newest_with_snapshots, publish

WAKES_ITSELF = """
import ctypes
event = (ctypes.c_int * 16)(0, 0, 18, 0)
print(ctypes.CDLL(None).timer_create(1, event, ctypes.byref(ctypes.c_void_p())))
"""
THREADED = """
import json, random, select, socket, ssl, threading, uuid
numbers = []
def work():
    while True:
        numbers.append(1)
        threading.Event().wait(0.01)
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
listener = socket.create_server(("127.0.0.1", 8123))
client = socket.create_connection(("127.0.0.1", 8123))
peer, _ = listener.accept()
poll = select.epoll()
poll.register(listener.fileno())
pair, pipe, event = socket.socketpair(), os.pipe(), os.eventfd(3)
code = open(__file__)
code.read(7)
random.random(), ssl.RAND_bytes(8)
@register_after_restore
def tell():
    before = len(numbers)
    while len(numbers) < before + 3:
        pass
    with open("/proc/self/status") as status:
        walls = dict(line.rstrip().split(":\\t") for line in status if line.startswith(("Cap", "NoNew", "Seccomp:")))
    print(json.dumps({
        "random": [random.random(), ssl.RAND_bytes(8).hex(), os.urandom(8).hex(), str(uuid.uuid4())],
        "position": code.tell(), "event": os.eventfd_read(event), "threads": threading.active_count(),
        "connected": socket.create_connection(("127.0.0.1", 8123), 5).getpeername()[1], "walls": walls,
        "old": client.recv(1).decode(), "polled": len(poll.poll(5)), "uid": os.getuid(),
        "open": sorted(os.listdir("/proc/self/fd"))}))
"""


@pytest.fixture
def criu() -> str:
    """A program that says that it works."""
    program = os.environ.get("LAMBENT_TEST_CRIU") or shutil.which("criu", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        pytest.skip("no CRIU here: Debian 12's package does not work, name another one in LAMBENT_TEST_CRIU")
    checked = subprocess.run([program, "check"], capture_output=True, text=True, timeout=30, check=False)
    if checked.returncode != 0:
        pytest.skip(f"{program} does not work on this machine: {checked.stderr.splitlines()[-1:]}")
    return program


@pytest.fixture
def by_criu(tmp_path: Path, criu: str) -> Iterator[Server]:
    with Server.start(tmp_path / "data", "--sandbox", "native", "--criu", criu) as server:
        yield server


@pytest.fixture
async def made(tmp_path: Path, criu: str) -> AsyncIterator[Studio]:
    async with studio(tmp_path, criu) as each:
        yield each


async def waiting(made: Studio, source: str) -> NativeSandbox:
    """A sandbox whose runtime has run Init and waits to be saved."""
    template = await made.driver.create(made.spec(source, image=True))
    await template.start()
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(DEADLINE_S):
        connection, _ = await loop.sock_accept(template.runtime_api[0])
        with connection:
            connection.setblocking(False)
            assert b"restore/next" in await loop.sock_recv(connection, 1000), drain(template)
    return template


def saved(home: Path) -> list[Path]:
    return list(home.glob("launcher/saved-*"))


async def test_threads_listeners_and_connections_go_on_in_each_copy(made: Studio, tmp_path: Path) -> None:
    template = await waiting(made, THREADED)
    await made.driver.save(template)
    found = []
    for _ in range(2):
        clone, said = await made.clone(template, THREADED)
        found.append(json.loads(said))
        await clone.stop()
    one, two = found
    assert not set(one.pop("random")) & set(two.pop("random"))
    assert one == two
    assert one["threads"] == 4
    assert one["position"] == 7
    assert one["event"] == 3
    assert one["connected"] == 8123
    assert one["old"] == ""
    assert {int(value, 16) for name, value in one["walls"].items() if name.startswith("Cap")} == {0}
    assert one["walls"]["NoNewPrivs"] == "1"
    assert one["walls"]["Seccomp"] == "2"
    await template.stop()
    assert not saved(tmp_path)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import subprocess; subprocess.Popen(['/bin/sleep', '60'])", "other processes"),
        ("open('/tmp/file', 'w').close()", "files in /tmp"),
        ("kept = open('/tmp/file', 'w')", "descriptor"),
        ("kept = open('/proc/self/status')", "/proc/"),
        ("kept = os.memfd_create('x')", "descriptor"),
        ("import fcntl; kept = os.pipe(); fcntl.fcntl(kept[0], fcntl.F_SETFL, os.O_ASYNC)", "sends signals"),
        (WAKES_ITSELF, "timers"),
        ("import socket; a, b = socket.socketpair(); socket.send_fds(a, [b'x'], [0])", "on their way"),
        ("import mmap; kept = mmap.mmap(-1, 4096)", "shares memory"),
    ],
)
async def test_what_could_mislead_criu_is_not_saved(made: Studio, source: str, reason: str, tmp_path: Path) -> None:
    template = await waiting(made, source)
    with pytest.raises(SandboxError, match=reason):
        await made.driver.save(template)
    await template.stop()
    assert not saved(tmp_path)


async def test_only_what_was_saved_is_restored(made: Studio) -> None:
    template = await waiting(made, "")
    with pytest.raises(SandboxError):
        await made.driver.restore(template, made.spec(""))
    await template.stop()


async def test_a_restored_runtime_ends_with_its_sandbox_and_starts_once(made: Studio) -> None:
    source = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"
    template = await waiting(made, source)
    await made.driver.save(template)
    spare = await made.driver.restore(template, made.spec(source))
    await spare.stop()
    clone = await made.driver.restore(template, made.spec(source))
    await clone.start()
    assert DONE in await printed(clone, DONE)
    assert await clone.kill() is False
    assert (await clone.exited()).signal == 9
    await clone.stop()
    await template.stop()


SERVED = (
    HOOKS
    + """
import threading, uuid
threading.Thread(target=threading.Event().wait, daemon=True).start()
born = uuid.uuid4().hex
restored = []
register_after_restore(lambda: restored.append(uuid.uuid4().hex))
print("-- init")
def handler(event, context):
    if event == "die":
        import os
        os._exit(1)
    return [born, restored, threading.active_count(), context.log_stream_name]
"""
)


def test_a_published_version_with_a_thread_is_restored_by_criu(by_criu: Server, tmp_path: Path) -> None:
    client = by_criu.client("lambda")
    name = newest_with_snapshots(by_criu)
    reply = publish(client, "threaded", SERVED, name)
    assert reply["SnapStart"]["OptimizationStatus"] == "On", reply
    assert "by CRIU" in reply["StateReason"]
    born, restored, threads, stream = ask(client, "threaded")
    assert ask(client, "threaded") == [born, restored, threads, stream]
    died = client.invoke(FunctionName="threaded", Qualifier="1", Payload=b'"die"')
    assert "FunctionError" in died
    again = ask(client, "threaded")
    assert again[0] == born
    assert threads == again[2] == 2
    assert len(restored) == len(again[1]) == 1
    assert again[1] != restored
    assert (
        sum(line.startswith("-- init") for line in lines(by_criu, "threaded")) == 2
    )  # To be cloned, then to be saved.
    client.delete_function(FunctionName="threaded")
    eventually(lambda: saved(tmp_path / "data"), timeout_s=DEADLINE_S)


def test_a_server_that_was_killed_leaves_no_saved_process(criu: str, tmp_path: Path) -> None:
    with Server.start(tmp_path / "data", "--sandbox", "native", "--criu", criu) as server:
        assert publish(server.client("lambda"), "threaded", SERVED, newest_with_snapshots(server))["State"] == "Active"
        assert saved(tmp_path / "data")
        server.kill()
    with Server.start(tmp_path / "data", "--sandbox", "native"):
        assert not saved(tmp_path / "data")


async def test_a_restored_copy_can_do_nothing_that_others_cannot(made: Studio) -> None:
    source = f"{TRY}\nimport threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    source += "register_after_restore(attempts)"
    code = made.spec(source).code_dir
    shutil.copytree(ATTEMPTS, code / "attempts", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("main.py", "id"):
        (code / name).write_text("")
    (code / "cases").write_text("\n".join(EXPECTED))
    template = await waiting(made, source)
    await made.driver.save(template)
    clone, said = await made.clone(template, source)
    assert surprises(said) == {}
    await clone.stop()
    await template.stop()
