"""Notifications on their way: through the durable queue to destinations that fail, come back, or are gone."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lambent.aws.errors import ApiError, PlatformFault
from lambent.services.s3.configs.configs import Configs
from lambent.services.s3.configs.kinds import Kind
from lambent.services.s3.notifications.delivery import LONGEST_PAUSE_MS, NotificationDelivery, pause_ms
from lambent.services.s3.notifications.notices import QUEUE
from lambent.services.s3.notifications.outbox import NotificationOutbox
from lambent.services.s3.records import Origin
from lambent.store.database import Database
from lambent.store.queue import Queue
from lambent.testing.manual_clock import ManualClock
from lambent.testing.scripted_caller import ScriptedCaller
from tests.places import DATABASES, Place, place_of
from tests.unit.services.s3.kit import ACCOUNT, BUCKET, change

FUNCTION = "arn:aws:lambda:eu-west-1:000000000000:function:thumbnail"
SQS = "arn:aws:sqs:eu-west-1:111122223333:photos"
TOPIC = "arn:aws:sns:eu-west-1:000000000000:photos"
CREATED = ["s3:ObjectCreated:*"]
TO_FUNCTION = {"LambdaFunctionConfigurations": [{"Id": "f", "LambdaFunctionArn": FUNCTION, "Events": CREATED}]}


@pytest.fixture(params=DATABASES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    with place_of(request, request.param, tmp_path / "db") as found:
        yield found


class Bench:
    def __init__(self, place: Place) -> None:
        self.place = place
        self.database: Database = place.open()
        self.clock = ManualClock()
        self.caller = ScriptedCaller(
            {
                ("lambda", "Invoke"): {"StatusCode": 202},
                ("sqs", "GetQueueUrl"): {"QueueUrl": "http://sqs/photos"},
                ("sqs", "SendMessage"): {},
                ("sns", "Publish"): {},
                ("events", "PutEvents"): {"Entries": [{"EventId": "e"}]},
            }
        )
        self.configs = Configs(self.database)
        self.delivery = NotificationDelivery(self.database, self.clock, self.caller)
        self.outbox = NotificationOutbox(self.configs, lambda id: (id, id), self.delivery.wake)

    async def change(self, **values: Any) -> None:
        """As an object's transaction does it."""
        of = change(at_ms=self.clock.epoch_ms(), **values)
        await self.database.write(lambda connection: self.outbox.changed(connection, BUCKET, of))
        self.outbox.committed()

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - counters have no events
                await asyncio.sleep(0.002)

    async def as_time_goes_by(self, condition: Any) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await self.clock.advance(0.5)
                await asyncio.sleep(0.002)

    async def waiting(self) -> int:
        return sum(lane.messages for lane in await Queue(self.database, QUEUE).lanes())

    async def empty(self) -> None:
        async with asyncio.timeout(20):
            while await self.waiting():  # noqa: ASYNC110 - the store tells nobody
                await asyncio.sleep(0.002)

    @property
    def said(self) -> list[str]:
        return [f"{asked.service}:{asked.operation}" for asked in self.caller.asked]

    async def close(self) -> None:
        await self.delivery.close()
        await self.database.close()


@pytest.fixture
async def bench(place: Place) -> AsyncIterator[Bench]:
    made = Bench(place)
    await made.delivery.start()
    yield made
    await made.close()


async def test_a_function_is_invoked_for_the_bucket_and_carries_the_chain_on(bench: Bench) -> None:
    await bench.configs.put(BUCKET.id, Kind.NOTIFICATION, TO_FUNCTION)
    origin = Origin(principal="arn:aws:iam::000000000000:root", request_id="r", trace_header="Root=1-a;Lineage=1:b:0")
    await bench.change(origin=origin)
    await bench.empty()
    (asked,) = bench.caller.asked
    assert (asked.service, asked.operation, asked.principal) == ("lambda", "Invoke", "s3.amazonaws.com")
    assert (asked.parameters["FunctionName"], asked.parameters["InvocationType"]) == (FUNCTION, "Event")
    assert json.loads(asked.parameters["Payload"])["Records"][0]["s3"]["configurationId"] == "f"
    assert asked.source == ("arn:aws:s3:::photos", ACCOUNT)
    assert asked.trace_header == "Root=1-a;Lineage=1:b:0"


async def test_queues_topics_and_the_bus_get_theirs(bench: Bench) -> None:
    document = {
        "QueueConfigurations": [{"Id": "q", "QueueArn": SQS, "Events": CREATED}],
        "TopicConfigurations": [{"Id": "t", "TopicArn": TOPIC, "Events": CREATED}],
        "EventBridgeConfiguration": {},
    }
    await bench.configs.put(BUCKET.id, Kind.NOTIFICATION, document)
    await bench.change()
    await bench.empty()
    asked = {each.operation: each for each in bench.caller.asked}
    assert set(asked) == {"GetQueueUrl", "SendMessage", "Publish", "PutEvents"}
    assert asked["SendMessage"].account == "111122223333"
    assert asked["GetQueueUrl"].principal == "arn:aws:iam::111122223333:root"
    assert asked["Publish"].parameters["Subject"] == "Amazon S3 Notification"
    (entry,) = asked["PutEvents"].parameters["Entries"]
    assert (entry["Source"], entry["DetailType"]) == ("aws.s3", "Object Created")
    assert entry["Resources"] == ["arn:aws:s3:::photos"]


async def test_what_nobody_is_told_of_leaves_nothing(bench: Bench) -> None:
    await bench.change()
    await bench.configs.put(BUCKET.id, Kind.NOTIFICATION, TO_FUNCTION)
    await bench.change(event="ObjectRemoved:Delete")
    assert await bench.waiting() == 0


async def test_a_destination_that_fails_is_tried_again_until_it_takes_it(bench: Bench) -> None:
    await bench.configs.put(BUCKET.id, Kind.NOTIFICATION, TO_FUNCTION)
    bench.caller.answers["lambda", "Invoke"] = ApiError("TooManyRequestsException", "Rate Exceeded.")
    await bench.change()
    await bench.as_time_goes_by(lambda: bench.delivery.failed == 3)
    assert await bench.waiting() == 1
    bench.caller.answers["lambda", "Invoke"] = {"StatusCode": 202}
    await bench.as_time_goes_by(lambda: bench.delivery.delivered == 1)
    assert await bench.waiting() == 0


async def test_a_slow_destination_keeps_no_other_waiting(bench: Bench) -> None:
    document = TO_FUNCTION | {"QueueConfigurations": [{"Id": "q", "QueueArn": SQS, "Events": CREATED}]}
    await bench.configs.put(BUCKET.id, Kind.NOTIFICATION, document)

    def down(_: object) -> Any:
        raise PlatformFault("down")

    bench.caller.answers["lambda", "Invoke"] = down
    for _ in range(20):
        await bench.change()
    await bench.until(lambda: bench.said.count("sqs:SendMessage") == 20)
    assert bench.delivery.delivered <= 20


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
async def test_a_destination_that_is_gone_or_closed_loses_what_was_for_it(bench: Bench, code: str) -> None:
    await bench.configs.put(BUCKET.id, Kind.NOTIFICATION, TO_FUNCTION)
    bench.caller.answers["lambda", "Invoke"] = ApiError(code, "no")
    await bench.change()
    await bench.empty()
    assert (bench.delivery.dropped, len(bench.caller.asked)) == (1, 1)


async def test_after_a_day_it_is_dropped(bench: Bench) -> None:
    await bench.configs.put(BUCKET.id, Kind.NOTIFICATION, TO_FUNCTION)
    bench.caller.answers["lambda", "Invoke"] = ApiError("ServiceException", "no", status=500)
    await bench.change()
    await bench.until(lambda: bench.delivery.failed == 1)
    await bench.clock.advance(25 * 3600)
    await bench.as_time_goes_by(lambda: bench.delivery.dropped == 1)
    await bench.empty()


async def test_a_restart_delivers_what_was_under_way(place: Place) -> None:
    first = Bench(place)
    await first.configs.put(BUCKET.id, Kind.NOTIFICATION, TO_FUNCTION)
    for _ in range(5):
        await first.change()
    await first.close()

    second = Bench(place)
    await second.delivery.start()
    await second.empty()
    assert second.said == ["lambda:Invoke"] * 5
    await second.close()


async def test_a_transaction_that_is_undone_tells_nobody(bench: Bench) -> None:
    await bench.configs.put(BUCKET.id, Kind.NOTIFICATION, TO_FUNCTION)

    def work(connection: Any) -> None:
        bench.outbox.changed(connection, BUCKET, change())
        raise ValueError("the object is not stored")

    with pytest.raises(ValueError, match="not stored"):
        await bench.database.write(work)
    bench.outbox.committed()
    assert await bench.waiting() == 0
    assert not bench.caller.asked


def test_pauses_grow_to_five_minutes() -> None:
    assert [pause_ms(tries) for tries in (1, 2, 3)] == [500, 1000, 2000]
    assert pause_ms(2000) == LONGEST_PAUSE_MS
