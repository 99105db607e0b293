"""ReceiveMessage: what may be asked, what a message tells, and when a long poll returns."""

import asyncio
from typing import Any

import pytest

from lambent.testing.aws_client import AsyncClient
from tests.contract.sqs.conftest import World, bodies, received, refused, status_of


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"MaxNumberOfMessages": 11},
            "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.",
        ),
        (
            {"MaxNumberOfMessages": 0},
            "Value 0 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.",
        ),
        (
            {"WaitTimeSeconds": 21},
            "Value 21 for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.",
        ),
        (
            {"WaitTimeSeconds": -1},
            "Value -1 for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.",
        ),
        (
            {"VisibilityTimeout": 43201},
            "Value 43201 for parameter VisibilityTimeout is invalid. Reason: Must be >= 0 and <= 43200, if provided.",
        ),
    ],
)
async def test_what_cannot_be_asked(sqs: AsyncClient, queue: str, members: dict[str, Any], message: str) -> None:
    assert await refused(sqs.receive_message(QueueUrl=queue, **members)) == ("InvalidParameterValue", message)


async def test_an_empty_receive_has_no_messages(sqs: AsyncClient, queue: str) -> None:
    assert "Messages" not in await sqs.receive_message(QueueUrl=queue)


async def test_one_message_unless_more_are_asked_for(sqs: AsyncClient, queue: str) -> None:
    for body in "abc":
        await sqs.send_message(QueueUrl=queue, MessageBody=body)
    assert [message["Body"] for message in (await sqs.receive_message(QueueUrl=queue))["Messages"]] == ["a"]
    assert await bodies(sqs, queue) == ["b", "c"]


async def test_what_a_message_tells_of_itself(world: World, sqs: AsyncClient, queue: str) -> None:
    await sqs.send_message(QueueUrl=queue, MessageBody="x")
    await world.clock.advance(2)
    (message,) = await received(sqs, queue, VisibilityTimeout=0)
    assert "Attributes" not in message
    assert "MessageAttributes" not in message
    await world.clock.advance(1)
    (message,) = await received(sqs, queue, MessageSystemAttributeNames=["All"])
    assert message["Attributes"] == {
        "SenderId": "123456789012",
        "SentTimestamp": "1795205079123",
        "ApproximateReceiveCount": "2",
        "ApproximateFirstReceiveTimestamp": "1795205081123",
    }
    assert len(message["ReceiptHandle"]) <= 1024


async def test_the_new_name_of_system_attributes_wins_and_what_does_not_apply_is_ignored(
    sqs: AsyncClient, queue: str
) -> None:
    await sqs.send_message(QueueUrl=queue, MessageBody="x")
    (message,) = await received(
        sqs,
        queue,
        VisibilityTimeout=0,
        AttributeNames=["All"],
        MessageSystemAttributeNames=["ApproximateReceiveCount", "SequenceNumber"],
    )
    assert message["Attributes"] == {"ApproximateReceiveCount": "1"}
    (message,) = await received(sqs, queue, AttributeNames=["SequenceNumber"])
    assert "Attributes" not in message


@pytest.mark.parametrize(
    ("names", "chosen", "digest"),
    [
        (["All"], {"Help.Me", "Hello", "General"}, "4c360f3fdafd970e05fae2f149d997f5"),
        (["*"], {"Help.Me", "Hello", "General"}, "4c360f3fdafd970e05fae2f149d997f5"),
        ([".*"], {"Help.Me", "Hello", "General"}, "4c360f3fdafd970e05fae2f149d997f5"),
        (["General", "Hello"], {"General", "Hello"}, "fca026605781cb4126a1e9044df24232"),
        (["Hello"], {"Hello"}, "a311262e065454b75da111d535b8dacd"),
        (["Hel.*"], {"Hello", "Help.Me"}, None),
        (["AWS.", "..foo", "hello"], set(), None),
        ([], set(), None),
    ],
)
async def test_attributes_are_chosen_by_name_and_by_prefix(
    sqs: AsyncClient, queue: str, names: list[str], chosen: set[str], digest: str | None
) -> None:
    attributes = {
        name: {"DataType": "String", "StringValue": value}
        for name, value in {"Help.Me": "Me", "Hello": "There", "General": "Kenobi"}.items()
    }
    await sqs.send_message(QueueUrl=queue, MessageBody="x", MessageAttributes=attributes)
    (message,) = await received(sqs, queue, MessageAttributeNames=names)
    assert message.get("MessageAttributes", {}).keys() == chosen
    assert ("MD5OfMessageAttributes" in message) is bool(chosen)
    assert digest is None or message["MD5OfMessageAttributes"] == digest


async def test_a_long_poll_returns_with_the_first_message(sqs: AsyncClient, queue: str) -> None:
    waiting = asyncio.ensure_future(bodies(sqs, queue, WaitTimeSeconds=20))
    await asyncio.sleep(0)
    await sqs.send_message(QueueUrl=queue, MessageBody="x")
    async with asyncio.timeout(10):
        assert await waiting == ["x"]


async def test_a_long_poll_wakes_when_a_message_is_visible_again(sqs: AsyncClient, queue: str) -> None:
    await sqs.send_message(QueueUrl=queue, MessageBody="x")
    (message,) = await received(sqs, queue)
    waiting = asyncio.ensure_future(bodies(sqs, queue, WaitTimeSeconds=20))
    await asyncio.sleep(0)
    await sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    async with asyncio.timeout(10):
        assert await waiting == ["x"]


async def test_zero_beats_what_the_queue_waits(sqs: AsyncClient) -> None:
    given = {"ReceiveMessageWaitTimeSeconds": "20"}
    url = (await sqs.create_queue(QueueName="waits", Attributes=given))["QueueUrl"]
    async with asyncio.timeout(10):
        assert await bodies(sqs, url, WaitTimeSeconds=0) == []


async def test_messages_older_than_the_retention_are_gone_even_in_flight(world: World, sqs: AsyncClient) -> None:
    url = (await sqs.create_queue(QueueName="short", Attributes={"MessageRetentionPeriod": "60"}))["QueueUrl"]
    await sqs.send_message(QueueUrl=url, MessageBody="x")
    (message,) = await received(sqs, url, VisibilityTimeout=59)
    await world.clock.advance(61)
    assert await bodies(sqs, url) == []
    await sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


async def test_so_many_are_in_flight_and_no_more(
    sqs: AsyncClient, queue: str, fifo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spec 5.2: a short poll hears of it, a long one and FIFO get nothing."""
    monkeypatch.setattr("lambent.services.sqs.shelf.MAX_IN_FLIGHT", 3)
    for number in range(5):
        await sqs.send_message(QueueUrl=queue, MessageBody=str(number))
        ids = {"MessageGroupId": str(number), "MessageDeduplicationId": str(number)}
        await sqs.send_message(QueueUrl=fifo, MessageBody=str(number), **ids)
    found = await received(sqs, queue)
    assert len(found) == 3
    assert await refused(sqs.receive_message(QueueUrl=queue)) == (
        "OverLimit",
        "Too many messages have been received without being deleted. "
        "Please delete your received messages or let them timeout before receiving more.",
    )
    assert await status_of(sqs.receive_message(QueueUrl=queue)) == 403
    waiting = asyncio.ensure_future(bodies(sqs, queue, WaitTimeSeconds=20))
    await asyncio.sleep(0)
    await sqs.delete_message(QueueUrl=queue, ReceiptHandle=found[0]["ReceiptHandle"])
    async with asyncio.timeout(10):
        assert await waiting == ["3"], "room for one"
    assert len(await received(sqs, fifo)) == 3
    assert await bodies(sqs, fifo) == []


async def test_a_locked_group_is_given_by_the_prefix_rule(sqs: AsyncClient, fifo: str) -> None:
    for number in range(1, 5):
        ids = {"MessageGroupId": "g", "MessageDeduplicationId": str(number)}
        await sqs.send_message(QueueUrl=fifo, MessageBody=str(number), **ids)
    first, second = await received(sqs, fifo, MaxNumberOfMessages=2)
    assert (first["Body"], second["Body"]) == ("1", "2")
    assert await bodies(sqs, fifo) == []
    await sqs.change_message_visibility(QueueUrl=fifo, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0)
    (again,) = await received(sqs, fifo)
    assert again["Body"] == "1"
    await sqs.delete_message(QueueUrl=fifo, ReceiptHandle=again["ReceiptHandle"])
    assert await bodies(sqs, fifo) == []
    await sqs.delete_message(QueueUrl=fifo, ReceiptHandle=second["ReceiptHandle"])
    assert await bodies(sqs, fifo) == ["3", "4"]


async def test_the_same_attempt_gets_the_same_messages(sqs: AsyncClient, fifo: str) -> None:
    ids = {"MessageGroupId": "g", "MessageDeduplicationId": "1"}
    await sqs.send_message(QueueUrl=fifo, MessageBody="x", **ids)
    (first,) = await received(sqs, fifo, ReceiveRequestAttemptId="a")
    (again,) = await received(sqs, fifo, ReceiveRequestAttemptId="a")
    assert again["ReceiptHandle"] == first["ReceiptHandle"]
    await sqs.delete_message(QueueUrl=fifo, ReceiptHandle=first["ReceiptHandle"])
    code, text = await refused(sqs.receive_message(QueueUrl=fifo, ReceiveRequestAttemptId="a"))
    assert (code, "not retryable" in text) == ("InvalidParameterValue", True)
