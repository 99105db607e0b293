"""Queues in memory on a clock that a test moves: a `Caller` with as much of SQS as a poller asks for.

Standard and FIFO queues, visibility timeouts, long polls, batches, and calls that fail on demand. It keeps what was
asked and every delivery, so that a test can say what was hidden from whom at what time.
"""

import asyncio
import hashlib
import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from lambent.aws.arn import Arn
from lambent.aws.errors import ApiError, not_built
from lambent.aws.service import Parameters, Result, Source
from lambent.core.clock import Clock

A_MOMENT_S: Final = 1e-6
"""Sums of seconds are not exact, and a clock that stands still would wait for the rest for ever."""
NO_QUEUE: Final = "AWS.SimpleQueueService.NonExistentQueue"


@dataclass(slots=True)
class StoredMessage:
    id: str
    body: str
    group: str | None
    attributes: dict[str, str]
    message_attributes: dict[str, Any]
    visible_s: float = 0.0
    receipt: str = ""
    receives: int = 0


@dataclass(slots=True)
class ScriptedQueue:
    name: str
    visibility_s: int = 30
    messages: list[StoredMessage] = field(default_factory=list)
    """In the order in which they were sent."""
    deleted: list[str] = field(default_factory=list)
    """Bodies."""

    @property
    def fifo(self) -> bool:
        return self.name.endswith(".fifo")


class ScriptedSqs:
    """Implements `aws.caller.Caller`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self._sent = asyncio.Event()
        self.queues: dict[str, ScriptedQueue] = {}
        self.asked: Counter[str] = Counter()
        self.requests: list[tuple[str, Parameters]] = []
        self.principals: set[str] = set()
        self.nonsense = 0
        """So many receives are answered with what is no message."""
        self.waits = True
        """False: long polls are answered at once."""
        self.fail: dict[str, int] = {}
        """By operation: how many of the next calls are answered with an error."""
        self.refuse_with = "InternalError"
        """The code of that error."""

    def create(self, arn: str, visibility_s: int = 30) -> ScriptedQueue:
        name = Arn.parse(arn).resource
        queue = self.queues[name] = ScriptedQueue(name, visibility_s)
        return queue

    def send(
        self, queue: ScriptedQueue, body: str, *, group: str | None = None, trace: str | None = None, **attributes: Any
    ) -> str:
        """`attributes`: message attributes. Returns the id of the message."""
        number = next(self._numbers)
        system = {"SentTimestamp": str(self._clock.epoch_ms()), "SenderId": "AIDAEXAMPLE"}
        if group is not None:
            system |= {"MessageGroupId": group, "SequenceNumber": f"{number:020d}"}
        if trace is not None:
            system["AWSTraceHeader"] = trace
        message = StoredMessage(f"id-{number}", body, group, system, attributes)
        queue.messages.append(message)
        self._sent.set()
        return message.id

    async def call(
        self,
        service: str,
        operation: str,
        parameters: Parameters,
        *,
        account: str,
        region: str,
        principal: str,
        source: Source | None = None,
        trace_header: str | None = None,
    ) -> Result:
        self.asked[operation] += 1
        self.requests.append((operation, parameters))
        self.principals.add(principal)
        if self.fail.get(operation):
            self.fail[operation] -= 1
            raise ApiError(self.refuse_with, "scripted", status=500)
        name = parameters.get("QueueName") or str(parameters.get("QueueUrl", "")).rpartition("/")[2]
        queue = self.queues.get(name)
        if queue is None:
            raise ApiError(NO_QUEUE, "The specified queue does not exist.", status=400)
        match operation:
            case "GetQueueUrl":
                return {"QueueUrl": f"http://sqs/{account}/{name}"}
            case "GetQueueAttributes":
                return {"Attributes": {"VisibilityTimeout": str(queue.visibility_s)}}
            case "ReceiveMessage":
                return await self._receive(queue, parameters)
            case "DeleteMessageBatch":
                return self._each(parameters, lambda entry: self._delete(queue, entry))
            case "ChangeMessageVisibilityBatch":
                return self._each(parameters, lambda entry: self._hide(queue, entry))
        raise not_built(operation)

    async def _receive(self, queue: ScriptedQueue, parameters: Parameters) -> Result:
        if self.nonsense:
            self.nonsense -= 1
            return {"Messages": [{"Body": 7}]}
        until_s = self._clock.monotonic() + parameters.get("WaitTimeSeconds", 0)
        while not (found := self._take(queue, parameters["MaxNumberOfMessages"])):
            if not self.waits or self._clock.monotonic() + A_MOMENT_S >= until_s:
                return {}
            await self._something(queue, until_s)
        return {"Messages": found}

    async def _something(self, queue: ScriptedQueue, until_s: float) -> None:
        """Return when a message was sent, when one may be visible again, or when the time is up."""
        now_s = self._clock.monotonic()
        next_s = min([until_s, *(each.visible_s for each in queue.messages if each.visible_s > now_s + A_MOMENT_S)])
        self._sent.clear()
        sent = asyncio.ensure_future(self._sent.wait())
        slept = asyncio.ensure_future(self._clock.sleep(next_s - now_s))
        try:
            await asyncio.wait({sent, slept}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sent.cancel()
            slept.cancel()

    def _take(self, queue: ScriptedQueue, limit: int) -> list[dict[str, Any]]:
        now_s = self._clock.monotonic() + A_MOMENT_S
        busy = {each.group for each in queue.messages if each.group is not None and each.visible_s > now_s}
        found: list[dict[str, Any]] = []
        for message in queue.messages:
            if len(found) == limit:
                break
            if message.visible_s > now_s or message.group in busy:
                continue
            message.visible_s = now_s + queue.visibility_s
            message.receives += 1
            message.receipt = f"r-{message.id}-{message.receives}"
            found.append(_shown(message))
        return found

    def _each(self, parameters: Parameters, act: Any) -> Result:
        ids = [(entry["Id"], act(entry)) for entry in parameters["Entries"]]
        assert 1 <= len(ids) <= 10, "SQS takes ten entries at most"
        failed = [{"Id": id, "SenderFault": True, "Code": "ReceiptHandleIsInvalid"} for id, done in ids if not done]
        return {"Successful": [{"Id": id} for id, done in ids if done], "Failed": failed}

    def _delete(self, queue: ScriptedQueue, entry: Parameters) -> bool:
        for message in queue.messages:
            if message.receipt == entry["ReceiptHandle"]:
                queue.messages.remove(message)
                queue.deleted.append(message.body)
                self._sent.set()
                return True
        # Deleted before: SQS says that this is well.
        return True

    def _hide(self, queue: ScriptedQueue, entry: Parameters) -> bool:
        now_s = self._clock.monotonic()
        for message in queue.messages:
            if message.receipt == entry["ReceiptHandle"] and message.visible_s > now_s:
                message.visible_s = now_s + entry["VisibilityTimeout"]
                self._sent.set()
                return True
        return False


def _shown(message: StoredMessage) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "Body": message.body,
        "MD5OfBody": hashlib.md5(message.body.encode(), usedforsecurity=False).hexdigest(),
        "Attributes": {**message.attributes, "ApproximateReceiveCount": str(message.receives)},
    }
    return shown | ({"MessageAttributes": message.message_attributes} if message.message_attributes else {})
