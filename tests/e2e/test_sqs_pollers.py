"""Queues, mappings and real sandboxes: what is sent is processed and gone, whatever happens to server and mapping.

The queue of the kill lives in a server of its own and is polled over HTTP, so that nothing but the poller dies.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from lambent.testing.running_server import Server
from tests.e2e.census import eventually
from tests.e2e.packages import create_function, wait_updated, zip_of
from tests.e2e.test_event_source_mappings import comes_to, listed

pytestmark = pytest.mark.timeout(120)

SIGNED = "AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=00"
ARN = "arn:aws:sqs:us-east-1:000000000000:"
SEES = """
import json

def handler(event, context):
    for record in event["Records"]:
        print("saw", VERSION, json.dumps(record))
"""
SLOW = "import time\n" + SEES + "    time.sleep(0.2)\n"
PARTLY = """
import json

def handler(event, context):
    print("batch", len(event["Records"]))
    bad = [each["messageId"] for each in event["Records"] if each["body"].startswith("bad")]
    return {"batchItemFailures": [{"itemIdentifier": id} for id in bad]}
"""


def of_version(source: str, version: int) -> str:
    return f"VERSION = {version}\n{source}"


def printed(logs: Any, function: str, word: str) -> list[str]:
    found = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function}")
    try:
        messages = [event["message"].strip() for page in found for event in page["events"]]
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [message.removeprefix(word).strip() for message in messages if message.startswith(word)]


def seen(logs: Any, function: str) -> list[tuple[int, str]]:
    """Version of the code and body of each record that the function has had."""
    found = []
    for line in printed(logs, function, "saw"):
        version, _, record = line.partition(" ")
        found.append((int(version), json.loads(record)["body"]))
    return found


def left(sqs: Any, url: str) -> int:
    """Messages of the queue, hidden ones too."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(map(int, attributes.values()))


def send(sqs: Any, url: str, bodies: list[str]) -> None:
    for at in range(0, len(bodies), 10):
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies[at : at + 10])]
        assert not sqs.send_message_batch(QueueUrl=url, Entries=entries).get("Failed")


def counted(server: Server, route: str, **query: str) -> dict[str, float]:
    """The sum of each metric; of a level its maximum."""
    request = Request(f"{server.url}/_lambent/{route}?{urlencode(query)}", headers={"Authorization": SIGNED})
    with urlopen(request, timeout=10) as reply:
        found = json.load(reply)["Metrics"]
    levels = ("ProvisionedPollers",)
    return {
        each["MetricName"]: max(point["Maximum"] for point in each["Datapoints"])
        if each["MetricName"] in levels
        else sum(point["Sum"] for point in each["Datapoints"])
        for each in found
    }


def is_empty(sqs: Any, url: str, timeout_s: float = 30) -> bool:
    return eventually(partial(left, sqs, url), timeout_s=timeout_s, until=lambda count: count == 0) == 0


def test_a_message_is_an_event_and_then_gone(server: Server) -> None:
    client, sqs, logs = (server.client(name) for name in ("lambda", "sqs", "logs"))
    create_function(client, "sees", of_version(SEES, 1))
    url = sqs.create_queue(QueueName="seen")["QueueUrl"]
    mapping = client.create_event_source_mapping(
        FunctionName="sees",
        EventSourceArn=ARN + "seen",
        ProvisionedPollerConfig={"MinimumPollers": 3},
        MetricsConfig={"Metrics": ["EventCount"]},
    )
    assert mapping["State"] == "Creating"
    assert comes_to(client, mapping["UUID"], "Enabled")
    colour = {"StringValue": "red", "DataType": "String"}
    sent = sqs.send_message(QueueUrl=url, MessageBody="hello", MessageAttributes={"colour": colour})
    lines = eventually(partial(printed, logs, "sees", "saw 1"), timeout_s=20, until=bool)
    record = json.loads(lines[0])
    assert {name: record[name] for name in ("messageId", "body", "md5OfBody")} == {
        "messageId": sent["MessageId"],
        "body": "hello",
        "md5OfBody": sent["MD5OfMessageBody"],
    }
    assert record["messageAttributes"]["colour"]["stringValue"] == "red"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert (record["eventSource"], record["eventSourceARN"]) == ("aws:sqs", ARN + "seen")
    assert is_empty(sqs, url)
    found = partial(client.get_event_source_mapping, UUID=mapping["UUID"])
    result = eventually(lambda: found().get("LastProcessingResult"), timeout_s=10, until=bool)
    assert result == "OK"
    of_mapping = counted(server, "function-metrics", FunctionName="sees", EventSourceMappingUUID=mapping["UUID"])
    names = ("PolledEventCount", "InvokedEventCount", "DeletedEventCount", "ProvisionedPollers", "Invocations")
    assert [of_mapping.get(name) for name in names] == [1, 1, 1, 3, None]
    of_queue = counted(server, "queue-metrics", QueueName="seen")
    done = ("NumberOfMessagesSent", "NumberOfMessagesReceived", "NumberOfMessagesDeleted")
    assert [of_queue[name] for name in done] == [1, 1, 1]
    with pytest.raises(HTTPError):
        counted(server, "queue-metrics", QueueName="nobodys")


def test_what_failed_comes_again_and_ends_in_the_dead_letter_queue(server: Server) -> None:
    client, sqs = server.client("lambda"), server.client("sqs")
    create_function(client, "partly", PARTLY, Timeout=1)
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    redrive = json.dumps({"deadLetterTargetArn": ARN + "dead", "maxReceiveCount": 2})
    url = sqs.create_queue(QueueName="parts", Attributes={"VisibilityTimeout": "2", "RedrivePolicy": redrive})[
        "QueueUrl"
    ]
    send(sqs, url, ["good", "bad", "fine", "better"])
    client.create_event_source_mapping(
        FunctionName="partly", EventSourceArn=ARN + "parts", FunctionResponseTypes=["ReportBatchItemFailures"]
    )
    assert eventually(partial(left, sqs, dead), timeout_s=30, until=lambda count: count == 1) == 1
    assert is_empty(sqs, url)
    (message,) = sqs.receive_message(QueueUrl=dead)["Messages"]
    assert message["Body"] == "bad"


def test_a_mapping_changes_under_load_and_nothing_is_lost(server: Server) -> None:
    client, sqs, logs = (server.client(name) for name in ("lambda", "sqs", "logs"))
    create_function(client, "changes", of_version(SLOW, 1), Timeout=5)
    url = sqs.create_queue(QueueName="changing")["QueueUrl"]
    bodies = [str(number) for number in range(120)]
    send(sqs, url, bodies)
    uuid = client.create_event_source_mapping(FunctionName="changes", EventSourceArn=ARN + "changing", BatchSize=2)[
        "UUID"
    ]
    eventually(partial(seen, logs, "changes"), timeout_s=20, until=lambda found: len(found) >= 10)
    client.update_function_code(FunctionName="changes", ZipFile=zip_of({"app.py": of_version(SLOW, 2)}))
    wait_updated(client, "changes")
    client.update_event_source_mapping(UUID=uuid, Enabled=False)
    assert comes_to(client, uuid, "Disabled")
    before = left(sqs, url)
    assert before > 0, "too fast to show anything"
    names = ["ApproximateNumberOfMessagesNotVisible"]
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"][names[0]] == "0"
    assert left(sqs, url) == before, "read while disabled"
    client.update_event_source_mapping(UUID=uuid, Enabled=True, BatchSize=5)
    assert comes_to(client, uuid, "Enabled")
    assert is_empty(sqs, url)
    found = eventually(
        partial(seen, logs, "changes"), timeout_s=20, until=lambda found: {body for _, body in found} == set(bodies)
    )
    assert sorted(body for _, body in found) == sorted(bodies), "each once"
    assert {version for version, _ in found} == {1, 2}
    send(sqs, url, ["late"] * 20)
    client.delete_event_source_mapping(UUID=uuid)
    assert uuid not in eventually(partial(listed, client), timeout_s=20, until=lambda uuids: uuid not in uuids)
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"][names[0]] == "0"


def test_a_kill_amid_batches_loses_nothing(start_server: Callable[..., Server], tmp_path: Path) -> None:
    queues = start_server(data_dir=tmp_path / "queues")
    sqs = queues.client("sqs")
    url = sqs.create_queue(QueueName="work", Attributes={"VisibilityTimeout": "3"})["QueueUrl"]
    bodies = [str(number) for number in range(40)]
    send(sqs, url, bodies)
    arguments = ("--endpoint", f"sqs={queues.url}")
    server = start_server(*arguments)
    client = server.client("lambda")
    create_function(client, "works", of_version(SLOW, 1), Timeout=2)
    uuid = client.create_event_source_mapping(FunctionName="works", EventSourceArn=ARN + "work", BatchSize=2)["UUID"]
    eventually(partial(left, sqs, url), timeout_s=20, until=lambda count: count < 36)
    server.kill()
    assert left(sqs, url) > 0
    server = start_server(*arguments)
    assert comes_to(server.client("lambda"), uuid, "Enabled")
    assert is_empty(sqs, url)
    logs = server.client("logs")
    found = eventually(
        partial(seen, logs, "works"), timeout_s=20, until=lambda found: {body for _, body in found} == set(bodies)
    )
    assert {body for _, body in found} == set(bodies)


def test_groups_stay_in_order_when_the_server_dies_with_its_queue(start_server: Callable[..., Server]) -> None:
    server = start_server()
    client, sqs = server.client("lambda"), server.client("sqs")
    create_function(client, "ordered", of_version(SLOW, 1), Timeout=2)
    attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "3"}
    sqs.create_queue(QueueName="ordered.fifo", Attributes=attributes)
    uuid = client.create_event_source_mapping(
        FunctionName="ordered", EventSourceArn=ARN + "ordered.fifo", BatchSize=2, Enabled=False
    )["UUID"]
    url = sqs.get_queue_url(QueueName="ordered.fifo")["QueueUrl"]
    bodies = [f"{group}-{number:02d}" for number in range(10) for group in "abc"]
    for body in bodies:
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=body[0])
    client.update_event_source_mapping(UUID=uuid, Enabled=True)
    for limit in (25, 12):
        eventually(partial(left, sqs, url), timeout_s=30, until=limit.__gt__)
        server.kill()
        server = start_server()
        sqs = server.client("sqs")
        url = sqs.get_queue_url(QueueName="ordered.fifo")["QueueUrl"]
    assert is_empty(sqs, url)
    logs = server.client("logs")
    # What a killed server had not written of its log is not there: those lines are missing, none is out of order.
    found = eventually(
        partial(seen, logs, "ordered"), timeout_s=20, until=lambda found: any("c-09" in each for each in found)
    )
    for group in "abc":
        mine = [body for _, body in found if body[0] == group]
        first = list(dict.fromkeys(mine))
        assert first == sorted(first)
        assert first[-1] == f"{group}-09"
