"""Asynchronous invocations of a running server: destinations, and kills of the supervisor amid accepted events.

`LAMBENT_CRASH_SEED` repeats a run, `LAMBENT_CRASH_EVENTS` and `LAMBENT_CRASH_KILLS` set how many (500 and 3 here, 5,000
and 12 in `make soak`).
"""

import json
import os
import random
import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from lambent.testing.running_server import Server
from tests.e2e.census import eventually
from tests.e2e.packages import ROLE, create_function

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
EVENTS = int(os.environ.get("LAMBENT_CRASH_EVENTS", "500"))
KILLS = int(os.environ.get("LAMBENT_CRASH_KILLS", "3"))
CLIENTS = 3
SEED = int(os.environ.get("LAMBENT_CRASH_SEED") or random.SystemRandom().randrange(1 << 32))

pytestmark = pytest.mark.timeout(120)

BROKEN = """
def handler(event, context):
    raise ValueError(f"cannot do {event}")
"""
SLOW_ECHO = """
import time

def handler(event, context):
    time.sleep(0.03)
    return event
"""
PRINTS = """
import json

def handler(event, context):
    print("got", json.dumps(event))
"""


def test_a_failure_goes_to_another_function(server: Server) -> None:
    client = server.client("lambda")
    create_function(client, "broken", BROKEN)
    create_function(client, "collects", PRINTS)
    client.put_function_event_invoke_config(
        FunctionName="broken",
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": ARN + "collects"}},
    )
    accepted = client.invoke(FunctionName="broken", InvocationType="Event", Payload=b'{"a": 1}')
    assert (accepted["StatusCode"], accepted["Payload"].read()) == (202, b"")
    lines = eventually(lambda: printed(server, "collects"), timeout_s=20, until=bool)
    (line,) = lines
    record = json.loads(line.removeprefix("got "))
    assert record["requestContext"] == {
        "requestId": accepted["ResponseMetadata"]["RequestId"],
        "functionArn": ARN + "broken:$LATEST",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 1,
    }
    assert record["requestPayload"] == {"a": 1}
    assert record["responsePayload"]["errorMessage"] == "cannot do {'a': 1}"


def printed(server: Server, function: str) -> list[str]:
    logs = server.client("logs")
    try:
        found = logs.filter_log_events(logGroupName=f"/aws/lambda/{function}")["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [event["message"].strip() for event in found if event["message"].startswith("got ")]


@pytest.mark.timeout(120 + 20 * KILLS + EVENTS // 5)
def test_no_accepted_event_is_lost_by_kills(
    start_server: Callable[..., Server], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The proof of an execution is its record for `sink`. A function that cannot run keeps its events, so all the
    records are in the store at the end, however often the server died on the way."""
    print(f"LAMBENT_CRASH_SEED={SEED}")
    record_property("seed", SEED)
    rng = random.Random(SEED)
    server = start_server()
    client = server.client("lambda")
    create_function(client, "echo", SLOW_ECHO)
    image = {"ImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/sink:1"}
    client.create_function(FunctionName="sink", PackageType="Image", Code=image, Role=ROLE)
    client.put_function_event_invoke_config(
        FunctionName="echo", DestinationConfig={"OnSuccess": {"Destination": ARN + "sink"}}
    )
    accepted: set[str] = set()
    for number in range(KILLS):
        share = EVENTS // KILLS
        kill_at = number * share + rng.randrange(5, share)
        _accept_until(server, accepted, EVENTS, kill_at=kill_at, pause_s=rng.uniform(0, 0.2))
        server = start_server()
    _accept_until(server, accepted, EVENTS, kill_at=None, pause_s=0)
    database = tmp_path / "data" / "lambent.db"
    left = eventually(lambda: _waiting(database, "echo"), timeout_s=60 + EVENTS / 20, until=lambda found: not found)
    assert not left, f"{len(left)} events are still to be executed"
    executed = eventually(lambda: _executed(database), timeout_s=30, until=lambda found: set(found) >= accepted)
    assert accepted <= set(executed), f"lost: {sorted(accepted - set(executed))}, seed {SEED}"
    twice = sum(executed.values()) - len(executed)
    assert not twice, "the end of an event and its record are one commit"
    # Begun when the server died, and begun again: their functions may have seen them twice.
    again = sum(int(found) for found in re.findall(r"(\d+) messages of queue events were under way", server.log()))
    print(f"{len(accepted)} accepted, {len(executed)} executed, {again} perhaps twice, {KILLS} kills")
    record_property("perhaps_twice", again)
    assert server.terminate() == 0


def _accept_until(server: Server, accepted: set[str], total: int, *, kill_at: int | None, pause_s: float) -> None:
    """Send events from several clients until `total` are accepted; the server dies soon after `kill_at` of them."""
    gate = threading.Lock()
    reached = threading.Event()
    killed = threading.Event()
    client = server.client("lambda")

    def send() -> None:
        while not killed.is_set():
            with gate:
                if len(accepted) >= total:
                    return
            try:
                answer = client.invoke(FunctionName="echo", InvocationType="Event", Payload=b'"x"')
                answer["Payload"].read()
            except BotoCoreError:
                # Botocore may report the broken connection before the killer has got back from `kill`.
                assert kill_at is not None
                assert killed.wait(5)
                return
            assert answer["StatusCode"] == 202
            with gate:
                accepted.add(answer["ResponseMetadata"]["RequestId"])
                if kill_at is not None and len(accepted) >= kill_at:
                    reached.set()

    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(send) for _ in range(CLIENTS)]
        if kill_at is not None:
            assert reached.wait(30)
            threading.Event().wait(pause_s)
            killed.set()
            server.kill()
        for each in running:
            each.result(timeout=60)


def _rows(database: Path, function: str) -> list[tuple[str, bytes]]:
    query = "SELECT state, body FROM queue_messages WHERE lane LIKE ? AND queue = 'events'"
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        rows: list[tuple[str, bytes]] = connection.execute(query, (f"%/{function}",)).fetchall()
    connection.close()
    return rows


def _waiting(database: Path, function: str) -> list[Any]:
    return _rows(database, function)


def _executed(database: Path) -> Counter[str]:
    """By request id, how often."""
    records = [json.loads(body) for _, body in _rows(database, "sink")]
    assert all(record["requestContext"]["condition"] == "Success" for record in records)
    assert all(record["responsePayload"] == "x" for record in records)
    return Counter(record["requestContext"]["requestId"] for record in records)
