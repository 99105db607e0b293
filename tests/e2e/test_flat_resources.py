"""A server that has worked holds no more than one that has just warmed up: memory, descriptors, processes, mounts,
control groups, loop devices.

Each kind of work runs once to warm up, then again; what is held is compared between. `LAMBENT_FLAT_SCALE` multiplies
the work (1 here, 30 in `make soak`).
"""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.testing.running_server import Server
from tests.e2e.census import Census, census, eventually, resources
from tests.e2e.packages import create_function
from tests.e2e.telemetry_kit import agent, subscription
from tests.e2e.test_layers import publish

SCALE = int(os.environ.get("LAMBENT_FLAT_SCALE", "1"))
SETTLE_S = 15.0
RESIDENT_KB = 6 * 1024
"""What the allocator may keep more after the second half of the work than after the first."""
LAZY_THREADS = 4
"""Thread pools start a thread when a job finds none idle, on a slow machine as late as in the second half."""

pytestmark = pytest.mark.timeout(60 + 60 * SCALE)

FAULTS = """
import os, time

def handler(event, context):
    if event == "exit":
        os._exit(3)
    if event == "timeout":
        time.sleep(60)
    if event == "raise":
        raise ValueError("x" * 1000)
    if event == "print":
        for number in range(20):
            print("line", number, "y" * 200)
    return event
"""


@pytest.fixture
def host() -> Iterator[Census]:
    with census() as taken:
        yield taken


@pytest.fixture
def flat(host: Census, start_server: Callable[..., Server]) -> Callable[[Callable[[Any, int], None]], None]:
    """Do the work twice on a fresh server and compare what is held after each time."""

    def check(work: Callable[[Any, int], None]) -> None:
        # Without a stock, whose size follows the rate of cold starts; test_environment_cycles.py looks at that.
        server = start_server("--prewarm", "off")
        client = server.client("lambda")
        create_function(client, "faults", FAULTS, Timeout=1)
        work(client, 0)
        before = _held(server, host)
        work(client, 1)
        after = eventually(
            partial(_held, server, host), timeout_s=SETTLE_S, until=lambda found: not _grown(before, found)
        )
        assert not (grown := _grown(before, after)), f"(before, after): {grown}"
        print({key: (before[key], after[key]) for key in after})
        server.terminate()
        assert not eventually(host.left, timeout_s=SETTLE_S)

    return check


def test_invocations_leave_nothing(flat: Callable[[Callable[[Any, int], None]], None]) -> None:
    def work(client: Any, _turn: int) -> None:
        with ThreadPoolExecutor(4) as pool:
            for each in [pool.submit(_invoke, client, "faults", "print") for _ in range(200 * SCALE)]:
                assert each.result(timeout=SETTLE_S) == "print"

    flat(work)


def test_resets_leave_nothing(flat: Callable[[Callable[[Any, int], None]], None]) -> None:
    def work(client: Any, _turn: int) -> None:
        for number in range(15 * SCALE):
            assert "errorType" in _invoke(client, "faults", "exit")
            assert "errorType" in _invoke(client, "faults", "raise")
            assert _invoke(client, "faults", number) == number
            if number % 15 == 0:
                assert _invoke(client, "faults", "timeout")["errorType"] == "Sandbox.Timedout"

    flat(work)


def test_functions_that_come_and_go_leave_nothing(flat: Callable[[Callable[[Any, int], None]], None]) -> None:
    def work(client: Any, turn: int) -> None:
        for number in range(20 * SCALE):
            name = f"passing-{turn}-{number}"
            create_function(client, name, f"def handler(event, context):\n    return {name!r}\n")
            assert _invoke(client, name, None) == name
            client.delete_function(FunctionName=name)
            with pytest.raises(ClientError, match="ResourceNotFoundException"):
                client.invoke(FunctionName=name)

    flat(work)


def test_environments_with_telemetry_subscribers_leave_nothing(
    flat: Callable[[Callable[[Any, int], None]], None],
) -> None:
    """Subscribers that take all, by HTTP and TCP, and one that takes nothing."""
    tcp = {"protocol": "TCP", "port": 8081}
    agents = {
        "extensions/http": agent(8080, listens="http", subscription=subscription(8080)),
        "extensions/tcp": agent(8081, listens="tcp", subscription=subscription(8081, destination=tcp)),
        "extensions/deaf": agent(8082, listens="deaf", subscription=subscription(8082)),
    }

    def work(client: Any, turn: int) -> None:
        layer = publish(client, "agents", agents, executable=True)
        for number in range(3 * SCALE):
            name = f"subscribed-{turn}-{number}"
            create_function(client, name, FAULTS, Layers=[layer], MemorySize=512, Timeout=20)
            assert _invoke(client, name, "print") == "print"
            assert "errorType" in _invoke(client, name, "exit")
            assert _invoke(client, name, "print") == "print"
            client.delete_function(FunctionName=name)

    flat(work)


def _invoke(client: Any, name: str, event: Any) -> Any:
    return json.load(client.invoke(FunctionName=name, Payload=json.dumps(event).encode())["Payload"])


def _held(server: Server, host: Census) -> dict[str, int]:
    processes = host.processes()
    held = {f"supervisor {key}": value for key, value in resources(server.pid).items()}
    launchers = [each.pid for each in processes if each.parent == server.pid]
    for pid in launchers[:1]:
        held |= {f"launcher {key}": value for key, value in resources(pid).items()}
    return {
        **held,
        "processes": len(processes),
        "host mounts": len(host.mounts()),
        "loop devices": len(host.loop_devices()),
        "cgroups": host.sandbox_cgroups(),
    }


def _grown(before: dict[str, int], after: dict[str, int]) -> dict[str, tuple[int, int]]:
    return {key: (before[key], value) for key, value in after.items() if value > before[key] + _slack(key)}


def _slack(key: str) -> int:
    if key.endswith("resident_kb"):
        return RESIDENT_KB
    return LAZY_THREADS if key == "supervisor threads" else 0
