"""Queues: names, attributes, what creates, changes, lists and deletes them."""

import json
from typing import Any

import pytest

from lambent.testing.aws_client import ACCOUNT, AsyncClient
from tests.contract.sqs.conftest import OTHER, World, arn_of, attributes, bodies, refused, status_of

GONE = ("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
STANDARD = {
    *("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"),
    *("CreatedTimestamp", "DelaySeconds", "LastModifiedTimestamp", "MaximumMessageSize", "MessageRetentionPeriod"),
    *("QueueArn", "ReceiveMessageWaitTimeSeconds", "SqsManagedSseEnabled", "VisibilityTimeout"),
}
FIFO = {"ContentBasedDeduplication", "DeduplicationScope", "FifoQueue", "FifoThroughputLimit"}


async def test_a_fresh_standard_queue_has_exactly_these_attributes(sqs: AsyncClient, queue: str) -> None:
    found = await attributes(sqs, queue)
    assert found.keys() == STANDARD
    assert {name: found[name] for name in ("DelaySeconds", "MaximumMessageSize", "MessageRetentionPeriod")} == {
        "DelaySeconds": "0",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
    }
    assert (found["VisibilityTimeout"], found["ReceiveMessageWaitTimeSeconds"]) == ("30", "0")
    assert found["SqsManagedSseEnabled"] == "true"
    assert found["QueueArn"] == f"arn:aws:sqs:us-east-1:{ACCOUNT}:orders"
    assert found["CreatedTimestamp"] == found["LastModifiedTimestamp"] == "1795205079"


async def test_a_fresh_fifo_queue_has_four_more(sqs: AsyncClient, fifo: str) -> None:
    found = await attributes(sqs, fifo)
    assert found.keys() == STANDARD | FIFO
    assert {name: found[name] for name in FIFO} == {
        "ContentBasedDeduplication": "false",
        "DeduplicationScope": "queue",
        "FifoQueue": "true",
        "FifoThroughputLimit": "perQueue",
    }


async def test_times_of_a_queue_are_seconds_as_text(world: World, sqs: AsyncClient, queue: str) -> None:
    """Those of messages are milliseconds."""
    await world.clock.advance(90)
    await sqs.set_queue_attributes(QueueUrl=queue, Attributes={"DelaySeconds": "1"})
    found = await attributes(sqs, queue)
    assert (len(found["CreatedTimestamp"]), len(found["LastModifiedTimestamp"])) == (10, 10)
    assert int(found["LastModifiedTimestamp"]) - int(found["CreatedTimestamp"]) == 90


async def test_no_names_and_names_of_what_is_not_set_give_no_attributes(sqs: AsyncClient, queue: str) -> None:
    assert "Attributes" not in await sqs.get_queue_attributes(QueueUrl=queue)
    assert "Attributes" not in await sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])
    assert await refused(sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["Foobar"])) == (
        "InvalidAttributeName",
        "Unknown Attribute Foobar.",
    )


@pytest.mark.parametrize(
    ("name", "fifo", "text"),
    [
        ("or.ders", None, "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"),
        ("x" * 81, None, "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"),
        ("x.fifo", None, "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"),
        ("", None, "Queue name cannot be empty"),
        ("orders", "true", "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores,"
                           " must end with .fifo suffix and be 1 to 80 in length"),
    ],
)  # fmt: skip
async def test_a_name_that_no_queue_can_have(sqs: AsyncClient, name: str, fifo: str | None, text: str) -> None:
    given = {} if fifo is None else {"Attributes": {"FifoQueue": fifo}}
    assert await refused(sqs.create_queue(QueueName=name, **given)) == ("InvalidParameterValue", text)


async def test_creating_again_compares_given_attributes_with_current_values(sqs: AsyncClient) -> None:
    url = (await sqs.create_queue(QueueName="q", Attributes={"DelaySeconds": "1"}))["QueueUrl"]
    assert (await sqs.create_queue(QueueName="q"))["QueueUrl"] == url
    await sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "2"})
    await sqs.create_queue(QueueName="q", Attributes={"DelaySeconds": "2", "VisibilityTimeout": "30"})
    assert await refused(sqs.create_queue(QueueName="q", Attributes={"DelaySeconds": "1"})) == (
        "QueueAlreadyExists",
        "A queue already exists with the same name and a different value for attribute DelaySeconds",
    )


async def test_a_name_is_free_again_60_s_after_its_queue_was_deleted(
    world: World, sqs: AsyncClient, queue: str
) -> None:
    await sqs.delete_queue(QueueUrl=queue)
    assert await refused(sqs.get_queue_url(QueueName="orders")) == GONE
    assert await refused(sqs.delete_queue(QueueUrl=queue)) == GONE
    assert await refused(sqs.create_queue(QueueName="orders")) == (
        "AWS.SimpleQueueService.QueueDeletedRecently",
        "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
    )
    await world.clock.advance(61)
    await sqs.create_queue(QueueName="orders")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"FifoQueue": "false"}, "Unknown Attribute FifoQueue."),
        ({"ContentBasedDeduplication": "true"}, "Unknown Attribute ContentBasedDeduplication."),
        (
            {"DeduplicationScope": "queue"},
            "You can specify the DeduplicationScope only when FifoQueue is set to true.",
        ),
        (
            {"FifoThroughputLimit": "perQueue"},
            "You can specify the FifoThroughputLimit only when FifoQueue is set to true.",
        ),
        ({"Colour": "blue"}, "Unknown Attribute Colour."),
        ({"QueueArn": "x"}, "Unknown Attribute QueueArn."),
    ],
)
async def test_an_attribute_that_a_standard_queue_does_not_have(
    sqs: AsyncClient, queue: str, given: dict[str, str], text: str
) -> None:
    assert await refused(sqs.create_queue(QueueName="q", Attributes=given)) == ("InvalidAttributeName", text)
    assert await refused(sqs.set_queue_attributes(QueueUrl=queue, Attributes=given)) == ("InvalidAttributeName", text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DelaySeconds", "901"),
        ("DelaySeconds", "-1"),
        ("DelaySeconds", "x"),
        ("DelaySeconds", ""),
        ("VisibilityTimeout", "43201"),
        ("MaximumMessageSize", "1023"),
        ("MaximumMessageSize", "1048577"),
        ("MessageRetentionPeriod", "59"),
        ("ReceiveMessageWaitTimeSeconds", "21"),
        ("KmsDataKeyReusePeriodSeconds", "59"),
        ("SqsManagedSseEnabled", "yes"),
        ("Policy", "no JSON"),
        ("Policy", '{"Statement":[]}'),
    ],
)
async def test_a_value_out_of_its_range_changes_nothing(sqs: AsyncClient, queue: str, name: str, value: str) -> None:
    before = await attributes(sqs, queue)
    given = {"VisibilityTimeout": "5"} | {name: value}
    code, text = await refused(sqs.set_queue_attributes(QueueUrl=queue, Attributes=given))
    assert (code, text) == ("InvalidAttributeValue", f"Invalid value for the parameter {name}.")
    assert await attributes(sqs, queue) == before


async def test_setting_merges_and_empty_text_clears(world: World, sqs: AsyncClient, queue: str) -> None:
    policy = {"Version": "2012-10-17", "Statement": [_allow("*", arn_of(queue))]}
    await world.clock.advance(5)
    await sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy, indent=2)})
    found = await attributes(sqs, queue)
    assert json.loads(found["Policy"]) == policy
    assert (found["VisibilityTimeout"], found["LastModifiedTimestamp"]) == ("30", "1795205084")
    await sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": "", "VisibilityTimeout": "7"})
    found = await attributes(sqs, queue)
    assert found.keys() == STANDARD
    assert found["VisibilityTimeout"] == "7"
    assert (await refused(sqs.set_queue_attributes(QueueUrl=queue, Attributes={})))[0] == "MissingParameter"


async def test_booleans_are_shown_in_small_letters(sqs: AsyncClient) -> None:
    given = {"FifoQueue": "TRUE", "ContentBasedDeduplication": "True"}
    url = (await sqs.create_queue(QueueName="q.fifo", Attributes=given))["QueueUrl"]
    assert await attributes(sqs, url, "FifoQueue", "ContentBasedDeduplication") == {
        "FifoQueue": "true",
        "ContentBasedDeduplication": "true",
    }


async def test_the_type_of_a_queue_cannot_change(sqs: AsyncClient, fifo: str) -> None:
    await sqs.set_queue_attributes(QueueUrl=fifo, Attributes={"FifoQueue": "true"})
    assert await refused(sqs.set_queue_attributes(QueueUrl=fifo, Attributes={"FifoQueue": "false"})) == (
        "InvalidAttributeValue",
        "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.",
    )


async def test_high_throughput_needs_deduplication_by_group(sqs: AsyncClient, fifo: str) -> None:
    limit = {"FifoThroughputLimit": "perMessageGroupId"}
    assert (await refused(sqs.set_queue_attributes(QueueUrl=fifo, Attributes=limit)))[0] == "InvalidAttributeValue"
    await sqs.set_queue_attributes(QueueUrl=fifo, Attributes={**limit, "DeduplicationScope": "messageGroup"})
    found = await attributes(sqs, fifo)
    assert (found["FifoThroughputLimit"], found["DeduplicationScope"]) == ("perMessageGroupId", "messageGroup")


async def test_a_key_turns_the_queues_own_encryption_off_and_its_end_does_not_turn_it_on(
    sqs: AsyncClient, queue: str
) -> None:
    await sqs.set_queue_attributes(QueueUrl=queue, Attributes={"KmsMasterKeyId": "alias/mine"})
    found = await attributes(sqs, queue)
    assert (found["SqsManagedSseEnabled"], found["KmsMasterKeyId"]) == ("false", "alias/mine")
    assert found["KmsDataKeyReusePeriodSeconds"] == "300"
    await sqs.set_queue_attributes(QueueUrl=queue, Attributes={"KmsMasterKeyId": ""})
    found = await attributes(sqs, queue)
    assert found.keys() == STANDARD
    assert found["SqsManagedSseEnabled"] == "false"
    await sqs.set_queue_attributes(QueueUrl=queue, Attributes={"KmsMasterKeyId": "alias/mine"})
    await sqs.set_queue_attributes(QueueUrl=queue, Attributes={"SqsManagedSseEnabled": "true"})
    assert (await attributes(sqs, queue)).keys() == STANDARD
    both = {"SqsManagedSseEnabled": "true", "KmsMasterKeyId": "alias/mine"}
    assert await refused(sqs.create_queue(QueueName="q", Attributes=both)) == (
        "InvalidAttributeName",
        "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.",
    )


async def test_counts_of_messages(sqs: AsyncClient, queue: str) -> None:
    for delay in (0, 0, 0, 60):
        await sqs.send_message(QueueUrl=queue, MessageBody="x", DelaySeconds=delay)
    await sqs.receive_message(QueueUrl=queue)
    found = await attributes(sqs, queue)
    assert (
        found["ApproximateNumberOfMessages"],
        found["ApproximateNumberOfMessagesNotVisible"],
        found["ApproximateNumberOfMessagesDelayed"],
    ) == ("2", "1", "1")


async def test_a_queue_is_found_by_name_by_path_and_by_any_host(sqs: AsyncClient, queue: str) -> None:
    assert queue == f"http://localhost:4566/{ACCOUNT}/orders"
    for url in (queue, "orders", f"/{ACCOUNT}/orders", f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/orders"):
        assert (await attributes(sqs, url, "QueueArn"))["QueueArn"] == arn_of(queue)
    for url in ("nothing", f"http://localhost:4566/{ACCOUNT}", "http://localhost", f"/{ACCOUNT}/orders/more", "//"):
        assert await refused(sqs.get_queue_attributes(QueueUrl=url)) == GONE
    assert await status_of(sqs.get_queue_attributes(QueueUrl="nothing")) == 400


async def test_queues_of_regions_and_accounts_are_apart(world: World, sqs: AsyncClient, queue: str) -> None:
    assert (await refused(world.client(region="eu-west-3").get_queue_url(QueueName="orders"))) == GONE
    other = world.client(OTHER)
    assert (await refused(other.get_queue_url(QueueName="orders"))) == GONE
    code, _ = await refused(other.get_queue_url(QueueName="orders", QueueOwnerAWSAccountId=ACCOUNT))
    assert code == "AccessDenied"
    code, text = await refused(other.get_queue_url(QueueName="nothing", QueueOwnerAWSAccountId=ACCOUNT))
    assert (code, text) == (GONE[0], "The specified queue does not exist or you do not have access to it.")
    assert "QueueUrls" not in await other.list_queues()


async def test_listing_by_prefix_and_by_pages(sqs: AsyncClient) -> None:
    for name in ("b", "a1", "a2", "A3", "a4"):
        await sqs.create_queue(QueueName=name)

    def names(reply: dict[str, Any]) -> list[str]:
        return [url.rpartition("/")[2] for url in reply.get("QueueUrls", [])]

    assert names(await sqs.list_queues()) == ["A3", "a1", "a2", "a4", "b"]
    assert names(await sqs.list_queues(QueueNamePrefix="a")) == ["a1", "a2", "a4"]
    first = await sqs.list_queues(QueueNamePrefix="a", MaxResults=2)
    assert names(first) == ["a1", "a2"]
    second = await sqs.list_queues(QueueNamePrefix="a", MaxResults=2, NextToken=first["NextToken"])
    assert (names(second), "NextToken" in second) == (["a4"], False)
    assert "QueueUrls" not in await sqs.list_queues(QueueNamePrefix="zz")
    assert await refused(sqs.list_queues(MaxResults=1001)) == (
        "InvalidParameterValue",
        "Value for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 and 1000.",
    )
    assert (await refused(sqs.list_queues(MaxResults=1, NextToken="%")))[1] == "Invalid or expired next token."


async def test_a_purge_takes_everything_once_a_minute(world: World, sqs: AsyncClient, queue: str) -> None:
    for delay in (0, 0, 60):
        await sqs.send_message(QueueUrl=queue, MessageBody="x", DelaySeconds=delay)
    await sqs.receive_message(QueueUrl=queue, VisibilityTimeout=5)
    await sqs.purge_queue(QueueUrl=queue)
    again = sqs.purge_queue(QueueUrl=queue)
    assert await refused(again) == (
        "AWS.SimpleQueueService.PurgeQueueInProgress",
        "Only one PurgeQueue operation on orders is allowed every 60 seconds.",
    )
    assert await status_of(sqs.purge_queue(QueueUrl=queue)) == 403
    await world.clock.advance(61)
    assert await bodies(sqs, queue) == []
    await sqs.purge_queue(QueueUrl=queue)


async def test_tags(sqs: AsyncClient, queue: str) -> None:
    assert "Tags" not in await sqs.list_queue_tags(QueueUrl=queue)
    await sqs.tag_queue(QueueUrl=queue, Tags={"team": "a", "Team": "b", "empty": ""})
    await sqs.tag_queue(QueueUrl=queue, Tags={"team": "c"})
    await sqs.untag_queue(QueueUrl=queue, TagKeys=["Team", "nothing"])
    assert (await sqs.list_queue_tags(QueueUrl=queue))["Tags"] == {"team": "c", "empty": ""}
    made = (await sqs.create_queue(QueueName="tagged", tags={"a": "b"}))["QueueUrl"]
    assert (await sqs.list_queue_tags(QueueUrl=made))["Tags"] == {"a": "b"}


async def test_tags_that_are_refused(sqs: AsyncClient, queue: str) -> None:
    many = {f"k{number}": "" for number in range(51)}
    assert (await refused(sqs.tag_queue(QueueUrl=queue, Tags=many)))[1] == "Too many tags added for queue orders."
    assert (await refused(sqs.tag_queue(QueueUrl=queue, Tags={})))[1] == "The request must contain the parameter Tags."
    assert (await refused(sqs.tag_queue(QueueUrl=queue, Tags={"": "x"})))[1] == (
        "Tag keys must be between 1 and 128 characters in length."
    )
    assert (await refused(sqs.tag_queue(QueueUrl=queue, Tags={"aws:x": "x"})))[0] == "InvalidParameterValue"
    assert "Tags" not in await sqs.list_queue_tags(QueueUrl=queue)


def _allow(principal: str, resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": "sqs:SendMessage", "Resource": resource}
