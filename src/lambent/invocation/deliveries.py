"""Results of events on their way to queues, topics, buses, buckets and functions.

A delivery is a message of its own durable queue: what was promised to a destination survives a crash, and is tried
again for about a minute when the destination fails. Then it is dropped, as AWS does, and said so in the server's log.
"""

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import msgspec

from lambent.aws.arn import Arn
from lambent.aws.caller import Caller
from lambent.aws.errors import ApiError, PlatformFault
from lambent.core import ids
from lambent.core.clock import Clock
from lambent.functions.records import FunctionKey
from lambent.invocation.events import Event, lane_of
from lambent.invocation.metrics import Metrics, qualifier_of
from lambent.invocation.ports import Resolver
from lambent.store.database import Database
from lambent.store.lanes import LaneWorker, Settlement
from lambent.store.messages import Message, NewMessage
from lambent.store.queue import Queue

logger = logging.getLogger(__name__)

QUEUE: Final = "event-deliveries"
MAX_TRIES: Final = 7
"""After 1, 2, 4, 8, 16 and 32 seconds."""
AT_ONE_TIME: Final = 16
HOPELESS: Final = frozenset({"NotImplementedException", "ResourceNotFoundException", "AccessDeniedException"})
"""Trying again changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What is due to one target, beside the body."""

    account: str
    region: str
    function: str
    role: str
    """On whose behalf it is delivered."""
    request_id: str
    """Of the event."""
    target_arn: str
    kind: str
    """success | failure | dead-letter"""
    function_arn: str
    ended_ms: int
    trace_header: str
    error_code: str | None = None
    error_message: str = ""
    tries: int = 0

    def message(self, body: bytes) -> NewMessage:
        lane = lane_of(FunctionKey(self.account, self.region, self.function))
        return NewMessage(queue=QUEUE, lane=lane, visible_ms=0, state=_encode(self), body=body)


class Undeliverable(Exception):
    """The target cannot take it, now or ever."""


class Deliveries:
    """`worker` is to be started, run and closed by the owner. `on_event` hears of the functions that got an event."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        caller: Caller,
        resolver: Resolver,
        metrics: Metrics,
        max_event_bytes: int,
    ) -> None:
        self._queue = Queue(database, QUEUE)
        self._clock = clock
        self._caller = caller
        self._resolver = resolver
        self._metrics = metrics
        self._max_event_bytes = max_event_bytes
        self.worker = LaneWorker(self._queue, self._handle, clock, budget=AT_ONE_TIME)
        self.events: LaneWorker | None = None
        """Told of events that were put for functions."""

    async def purge(self) -> None:
        await self._queue.purge()
        self.worker.forget()

    async def _handle(self, message: Message) -> Settlement:
        delivery = _decode(message.state)
        try:
            if Arn.parse(delivery.target_arn).service == "lambda":
                return self._handing_over(message, delivery)
            await self._deliver(delivery, message.body)
        except (ApiError, PlatformFault, Undeliverable) as error:
            return self._failed(message, delivery, error)
        return Settlement(partial(self._queue.deletion, message))

    def _failed(self, message: Message, delivery: Delivery, error: Exception) -> Settlement:
        tries = delivery.tries + 1
        hopeless = isinstance(error, Undeliverable) or (isinstance(error, ApiError) and error.code in HOPELESS)
        what = f"The {delivery.kind} record of event {delivery.request_id} of {delivery.function_arn}"
        if hopeless or tries == MAX_TRIES:
            logger.error("%s is dropped: %s does not take it: %s", what, delivery.target_arn, error)
            return Settlement(partial(self._queue.deletion, message), partial(self._count_lost, delivery))
        # Once where everybody sees it: the next tries say the same, until the last says that it was dropped.
        level = logging.WARNING if tries == 1 else logging.INFO
        logger.log(level, "%s waits: %s does not take it: %s", what, delivery.target_arn, error)
        at_ms = self._clock.epoch_ms() + 1000 * 2 ** (tries - 1)
        return Settlement(
            partial(self._queue.delaying, message, at_ms, _encode(replace(delivery, tries=tries))),
            partial(self.worker.wake, message.lane, at_ms),
        )

    def _count_lost(self, delivery: Delivery) -> None:
        name = "DeadLetterErrors" if delivery.kind == "dead-letter" else "DestinationDeliveryFailures"
        key = FunctionKey(delivery.account, delivery.region, delivery.function)
        self._metrics.count(key, name, qualifier=qualifier_of(delivery.function_arn))

    def _handing_over(self, message: Message, delivery: Delivery) -> Settlement:
        """To a function: the delivery becomes an event, in one commit."""
        if len(message.body) > self._max_event_bytes:
            raise Undeliverable(f"{len(message.body)} bytes are more than an event may have")
        arn = Arn.parse(delivery.target_arn)
        # As the function's role: a function of another account has to have admitted it.
        caller = None if arn.account == delivery.account else delivery.role
        target = self._resolver.resolve(delivery.account, arn.region, delivery.target_arn, None, caller)
        key = target.function.key
        if target.function.tenant_isolation:
            raise Undeliverable("the function has tenants, and a record is of none of them")
        now_ms = self._clock.epoch_ms()
        event = Event(
            account=key.account,
            region=key.region,
            name=key.name,
            qualifier=target.invoked_arn[len(key.arn) + 1 :] or None,
            request_id=ids.uuid4(),
            trace_header=delivery.trace_header,
            accepted_ms=now_ms,
        )

        def then() -> None:
            self._metrics.count(key, "AsyncEventsReceived", qualifier=event.qualifier)
            if self.events is not None:
                self.events.wake(event.lane)

        return Settlement(partial(self._queue.deletion, message, event.message(message.body, now_ms)), then)

    async def _deliver(self, delivery: Delivery, body: bytes) -> None:
        target = Arn.parse(delivery.target_arn)
        text = body.decode()
        match target.service:
            case "sqs":
                url = await self._call(
                    delivery,
                    target,
                    "GetQueueUrl",
                    {"QueueName": target.resource, "QueueOwnerAWSAccountId": target.account},
                )
                parameters = {"QueueUrl": url["QueueUrl"], "MessageBody": text, **_attributes(delivery)}
                header = {"DataType": "String", "StringValue": delivery.trace_header}
                parameters["MessageSystemAttributes"] = {"AWSTraceHeader": header}
                await self._call(delivery, target, "SendMessage", parameters)
            case "sns":
                parameters = {"TopicArn": delivery.target_arn, "Message": text, **_attributes(delivery)}
                await self._call(delivery, target, "Publish", parameters)
            case "events":
                await self._put_event(delivery, target, text)
            case "s3":
                parameters = {"Bucket": target.resource, "Key": _object_key(delivery), "Body": body}
                await self._call(delivery, target, "PutObject", parameters | {"ContentType": "application/json"})
            case other:
                raise Undeliverable(f"{other} is no destination")

    async def _put_event(self, delivery: Delivery, target: Arn, detail: str) -> None:
        word = "Success" if delivery.kind == "success" else "Failure"
        entry = {
            "Source": "lambda",
            "DetailType": f"Lambda Function Invocation Result - {word}",
            "Detail": detail,
            "Resources": [delivery.target_arn, delivery.function_arn],
            "EventBusName": delivery.target_arn,
            "Time": datetime.fromtimestamp(delivery.ended_ms // 1000, UTC),
        }
        reply = await self._call(delivery, target, "PutEvents", {"Entries": [entry]})
        for each in reply.get("Entries", ()):
            if each.get("ErrorCode"):
                raise ApiError(each["ErrorCode"], each.get("ErrorMessage"))

    async def _call(self, delivery: Delivery, target: Arn, operation: str, parameters: dict[str, Any]) -> Any:
        return await self._caller.call(
            target.service,
            operation,
            parameters,
            account=target.account or delivery.account,
            region=target.region or delivery.region,
            principal=delivery.role,
            trace_header=delivery.trace_header,
        )


def _attributes(delivery: Delivery) -> dict[str, Any]:
    """Of a dead-letter message; a destination gets the record and nothing beside it."""
    if delivery.kind != "dead-letter":
        return {}
    found = {"RequestID": {"DataType": "String", "StringValue": delivery.request_id}}
    if delivery.error_code is not None:
        found["ErrorCode"] = {"DataType": "Number", "StringValue": delivery.error_code}
    # An empty attribute is refused by SQS and SNS.
    if delivery.error_message:
        found["ErrorMessage"] = {"DataType": "String", "StringValue": delivery.error_message}
    return {"MessageAttributes": found}


def _object_key(delivery: Delivery) -> str:
    moment = datetime.fromtimestamp(delivery.ended_ms // 1000, UTC)
    return f"aws/lambda/async/{delivery.function}/{moment:%Y/%m/%d/%Y-%m-%dT%H.%M.%S}-{ids.uuid4()}"


def _encode(delivery: Delivery) -> str:
    return msgspec.json.encode(delivery).decode()


_decode = msgspec.json.Decoder(Delivery).decode
