"""The disk is full while events are accepted, executed and delivered: refused or kept, never lost, and it recovers."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.testing.running_server import Server
from tests.e2e.census import eventually
from tests.e2e.packages import create_function
from tests.e2e.small_disk import fill_disk, server_on_small_disk

SLOW = """
import time

def handler(event, context):
    time.sleep(event["seconds"])
    return len(event["pad"])
"""
PAD = "x" * 100_000

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk of its own"),
    pytest.mark.timeout(120),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with server_on_small_disk(tmp_path, 200) as started:
        yield started


def test_events_are_refused_on_a_full_disk_and_none_that_was_accepted_is_lost(server: Server) -> None:
    client, sqs = server.client("lambda"), server.client("sqs")
    url = sqs.create_queue(QueueName="results")["QueueUrl"]
    create_function(client, "slow", SLOW, Timeout=30)
    client.put_function_event_invoke_config(
        FunctionName="slow",
        DestinationConfig={"OnSuccess": {"Destination": "arn:aws:sqs:us-east-1:000000000000:results"}},
    )
    assert json.load(client.invoke(FunctionName="slow", Payload=event(0))["Payload"]) == len(PAD)

    # Its attempt ends while nothing can be stored, neither that it is done nor what is to be delivered.
    accepted = [accept(client, 2)]
    fill = Path(f"/proc/{server.pid}/root{server.data_dir}/fill")
    fill_disk(fill)
    assert refused_in_the_end(client, accepted) in {429, 500, 503}
    assert eventually(lambda: server.log().count(" cannot be written now: "), timeout_s=20, until=bool)
    fill.unlink()

    eventually(lambda: accepted_now(client, accepted), timeout_s=20, until=bool)
    received: Counter[str] = Counter()
    eventually(lambda: receive(sqs, url, received), timeout_s=60, until=lambda found: set(found) >= set(accepted))
    assert received == Counter(accepted), "each once: there was no crash"
    assert "queue events failed" not in server.log(), "told once, and not with a stack for each commit"


def event(seconds: float) -> bytes:
    return json.dumps({"seconds": seconds, "pad": PAD}).encode()


def accept(client: Any, seconds: float) -> str:
    reply = client.invoke(FunctionName="slow", InvocationType="Event", Payload=event(seconds))
    reply["Payload"].read()
    request_id: str = reply["ResponseMetadata"]["RequestId"]
    return request_id


def refused_in_the_end(client: Any, accepted: list[str]) -> int | None:
    """The status of the first refusal: a few may find room in pages that are there."""
    for _ in range(300):
        try:
            request_id = accept(client, 0)
        except ClientError as error:
            status: int = error.response["ResponseMetadata"]["HTTPStatusCode"]
            return status
        accepted.append(request_id)
    return None


def accepted_now(client: Any, accepted: list[str]) -> bool:
    try:
        accepted.append(accept(client, 0))
    except ClientError:
        return False
    return True


def receive(sqs: Any, url: str, received: Counter[str]) -> Counter[str]:
    for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", ()):
        received[json.loads(message["Body"])["requestContext"]["requestId"]] += 1
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return received
