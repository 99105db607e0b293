"""Event source mappings over the real command, beside the services that own the sources."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.testing.running_server import Server
from tests.e2e.census import eventually
from tests.e2e.packages import create_function


def state(client: Any, uuid: str) -> str:
    found: str = client.get_event_source_mapping(UUID=uuid)["State"]
    return found


def listed(client: Any) -> list[str]:
    return [each["UUID"] for each in client.list_event_source_mappings()["EventSourceMappings"]]


def comes_to(client: Any, uuid: str, wanted: str) -> bool:
    return eventually(partial(state, client, uuid), timeout_s=20, until=lambda found: found == wanted) == wanted


def test_sources_are_looked_up_where_they_are(start_server: Callable[..., Server]) -> None:
    server = start_server("--allow-reset")
    client, sqs, kinesis = (server.client(name) for name in ("lambda", "sqs", "kinesis"))
    create_function(client, "f", Timeout=20)
    queue = "arn:aws:sqs:us-east-1:000000000000:work"
    stream = queue.replace(":sqs:", ":kinesis:").replace("work", "stream/work")
    create = partial(client.create_event_source_mapping, FunctionName="f")

    with pytest.raises(ClientError, match=r"AWS\.SimpleQueueService\.NonExistentQueue"):
        create(EventSourceArn=queue)
    with pytest.raises(ClientError, match="Stream not found: " + stream):
        create(EventSourceArn=stream, StartingPosition="LATEST")
    url = sqs.create_queue(QueueName="work", Attributes={"VisibilityTimeout": "5"})["QueueUrl"]
    with pytest.raises(ClientError, match="Queue visibility timeout: 5 seconds is less than Function timeout: 20"):
        create(EventSourceArn=queue)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "120"})
    kinesis.create_stream(StreamName="work", ShardCount=1)
    made = [
        create(EventSourceArn=queue, Tags={"a": "b"}),
        create(EventSourceArn=stream, StartingPosition="TRIM_HORIZON"),
    ]
    uuids = [mapping["UUID"] for mapping in made]
    assert comes_to(client, uuids[0], "Enabled")
    assert comes_to(client, uuids[1], "Disabled"), "nothing here reads streams yet"

    server.kill()
    server = start_server("--allow-reset")
    client = server.client("lambda")
    assert comes_to(client, uuids[0], "Enabled")
    assert comes_to(client, uuids[1], "Disabled")
    assert client.list_tags(Resource=made[0]["EventSourceMappingArn"])["Tags"] == {"a": "b"}
    client.delete_event_source_mapping(UUID=uuids[0])
    left = eventually(partial(listed, client), timeout_s=20, until=lambda found: found == uuids[1:])
    assert left == uuids[1:]
