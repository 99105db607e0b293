"""What happens to a server when something is killed under it that is not the server itself, or when it has little."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lambent.testing.running_server import COMMAND, Server
from tests.e2e.census import eventually, resources
from tests.e2e.packages import create_function

SLEEPER = """
import time

def handler(event, context):
    print("sleeping", event, flush=True)
    time.sleep(event)
    return "slept"
"""

pytestmark = pytest.mark.timeout(90)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def launcher_of(server: Server) -> int:
    (launcher,) = (pid for pid in children(server.pid) if b"launcher" in Path(f"/proc/{pid}/cmdline").read_bytes())
    return launcher


def invoke(client: Any, seconds: float) -> Any:
    return json.load(client.invoke(FunctionName="sleeper", Payload=json.dumps(seconds).encode())["Payload"])


def begun(server: Server, seconds: float) -> bool:
    """Whether the function has said that it sleeps for so long."""
    events = server.client("logs").filter_log_events(logGroupName="/aws/lambda/sleeper")["events"]
    return any(event["message"] == f"sleeping {seconds}\n" for event in events)


@pytest.fixture
def sleeping(start_server: Callable[..., Server]) -> Server:
    # Without others that wait, there is one sandbox.
    server = start_server("--prewarm", "off", "--egress", "none")
    create_function(server.client("lambda"), "sleeper", SLEEPER, Timeout=30)
    assert invoke(server.client("lambda"), 0) == "slept"
    return server


def test_a_server_whose_launcher_was_killed_answers_and_ends_with_a_clear_line(sleeping: Server) -> None:
    launcher = launcher_of(sleeping)
    with ThreadPoolExecutor(1) as pool:
        asleep = pool.submit(invoke, sleeping.client("lambda"), 20)
        assert eventually(lambda: begun(sleeping, 20), timeout_s=10, until=bool)
        os.kill(launcher, signal.SIGKILL)
        assert asleep.result(timeout=15)["errorType"] == "Runtime.ExitError"
    status = None
    try:
        status = sleeping.process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        pytest.fail("it goes on without a launcher")
    assert status == 5
    log = sleeping.log()
    assert log.splitlines()[-1].startswith("lambent: the launcher has ended")
    assert "Traceback" not in log
    with Server.start(sleeping.data_dir) as again:
        assert invoke(again.client("lambda"), 0) == "slept"
        assert not cgroups_of(launcher)


def cgroups_of(launcher: int) -> list[Path]:
    """The groups that a launcher made for itself; its pid is a part of their name."""
    return list(Path("/sys/fs/cgroup").glob(f"**/lambent-*-{launcher}-*"))


def test_a_sandbox_that_was_killed_costs_one_invocation(sleeping: Server) -> None:
    client, launcher = sleeping.client("lambda"), launcher_of(sleeping)
    with ThreadPoolExecutor(1) as pool:
        asleep = pool.submit(invoke, client, 20)
        assert eventually(lambda: begun(sleeping, 20), timeout_s=10, until=bool)
        (first,) = children(launcher)
        os.kill(first, signal.SIGKILL)
        assert asleep.result(timeout=15)["errorType"] == "Runtime.ExitError"
    assert invoke(client, 0) == "slept"


def test_an_idle_sandbox_that_was_killed_costs_nothing(sleeping: Server) -> None:
    client, launcher = sleeping.client("lambda"), launcher_of(sleeping)
    (first,) = children(launcher)
    held = resources(sleeping.pid)["descriptors"]
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: first not in children(launcher), timeout_s=10, until=bool)
    # Its environment has let go of it.
    assert eventually(lambda: resources(sleeping.pid)["descriptors"] < held - 5, timeout_s=10, until=bool)
    assert invoke(client, 0) == "slept"


FEW = 300


def test_callers_wait_where_no_descriptor_is_left_for_another_environment(start_server: Callable[..., Server]) -> None:
    server = start_server(command=("prlimit", f"--nofile={FEW}:{FEW}", str(COMMAND)))
    client = server.client("lambda")
    create_function(client, "sleeper", SLEEPER, Timeout=30)
    most = 0
    with ThreadPoolExecutor(24) as pool:
        answers = [pool.submit(invoke, client, 0.5) for _ in range(24)]
        while not all(each.done() for each in answers):
            most = max(most, resources(server.pid)["descriptors"])
    assert [each.result() for each in answers] == ["slept"] * 24
    assert most < FEW - 20, "some are left for clients, the store and logs"
    started = server.client("logs").describe_log_streams(logGroupName="/aws/lambda/sleeper")["logStreams"]
    assert 4 <= len(started) < 24, "each environment has a stream"
    assert "Too many open files" not in server.log()
