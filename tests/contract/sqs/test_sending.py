"""SendMessage and SendMessageBatch: what a queue takes, in AWS's words, and the checksums that boto3 verifies."""

import hashlib
from typing import Any

import pytest

from lambent.aws.keys import KnownKey
from lambent.testing.aws_client import ACCOUNT, AsyncClient
from tests.contract.sqs.conftest import World, bodies, received, refused

CHARACTERS = (
    "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | "
    "#x10000 to #x10FFFF"
)


def text(value: str, kind: str = "String") -> dict[str, str]:
    return {"DataType": kind, "StringValue": value}


@pytest.mark.parametrize(
    ("attributes", "digest"),
    [
        ({"k": text("x")}, "a45daa70926828a2f0a1db3418e6feb4"),
        ({"timestamp": text("1493147359900", "Number")}, "235c5c510d26fb653d073faed50ae77c"),
        (
            {"Help.Me": text("Me"), "Hello": text("There"), "General": text("Kenobi")},
            "4c360f3fdafd970e05fae2f149d997f5",
        ),
        (
            {
                "attr1": {
                    "DataType": "Binary",
                    "BinaryValue": b"traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01",
                }
            },
            "8cbe4db156db8a94db8b801b7addb984",
        ),
    ],
)
async def test_checksums_of_attributes(sqs: AsyncClient, queue: str, attributes: dict[str, Any], digest: str) -> None:
    sent = await sqs.send_message(QueueUrl=queue, MessageBody="message", MessageAttributes=attributes)
    assert sent["MD5OfMessageBody"] == "78e731027d8fd50ed642340b7c9a63b3"
    assert sent["MD5OfMessageAttributes"] == digest
    (message,) = await received(sqs, queue, MessageAttributeNames=["All"])
    assert (message["MD5OfBody"], message["MD5OfMessageAttributes"]) == (sent["MD5OfMessageBody"], digest)
    assert message["MessageAttributes"] == attributes
    assert message["MessageId"] == sent["MessageId"]


async def test_the_label_of_a_type_counts_in_the_checksum(sqs: AsyncClient, queue: str) -> None:
    """The whole DataType does, the kind of value is one byte."""
    given = {
        "count": {"DataType": "Number.int", "StringValue": "7"},
        "photo": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff"},
    }
    said = b""
    for part in (b"count", b"Number.int", 1, b"7", b"photo", b"Binary.png", 2, b"\x00\xff"):
        said += bytes([part]) if isinstance(part, int) else len(part).to_bytes(4, "big") + part
    expected = hashlib.md5(said, usedforsecurity=False).hexdigest()
    sent = await sqs.send_message(QueueUrl=queue, MessageBody="x", MessageAttributes=given)
    (message,) = await received(sqs, queue, MessageAttributeNames=["All"])
    assert (sent["MD5OfMessageAttributes"], message["MD5OfMessageAttributes"]) == (expected, expected)
    assert message["MessageAttributes"] == given


async def test_the_answer_to_a_plain_message_has_nothing_more(sqs: AsyncClient, queue: str) -> None:
    sent = await sqs.send_message(QueueUrl=queue, MessageBody="x")
    assert sent.keys() - {"ResponseMetadata"} == {"MessageId", "MD5OfMessageBody"}


async def test_the_trace_header_as_a_system_attribute(sqs: AsyncClient, queue: str) -> None:
    header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    sent = await sqs.send_message(
        QueueUrl=queue, MessageBody="x", MessageSystemAttributes={"AWSTraceHeader": text(header)}
    )
    assert sent["MD5OfMessageSystemAttributes"] == "5ae4d5d7636402d80f4eb6d213245a88"
    assert "MD5OfMessageAttributes" not in sent
    (message,) = await received(sqs, queue, AttributeNames=["All"])
    assert message["Attributes"]["AWSTraceHeader"] == header
    other = sqs.send_message(QueueUrl=queue, MessageBody="x", MessageSystemAttributes={"Other": text("x")})
    assert await refused(other) == (
        "AWS.SimpleQueueService.UnsupportedOperation",
        "Message system attribute name 'Other' is invalid.",
    )


async def test_the_trace_header_of_the_request_takes_its_place(sqs: AsyncClient, queue: str) -> None:
    sqs.client.meta.events.register(
        "before-sign", lambda request, **_: request.headers.add_header("X-Amzn-Trace-Id", "Root=1-2-3")
    )
    sent = await sqs.send_message(QueueUrl=queue, MessageBody="x")
    assert "MD5OfMessageSystemAttributes" not in sent
    (message,) = await received(sqs, queue, MessageSystemAttributeNames=["AWSTraceHeader"])
    assert message["Attributes"] == {"AWSTraceHeader": "Root=1-2-3"}


async def test_the_sender_is_the_account_or_the_unique_id_of_who_signs(
    world: World, sqs: AsyncClient, queue: str
) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:user/ann"
    world.keys.learn("AKIAIOSFODNN7EXAMPLE", KnownKey(ACCOUNT, arn, "AIDACKCEVSQ6C2EXAMPLE"))
    ann = world.client("AKIAIOSFODNN7EXAMPLE")
    await sqs.send_message(QueueUrl=queue, MessageBody="1")
    await ann.send_message(QueueUrl=queue, MessageBody="2")
    found = await received(sqs, queue, AttributeNames=["SenderId"])
    assert [message["Attributes"]["SenderId"] for message in found] == [ACCOUNT, "AIDACKCEVSQ6C2EXAMPLE"]


async def test_a_message_as_large_as_the_queue_takes(sqs: AsyncClient) -> None:
    url = (await sqs.create_queue(QueueName="small", Attributes={"MaximumMessageSize": "1024"}))["QueueUrl"]
    # Name, type and value count.
    attributes = {"name": text("value")}
    await sqs.send_message(QueueUrl=url, MessageBody="x" * (1024 - 15), MessageAttributes=attributes)
    larger = sqs.send_message(QueueUrl=url, MessageBody="x" * (1024 - 14), MessageAttributes=attributes)
    assert await refused(larger) == (
        "InvalidParameterValue",
        "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes.",
    )
    # UTF-8 counts, not characters.
    assert (await refused(sqs.send_message(QueueUrl=url, MessageBody="é" * 513)))[0] == "InvalidParameterValue"


async def test_one_mebibyte_is_the_most(sqs: AsyncClient, queue: str) -> None:
    await sqs.send_message(QueueUrl=queue, MessageBody="x" * 1_048_576)
    larger = await refused(sqs.send_message(QueueUrl=queue, MessageBody="x" * 1_048_577))
    assert larger[1].endswith("Message must be shorter than 1048576 bytes.")
    assert [len(body) for body in await bodies(sqs, queue)] == [1_048_576]


@pytest.mark.parametrize(
    ("members", "code", "message"),
    [
        ({"MessageBody": ""}, "MissingParameter", "The request must contain the parameter MessageBody."),
        ({"MessageBody": "\x00"}, "InvalidMessageContents", CHARACTERS),
        ({"MessageBody": "é\x0b"}, "InvalidMessageContents", CHARACTERS),
        ({"MessageBody": "\uffff"}, "InvalidMessageContents", CHARACTERS),
        (
            {"DelaySeconds": 1000},
            "InvalidParameterValue",
            "Value 1000 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.",
        ),
        (
            {"MessageGroupId": "group 123"},
            "InvalidParameterValue",
            "Value group 123 for parameter MessageGroupId is invalid. Reason: "
            "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length.",
        ),
        (
            {"MessageDeduplicationId": "d"},
            "InvalidParameterValue",
            "Value d for parameter MessageDeduplicationId is invalid. Reason: "
            "The request include parameter that is not valid for this queue type.",
        ),
    ],
)
async def test_what_a_standard_queue_does_not_take(
    sqs: AsyncClient, queue: str, members: dict[str, Any], code: str, message: str
) -> None:
    given = {"MessageBody": "x", **members}
    assert await refused(sqs.send_message(QueueUrl=queue, **given)) == (code, message)
    assert await bodies(sqs, queue) == []


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (
            {"X": text("")},
            "Message (user) attribute 'X' must contain a non-empty value of type 'String'.",
        ),
        (
            {"X": {"DataType": "Binary", "BinaryValue": b""}},
            "Message (user) attribute 'X' must contain a non-empty value of type 'Binary'.",
        ),
        (
            {"X": {"DataType": "String"}},
            "The message (user) attribute 'X' must contain a non-empty message attribute value.",
        ),
        (
            {"X": text("x", "Text")},
            "The type of message (user) attribute 'X' is invalid. You must use only the following supported type "
            "prefixes: Binary, Number, String.",
        ),
        ({"X": text("many", "Number")}, "Can't cast the value of message (user) attribute 'X' to a number."),
        ({"X": text("1_0", "Number")}, "Can't cast the value of message (user) attribute 'X' to a number."),
        ({"X": text("1" * 39, "Number")}, "Can't cast the value of message (user) attribute 'X' to a number."),
        (
            {f"a{number}": text("x") for number in range(11)},
            "Number of message attributes [11] exceeds the allowed maximum [10].",
        ),
        (
            {"Aws.x": text("x")},
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon'. "
            "These strings are reserved for internal use.",
        ),
        ({"x" * 257: text("x")}, "Message (user) attribute name must be shorter than 256 bytes."),
        ({"x": text("x", "String." + "x" * 250)}, "Message (user) attribute type must be shorter than 256 bytes."),
    ],
)
async def test_attributes_that_are_refused(
    sqs: AsyncClient, queue: str, attributes: dict[str, Any], message: str
) -> None:
    call = sqs.send_message(QueueUrl=queue, MessageBody="x", MessageAttributes=attributes)
    assert await refused(call) == ("InvalidParameterValue", message)


@pytest.mark.parametrize("name", [".x", "x.", "a..b", "a b", "a/b", ""])
async def test_names_that_no_attribute_can_have(sqs: AsyncClient, queue: str, name: str) -> None:
    call = sqs.send_message(QueueUrl=queue, MessageBody="x", MessageAttributes={name: text("x")})
    assert (await refused(call))[0] == "InvalidParameterValue"


async def test_attributes_that_pass(sqs: AsyncClient, queue: str) -> None:
    attributes = {
        "größe": text("1e10", "Number.int"),
        "small": text("-1.5E-128", "Number"),
        "type": text("x", "String.with any label"),
    }
    await sqs.send_message(QueueUrl=queue, MessageBody="x", MessageAttributes=attributes)
    (message,) = await received(sqs, queue, MessageAttributeNames=["All"])
    assert message["MessageAttributes"] == attributes


async def test_lists_of_values_are_not_supported(sqs: AsyncClient, queue: str) -> None:
    lists = {"x": {"DataType": "String", "StringListValues": ["a"]}}
    assert await refused(sqs.send_message(QueueUrl=queue, MessageBody="x", MessageAttributes=lists)) == (
        "AWS.SimpleQueueService.UnsupportedOperation",
        "Message attribute list values in SendMessage operation are not supported.",
    )


async def test_a_batch_stores_what_is_right_and_names_what_is_not(sqs: AsyncClient) -> None:
    url = (await sqs.create_queue(QueueName="small", Attributes={"MaximumMessageSize": "1024"}))["QueueUrl"]
    reply = await sqs.send_message_batch(
        QueueUrl=url,
        Entries=[
            {"Id": "good", "MessageBody": "x", "MessageAttributes": {"k": text("x")}},
            {"Id": "large", "MessageBody": "x" * 1025},
            {"Id": "odd", "MessageBody": "\x00"},
            {"Id": "empty", "MessageBody": ""},
        ],
    )
    (sent,) = reply["Successful"]
    assert (sent["Id"], sent["MD5OfMessageAttributes"]) == ("good", "a45daa70926828a2f0a1db3418e6feb4")
    assert reply["Failed"] == [
        {
            "Id": "large",
            "SenderFault": True,
            "Code": "InvalidParameterValue",
            "Message": "One or more parameters cannot be validated. Reason: Message must be shorter than 1024 bytes.",
        },
        {"Id": "odd", "SenderFault": True, "Code": "InvalidMessageContents", "Message": CHARACTERS},
        {
            "Id": "empty",
            "SenderFault": True,
            "Code": "MissingParameter",
            "Message": "The request must contain the parameter SendMessageBatchRequestEntry.4.MessageBody.",
        },
    ]
    assert await bodies(sqs, url) == ["x"]


async def test_a_batch_without_failures_has_no_list_of_them(sqs: AsyncClient, queue: str) -> None:
    reply = await sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": "a", "MessageBody": "x"}])
    assert "Failed" not in reply
    (message,) = await received(sqs, queue)
    deleted = await sqs.delete_message_batch(
        QueueUrl=queue, Entries=[{"Id": "a", "ReceiptHandle": message["ReceiptHandle"]}]
    )
    assert (deleted["Successful"], "Failed" in deleted) == ([{"Id": "a"}], False)


P = "AWS.SimpleQueueService."


@pytest.mark.parametrize(
    ("entries", "code", "message"),
    [
        (
            [],
            f"{P}EmptyBatchRequest",
            "There should be at least one SendMessageBatchRequestEntry in the request.",
        ),
        (
            [{"Id": str(number), "MessageBody": "x"} for number in range(20)],
            f"{P}TooManyEntriesInBatchRequest",
            "Maximum number of entries per request are 10. You have sent 20.",
        ),
        (
            [{"Id": "a b", "MessageBody": "x"}],
            f"{P}InvalidBatchEntryId",
            "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
            "It can be at most 80 letters long.",
        ),
        (
            [{"Id": name, "MessageBody": "x"} for name in ("id_1", "id_2", "id_2", "id_1")],
            f"{P}BatchEntryIdsNotDistinct",
            "Id id_2 repeated.",
        ),
        (
            [{"Id": "a", "MessageBody": "x"}, {"MessageBody": "x"}],
            "MissingParameter",
            "The request must contain the parameter SendMessageBatchRequestEntry.2.Id.",
        ),
        (
            [{"Id": "a", "MessageBody": "x" * 524_288}, {"Id": "b", "MessageBody": "x" * 524_289}],
            f"{P}BatchRequestTooLong",
            "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.",
        ),
    ],
)
async def test_faults_of_a_whole_batch_store_nothing(
    sqs: AsyncClient, queue: str, entries: list[dict[str, Any]], code: str, message: str
) -> None:
    assert await refused(sqs.send_message_batch(QueueUrl=queue, Entries=entries)) == (code, message)
    assert await bodies(sqs, queue) == []


async def test_the_size_of_a_batch_does_not_depend_on_the_queue(sqs: AsyncClient) -> None:
    url = (await sqs.create_queue(QueueName="small", Attributes={"MaximumMessageSize": "1024"}))["QueueUrl"]
    entries = [{"Id": str(number), "MessageBody": "x" * 1024} for number in range(10)]
    assert len((await sqs.send_message_batch(QueueUrl=url, Entries=entries))["Successful"]) == 10


async def test_a_delay_of_zero_beats_the_queues(world: World, sqs: AsyncClient) -> None:
    url = (await sqs.create_queue(QueueName="late", Attributes={"DelaySeconds": "5"}))["QueueUrl"]
    await sqs.send_message(QueueUrl=url, MessageBody="later")
    await sqs.send_message(QueueUrl=url, MessageBody="now", DelaySeconds=0)
    assert await bodies(sqs, url) == ["now"]
    await world.clock.advance(5)
    assert await bodies(sqs, url) == ["later"]


async def test_a_group_on_a_standard_queue_comes_back(sqs: AsyncClient, queue: str) -> None:
    sent = await sqs.send_message(QueueUrl=queue, MessageBody="x", MessageGroupId="tenant")
    assert "SequenceNumber" not in sent
    (message,) = await received(sqs, queue, AttributeNames=["All"])
    assert message["Attributes"].keys() == {
        *("SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp"),
        "MessageGroupId",
    }


class TestFifo:
    async def test_a_group_and_a_deduplication_id_are_needed(self, sqs: AsyncClient, fifo: str) -> None:
        alone = sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageDeduplicationId="d")
        assert await refused(alone) == (
            "MissingParameter",
            "The request must contain the parameter MessageGroupId.",
        )
        needed = (
            "InvalidParameterValue",
            "The queue should either have ContentBasedDeduplication enabled "
            "or MessageDeduplicationId provided explicitly",
        )
        assert await refused(sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId="g")) == needed
        entries = [{"Id": "a", "MessageBody": "x", "MessageGroupId": "g"}]
        assert await refused(sqs.send_message_batch(QueueUrl=fifo, Entries=entries)) == needed

    async def test_one_entry_without_a_group_fails_the_batch(self, sqs: AsyncClient, fifo: str) -> None:
        entries = [
            {"Id": "a", "MessageBody": "x", "MessageGroupId": "g", "MessageDeduplicationId": "1"},
            {"Id": "b", "MessageBody": "x", "MessageDeduplicationId": "2"},
        ]
        assert await refused(sqs.send_message_batch(QueueUrl=fifo, Entries=entries)) == (
            "InvalidParameterValue",
            "The request must contain the parameter MessageGroupId.",
        )
        assert await bodies(sqs, fifo) == []

    async def test_a_delay_is_the_queues(self, world: World, sqs: AsyncClient, fifo: str) -> None:
        await sqs.set_queue_attributes(QueueUrl=fifo, Attributes={"DelaySeconds": "5"})
        ids = {"MessageGroupId": "g", "MessageDeduplicationId": "1"}
        assert await refused(sqs.send_message(QueueUrl=fifo, MessageBody="x", DelaySeconds=2, **ids)) == (
            "InvalidParameterValue",
            "Value 2 for parameter DelaySeconds is invalid. Reason: "
            "The request include parameter that is not valid for this queue type.",
        )
        await sqs.send_message(QueueUrl=fifo, MessageBody="x", DelaySeconds=0, **ids)
        assert await bodies(sqs, fifo) == []
        await world.clock.advance(5)
        assert await bodies(sqs, fifo) == ["x"]

    async def test_a_duplicate_is_answered_with_the_first_ids(self, world: World, sqs: AsyncClient, fifo: str) -> None:
        ids = {"MessageGroupId": "g", "MessageDeduplicationId": "1"}
        first = await sqs.send_message(QueueUrl=fifo, MessageBody="x", **ids)
        again = await sqs.send_message(QueueUrl=fifo, MessageBody="y", **ids)
        assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
        assert (len(first["SequenceNumber"]), first["SequenceNumber"].isdigit()) == (20, True)
        (message,) = await received(sqs, fifo, AttributeNames=["All"])
        assert message["Body"] == "x"
        assert message["Attributes"]["SequenceNumber"] == first["SequenceNumber"]
        assert message["Attributes"]["MessageDeduplicationId"] == "1"
        await sqs.delete_message(QueueUrl=fifo, ReceiptHandle=message["ReceiptHandle"])
        await sqs.send_message(QueueUrl=fifo, MessageBody="y", **ids)
        assert await bodies(sqs, fifo) == []
        await world.clock.advance(301)
        await sqs.send_message(QueueUrl=fifo, MessageBody="z", **ids)
        assert await bodies(sqs, fifo) == ["z"]

    async def test_deduplication_by_content(self, sqs: AsyncClient) -> None:
        given = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
        url = (await sqs.create_queue(QueueName="c.fifo", Attributes=given))["QueueUrl"]
        for body in ("x", "x", "y"):
            await sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g")
        found = await received(sqs, url, AttributeNames=["MessageDeduplicationId"])
        assert [message["Body"] for message in found] == ["x", "y"]
        assert found[0]["Attributes"]["MessageDeduplicationId"] == (
            "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
        )

    async def test_a_purge_forgets_what_was_sent(self, sqs: AsyncClient, fifo: str) -> None:
        ids = {"MessageGroupId": "g", "MessageDeduplicationId": "1"}
        await sqs.send_message(QueueUrl=fifo, MessageBody="x", **ids)
        await sqs.purge_queue(QueueUrl=fifo)
        await sqs.send_message(QueueUrl=fifo, MessageBody="y", **ids)
        assert await bodies(sqs, fifo) == ["y"]

    async def test_the_scope_of_deduplication_is_that_of_the_creation(self, sqs: AsyncClient, fifo: str) -> None:
        given = {"FifoQueue": "true", "DeduplicationScope": "messageGroup"}
        by_group = (await sqs.create_queue(QueueName="g.fifo", Attributes=given))["QueueUrl"]
        await sqs.set_queue_attributes(QueueUrl=by_group, Attributes={"DeduplicationScope": "queue"})
        await sqs.set_queue_attributes(QueueUrl=fifo, Attributes={"DeduplicationScope": "messageGroup"})
        for url in (by_group, fifo):
            for group in ("a", "b"):
                await sqs.send_message(
                    QueueUrl=url, MessageBody=group, MessageGroupId=group, MessageDeduplicationId="1"
                )
        assert await bodies(sqs, by_group) == ["a", "b"]
        assert await bodies(sqs, fifo) == ["a"]
