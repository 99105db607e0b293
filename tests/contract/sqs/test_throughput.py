"""How many calls a FIFO queue takes in a second (spec 6.2), and what AWS clients are told beyond it."""

from collections.abc import AsyncIterator

import pytest
from botocore.exceptions import ClientError

from lambent.functions.quotas import Quotas
from lambent.testing.aws_client import AsyncClient
from tests.contract.sqs.conftest import World, bodies, received, refused, world_of
from tests.places import Place

LIMIT = 4
THROTTLED = ("ThrottlingException", "Rate exceeded")


@pytest.fixture
async def limited(place: Place) -> AsyncIterator[World]:
    async with world_of(place, LIMIT) as world:
        yield world


@pytest.fixture
async def sqs(limited: World) -> AsyncClient:
    return limited.client()


async def made(sqs: AsyncClient, **attributes: str) -> str:
    given = {"FifoQueue": "true", "ContentBasedDeduplication": "true", **attributes}
    url: str = (await sqs.create_queue(QueueName="orders.fifo", Attributes=given))["QueueUrl"]
    return url


def test_the_limit_is_that_of_aws_unless_it_is_set() -> None:
    assert Quotas().fifo_queue_calls_per_s == 300


async def test_each_kind_of_call_has_its_own_limit_and_a_batch_is_one_call(limited: World, sqs: AsyncClient) -> None:
    url = await made(sqs)
    entries = [{"Id": str(number), "MessageBody": str(number), "MessageGroupId": "g"} for number in range(10)]
    assert len((await sqs.send_message_batch(QueueUrl=url, Entries=entries))["Successful"]) == 10
    for number in range(LIMIT - 1):
        await sqs.send_message(QueueUrl=url, MessageBody=f"more {number}", MessageGroupId="g")
    another = {"QueueUrl": url, "MessageBody": "another", "MessageGroupId": "g"}
    assert await refused(sqs.send_message(**another)) == THROTTLED
    assert await refused(sqs.send_message_batch(QueueUrl=url, Entries=entries)) == THROTTLED
    found = await received(sqs, url)
    for _ in range(LIMIT - 1):
        await received(sqs, url)
    assert await refused(sqs.receive_message(QueueUrl=url)) == THROTTLED
    for message in found[:LIMIT]:
        await sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    handles = [{"Id": "a", "ReceiptHandle": found[LIMIT]["ReceiptHandle"]}]
    assert await refused(sqs.delete_message_batch(QueueUrl=url, Entries=handles)) == THROTTLED
    await limited.clock.advance(1)
    await sqs.send_message(**another)
    assert (await sqs.delete_message_batch(QueueUrl=url, Entries=handles))["Successful"] == [{"Id": "a"}]


async def test_what_is_refused_is_not_there_and_was_never_sent(limited: World, sqs: AsyncClient) -> None:
    """Nor does a retry with the same deduplication id count as a second send."""
    url = await made(sqs)
    for number in range(LIMIT):
        await sqs.send_message(QueueUrl=url, MessageBody=str(number), MessageGroupId="g")
    late = {"QueueUrl": url, "MessageBody": "late", "MessageGroupId": "g"}
    assert await refused(sqs.send_message(**late)) == THROTTLED
    await limited.clock.advance(1)
    await sqs.send_message(**late)
    assert await bodies(sqs, url) == ["0", "1", "2", "3", "late"]


async def test_with_high_throughput_the_limit_is_that_of_a_group(sqs: AsyncClient) -> None:
    url = await made(sqs, DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId")
    for number in range(LIMIT):
        for group in ("a", "b", "c"):
            await sqs.send_message(QueueUrl=url, MessageBody=str(number), MessageGroupId=group)
    assert await refused(sqs.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="b")) == THROTTLED
    assert "MessageId" in await sqs.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="d")
    for _ in range(3 * LIMIT):
        assert len(await received(sqs, url, MaxNumberOfMessages=1, VisibilityTimeout=0)) == 1


async def test_a_standard_queue_has_no_such_limit(sqs: AsyncClient) -> None:
    url = (await sqs.create_queue(QueueName="orders"))["QueueUrl"]
    for _ in range(3 * LIMIT):
        await sqs.send_message(QueueUrl=url, MessageBody="x")


async def test_clients_see_a_throttle_that_they_try_again(sqs: AsyncClient) -> None:
    """botocore tries ThrottlingException again, by its name."""
    url = await made(sqs)
    for _ in range(LIMIT):
        await received(sqs, url)
    with pytest.raises(ClientError) as raised:
        await sqs.receive_message(QueueUrl=url)
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert raised.value.response["Error"]["QueryErrorCode"] == "ThrottlingException"
