"""A template and its clones: what is the same in each, what is new, what forbids cloning, and how everything ends."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lambent.environments.sandbox.ports import ProcessExit
from lambent.runtimes.python.files import runtime_files
from tests.e2e.census import census, eventually
from tests.e2e.sandbox_kit import DEADLINE_S, drain, rootless_driver
from tests.e2e.snapshot_kit import Studio, studio


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Studio]:
    async with studio(tmp_path) as each:
        yield each


async def test_init_runs_once_and_each_clone_has_randomness_of_its_own(made: Studio) -> None:
    source = """
    import random, uuid, tempfile
    print("init")
    @register_after_restore
    def restored():
        print(random.random(), uuid.uuid4(), os.urandom(8).hex(), tempfile.mktemp())
    """
    template, obstacle = await made.template(source)
    assert obstacle is None
    assert drain(template) == "init\n"
    values = []
    for _ in range(4):
        clone, said = await made.clone(template, source)
        values += said.split()
        await clone.stop()
    assert len(values) == len(set(values)) == 16
    assert drain(template) == ""
    await template.stop()


async def test_hooks_run_last_in_first_out_before_and_in_order_after(made: Studio) -> None:
    source = """
    for number in range(3):
        register_before_snapshot(print, "before", number)
        register_after_restore(print, "after", number)
    """
    template, _ = await made.template(source)
    assert drain(template).splitlines() == ["before 2", "before 1", "before 0"]
    clone, said = await made.clone(template, source)
    assert said.splitlines() == ["after 0", "after 1", "after 2"]
    await clone.stop()
    await template.stop()


async def test_clone_sees_only_itself_its_own_tmp_and_the_files_of_init(made: Studio) -> None:
    source = """
    open("/tmp/of-init", "w").write("kept")
    code = open(__file__)
    code.read(10)
    @register_after_restore
    def restored():
        print([name for name in os.listdir("/proc") if name.isdigit()], os.getuid(), os.uname().nodename)
        print(os.listdir("/tmp"), open("/tmp/of-init").read(), code.tell(), len(code.read()) > 0)
        open("/tmp/of-clone", "w").write("mine")
        status = open("/proc/self/status").read()
        print([line.split()[1] for line in status.splitlines() if line.startswith(("CapEff", "CapPrm", "NoNewPrivs"))])
        print(sorted(os.listdir("/proc/self/fd")))
    """
    for said in await made.said_by_clones(source, 2):
        assert said.splitlines() == [
            "['1'] 993 sandbox",
            "['of-init'] kept 10 True",
            "['0000000000000000', '0000000000000000', '1']",
            "['0', '1', '2', '3', '4']",
        ]


async def test_connections_of_init_are_closed_in_the_clone_and_new_ones_can_be_made(made: Studio) -> None:
    source = """
    import socket
    connection = socket.create_connection(("127.0.0.1", 4566))
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.connect(("127.0.0.1", 2000))
    @register_after_restore
    def restored():
        print(connection.recv(1), datagrams.getpeername())
        print(socket.create_connection(("127.0.0.1", 4566)).getpeername())
    """
    (said,) = await made.said_by_clones(source)
    assert said.splitlines() == ["b'' ('127.0.0.1', 2000)", "('127.0.0.1', 4566)"]


@pytest.mark.parametrize(
    ("obstacle", "init"),
    [
        ("threads", "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"),
        ("other processes", "import subprocess\nsubprocess.Popen(['sleep', '60'])"),
        ("shared memory", "import mmap\nmemory = mmap.mmap(-1, 4096)"),
        ("descriptor", "import select\npoll = select.epoll()"),
        ("descriptor", "import socket\nlistener = socket.create_server(('127.0.0.1', 0))"),
        ("descriptor", "import os\nends = os.pipe()"),
        ("descriptor", "file = open('/tmp/log', 'w')"),
    ],
)
async def test_what_cannot_be_cloned_is_named(made: Studio, obstacle: str, init: str) -> None:
    template, reason = await made.template(init)
    assert obstacle in str(reason)
    await template.stop()


async def test_end_of_a_clone_is_told_and_a_killed_one_is_of_no_more_use(made: Studio) -> None:
    source = """
    import time
    @register_after_restore
    def restored():
        if not os.path.exists("/tmp/x"):
            print("-- after restore", flush=True)
            time.sleep(0.05)
            os._exit(7)
    """
    template, _ = await made.template(source)
    clone, _ = await made.clone(template, source)
    async with asyncio.timeout(DEADLINE_S):
        assert await clone.exited() == ProcessExit(7, None)
    assert clone.memory_peak_bytes() > 5_000_000
    await clone.stop()
    quiet = "print('up')"
    other, _ = await made.template(quiet)
    clone, _ = await made.clone(other, quiet)
    clone.freeze()
    assert await clone.kill() is False
    assert await clone.exited() == ProcessExit(None, signal.SIGKILL)
    await clone.stop()
    again, _ = await made.clone(other, quiet)
    await again.stop()
    await other.stop()
    await template.stop()


async def test_clones_live_on_when_their_template_stops_and_its_sandbox_ends_with_the_last(made: Studio) -> None:
    source = "print('up')"
    template, _ = await made.template(source)
    clone, _ = await made.clone(template, source)
    ending = asyncio.create_task(template.stop())
    async with asyncio.timeout(DEADLINE_S):
        assert await template.exited() == ProcessExit(None, signal.SIGKILL)
    (pid,) = clone.processes()
    assert not ending.done()
    assert clone.processes() == [pid]
    await clone.stop()
    async with asyncio.timeout(DEADLINE_S):
        await ending


async def test_many_restores_leave_nothing(made: Studio) -> None:
    source = "data = bytearray(1 << 20)"
    with census() as counted:
        before = counted.loop_devices()
        template, _ = await made.template(source)
        for _ in range(10):
            clones = [await made.clone(template, source) for _ in range(2)]
            for clone, _ in clones:
                await clone.stop()
        await template.stop()
        assert eventually(counted.processes, timeout_s=5) == []
        assert counted.mounts() == []
        assert eventually(counted.loop_devices, timeout_s=5, until=lambda found: found == before) == before


async def test_a_clone_ends_with_its_finisher(made: Studio) -> None:
    source = "print('up')"
    with census() as counted:
        template, _ = await made.template(source)
        before = {each.pid for each in counted.processes()}
        clone, _ = await made.clone(template, source)
        (inside,) = clone.processes()
        # All that came with the clone, but for the clone: its finisher.
        (finisher,) = {each.pid for each in counted.processes()} - before - {inside}
        os.kill(finisher, signal.SIGKILL)
        async with asyncio.timeout(DEADLINE_S):
            assert await clone.exited() == ProcessExit(None, signal.SIGKILL)
        assert eventually(lambda: [each for each in counted.processes() if each.pid == inside], timeout_s=5) == []
        await clone.stop()
        again, _ = await made.clone(template, source)
        await again.stop()
        await template.stop()


async def test_an_ordinary_user_restores_too(tmp_path: Path) -> None:
    entries: dict[str, Any] = dict(runtime_files())
    async with rootless_driver(tmp_path, cgroups=False, **entries) as driver:
        made = Studio(driver, tmp_path / "packages")
        source = "print('init')\nregister_after_restore(print, 'restored')"
        template, obstacle = await made.template(source)
        assert obstacle is None
        clone, said = await made.clone(template, source)
        assert said == "restored\n"
        await clone.stop()
        await template.stop()
