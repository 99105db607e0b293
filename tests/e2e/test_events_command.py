"""`lambent events` and `lambent clock` against a running server: an event that fails, all the way, without waiting."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lambent.testing.lambent_server import LambentServer
from lambent.testing.running_server import Server
from tests.e2e.census import eventually
from tests.e2e.conftest import SANDBOX
from tests.e2e.packages import create_function
from tests.e2e.test_event_destinations import Queue

pytestmark = pytest.mark.timeout(120)

COMMAND = [sys.executable, "-m", "lambent"]
BROKEN = """
import os

def handler(event, context):
    print("attempt of", context.aws_request_id)
    raise ValueError(f"cannot do {event}")
"""
SLEEPS = """
import time

def handler(event, context):
    begun = time.monotonic()
    while time.monotonic() - begun < event:
        time.sleep(0.01)
    return context.get_remaining_time_in_millis()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server.start(tmp_path_factory.mktemp("clock") / "data", "--sandbox", SANDBOX, "--virtual-clock") as started:
        yield started


@pytest.fixture
def lambent(server: Server) -> Callable[..., str]:
    """Run a subcommand that is to succeed; its output."""

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [*COMMAND, *arguments],
            env={**os.environ, "LAMBENT_ENDPOINT": server.url},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_a_failing_event_is_seen_through_its_retries_sent_again_and_dropped(
    server: Server, lambent: Callable[..., str]
) -> None:
    client = server.client("lambda")
    queue = Queue(server, "failures")
    create_function(client, "broken", BROKEN)
    client.put_function_event_invoke_config(
        FunctionName="broken", DestinationConfig={"OnFailure": {"Destination": queue.arn}}
    )
    reply = client.invoke(FunctionName="broken", InvocationType="Event", Payload=b'{"order": 7}')
    request_id = reply["ResponseMetadata"]["RequestId"]

    def events(*flags: str) -> Any:
        return json.loads(lambent("events", "broken", "--json", *flags))

    found = eventually(events, timeout_s=20, until=lambda found: found["totals"]["retry"] == 1)
    (event,) = found["events"]
    assert (event["state"], event["request_id"], event["attempts"]) == ("retry", request_id, 1)
    assert 0 < event["next_ms"] - found["now_ms"] <= 60_000
    assert event["next_ms"] - event["accepted_ms"] >= 60_000
    heading, row, totals = lambent("events", "broken").splitlines()
    assert heading.startswith("STATE     REQUEST ID")
    assert heading.endswith("SIZE  LAST ERROR")
    assert row.startswith(f"in retry  {request_id}  1 ")
    assert "  12 B  " in row
    assert "cannot do {'order': 7}" in row
    assert totals == "1 in retry"
    assert lambent("events").splitlines()[1].split() == ["broken", "-", "-", "1", "-"]

    assert lambent("clock", "advance", "1m").splitlines()[1] == "1 attempt"
    assert events()["events"][0]["attempts"] == 2
    assert lambent("clock", "advance", "2m").splitlines()[1] == "1 attempt, 1 delivery"
    record = json.loads(queue.message()["Body"])
    assert record["requestContext"]["requestId"] == request_id
    assert (record["requestContext"]["condition"], record["requestContext"]["approximateInvokeCount"]) == (
        "RetriesExhausted",
        3,
    )
    (failed,) = events("--failed")["events"]
    assert (failed["state"], failed["request_id"], failed["attempts"]) == ("failed", request_id, 3)
    assert "cannot do" in failed["error"]
    assert len(attempts(server, request_id)) == 3

    assert lambent("events", "broken", "redrive", request_id) == "1 event of broken queued again\n"
    found = eventually(events, timeout_s=20, until=lambda found: found["totals"]["retry"] == 1)
    assert found["totals"] == {"running": 0, "queued": 0, "retry": 1, "failed": 0}
    eventually(lambda: attempts(server, request_id), timeout_s=20, until=lambda found: len(found) == 4)

    assert lambent("events", "broken", "purge", "--yes") == "1 event of broken dropped\n"
    assert lambent("events", "broken") == "broken has no events\n"
    assert lambent("events") == "no events wait, run or have failed\n"
    assert lambent("clock", "advance", "6h").splitlines()[1] == "nothing was due"


def test_the_server_says_that_its_clock_is_virtual(server: Server) -> None:
    assert "The clock of events is virtual: `lambent clock advance 2m` moves it." in server.log()
    with urllib.request.urlopen(f"{server.url}/_lambent/health", timeout=30) as health:
        assert json.load(health)["clock"] == "virtual"


def attempts(server: Server, request_id: str) -> list[Any]:
    found = server.client("logs").filter_log_events(
        logGroupName="/aws/lambda/broken", filterPattern=f'"attempt of {request_id}"'
    )
    return list(found["events"])


def test_an_advance_of_an_hour_takes_nothing_from_what_runs(server: Server) -> None:
    client = server.client("lambda")
    create_function(client, "sleeps", SLEEPS, Timeout=3)
    client.invoke(FunctionName="sleeps", Payload=b"0")["Payload"].read()
    with ThreadPoolExecutor(2) as pool:

        def call(seconds: str) -> tuple[float, dict[str, Any], bytes]:
            begun = time.monotonic()
            reply = client.invoke(FunctionName="sleeps", Payload=seconds.encode())
            return time.monotonic() - begun, reply, reply["Payload"].read()

        ends, is_late = pool.submit(call, "2"), pool.submit(call, "60")
        LambentServer(server).advance(3600, wait_s=0)
        assert not ends.done()
        took_s, reply, left_ms = ends.result(timeout=30)
        assert "FunctionError" not in reply, left_ms
        assert took_s >= 2
        assert 0 < int(left_ms) <= 1000
        took_s, reply, said = is_late.result(timeout=30)
        assert reply["FunctionError"] == "Unhandled"
        assert b"Task timed out after 3.00 seconds" in said
        assert took_s >= 3


def test_a_start_after_a_kill_goes_on_with_the_time_that_was_reached(
    start_server: Callable[..., Server], tmp_path: Any
) -> None:
    server = start_server("--virtual-clock")
    first = LambentServer(server)
    client = first.client("lambda")
    create_function(client, "broken", BROKEN)
    client.invoke(FunctionName="broken", InvocationType="Event", Payload=b"1")
    first.advance(1800)
    client.invoke(FunctionName="broken", InvocationType="Event", Payload=b"2")
    first.advance(0)
    server.kill()
    second = start_server()
    assert "The clock of events is 1800 s ahead" in second.log()
    done = subprocess.run(
        [*COMMAND, "events", "broken", "--json", "--endpoint", second.url],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["totals"] == {"running": 0, "queued": 0, "retry": 1, "failed": 1}
    assert 0 < found["events"][0]["next_ms"] - found["now_ms"] <= 60_000
    refused = subprocess.run(
        [*COMMAND, "clock", "advance", "2m", "--endpoint", second.url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (refused.returncode, refused.stderr) == (
        4,
        "lambent: the clock of this server cannot be advanced; start it with: lambent up --virtual-clock\n",
    )
