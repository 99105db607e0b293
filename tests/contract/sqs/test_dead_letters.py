"""Dead-letter queues: the policies of both sides, the move at a receive, and tasks that move messages back."""

import asyncio
import base64
import json
from typing import Any

import pytest

from lambent.testing.aws_client import AsyncClient
from tests.contract.sqs.conftest import World, arn_of, attributes, bodies, received, refused, status_of


async def with_policy(sqs: AsyncClient, queue: str, target: str, most: object = 1) -> None:
    policy = json.dumps({"deadLetterTargetArn": arn_of(target), "maxReceiveCount": most})
    await sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": policy})


@pytest.fixture
async def dead(sqs: AsyncClient, queue: str) -> str:
    """The URL of a queue where messages of `queue` go that were received once."""
    made: str = (await sqs.create_queue(QueueName="dead"))["QueueUrl"]
    await with_policy(sqs, queue, made)
    return made


async def fail(world: World, sqs: AsyncClient, queue: str, *texts: str) -> set[str]:
    """Send messages that end in the dead-letter queue. Returns their ids."""
    ids = {(await sqs.send_message(QueueUrl=queue, MessageBody=text))["MessageId"] for text in texts}
    assert await bodies(sqs, queue, VisibilityTimeout=1) == list(texts)
    await world.clock.advance(2)
    assert await bodies(sqs, queue) == []
    return ids


async def test_the_policy_is_told_with_a_number(sqs: AsyncClient, queue: str, dead: str) -> None:
    await with_policy(sqs, queue, dead, "1000")
    found = await attributes(sqs, queue, "RedrivePolicy")
    assert json.loads(found["RedrivePolicy"]) == {"deadLetterTargetArn": arn_of(dead), "maxReceiveCount": 1000}


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (
            {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:nothing", "maxReceiveCount": 1},
            "Dead letter target does not exist.",
        ),
        (
            {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:orders.fifo", "maxReceiveCount": 1},
            "Dead-letter queue must be same type of queue as the source.",
        ),
        (
            {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:orders"},
            "Redrive policy does not contain mandatory attribute: maxReceiveCount.",
        ),
        ({"maxReceiveCount": 1}, "Redrive policy does not contain mandatory attribute: deadLetterTargetArn."),
        (
            {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:orders", "maxReceiveCount": 1001},
            "Invalid value for maxReceiveCount: 1001, valid values are from 1 to 1000 both inclusive.",
        ),
        (
            {"deadLetterTargetArn": "orders", "maxReceiveCount": 1},
            "Dead-letter target ARN should be fully qualified ARN.",
        ),
        (
            {"deadLetterTargetArn": "orders", "maxReceiveCount": 1, "more": 1},
            "Only following attributes are supported: [maxReceiveCount, deadLetterTargetArn].",
        ),
    ],
)
async def test_policies_that_are_refused(
    sqs: AsyncClient, queue: str, fifo: str, policy: dict[str, Any], reason: str
) -> None:
    text = json.dumps(policy)
    assert await refused(sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": text})) == (
        "InvalidParameterValue",
        f"Value {text} for parameter RedrivePolicy is invalid. Reason: {reason}",
    )
    assert "RedrivePolicy" not in await attributes(sqs, queue)


async def test_a_policy_that_is_no_json(sqs: AsyncClient, queue: str) -> None:
    assert await refused(sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": "[]"})) == (
        "InvalidAttributeValue",
        "Invalid value for the parameter RedrivePolicy. Reason: Redrive policy is not a valid JSON map.",
    )


async def test_a_message_moves_at_the_receive_after_its_last(
    world: World, sqs: AsyncClient, queue: str, dead: str
) -> None:
    sent = await sqs.send_message(QueueUrl=queue, MessageBody="x")
    (first,) = await received(sqs, queue, VisibilityTimeout=0, AttributeNames=["SentTimestamp"])
    await world.clock.advance(5)
    assert await bodies(sqs, dead) == []
    assert await bodies(sqs, queue) == []
    (message,) = await received(sqs, dead, AttributeNames=["All"])
    assert message["MessageId"] == sent["MessageId"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "2"
    assert message["Attributes"]["DeadLetterQueueSourceArn"] == arn_of(queue)
    assert message["Attributes"]["SentTimestamp"] == first["Attributes"]["SentTimestamp"]


async def test_the_queues_that_send_their_failures_here(sqs: AsyncClient, queue: str, dead: str) -> None:
    other = (await sqs.create_queue(QueueName="another"))["QueueUrl"]
    await with_policy(sqs, other, dead)
    assert (await sqs.list_dead_letter_source_queues(QueueUrl=dead))["queueUrls"] == [other, queue]
    page = await sqs.list_dead_letter_source_queues(QueueUrl=dead, MaxResults=1)
    assert page["queueUrls"] == [other]
    rest = await sqs.list_dead_letter_source_queues(QueueUrl=dead, MaxResults=1, NextToken=page["NextToken"])
    assert (rest["queueUrls"], "NextToken" in rest) == ([queue], False)
    assert (await sqs.list_dead_letter_source_queues(QueueUrl=queue)).get("queueUrls", []) == []


async def allow(sqs: AsyncClient, queue: str, **policy: Any) -> None:
    await sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedriveAllowPolicy": json.dumps(policy)})


async def test_the_other_side_may_refuse_or_name_its_sources(sqs: AsyncClient, queue: str) -> None:
    dead = (await sqs.create_queue(QueueName="dead"))["QueueUrl"]
    await allow(sqs, dead, redrivePermission="denyAll")
    assert (await refused(with_policy(sqs, queue, dead)))[0] == "InvalidParameterValue"
    await allow(sqs, dead, redrivePermission="byQueue", sourceQueueArns=["arn:aws:sqs:us-east-1:123456789012:other"])
    assert (await refused(with_policy(sqs, queue, dead)))[0] == "InvalidParameterValue"
    await allow(sqs, dead, redrivePermission="byQueue", sourceQueueArns=[arn_of(queue)])
    await with_policy(sqs, queue, dead)
    await sqs.set_queue_attributes(QueueUrl=dead, Attributes={"RedriveAllowPolicy": ""})
    assert "RedriveAllowPolicy" not in await attributes(sqs, dead)


CANNOT = "Amazon SQS can't create the redrive allow policy. "


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (
            {"redrivePermission": "byQueue"},
            f"{CANNOT}When you specify the byQueue permission type, you must also specify one or more "
            "sourceQueueArns values.",
        ),
        (
            {"redrivePermission": "allowAll", "sourceQueueArns": ["a"]},
            f"{CANNOT}To specify one or more source queue ARNs, you must set redrivePermission to byQueue.",
        ),
        (
            {"redrivePermission": "byQueue", "sourceQueueArns": ["a"] * 11},
            f"{CANNOT}The maximum number of source queue ARNs you can specify is 10.",
        ),
        (
            {"redrivePermission": "sometimes"},
            "Amazon SQS can't create the redrive allow policy, as it’s in an unsupported format.",
        ),
    ],
)
async def test_allow_policies_that_are_refused(
    sqs: AsyncClient, queue: str, policy: dict[str, Any], reason: str
) -> None:
    _, text = await refused(allow(sqs, queue, **policy))
    assert text.endswith(reason)


async def finished(world: World, sqs: AsyncClient, source: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            await world.clock.advance(1)
            (task,) = (await sqs.list_message_move_tasks(SourceArn=source))["Results"]
            if task["Status"] not in ("RUNNING", "CANCELLING"):
                found: dict[str, Any] = task
                return found


async def test_a_task_moves_messages_back_as_new_ones(world: World, sqs: AsyncClient, queue: str, dead: str) -> None:
    sent = await fail(world, sqs, queue, "a", "b")
    started = await sqs.start_message_move_task(SourceArn=arn_of(dead))
    handle = json.loads(base64.b64decode(started["TaskHandle"]))
    assert handle["sourceArn"] == arn_of(dead)
    task = await finished(world, sqs, arn_of(dead))
    assert task == {
        "Status": "COMPLETED",
        "SourceArn": arn_of(dead),
        "ApproximateNumberOfMessagesMoved": 2,
        "ApproximateNumberOfMessagesToMove": 2,
        "StartedTimestamp": 1795205081123,
    }
    back = await received(sqs, queue, MessageSystemAttributeNames=["All"])
    assert [message["Body"] for message in back] == ["a", "b"]
    assert [message["Attributes"]["ApproximateReceiveCount"] for message in back] == ["1", "1"]
    assert not {message["MessageId"] for message in back} & sent


async def test_a_task_with_a_destination(world: World, sqs: AsyncClient, queue: str, dead: str) -> None:
    await fail(world, sqs, queue, "a")
    other = (await sqs.create_queue(QueueName="other"))["QueueUrl"]
    await sqs.start_message_move_task(
        SourceArn=arn_of(dead), DestinationArn=arn_of(other), MaxNumberOfMessagesPerSecond=500
    )
    task = await finished(world, sqs, arn_of(dead))
    assert (task["DestinationArn"], task["MaxNumberOfMessagesPerSecond"]) == (arn_of(other), 500)
    assert await bodies(sqs, other) == ["a"]


async def test_a_task_that_is_slow_can_be_cancelled(world: World, sqs: AsyncClient, queue: str, dead: str) -> None:
    await fail(world, sqs, queue, "a", "b", "c")
    started = await sqs.start_message_move_task(SourceArn=arn_of(dead), MaxNumberOfMessagesPerSecond=1)
    (task,) = (await sqs.list_message_move_tasks(SourceArn=arn_of(dead)))["Results"]
    assert (task["Status"], task["TaskHandle"]) == ("RUNNING", started["TaskHandle"])
    again = sqs.start_message_move_task(SourceArn=arn_of(dead))
    assert await refused(again) == (
        "InvalidParameterValue",
        "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
    )
    reply = await sqs.cancel_message_move_task(TaskHandle=started["TaskHandle"])
    assert reply["ApproximateNumberOfMessagesMoved"] <= 1
    task = await finished(world, sqs, arn_of(dead))
    assert (task["Status"], "TaskHandle" in task) == ("CANCELLED", False)


async def test_tasks_that_cannot_start(sqs: AsyncClient, queue: str, dead: str) -> None:
    nothing = "arn:aws:sqs:us-east-1:123456789012:nothing"
    for given, expected in (
        (
            {"SourceArn": arn_of(queue)},
            ("InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue."),
        ),
        (
            {"SourceArn": nothing},
            ("ResourceNotFoundException", "The resource that you specified for the SourceArn parameter doesn't exist."),
        ),
        (
            {"SourceArn": arn_of(dead), "DestinationArn": nothing},
            (
                "ResourceNotFoundException",
                "The resource that you specified for the DestinationArn parameter doesn't exist.",
            ),
        ),
        (
            {"SourceArn": arn_of(dead), "DestinationArn": arn_of(dead)},
            ("InvalidParameterValue", "Source queue arn and destination queue arn cannot be the same."),
        ),
        (
            {"SourceArn": "dead"},
            (
                "InvalidParameterValue",
                "You must use this format to specify the SourceArn: "
                "arn:<partition>:<service>:<region>:<account-id>:<resource-id>",
            ),
        ),
        (
            {"SourceArn": arn_of(dead), "MaxNumberOfMessagesPerSecond": 501},
            (
                "InvalidParameterValue",
                "Value for parameter MaxNumberOfMessagesPerSecond is invalid. "
                "Reason: You must enter a number that's between 1 and 500.",
            ),
        ),
    ):
        assert await refused(sqs.start_message_move_task(**given)) == expected
    assert await status_of(sqs.start_message_move_task(SourceArn=nothing)) == 404
    assert "Results" not in await sqs.list_message_move_tasks(SourceArn=arn_of(dead))


async def test_tasks_that_cannot_be_cancelled(sqs: AsyncClient, dead: str) -> None:
    def handle(arn: str) -> str:
        return base64.b64encode(json.dumps({"taskId": "x", "sourceArn": arn}).encode()).decode()

    assert await refused(sqs.cancel_message_move_task(TaskHandle="garbage")) == (
        "InvalidParameterValue",
        "Value for parameter TaskHandle is invalid.",
    )
    gone = handle("arn:aws:sqs:us-east-1:123456789012:nothing")
    assert await refused(sqs.cancel_message_move_task(TaskHandle=gone)) == (
        "ResourceNotFoundException",
        "The resource that you specified for the SourceArn parameter doesn't exist.",
    )
    assert await refused(sqs.cancel_message_move_task(TaskHandle=handle(arn_of(dead)))) == (
        "ResourceNotFoundException",
        "Task does not exist.",
    )
