"""Brings notifications to queues, topics, functions and event buses, until they have them.

At least once and in no order, as AWS does. A destination that fails is tried again for a day, less and less often; one
that is gone, or does not let the bucket any more, loses what was for it, and the server's log says so.
"""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from lambent.aws.arn import Arn
from lambent.aws.caller import Caller
from lambent.aws.errors import ApiError, PlatformFault
from lambent.aws.service import Source
from lambent.core import tasks
from lambent.core.clock import Clock
from lambent.services.s3.notifications.notices import QUEUE, Notice, decode, encode
from lambent.store.database import Database
from lambent.store.lanes import LaneWorker, Settlement
from lambent.store.messages import Message
from lambent.store.queue import Queue

logger = logging.getLogger(__name__)

AT_ONE_TIME: Final = 32
FIRST_PAUSE_MS: Final = 500
LONGEST_PAUSE_MS: Final = 300_000
KEPT_MS: Final = 24 * 3600 * 1000
PRINCIPAL: Final = "s3.amazonaws.com"
SUBJECT: Final = "Amazon S3 Notification"
HOPELESS: Final = frozenset(
    {
        *("AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException"),
        *("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "NotFound", "NotFoundException"),
        *("ResourceNotFoundException", "InvalidParameterValueException", "NotImplementedException"),
        *("RecursiveInvocationException", "InvalidMessageContents"),
    }
)
"""Trying again changes nothing, until somebody makes the destination anew; AWS drops these too."""


def pause_ms(tries: int) -> int:
    """After so many failures."""
    return int(min(FIRST_PAUSE_MS * 2 ** (tries - 1), LONGEST_PAUSE_MS))


class NotificationDelivery:
    """`start`, then `wake` with each lane that has something new; `close` before the database."""

    def __init__(self, database: Database, clock: Clock, caller: Caller) -> None:
        self._queue = Queue(database, QUEUE)
        self._clock = clock
        self._caller = caller
        self._urls: dict[str, str] = {}
        self._loops: list[asyncio.Task[None]] = []
        self.worker = LaneWorker(self._queue, self._handle, clock, budget=AT_ONE_TIME)
        self.delivered = 0
        self.failed = 0
        """Attempts."""
        self.dropped = 0

    async def start(self) -> None:
        await self.worker.start()
        for name, work in (("S3 notifications", self.worker.run), ("S3 notifications under way", self.worker.keep)):
            self._loops.append(tasks.keep_running(name, work))

    def wake(self, lane: str) -> None:
        self.worker.wake(lane)

    async def close(self) -> None:
        """Safe to call twice, and without `start`."""
        self.worker.close()
        for loop in self._loops:
            loop.cancel()
        if self._loops:
            await asyncio.wait(self._loops)
        self._loops = []

    async def reset(self) -> None:
        await self._queue.purge()
        self.worker.forget()
        self._urls.clear()

    async def _handle(self, message: Message) -> Settlement:
        notice = decode(message.state)
        try:
            await self._deliver(notice, message.body)
        except (ApiError, PlatformFault) as error:
            return self._not_taken(message, notice, error)
        return Settlement(partial(self._queue.deletion, message), self._count)

    def _count(self) -> None:
        self.delivered += 1

    def _not_taken(self, message: Message, notice: Notice, error: ApiError | PlatformFault) -> Settlement:
        self.failed += 1
        # A queue of that name that was made anew may have another URL.
        self._urls.pop(notice.arn, None)
        tries, now_ms = notice.tries + 1, self._clock.epoch_ms()
        what = f"A notification of {notice.event} in bucket {notice.bucket}"
        target = notice.arn or "the event bus"
        hopeless = isinstance(error, ApiError) and error.code in HOPELESS
        if hopeless or now_ms >= notice.at_ms + KEPT_MS:
            self.dropped += 1
            logger.warning("%s is dropped: %s does not take it: %s", what, target, error)
            return Settlement(partial(self._queue.deletion, message))
        level = logging.WARNING if tries == 1 else logging.INFO
        logger.log(level, "%s waits: %s does not take it: %s", what, target, error)
        at_ms = now_ms + pause_ms(tries)
        return Settlement(
            partial(self._queue.delaying, message, at_ms, encode(replace(notice, tries=tries))),
            partial(self.worker.wake, message.lane, at_ms),
        )

    async def _deliver(self, notice: Notice, body: bytes) -> None:
        if not notice.arn:
            await self._put_event(notice, body)
            return
        arn = Arn.parse(notice.arn)
        match notice.service:
            case "lambda":
                event = {"FunctionName": notice.arn, "InvocationType": "Event", "Payload": body}
                await self._call(notice, arn, "Invoke", event)
            case "sqs":
                sent: dict[str, Any] = {"QueueUrl": await self._url(arn), "MessageBody": body.decode()}
                if notice.trace_header is not None:
                    header = {"DataType": "String", "StringValue": notice.trace_header}
                    sent["MessageSystemAttributes"] = {"AWSTraceHeader": header}
                await self._call(notice, arn, "SendMessage", sent)
            case "sns":
                published = {"TopicArn": notice.arn, "Message": body.decode(), "Subject": SUBJECT}
                await self._call(notice, arn, "Publish", published)

    async def _url(self, queue: Arn) -> str:
        """Asked as the queue's owner: who may send need not be allowed to ask."""
        found = self._urls.get(str(queue))
        if found is None:
            reply = await self._caller.call(
                "sqs",
                "GetQueueUrl",
                {"QueueName": queue.resource},
                account=queue.account,
                region=queue.region,
                principal=owner_of(queue),
            )
            found = self._urls[str(queue)] = reply["QueueUrl"]
        return found

    async def _put_event(self, notice: Notice, body: bytes) -> None:
        entry = {
            "Source": "aws.s3",
            "DetailType": notice.detail_type,
            "Detail": body.decode(),
            "Resources": [f"arn:aws:s3:::{notice.bucket}"],
            "Time": datetime.fromtimestamp(notice.at_ms // 1000, UTC),
        }
        bus = Arn("aws", "events", notice.region, notice.account, "event-bus/default")
        reply = await self._call(notice, bus, "PutEvents", {"Entries": [entry]})
        for each in reply.get("Entries") or ():
            if each.get("ErrorCode"):
                raise ApiError(each["ErrorCode"], each.get("ErrorMessage"))

    async def _call(self, notice: Notice, target: Arn, operation: str, parameters: dict[str, Any]) -> Any:
        return await self._caller.call(
            target.service,
            operation,
            parameters,
            account=target.account,
            region=target.region,
            principal=PRINCIPAL,
            source=Source(f"arn:aws:s3:::{notice.bucket}", notice.account),
            trace_header=notice.trace_header,
        )


def owner_of(arn: Arn) -> str:
    return f"arn:{arn.partition}:iam::{arn.account}:root"
