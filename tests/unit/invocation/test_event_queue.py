"""Events on a real store with a clock that is moved by hand: hours of retries without waiting."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from lambent.aws.errors import ApiError, PlatformFault, not_found, throttled
from lambent.environments.request import InvokeRequest, InvokeResult
from lambent.functions.records import (
    Attachment,
    AttachmentKey,
    EventInvokeConfig,
    Function,
    FunctionKey,
    FunctionVersion,
    State,
)
from lambent.invocation.event_queue import EventQueue
from lambent.invocation.events import WaitingEvent, decode
from lambent.invocation.leases import Kind
from lambent.invocation.metrics import Metrics
from lambent.invocation.trace import invocations, outgoing
from lambent.store.database import Database
from lambent.store.lanes import HIDDEN_MS
from lambent.testing.manual_clock import START, ManualClock
from lambent.testing.scripted_caller import ScriptedCaller
from tests.places import Place
from tests.unit.environments.kit import function_version, until

SUCCESS = InvokeResult(b'"done"')
FAILURE = InvokeResult(b'{"errorMessage":"boom","errorType":"ValueError"}', error_type="Function.ValueError")
QUEUE_ARN = "arn:aws:sqs:us-east-1:000000000000:results"
TOPIC_ARN = "arn:aws:sns:us-east-1:000000000000:failures"
BUS_ARN = "arn:aws:events:us-east-1:000000000000:event-bus/default"

Reaction = InvokeResult | Exception | asyncio.Event


@dataclass
class Router:
    """Reacts by function name; the last reaction repeats. An event is waited for, then the invocation succeeds."""

    clock: ManualClock
    reactions: dict[str, list[Reaction]] = field(default_factory=dict)
    seen: list[tuple[float, str, InvokeRequest]] = field(default_factory=list)
    running: dict[str, int] = field(default_factory=dict)
    peak: dict[str, int] = field(default_factory=dict)

    async def invoke(
        self, version: FunctionVersion, request: InvokeRequest, *, kind: Kind = Kind.REQUEST
    ) -> InvokeResult:
        name = version.name
        self.seen.append((self.clock.monotonic(), name, request))
        reactions = self.reactions.get(name, [SUCCESS])
        reaction = reactions.pop(0) if len(reactions) > 1 else reactions[0]
        self.running[name] = self.running.get(name, 0) + 1
        self.peak[name] = max(self.peak.get(name, 0), self.running[name])
        try:
            if isinstance(reaction, asyncio.Event):
                await reaction.wait()
                return SUCCESS
            await asyncio.sleep(0)
            if isinstance(reaction, Exception):
                raise reaction
            return reaction
        finally:
            self.running[name] -= 1


@dataclass(frozen=True)
class Resolved:
    function: FunctionVersion
    invoked_arn: str


@dataclass
class Functions:
    """Read model and resolver: the functions a, b, c ... that were added."""

    known: dict[str, Function] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, config: EventInvokeConfig | None = None, **changes: Any) -> None:
        attachments: dict[AttachmentKey, Attachment] = (
            {} if config is None else {(EventInvokeConfig, "$LATEST"): config}
        )
        self.known[name] = Function(latest=function_version(name=name, **changes), attachments=attachments)

    def get(self, key: FunctionKey) -> Function | None:
        return self.known.get(key.name)

    def reserved(self, account: str, region: str) -> dict[str, int]:
        return self.numbers

    def resolve(
        self,
        account: str,
        region: str,
        function_name: str,
        qualifier: str | None = None,
        caller_arn: str | None = None,
    ) -> Resolved:
        function = self.known.get(function_name.rpartition(":function:")[2])
        if function is None:
            raise not_found(f"Function not found: {function_name}")
        arn = function.latest.function_arn
        return Resolved(function.latest, f"{arn}:{qualifier}" if qualifier else arn)


class Kit:
    def __init__(self, database: Database, budget: int = 6) -> None:
        self.database = database
        self.clock = ManualClock()
        self.functions = Functions()
        self.router = Router(self.clock)
        self.caller = ScriptedCaller()
        self.caller.answers = {
            ("sqs", "GetQueueUrl"): {"QueueUrl": "http://queue/results"},
            ("sqs", "SendMessage"): {},
            ("sns", "Publish"): {},
            ("events", "PutEvents"): {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]},
            ("s3", "PutObject"): {},
        }
        self.metrics = Metrics(self.clock)
        self.events = EventQueue(
            database=database,
            metrics=self.metrics,
            clock=self.clock,
            functions=self.functions,
            resolver=self.functions,
            router=self.router,
            caller=self.caller,
            budget=budget,
        )

    async def accept(
        self,
        name: str = "a",
        payload: bytes = b"1",
        request_id: str = "r-1",
        trace_header: str | None = None,
        **more: Any,
    ) -> None:
        resolution = self.functions.resolve("000000000000", "us-east-1", name, **more)
        await self.events.accept(resolution, payload, request_id, trace_header)

    async def idle(self) -> None:
        """Until nothing happens before the clock moves."""
        await until(lambda: self.events.worker.idle and self.events.deliveries.worker.idle)

    async def advance(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        await self.idle()

    async def waiting(self, name: str = "a") -> list[WaitingEvent]:
        return await self.events.listed(FunctionKey("000000000000", "us-east-1", name), 1000)

    async def rows(self, query: str) -> list[Any]:
        return await self.database.read(lambda connection: list(connection.exec_driver_sql(query)))

    async def to_next(self, name: str = "a") -> None:
        """Move the clock to the next attempt of the function."""
        (first, *_) = await self.waiting(name)
        assert first.next_ms is not None
        await self.advance(max(0, (first.next_ms - self.clock.epoch_ms()) / 1000))

    def attempts(self, name: str = "a") -> list[float]:
        """When the function was invoked, in seconds from the start."""
        return [round(at) for at, invoked, _ in self.router.seen if invoked == name]

    def sent(self, operation: str) -> list[Any]:
        return [asked.parameters for asked in self.caller.asked if asked.operation == operation]

    async def record(self, operation: str = "SendMessage", member: str = "MessageBody") -> dict[str, Any]:
        await self.idle()
        (parameters,) = self.sent(operation)
        record: dict[str, Any] = json.loads(parameters[member])
        return record


@asynccontextmanager
async def opened(place: Place, **options: Any) -> AsyncIterator[Kit]:
    async with AsyncExitStack() as stack:
        database = place.open()
        stack.push_async_callback(database.close)
        kit = Kit(database, **options)
        kit.functions.add("a")
        await kit.events.start()
        stack.push_async_callback(kit.events.close)
        yield kit


@pytest.fixture
async def kit(place: Place) -> AsyncIterator[Kit]:
    async with opened(place) as kit:
        yield kit


def config(**members: Any) -> EventInvokeConfig:
    return EventInvokeConfig(last_modified=START, **members)


async def test_an_event_is_attempted_at_once_and_then_gone(kit: Kit) -> None:
    await kit.accept(payload=b'{"a": 1}')
    await kit.idle()
    ((_, _, request),) = kit.router.seen
    assert (request.payload, request.request_id) == (b'{"a": 1}', "r-1")
    assert await kit.waiting() == []


async def test_retries_come_after_one_and_two_minutes_with_one_request_id(kit: Kit) -> None:
    kit.router.reactions["a"] = [FAILURE]
    await kit.accept()
    await kit.idle()
    for seconds in (59.9, 0.2, 119.8, 0.2, 3600):
        await kit.advance(seconds)
    assert kit.attempts() == [0, 60, 180]
    assert {request.request_id for _, _, request in kit.router.seen} == {"r-1"}
    roots = {request.trace_header.split(";")[0] for _, _, request in kit.router.seen}
    assert len(roots) == 1
    assert await kit.waiting() == []


async def test_six_hours_of_throttles_then_the_failure_destination(kit: Kit) -> None:
    kit.functions.add("a", config(on_failure=QUEUE_ARN))
    kit.router.reactions["a"] = [throttled("ReservedFunctionConcurrentInvocationLimitExceeded")]
    await kit.accept()
    await kit.idle()
    while await kit.waiting():
        await kit.to_next()
    times = kit.attempts()
    assert times[:6] == [0, 1, 3, 7, 15, 31]
    assert {later - earlier for earlier, later in itertools.pairwise(times[20:])} == {300}
    assert 21_600 - 300 <= times[-1] <= 21_600
    record = await kit.record()
    assert record["requestContext"]["condition"] == "EventAgeExceeded"
    assert record["requestContext"]["approximateInvokeCount"] == 0
    assert record["responseContext"] == {"statusCode": 429}
    assert "responsePayload" not in record


async def test_a_throttle_leaves_all_attempts(kit: Kit) -> None:
    kit.router.reactions["a"] = [throttled("x"), FAILURE, PlatformFault("gone"), FAILURE, FAILURE]
    await kit.accept()
    await kit.idle()
    while await kit.waiting():
        await kit.to_next()
    assert kit.attempts() == [0, 1, 61, 62, 182]


async def test_the_maximum_age_is_looked_at_ahead(kit: Kit) -> None:
    kit.functions.add("a", config(maximum_event_age_s=60, on_failure=QUEUE_ARN))
    kit.router.reactions["a"] = [FAILURE]
    await kit.accept()
    record = await kit.record()
    assert record["requestContext"]["condition"] == "EventAgeExceeded"
    assert record["requestContext"]["approximateInvokeCount"] == 1
    assert record["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled",
    }
    assert kit.attempts() == [0]


async def test_nothing_reserved_goes_straight_to_the_destination(kit: Kit) -> None:
    kit.functions.add("a", config(on_failure=QUEUE_ARN))
    kit.functions.numbers["a"] = 0
    await kit.accept(payload=b'{"a":1}')
    record = await kit.record()
    assert record["requestContext"] == {
        "requestId": "r-1",
        "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:a:$LATEST",
        "condition": "ZeroReservedConcurrency",
        "approximateInvokeCount": 0,
    }
    assert list(record) == ["version", "timestamp", "requestContext", "requestPayload"]
    assert kit.attempts() == []


async def test_a_pending_function_is_waited_for(kit: Kit) -> None:
    kit.functions.add("a", state=State.PENDING)
    await kit.accept()
    await kit.idle()
    for _ in range(5):
        await kit.to_next()
    assert kit.attempts() == []
    kit.functions.add("a")
    await kit.to_next()
    assert kit.attempts() == [6]


async def test_the_events_of_a_deleted_function_are_dropped(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    kit.router.reactions["a"] = [FAILURE]
    await kit.accept()
    await kit.idle()
    del kit.functions.known["a"]
    await kit.to_next()
    assert (await kit.waiting(), kit.attempts()) == ([], [0])
    assert "r-1 is dropped" in caplog.text


async def test_a_reservation_limits_the_attempts_of_its_function(kit: Kit) -> None:
    kit.functions.numbers["a"] = 2
    await asyncio.gather(*(kit.accept(request_id=f"r-{number}") for number in range(20)))
    await kit.idle()
    assert (len(kit.router.seen), kit.router.peak["a"]) == (20, 2)


async def test_one_busy_function_leaves_room_for_others(kit: Kit) -> None:
    gate = asyncio.Event()
    kit.functions.add("b")
    kit.router.reactions["a"] = [gate]
    for number in range(50):
        await kit.accept(request_id=f"r-{number}")
    await until(lambda: kit.router.running.get("a") == 4)
    await kit.accept("b")
    await until(lambda: kit.attempts("b") == [0])
    assert kit.router.peak["a"] == 4
    gate.set()
    await kit.idle()
    assert len(kit.attempts("a")) == 50


async def test_only_a_window_of_a_backlog_is_in_memory(kit: Kit) -> None:
    gate = asyncio.Event()
    kit.router.reactions["a"] = [gate]
    await asyncio.gather(*(kit.accept(request_id=f"r-{number}") for number in range(500)))
    await until(lambda: kit.router.running.get("a") == 4)
    assert kit.events.worker.held <= 48
    kit.router.reactions["a"] = [SUCCESS]
    gate.set()
    await kit.idle()
    assert len(kit.router.seen) == 500
    assert len({request.request_id for _, _, request in kit.router.seen}) == 500
    assert kit.events.worker.window.empty


async def test_what_was_under_way_is_attempted_again_by_the_next_server(place: Place) -> None:
    async with opened(place) as first:
        first.router.reactions["a"] = [asyncio.Event()]
        for number in range(5):
            await first.accept(request_id=f"r-{number}")
        await until(lambda: first.router.running.get("a") == 4)
    async with opened(place) as second:
        await second.idle()
        assert {request.request_id for _, _, request in second.router.seen} == {f"r-{n}" for n in range(5)}


async def test_a_retry_keeps_its_time_over_a_restart(place: Place) -> None:
    async with opened(place) as first:
        first.router.reactions["a"] = [FAILURE]
        await first.accept()
        await first.idle()
        assert len(await first.waiting()) == 1
    async with opened(place) as second:
        second.router.reactions["a"] = [FAILURE]
        for seconds in (59.9, 0.2, 119.8, 0.2, 3600):
            await second.advance(seconds)
        assert second.attempts() == [60, 180]


async def test_what_is_under_way_for_long_is_not_taken_twice(kit: Kit) -> None:
    gate = asyncio.Event()
    kit.router.reactions["a"] = [gate]
    await kit.accept()
    await until(lambda: kit.router.running.get("a") == 1)
    for _ in range(20):
        await kit.clock.advance(59)
        (held,) = await kit.waiting()
        assert held.status == "running"
    # The disk is slower than this clock.
    async with asyncio.timeout(10):
        while (await kit.rows("SELECT visible_ms FROM queue_messages"))[0][0] <= START.timestamp() * 1000 + HIDDEN_MS:
            pass
    gate.set()
    await kit.idle()
    assert len(kit.router.seen) == 1


async def test_a_success_goes_to_its_destination(kit: Kit) -> None:
    kit.functions.add("a", config(on_success=QUEUE_ARN, on_failure=TOPIC_ARN))
    await kit.accept(payload=b'{"a":1}')
    assert await kit.record() == {
        "version": "1.0",
        "timestamp": "2026-11-20T20:04:39.123Z",
        "requestContext": {
            "requestId": "r-1",
            "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:a:$LATEST",
            "condition": "Success",
            "approximateInvokeCount": 1,
        },
        "requestPayload": {"a": 1},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "responsePayload": "done",
    }
    (message,) = kit.sent("SendMessage")
    assert message["QueueUrl"] == "http://queue/results"
    assert message["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"].startswith("Root=1-")
    assert "MessageAttributes" not in message
    assert not kit.sent("Publish")


async def test_a_failure_goes_to_its_destination_and_to_the_dead_letter_queue(kit: Kit) -> None:
    settings = config(maximum_retry_attempts=0, on_failure=QUEUE_ARN)
    kit.functions.add("a", settings, dead_letter_arn=TOPIC_ARN)
    kit.router.reactions["a"] = [FAILURE]
    await kit.accept(payload=b'{"a": 1}')
    record = await kit.record()
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["responsePayload"] == {"errorMessage": "boom", "errorType": "ValueError"}
    (dead,) = kit.sent("Publish")
    assert dead == {
        "TopicArn": TOPIC_ARN,
        "Message": '{"a": 1}',
        "MessageAttributes": {
            "RequestID": {"DataType": "String", "StringValue": "r-1"},
            "ErrorCode": {"DataType": "Number", "StringValue": "200"},
            "ErrorMessage": {"DataType": "String", "StringValue": "boom"},
        },
    }


async def test_a_bus_gets_source_lambda_and_two_resources(kit: Kit) -> None:
    kit.functions.add("a", config(on_success=BUS_ARN))
    await kit.accept()
    await kit.idle()
    ((entry,),) = [each["Entries"] for each in kit.sent("PutEvents")]
    assert (entry["Source"], entry["DetailType"]) == ("lambda", "Lambda Function Invocation Result - Success")
    assert entry["Resources"] == [BUS_ARN, "arn:aws:lambda:us-east-1:000000000000:function:a:$LATEST"]
    assert json.loads(entry["Detail"])["requestContext"]["condition"] == "Success"


async def test_a_bucket_gets_an_object(kit: Kit) -> None:
    kit.functions.add("a", config(maximum_retry_attempts=0, on_failure="arn:aws:s3:::results"))
    kit.router.reactions["a"] = [FAILURE]
    await kit.accept()
    await kit.idle()
    (stored,) = kit.sent("PutObject")
    assert stored["Bucket"] == "results"
    assert stored["Key"].startswith("aws/lambda/async/a/2026/11/20/2026-11-20T20.04.39-")
    assert json.loads(stored["Body"])["requestContext"]["condition"] == "RetriesExhausted"


async def test_a_function_gets_an_event_of_its_own(kit: Kit) -> None:
    target = "arn:aws:lambda:us-east-1:000000000000:function:b"
    kit.functions.add("a", config(maximum_retry_attempts=0, on_failure=target))
    kit.functions.add("b")
    kit.router.reactions["a"] = [FAILURE]
    await kit.accept()
    await until(lambda: kit.attempts("b") == [0])
    request = kit.router.seen[-1][2]
    assert json.loads(request.payload)["requestContext"]["requestId"] == "r-1"
    assert request.request_id != "r-1"


async def test_functions_that_are_destinations_of_each_other_do_not_run_for_ever(kit: Kit) -> None:
    arn = "arn:aws:lambda:us-east-1:000000000000:function:"
    kit.functions.add("a", config(on_success=arn + "b", on_failure=QUEUE_ARN))
    kit.functions.add("b", config(on_success=arn + "a"))
    await kit.accept()
    await until(lambda: bool(kit.sent("SendMessage")))
    await kit.idle()
    assert (len(kit.attempts("a")), len(kit.attempts("b"))) == (16, 16)
    (message,) = kit.sent("SendMessage")
    context = json.loads(message["MessageBody"])["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == ("RecursiveInvocation", 0)
    # Whoever reads the message carries the chain on.
    header = message["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"]
    assert invocations(header, arn + "a") == 17


async def test_a_stopped_event_goes_to_the_dead_letter_queue_and_begins_a_new_chain_when_it_is_sent_again(
    kit: Kit,
) -> None:
    header: str | None = None
    for _ in range(16):
        header = outgoing(header, epoch_ms=0, function_arn="arn:aws:lambda:us-east-1:000000000000:function:a")
    kit.functions.add("a", dead_letter_arn=QUEUE_ARN)
    await kit.accept(trace_header=header)
    await until(lambda: bool(kit.sent("SendMessage")))
    (message,) = kit.sent("SendMessage")
    assert "recursive loop" in message["MessageAttributes"]["ErrorMessage"]["StringValue"]
    assert not kit.attempts("a")
    await kit.idle()
    assert await kit.events.redrive(FunctionKey("000000000000", "us-east-1", "a")) == 1
    await until(lambda: len(kit.attempts("a")) == 1)


async def test_a_failed_delivery_is_tried_again(kit: Kit) -> None:
    kit.functions.add("a", config(on_success=QUEUE_ARN))
    kit.caller.answers["sqs", "GetQueueUrl"] = ApiError("QueueDoesNotExist", "no")
    await kit.accept()
    await kit.idle()
    kit.caller.answers["sqs", "GetQueueUrl"] = {"QueueUrl": "http://queue/results"}
    assert not kit.sent("SendMessage")
    await kit.advance(1)
    assert len(kit.sent("SendMessage")) == 1
    await kit.advance(600)
    assert len(kit.sent("SendMessage")) == 1


@pytest.mark.parametrize(
    ("error", "tries"),
    [(ApiError("QueueDoesNotExist", "no"), 7), (ApiError("NotImplementedException", "no", status=501), 1)],
)
async def test_what_cannot_be_delivered_is_dropped_and_logged(
    kit: Kit, caplog: pytest.LogCaptureFixture, error: ApiError, tries: int
) -> None:
    kit.functions.add("a", config(on_success=QUEUE_ARN))
    kit.caller.answers["sqs", "GetQueueUrl"] = error
    await kit.accept()
    await kit.idle()
    for _ in range(80):
        await kit.advance(1)
    assert len(kit.caller.asked) == tries
    assert "is dropped" in caplog.text


async def test_a_reset_drops_what_waits(kit: Kit) -> None:
    kit.router.reactions["a"] = [FAILURE]
    await kit.accept()
    await kit.idle()
    await kit.events.reset()
    await kit.advance(7200)
    assert kit.attempts() == [0]


async def test_an_event_that_was_executed_is_not_executed_again_because_the_store_was_full(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = True
    write = kit.database.write

    async def refuse(work: Any, **options: Any) -> Any:
        if full and kit.router.seen:
            raise PlatformFault("The store cannot write: disk is full")
        return await write(work, **options)

    monkeypatch.setattr(kit.database, "write", refuse)
    gate = asyncio.Event()
    kit.router.reactions["a"] = [gate]
    await asyncio.gather(kit.accept(request_id="r-1"), kit.accept(request_id="r-2"))
    await until(lambda: kit.router.running.get("a") == 2)
    with pytest.raises(PlatformFault):
        await kit.accept(request_id="r-3")
    gate.set()
    for _ in range(5):
        await kit.clock.someone_sleeps()
        await kit.clock.advance(1)
    assert len(await kit.waiting()) == 2
    full = False
    await until(lambda: not kit.events.worker.running)
    await kit.advance(2)
    assert await kit.waiting() == []
    await kit.advance(HIDDEN_MS / 1000 + 60)
    assert len(kit.attempts()) == 2
    assert {request.request_id for _, _, request in kit.router.seen} == {"r-1", "r-2"}


@pytest.mark.parametrize("room", [True, False])
async def test_a_caller_who_goes_away_does_not_take_an_event_along(
    kit: Kit, room: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kit.events.worker.window, "_has_room_for", lambda _lane, _size: room)
    accepting = asyncio.ensure_future(kit.accept())
    await asyncio.sleep(0)
    accepting.cancel()
    await until(lambda: len(kit.router.seen) == 1)
    await kit.idle()
    assert await kit.waiting() == []


async def test_each_event_is_counted(kit: Kit) -> None:
    def total(name: str) -> float | None:
        found = kit.metrics.totals().get(name)
        return None if found is None else found.sum

    dead = "arn:aws:sqs:us-east-1:000000000000:dead"
    kit.functions.add("a", config(maximum_retry_attempts=1, on_failure=TOPIC_ARN), dead_letter_arn=dead)
    kit.router.reactions["a"] = [FAILURE]
    kit.caller.answers = {}
    await kit.accept()
    await kit.idle()
    assert (total("AsyncEventsReceived"), total("AsyncEventAge"), total("AsyncEventsDropped")) == (1, 0, None)
    await kit.advance(60)
    assert (total("AsyncEventAge"), total("AsyncEventsDropped")) == (60_000, 1)
    await kit.advance(120)
    assert (total("DestinationDeliveryFailures"), total("DeadLetterErrors")) == (1, 1)
    (source,) = {source for source, name in kit.metrics.sources("000000000000", "us-east-1") if name[0] == "A"}
    assert (source.key.name, source.qualifier) == ("a", None)


async def test_an_event_keeps_its_tenant_over_attempts_and_a_redrive(kit: Kit) -> None:
    kit.functions.add("a", config(maximum_retry_attempts=1), tenant_isolation=True)
    kit.router.reactions["a"] = [FAILURE]
    resolution = kit.functions.resolve("000000000000", "us-east-1", "a")
    await kit.events.accept(resolution, b"1", "r-1", None, tenant_id="blue")
    await kit.idle()
    await kit.to_next()
    assert await kit.events.redrive(FunctionKey("000000000000", "us-east-1", "a")) == 1
    await until(lambda: len(kit.attempts()) == 3)
    assert [request.tenant_id for _, _, request in kit.router.seen] == ["blue"] * 3


def test_events_of_earlier_servers_are_read() -> None:
    """They counted loops of destinations beside the trace header, and knew no tenants."""
    event = decode(
        '{"account":"000000000000","region":"us-east-1","name":"a","qualifier":null,"request_id":"r-1",'
        '"trace_header":"Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0","accepted_ms":1,"lineage":{"arn":3}}'
    )
    assert (event.request_id, event.tenant_id) == ("r-1", None)


@pytest.mark.parametrize("reactions", [[SUCCESS, FAILURE, SUCCESS], [FAILURE, SUCCESS, SUCCESS]])
async def test_the_retry_of_one_is_not_forgotten_with_the_success_of_another(
    kit: Kit, reactions: list[Reaction]
) -> None:
    kit.router.reactions["a"] = list(reactions)
    await asyncio.gather(kit.accept(request_id="r-1"), kit.accept(request_id="r-2"))
    await kit.idle()
    assert len(await kit.waiting()) == 1
    await kit.to_next()
    assert await kit.waiting() == []
    assert kit.attempts() == [0, 0, 60]
