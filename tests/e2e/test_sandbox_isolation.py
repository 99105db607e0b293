"""What the escape suite (test_escapes.py) does not try by itself: whose Runtime API is reached, what the launcher
refuses, and what a sandbox is told of the host."""

import asyncio
import json
import os
import re
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from lambent.launcher import wire
from lambent.runtimes.python.files import runtime_files
from tests.e2e import origins
from tests.e2e.sandbox_kit import DRIVERS, drain, launcher_in, printed, spec


@pytest.fixture(scope="module", params=DRIVERS)
def driver_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_connection_to_the_runtime_api_arrives_in_its_own_environment_only(
    driver_name: str, tmp_path: Path
) -> None:
    script = f"""
        import socket, time
        for address in (("169.254.100.1", 9001), ("127.0.0.1", 9001)):
            socket.create_connection(address, 5).sendall(b"mine")
        line = socket.socket(socket.AF_UNIX)
        try:
            line.connect("\\0{wire.LINE}")
        except ConnectionRefusedError:
            print("no line")
        else:
            try:
                socket.send_fds(line, [b"descriptor"], [0])
            except PermissionError:
                line.sendall(b"mine")
        print("sent", flush=True)
        time.sleep(60)
        """
    async with DRIVERS[driver_name](tmp_path) as driver:
        speaker = await driver.create(spec(tmp_path / "packages", script, environment_id="a"))
        silent = await driver.create(spec(tmp_path / "packages", "import time; time.sleep(60)", environment_id="b"))
        await silent.start()
        await speaker.start()
        text = await printed(speaker, "sent")
        for listener in speaker.runtime_api:
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(10) == b"mine"
        assert ("no line" in text) == all(each.family == socket.AF_INET for each in speaker.runtime_api)
        for listener in (*silent.runtime_api, *silent.aws_endpoint):
            with pytest.raises(BlockingIOError):
                listener.accept()
        with socket.socket(socket.AF_UNIX) as stranger, pytest.raises(ConnectionRefusedError):
            stranger.connect(f"\0{wire.LINE}")


async def test_the_kernels_secrets_are_masked(driver_name: str, tmp_path: Path) -> None:
    script = """
        for name in ("kallsyms", "timer_list", "keys", "kmsg"):
            try: print(name, len(open("/proc/" + name).read(10)))
            except OSError as error: print(name, 0, error)
        """
    with open("/proc/kallsyms") as symbols:  # noqa: ASYNC230 - a file of the kernel
        assert symbols.read(10)
    async with DRIVERS[driver_name](tmp_path) as driver:
        sandbox = await driver.create(spec(tmp_path / "packages", script))
        await sandbox.start()
        await sandbox.exited()
        text = drain(sandbox)
    for name in ("kallsyms", "timer_list", "keys", "kmsg"):
        assert f"{name} 0" in text


async def test_no_descriptor_of_the_launcher_is_inherited(driver_name: str, tmp_path: Path) -> None:
    async with DRIVERS[driver_name](tmp_path) as driver:
        script = "import os\nfds = [fd for fd in range(1024) if os.path.exists(f'/proc/self/fd/{fd}')]\nprint(fds)"
        sandbox = await driver.create(spec(tmp_path / "packages", script))
        await sandbox.start()
        await sandbox.exited()
        assert "[0, 1, 2]" in drain(sandbox)


async def test_launcher_survives_packets_that_are_no_requests(driver_name: str, tmp_path: Path) -> None:
    async with DRIVERS[driver_name](tmp_path) as driver:
        channel = driver._launcher._channel
        for packet in (b"{", b"[]", b"1", b'{"fds": ["control"]}', b'{"fds": 7}', b"\xff", b"{}", b"x" * 100_000):
            channel.send(packet)
        ours, theirs = wire.pair()
        with ours, theirs:
            socket.send_fds(channel, [b"{}"], [theirs.fileno()])
            wire.send(channel, {"do": "prepare"}, {"other": theirs.fileno()})
            wire.send(channel, {"do": "prepare", "tmp_mb": {}}, {"control": theirs.fileno()})
            ours.settimeout(10)
            received = await asyncio.to_thread(wire.receive, ours)
        assert received is not None
        assert received[0]["event"] == "failed"
        sandbox = await driver.create(spec(tmp_path / "packages", "print('works')"))
        await sandbox.start()
        await sandbox.exited()
        assert "works" in drain(sandbox)


@pytest.mark.parametrize(
    ("request_of", "why"),
    [
        ({"code": "/etc"}, "plain path|below the packages"),
        ({"code": "../outside"}, "plain path"),
        ({"code": "link"}, "Too many levels|symbolic"),
        ({"prefix": 7}, "prefix must be"),
        ({"memory_mb": 1 << 40}, "memory_mb must be"),
        ({"memory_mb": "64"}, "memory_mb must be"),
        ({"tmp_mb": 0}, "tmp_mb must be"),
        ({"processes": 100000}, "processes must be"),
        ({"do": "mount"}, "not understood"),
    ],
)
async def test_first_process_refuses_what_was_not_agreed(
    tmp_path: Path, request_of: dict[str, object], why: str
) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "link").symlink_to("/etc")
    (packages / "code").mkdir()
    launcher = launcher_in(tmp_path)
    good = {"do": "assign", "code": "code", "prefix": 0, "memory_mb": 64, "tmp_mb": 8, "processes": 8}
    with launcher.prepare(memory_mb=64, tmp_mb=8, processes=8) as control:
        await _ready(control)
        wire.send(control, good | request_of)
        received = await asyncio.to_thread(wire.receive, control)
    await asyncio.to_thread(launcher.close)
    assert received is not None
    assert received[0]["event"] in ("refused", "failed")
    assert re.search(why, received[0]["reason"])


async def test_first_process_survives_messages_that_are_none_and_assigns_once(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    (packages / "code").mkdir(parents=True)
    launcher = launcher_in(tmp_path)
    good = {"do": "assign", "code": "code", "prefix": 0, "memory_mb": 64, "tmp_mb": 8, "processes": 8}
    start = {"do": "start", "name": "runtime", "argv": ["/bin/true"], "variables": {}, "folder": "/", "open_files": 64}
    with launcher.prepare(memory_mb=64, tmp_mb=8, processes=8) as control:
        await _ready(control)
        heard = []
        for packet in (b"{", b"[]", b"{}", json.dumps(start).encode(), json.dumps(good).encode()):
            control.send(packet)
            heard.append(await asyncio.to_thread(wire.receive, control))
        for message in (good, start | {"argv": [["x"]]}, {"do": "signal", "name": "1", "number": 9}, {"do": "connect"}):
            wire.send(control, message)
            heard.append(await asyncio.to_thread(wire.receive, control))
        events = [each[0]["event"] for each in heard if each is not None]
        assert events == [*["refused"] * 4, "assigned", *["refused"] * 4]
    await asyncio.to_thread(launcher.close)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ({"do": "prepare", "runtime": 1}, "runtime must be"),
        ({"do": "prepare", "runtime": "0"}, "runtime must be"),
        ({"do": "prepare", "runtime": {"argv": ["/bin/sh"]}}, "runtime must be"),
        ({"do": "prepare", "zygote": 1}, "no zygote"),
        ({"do": "prepare", "runtime": 0, "zygote": 1}, "no zygote"),
        ({"do": "prepare", "runtime": 0, "zygote": -1}, "zygote must be"),
        ({"do": "prepare", "runtime": 0, "zygote": "1"}, "zygote must be"),
        ({"do": "zygote"}, "runtime must be"),
        ({"do": "zygote", "runtime": 7}, "runtime must be"),
        ({"do": "zygote", "runtime": [0], "argv": ["/bin/sh"]}, "runtime must be"),
        ({"do": "fork", "runtime": 0}, "not understood"),
        ({"do": "restore", "template": 0}, "not understood"),
    ],
)
async def test_launcher_starts_no_interpreter_that_was_not_agreed(
    tmp_path: Path, message: dict[str, object], why: str
) -> None:
    runtime = origins.runtime_of()
    driver = origins.driver_for(tmp_path, runtime)
    ours, theirs = wire.pair()
    limits = {"memory_mb": 64, "tmp_mb": 8, "processes": 8}
    with ours, theirs:
        wire.send(driver._launcher._channel, limits | message, {"control": theirs.fileno()})
        ours.settimeout(10)
        received = await asyncio.to_thread(wire.receive, ours)
    await driver.close()
    assert received is not None
    assert received[0]["event"] == "failed"
    assert re.search(why, received[0]["reason"])


async def test_zygote_of_another_runtime_is_not_used(tmp_path: Path) -> None:
    """What it runs decides what is inside: the numbers of both must agree."""
    runtime = origins.runtime_of()
    other = replace(runtime.start, argv=(*runtime.start.argv, "other"))
    options = {"prefixes": [runtime.prefix], "runtime_entries": runtime_files()}
    launcher = launcher_in(tmp_path, runtime.start, other, **options)
    zygote = launcher.start_zygote(runtime.start)
    zygote.settimeout(20)
    received = await asyncio.to_thread(wire.receive, zygote)
    assert received is not None
    number = received[0]["number"]
    for wrong, wanted in ((number, other), (number + 1, runtime.start)):
        with launcher.prepare(memory_mb=64, tmp_mb=8, processes=8, runtime=wanted, zygote=wrong) as control:
            control.settimeout(10)
            answer = await asyncio.to_thread(wire.receive, control)
        assert answer is not None
        assert "no zygote" in answer[0]["reason"]
    zygote.close()
    await asyncio.to_thread(launcher.close)


async def _ready(control: socket.socket) -> None:
    control.settimeout(10)
    received = await asyncio.to_thread(wire.receive, control)
    assert received is not None
    assert received[0]["event"] == "ready"
    for fd in received[1].values():
        os.close(fd)
