"""A botocore that speaks the query protocol, as all did until 2023, over HTTP; and URLs at the host of the caller."""

import asyncio
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.loaders import Loader

from lambent.gateway.quirks.sqs_query import query_model
from lambent.testing.aws_client import ACCOUNT
from lambent.testing.served import http_client, served
from tests.contract.sqs.conftest import World


class OldModels(Loader):  # type: ignore[misc]
    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        if (service_name, type_name) == ("sqs", "service-2"):
            return query_model().document
        return super().load_service_model(service_name, type_name, api_version)


def old_client(port: int) -> Any:
    session = botocore.session.Session()
    session.register_component("data_loader", OldModels([botocore.loaders.Loader.BUILTIN_DATA_PATH]))
    return session.create_client(
        "sqs",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=20),
    )


def use(sqs: Any, port: int) -> None:
    """From making a queue to its end. botocore verifies the checksums."""
    attributes = {"VisibilityTimeout": "0", "DelaySeconds": "0"}
    url = sqs.create_queue(QueueName="old", Attributes=attributes, tags={"team": "a b+c"})["QueueUrl"]
    assert url == f"http://127.0.0.1:{port}/{ACCOUNT}/old"
    assert sqs.get_queue_url(QueueName="old")["QueueUrl"] == url
    assert sqs.list_queues(QueueNamePrefix="o")["QueueUrls"] == [url]
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "a b+c"}
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]["VisibilityTimeout"] == "0"
    given = {
        "text": {"DataType": "String", "StringValue": "é\r\n\"<&>'"},
        "blob": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff"},
    }
    body = "line\r\nline\t\"<&>' é \U0001f600"
    sent = sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=given)
    (message,) = sqs.receive_message(QueueUrl=url, AttributeNames=["All"], MessageAttributeNames=["All"])["Messages"]
    assert (message["Body"], message["MessageAttributes"]) == (body, given)
    assert (message["MD5OfBody"], message["MessageId"]) == (sent["MD5OfMessageBody"], sent["MessageId"])
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    entries = [{"Id": "a", "MessageBody": "1"}, {"Id": "b", "MessageBody": "\x01"}]
    reply = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert [entry["Id"] for entry in reply["Successful"]] == ["a"]
    assert [(entry["Id"], entry["Code"]) for entry in reply["Failed"]] == [("b", "InvalidMessageContents")]
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    receipts = [{"Id": str(at), "ReceiptHandle": each["ReceiptHandle"]} for at, each in enumerate(found)]
    assert len(sqs.delete_message_batch(QueueUrl=url, Entries=receipts)["Successful"]) == 2
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    sqs.delete_queue(QueueUrl=url)
    with pytest.raises(ClientError) as raised:
        sqs.purge_queue(QueueUrl=url)
    error = raised.value.response["Error"]
    assert (error["Type"], error["Code"]) == ("Sender", "AWS.SimpleQueueService.NonExistentQueue")
    assert error["Message"] == "The specified queue does not exist for this wsdl version."


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
async def test_an_old_botocore(world: World) -> None:
    async with served(world.gateway.public()) as port:
        await asyncio.to_thread(use, old_client(port), port)


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
async def test_a_long_poll_ends_with_the_server(world: World) -> None:
    async with served(world.gateway.public()) as port:
        sqs = http_client("sqs", port)
        url = (await asyncio.to_thread(sqs.create_queue, QueueName="q"))["QueueUrl"]
        polling = asyncio.ensure_future(asyncio.to_thread(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=20))
        async with asyncio.timeout(10):
            await world.clock.someone_sleeps()
            world.service.end_waiting()
            assert "Messages" not in await polling
            assert "Messages" not in await asyncio.to_thread(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=20)
