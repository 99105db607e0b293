"""Receipt handles: deletion and visibility, one at a time and in batches."""

from typing import Any

import pytest

from lambent.testing.aws_client import AsyncClient
from tests.contract.sqs.conftest import World, bodies, received, refused, status_of

P = "AWS.SimpleQueueService."


@pytest.fixture
async def handle(sqs: AsyncClient, queue: str) -> str:
    """Of a message that is in flight for 10 s."""
    await sqs.send_message(QueueUrl=queue, MessageBody="x")
    (message,) = await received(sqs, queue, VisibilityTimeout=10)
    found: str = message["ReceiptHandle"]
    return found


@pytest.fixture
async def fifo_handle(sqs: AsyncClient, fifo: str) -> str:
    await sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId="g", MessageDeduplicationId="1")
    (message,) = await received(sqs, fifo, VisibilityTimeout=10)
    found: str = message["ReceiptHandle"]
    return found


async def test_a_deletion_twice_is_no_error(sqs: AsyncClient, queue: str, handle: str) -> None:
    for _ in range(2):
        await sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle)


async def test_a_standard_queue_deletes_by_an_expired_handle(
    world: World, sqs: AsyncClient, queue: str, handle: str
) -> None:
    await world.clock.advance(11)
    await sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle)
    assert await bodies(sqs, queue) == []


async def test_a_fifo_queue_does_not(world: World, sqs: AsyncClient, fifo: str, fifo_handle: str) -> None:
    await world.clock.advance(11)
    assert await refused(sqs.delete_message(QueueUrl=fifo, ReceiptHandle=fifo_handle)) == (
        "InvalidParameterValue",
        f"Value {fifo_handle} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.",
    )
    (message,) = await received(sqs, fifo)
    for _ in range(2):
        await sqs.delete_message(QueueUrl=fifo, ReceiptHandle=message["ReceiptHandle"])


async def test_garbage_and_handles_of_another_queue(sqs: AsyncClient, queue: str, handle: str) -> None:
    other = (await sqs.create_queue(QueueName="other"))["QueueUrl"]
    for url, given in ((queue, "garbage"), (other, handle)):
        expected = ("ReceiptHandleIsInvalid", f'The input receipt handle "{given}" is not a valid receipt handle.')
        delete = {"QueueUrl": url, "ReceiptHandle": given}
        assert await refused(sqs.delete_message(**delete)) == expected
        assert await refused(sqs.change_message_visibility(**delete, VisibilityTimeout=1)) == expected
        assert await status_of(sqs.delete_message(**delete)) == 404


async def test_a_change_begins_anew_and_does_not_last(world: World, sqs: AsyncClient, queue: str, handle: str) -> None:
    await sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=60)
    await world.clock.advance(59)
    assert await bodies(sqs, queue) == []
    await world.clock.advance(2)
    assert await bodies(sqs, queue) == ["x"]
    # As the queue says again.
    await world.clock.advance(31)
    assert await bodies(sqs, queue) == ["x"]


async def test_a_change_of_what_is_expired_is_no_error_and_of_what_is_deleted_is_one(
    world: World, sqs: AsyncClient, queue: str, handle: str
) -> None:
    await world.clock.advance(11)
    await sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=10)
    await sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle)
    call = sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=10)
    assert await refused(call) == (
        "InvalidParameterValue",
        f"Value {handle} for parameter ReceiptHandle is invalid. Reason: "
        "Message does not exist or is not available for visibility timeout change.",
    )


async def test_an_older_handle_makes_a_message_visible_while_it_is_in_flight_again(
    world: World, sqs: AsyncClient, queue: str, handle: str
) -> None:
    await world.clock.advance(11)
    assert await bodies(sqs, queue) == ["x"]
    await sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=0)
    assert await bodies(sqs, queue) == ["x"]
    await sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle)
    await world.clock.advance(60)
    assert await bodies(sqs, queue) == []


async def test_no_message_is_hidden_for_more_than_12_hours(
    world: World, sqs: AsyncClient, queue: str, handle: str
) -> None:
    for value in (-10, 43201):
        call = sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=value)
        assert await refused(call) == (
            "InvalidParameterValue",
            f"Value {value} for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200.",
        )
    await world.clock.advance(5)
    call = sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=43200)
    assert await refused(call) == (
        "InvalidParameterValue",
        "Value 43200 for parameter VisibilityTimeout is invalid. Reason: "
        "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]",
    )


async def test_a_batch_of_deletions_names_what_it_cannot_read(sqs: AsyncClient, queue: str, handle: str) -> None:
    entries = [{"Id": "good", "ReceiptHandle": handle}, {"Id": "bad", "ReceiptHandle": "garbage"}]
    reply = await sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
    assert reply["Successful"] == [{"Id": "good"}]
    assert reply["Failed"] == [
        {
            "Id": "bad",
            "SenderFault": True,
            "Code": "ReceiptHandleIsInvalid",
            "Message": 'The input receipt handle "garbage" is not a valid receipt handle.',
        }
    ]


async def test_a_batch_of_changes(world: World, sqs: AsyncClient, queue: str, handle: str) -> None:
    entries = [
        {"Id": "good", "ReceiptHandle": handle, "VisibilityTimeout": 0},
        {"Id": "long", "ReceiptHandle": handle, "VisibilityTimeout": 50000},
        {"Id": "bad", "ReceiptHandle": "garbage", "VisibilityTimeout": 0},
    ]
    reply = await sqs.change_message_visibility_batch(QueueUrl=queue, Entries=entries)
    assert reply["Successful"] == [{"Id": "good"}]
    assert [(entry["Id"], entry["Code"]) for entry in reply["Failed"]] == [
        ("long", "InvalidParameterValue"),
        ("bad", "ReceiptHandleIsInvalid"),
    ]
    assert reply["Failed"][0]["Message"] == (
        "Value 50000 for parameter VisibilityTimeout is invalid. Reason: "
        "VisibilityTimeout must be an integer between 0 and 43200."
    )
    assert await bodies(sqs, queue) == ["x"]


@pytest.mark.parametrize(
    ("entries", "code", "message"),
    [
        ([], f"{P}EmptyBatchRequest", "There should be at least one DeleteMessageBatchRequestEntry in the request."),
        (
            [{"Id": str(number), "ReceiptHandle": "x"} for number in range(11)],
            f"{P}TooManyEntriesInBatchRequest",
            "Maximum number of entries per request are 10. You have sent 11.",
        ),
        (
            [{"Id": "a", "ReceiptHandle": "x"}, {"Id": "a", "ReceiptHandle": "x"}],
            f"{P}BatchEntryIdsNotDistinct",
            "Id a repeated.",
        ),
        (
            [{"Id": "a"}],
            "MissingParameter",
            "The request must contain the parameter DeleteMessageBatchRequestEntry.1.ReceiptHandle.",
        ),
    ],
)
async def test_faults_of_a_whole_batch(
    sqs: AsyncClient, queue: str, entries: list[dict[str, Any]], code: str, message: str
) -> None:
    assert await refused(sqs.delete_message_batch(QueueUrl=queue, Entries=entries)) == (code, message)
