"""The poller of SQS over scripted queues: events, batches, failures, scaling, its end. Nothing waits in real time."""

import asyncio
import json
from typing import Any

import pytest

from lambent.invocation.leases import Kind
from lambent.invocation.trace import outgoing
from lambent.testing.manual_clock import settle
from tests.unit.event_sources.kit import ACCOUNT, REGION
from tests.unit.event_sources.poller_kit import FIFO, KEY, QUEUE, FunctionFailed, Kit

pytestmark = pytest.mark.timeout(30)


def gate() -> tuple[asyncio.Event, Any]:
    """An event that ends all invocations, and the handler that waits for it."""
    opened = asyncio.Event()

    async def handler(_event: Any) -> None:
        await opened.wait()

    return opened, handler


async def test_the_event_is_what_functions_see_on_aws() -> None:
    seen: list[Any] = []

    async def handler(event: Any) -> None:
        seen.append(event)

    kit = Kit(handler)
    queue = kit.sqs.create(QUEUE)
    kit.sqs.send(
        queue,
        "hé",
        trace="Root=1-5f0e0d0c-000000000000000000000001",
        text={"StringValue": "v", "DataType": "String"},
        raw={"BinaryValue": b"\x00\xff", "DataType": "Binary.png"},
    )
    poller = kit.poller()
    await poller.start()
    await settle()
    (event,) = seen
    (record,) = event["Records"]
    assert list(record) == [
        *("messageId", "receiptHandle", "body", "attributes", "messageAttributes", "md5OfBody"),
        *("eventSource", "eventSourceARN", "awsRegion"),
    ]
    assert record["messageId"] == "id-1"
    assert record["body"] == "hé"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["attributes"]["AWSTraceHeader"] == "Root=1-5f0e0d0c-000000000000000000000001"
    assert record["messageAttributes"] == {
        "text": {"stringValue": "v", "stringListValues": [], "binaryListValues": [], "dataType": "String"},
        "raw": {"binaryValue": "AP8=", "stringListValues": [], "binaryListValues": [], "dataType": "Binary.png"},
    }
    assert (record["eventSource"], record["eventSourceARN"], record["awsRegion"]) == ("aws:sqs", QUEUE, REGION)
    (request,) = kit.function.requests
    assert request.trace_header.startswith("Root=1-5f0e0d0c-000000000000000000000001;")
    assert request.function_arn == f"{KEY.arn}:live"
    assert kit.function.kinds == [Kind.EVENT]
    assert kit.sqs.principals == {f"arn:aws:iam::{ACCOUNT}:role/r"}
    assert queue.deleted == ["hé"]
    assert kit.told == ["OK"]
    await kit.stopped(poller)


async def test_all_attributes_are_asked_for() -> None:
    kit = Kit()
    kit.sqs.create(QUEUE)
    poller = kit.poller(batch_size=3)
    await poller.start()
    await settle()
    (asked,) = [parameters for name, parameters in kit.sqs.requests if name == "ReceiveMessage"]
    assert asked["AttributeNames"] == asked["MessageAttributeNames"] == ["All"]
    assert asked["MaxNumberOfMessages"] == 3
    await kit.stopped(poller)


async def test_an_idle_queue_is_asked_once_in_a_long_poll() -> None:
    kit = Kit()
    kit.sqs.create(QUEUE)
    poller = kit.poller()
    await poller.start()
    await kit.clock.advance(20)
    assert kit.sqs.asked["ReceiveMessage"] == 11
    await kit.stopped(poller)


async def test_a_queue_that_does_not_wait_is_not_asked_all_the_time() -> None:
    kit = Kit()
    kit.sqs.create(QUEUE)
    kit.sqs.waits = False
    poller = kit.poller()
    await poller.start()
    await kit.clock.advance(10)
    assert kit.sqs.asked["ReceiveMessage"] <= 21
    await kit.stopped(poller)


async def test_an_answer_that_is_none_does_not_end_the_poller(caplog: pytest.LogCaptureFixture) -> None:
    kit = Kit()
    queue = kit.sqs.create(QUEUE)
    kit.sqs.nonsense = 3
    kit.sqs.send(queue, "m")
    poller = kit.poller()
    await poller.start()
    await kit.clock.advance(0.4)
    assert kit.sqs.asked["ReceiveMessage"] == 1
    await kit.clock.advance(10)
    assert queue.deleted == ["m"]
    assert "failed" in caplog.text
    await kit.stopped(poller)


async def test_a_function_error_deletes_nothing_and_the_visibility_decides() -> None:
    async def handler(_event: Any) -> None:
        raise FunctionFailed

    kit = Kit(handler)
    queue = kit.sqs.create(QUEUE, visibility_s=30)
    kit.sqs.send(queue, "m")
    poller = kit.poller()
    await poller.start()
    await kit.clock.advance(29)
    assert kit.function.batches == [["m"]]
    await kit.clock.advance(3)
    assert kit.function.batches == [["m"], ["m"]]
    assert queue.deleted == []
    assert kit.told[-1] == "PROBLEM: Function call failed"
    await kit.stopped(poller)


async def test_partial_failures_delete_the_others() -> None:
    async def handler(event: Any) -> Any:
        failed = [each for each in event["Records"] if each["body"] == "bad"]
        return {"batchItemFailures": [{"itemIdentifier": each["messageId"]} for each in failed]}

    kit = Kit(handler)
    queue = kit.sqs.create(QUEUE)
    for body in ("a", "bad", "b"):
        kit.sqs.send(queue, body)
    poller = kit.poller(response_types=("ReportBatchItemFailures",), metrics=("EventCount",))
    await poller.start()
    await settle()
    assert queue.deleted == ["a", "b"]
    await kit.stopped(poller)
    counted = {
        name: kit.counted(name)
        for name in ("PolledEventCount", "InvokedEventCount", "FailedInvokeEventCount", "DeletedEventCount")
    }
    assert counted == {
        "PolledEventCount": 3,
        "InvokedEventCount": 3,
        "FailedInvokeEventCount": 1,
        "DeletedEventCount": 2,
    }


async def test_without_the_setting_a_partial_response_is_a_response() -> None:
    async def handler(event: Any) -> Any:
        return {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}

    kit = Kit(handler)
    queue = kit.sqs.create(QUEUE)
    kit.sqs.send(queue, "m")
    poller = kit.poller()
    await poller.start()
    await settle()
    assert queue.deleted == ["m"]
    await kit.stopped(poller)


async def test_messages_that_the_filter_drops_are_deleted() -> None:
    kit = Kit()
    queue = kit.sqs.create(QUEUE)
    for body in ('{"kind": "photo"}', '{"kind": "text"}', "plain"):
        kit.sqs.send(queue, body)
    poller = kit.poller(filters=('{"body": {"kind": ["photo"]}}',), metrics=("EventCount",))
    await poller.start()
    await settle()
    assert kit.function.batches == [['{"kind": "photo"}']]
    assert set(queue.deleted) == {'{"kind": "photo"}', '{"kind": "text"}', "plain"}
    await kit.stopped(poller)
    assert (kit.counted("FilteredOutEventCount"), kit.counted("DeletedEventCount")) == (2, 3)


async def test_a_window_gathers_more_than_one_read() -> None:
    kit = Kit()
    queue = kit.sqs.create(QUEUE, visibility_s=600)
    for number in range(25):
        kit.sqs.send(queue, str(number))
    poller = kit.poller(batch_size=100, window_s=5)
    await poller.start()
    await kit.clock.advance(4.5)
    assert kit.function.batches == []
    await kit.clock.advance(1)
    assert [len(batch) for batch in kit.function.batches] == [25]
    for number in range(100):
        kit.sqs.send(queue, str(number))
    await kit.clock.advance(0.1)
    assert [len(batch) for batch in kit.function.batches] == [25, 100]
    await kit.stopped(poller)
    assert queue.messages == []


async def test_a_batch_holds_ten_thousand() -> None:
    kit = Kit()
    queue = kit.sqs.create(QUEUE, visibility_s=600)
    for number in range(10_000):
        kit.sqs.send(queue, str(number))
    poller = kit.poller(batch_size=10_000, window_s=300)
    await poller.start()
    async with asyncio.timeout(20):
        while not kit.function.batches:
            await settle()
    assert [len(batch) for batch in kit.function.batches] == [10_000]
    await kit.stopped(poller)
    assert queue.messages == []


async def test_a_payload_stays_within_six_megabytes() -> None:
    kit = Kit()
    queue = kit.sqs.create(QUEUE, visibility_s=600)
    for _ in range(10):
        kit.sqs.send(queue, "x" * 1024 * 1024)
    poller = kit.poller()
    await poller.start()
    await settle(100)
    assert [len(batch) for batch in kit.function.batches] == [5, 5]
    assert all(len(request.payload) <= 6 * 1024 * 1024 for request in kit.function.requests)
    await kit.stopped(poller)


async def test_slow_batches_run_five_at_a_time_and_then_more() -> None:
    opened, handler = gate()
    kit = Kit(handler)
    queue = kit.sqs.create(QUEUE)
    for number in range(100):
        kit.sqs.send(queue, str(number))
    poller = kit.poller(batch_size=5)
    await poller.start()
    await settle()
    assert kit.function.running == 5
    await kit.clock.advance(0.3)
    assert kit.function.running == 10
    await kit.clock.advance(0.3)
    assert kit.function.running == 20
    opened.set()
    await settle(50)
    assert queue.messages == []
    await kit.stopped(poller)


async def test_maximum_concurrency_is_kept() -> None:
    opened, handler = gate()
    kit = Kit(handler)
    queue = kit.sqs.create(QUEUE, visibility_s=600)
    for number in range(100):
        kit.sqs.send(queue, str(number))
    poller = kit.poller(maximum_concurrency=2)
    await poller.start()
    await kit.clock.advance(60)
    assert (kit.function.running, kit.function.most) == (2, 2)
    assert sum(len(batch) for batch in kit.function.batches) == 20, "what cannot run is not held either"
    opened.set()
    await kit.clock.advance(1)
    assert kit.function.most == 2
    assert queue.messages == []
    await kit.stopped(poller)


async def test_maximum_concurrency_is_kept_with_a_window() -> None:
    opened, handler = gate()
    kit = Kit(handler)
    queue = kit.sqs.create(QUEUE, visibility_s=600)
    for number in range(200):
        kit.sqs.send(queue, str(number))
    poller = kit.poller(batch_size=15, window_s=1, maximum_concurrency=2)
    await poller.start()
    await kit.clock.advance(60)
    assert (kit.function.running, kit.function.most) == (2, 2)
    opened.set()
    await kit.clock.advance(10)
    assert kit.function.most == 2
    assert queue.messages == []
    await kit.stopped(poller)


async def test_a_slow_mapping_leaves_room_for_others() -> None:
    opened, handler = gate()
    kit = Kit(handler, budget=8)
    queue = kit.sqs.create(QUEUE, visibility_s=600)
    other = kit.sqs.create(f"{QUEUE}-other", visibility_s=600)
    for number in range(100):
        kit.sqs.send(queue, str(number))
    slow = kit.poller(batch_size=1)
    await slow.start()
    await kit.clock.advance(5)
    assert kit.function.running == 7
    kit.sqs.send(other, "mine")
    quick = kit.poller(f"{QUEUE}-other")
    await quick.start()
    await settle()
    assert ["mine"] in kit.function.batches
    opened.set()
    await settle()
    await kit.stopped(slow)
    await kit.stopped(quick)


async def test_a_throttled_batch_is_kept_and_tried_again_within_its_visibility() -> None:
    kit = Kit()
    queue = kit.sqs.create(QUEUE, visibility_s=30)
    kit.sqs.send(queue, "m")
    kit.function.refusals = 4
    poller = kit.poller(metrics=("EventCount",))
    await poller.start()
    await kit.clock.advance(2)
    assert queue.deleted == ["m"]
    assert (kit.counted("PolledEventCount"), kit.counted("InvokedEventCount")) == (1, 5), "each try counts"
    assert kit.sqs.asked["ChangeMessageVisibilityBatch"] == 0
    await kit.stopped(poller)


async def test_a_throttled_batch_is_tried_when_another_one_has_ended() -> None:
    """With little concurrency, long pauses would leave it unused until the messages come again."""
    opened, handler = gate()
    kit = Kit(handler)
    queue = kit.sqs.create(QUEUE, visibility_s=30)
    for number in range(3):
        kit.sqs.send(queue, str(number))
    poller = kit.poller(batch_size=1)
    kit.function.limit = 1
    await poller.start()
    await kit.clock.advance(6.5)
    assert kit.function.batches == [["0"]]
    opened.set()
    await settle(50)
    assert kit.function.batches == [["0"], ["1"], ["2"]]
    assert [message.receives for message in queue.messages] == []
    await kit.stopped(poller)


async def test_a_batch_that_is_throttled_for_too_long_comes_again() -> None:
    kit = Kit(timeout_s=20)
    queue = kit.sqs.create(QUEUE, visibility_s=30)
    kit.sqs.send(queue, "m")
    kit.function.refusals = 1_000_000
    poller = kit.poller()
    await poller.start()
    await kit.clock.advance(70)
    # Held while it was tried: its last tries could have run into the next delivery.
    assert kit.sqs.asked["ChangeMessageVisibilityBatch"] > 0
    assert 1 < queue.messages[0].receives < 4
    kit.function.refusals = 0
    await kit.clock.advance(70)
    assert queue.deleted == ["m"]
    await kit.stopped(poller)


async def test_a_failure_of_the_server_is_tried_again() -> None:
    kit = Kit()
    queue = kit.sqs.create(QUEUE)
    kit.sqs.send(queue, "m")
    kit.function.faults = 2
    poller = kit.poller()
    await poller.start()
    await kit.clock.advance(1)
    assert queue.deleted == ["m"]
    await kit.stopped(poller)


async def test_nothing_is_read_for_a_function_that_is_gone() -> None:
    kit = Kit()
    queue = kit.sqs.create(QUEUE)
    kit.sqs.send(queue, "m")
    kit.function.gone = True
    poller = kit.poller()
    await poller.start()
    await kit.clock.advance(100)
    assert kit.sqs.asked["ReceiveMessage"] == 0
    assert kit.told[-1] == "PROBLEM: Function call failed"
    kit.function.gone = False
    await kit.clock.advance(31)
    assert queue.deleted == ["m"]
    await kit.stopped(poller)


async def test_a_queue_that_is_asked_too_often_is_asked_later_and_that_is_no_problem(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kit = Kit()
    queue = kit.sqs.create(QUEUE)
    kit.sqs.refuse_with = "ThrottlingException"
    kit.sqs.fail["ReceiveMessage"] = 3
    kit.sqs.send(queue, "m")
    poller = kit.poller()
    await poller.start()
    await kit.clock.advance(0.5)
    assert queue.deleted == ["m"]
    assert (kit.told, caplog.records) == (["OK"], [])
    await kit.stopped(poller)


async def test_a_queue_that_is_gone_is_found_again() -> None:
    kit = Kit()
    poller = kit.poller()
    await poller.start()
    await kit.clock.advance(100)
    assert kit.sqs.asked["GetQueueUrl"] < 12, "ever more slowly"
    assert "NonExistentQueue" in kit.told[-1]
    queue = kit.sqs.create(QUEUE)
    kit.sqs.send(queue, "m")
    await kit.clock.advance(31)
    assert queue.deleted == ["m"]
    await kit.stopped(poller)


async def test_a_deletion_that_fails_is_tried_again() -> None:
    kit = Kit()
    queue = kit.sqs.create(QUEUE)
    kit.sqs.send(queue, "m")
    kit.sqs.fail["DeleteMessageBatch"] = 2
    poller = kit.poller()
    await poller.start()
    await kit.clock.advance(2)
    assert queue.deleted == ["m"]
    assert kit.function.batches == [["m"]]
    await kit.stopped(poller)


async def test_a_stop_waits_for_what_runs_and_reads_no_more() -> None:
    opened, handler = gate()
    kit = Kit(handler)
    queue = kit.sqs.create(QUEUE)
    for number in range(3):
        kit.sqs.send(queue, str(number))
    poller = kit.poller(batch_size=1)
    await poller.start()
    await settle()
    stop = asyncio.ensure_future(poller.stop())
    await kit.clock.advance(10)
    assert not stop.done()
    kit.sqs.send(queue, "late")
    opened.set()
    await settle()
    assert stop.done()
    assert sorted(queue.deleted) == ["0", "1", "2"]
    assert [message.receives for message in queue.messages] == [0], "what came later was never hidden"
    await poller.stop()


async def test_a_stop_gives_back_what_is_throttled() -> None:
    kit = Kit()
    queue = kit.sqs.create(QUEUE)
    kit.sqs.send(queue, "m")
    kit.function.refusals = 1_000_000
    poller = kit.poller()
    await poller.start()
    await kit.clock.advance(2)
    await kit.stopped(poller)
    (message,) = queue.messages
    assert message.visible_s <= kit.clock.monotonic()


async def test_a_stop_invokes_with_what_a_window_has_gathered() -> None:
    kit = Kit()
    queue = kit.sqs.create(QUEUE, visibility_s=600)
    kit.sqs.send(queue, "m")
    poller = kit.poller(batch_size=100, window_s=200)
    await poller.start()
    await kit.clock.advance(1)
    await kit.stopped(poller)
    assert kit.function.batches == [["m"]]
    assert queue.messages == []


async def test_fifo_groups_run_beside_each_other_and_each_in_order() -> None:
    opened, handler = gate()
    kit = Kit(handler)
    queue = kit.sqs.create(FIFO)
    for number in range(4):
        for group in ("a", "b"):
            kit.sqs.send(queue, f"{group}{number}", group=group)
    poller = kit.poller(FIFO, batch_size=2)
    await poller.start()
    await settle()
    assert kit.function.batches == [["a0", "b0"]], "both groups are busy until it is done"
    opened.set()
    await settle(100)
    assert queue.messages == []
    flat = [body for batch in kit.function.batches for body in batch]
    assert [body for body in flat if body[0] == "a"] == ["a0", "a1", "a2", "a3"]
    await kit.stopped(poller)


async def test_a_message_in_a_loop_is_left_to_the_queue() -> None:
    kit = Kit()
    queue = kit.sqs.create(QUEUE)
    header = None
    for _ in range(16):
        header = outgoing(header, epoch_ms=0, function_arn=kit.function.version.function_arn)
    kit.sqs.send(queue, "loop", trace=header)
    kit.sqs.send(queue, "fine")
    poller = kit.poller()
    await poller.start()
    await settle()
    assert kit.function.batches == [["fine"]]
    assert queue.deleted == ["fine"]
    assert kit.metrics.totals()["RecursiveInvocationsDropped"].sum == 1
    await kit.stopped(poller)


async def test_the_longest_chain_of_a_batch_is_carried_on() -> None:
    kit = Kit()
    queue = kit.sqs.create(QUEUE)
    arn = kit.function.version.function_arn
    once = outgoing(None, epoch_ms=0, function_arn=arn)
    twice = outgoing(once, epoch_ms=0, function_arn=arn)
    for header in (once, twice):
        kit.sqs.send(queue, "m", trace=header)
    poller = kit.poller()
    await poller.start()
    await settle()
    (request,) = kit.function.requests
    assert request.trace_header.endswith(":2")
    await kit.stopped(poller)


async def test_a_thousand_messages_are_each_invoked_once() -> None:
    kit = Kit()
    queue = kit.sqs.create(QUEUE)
    for number in range(1000):
        kit.sqs.send(queue, json.dumps(number))
    poller = kit.poller()
    await poller.start()
    async with asyncio.timeout(20):
        while queue.messages:
            await settle()
    flat = sorted(int(body) for batch in kit.function.batches for body in batch)
    assert flat == list(range(1000))
    assert kit.function.most <= 5
    await kit.stopped(poller)
