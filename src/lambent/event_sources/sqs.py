"""SQS as a source of events: what is asked of a queue, through the `Caller`, whoever answers for it.

Owns the queue's URL and its visibility timeout, and the parts of ten in which SQS takes deletions. When it is read,
and what becomes of a batch, is the poller's.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lambent.aws.arn import Arn
from lambent.aws.caller import Caller
from lambent.aws.errors import ApiError, PlatformFault
from lambent.aws.service import Result
from lambent.core.clock import Clock
from lambent.event_sources.batch import Event
from lambent.event_sources.filter import DATA_KEY, Filters
from lambent.event_sources.ports import Read
from lambent.event_sources.records import EventSourceMapping
from lambent.event_sources.sources import Kind
from lambent.event_sources.sqs_records import event, record

logger = logging.getLogger(__name__)

AT_ONCE: Final = 10
"""Messages of one call, whatever it does."""
LOOK_AGAIN_S: Final = 30.0
"""At the visibility timeout, which users change."""
DELETE_TRIES: Final = 4
DELETE_PAUSE_S: Final = 0.2
DEFAULT_VISIBILITY_S: Final = 30
_BODY: Final = DATA_KEY[Kind.SQS]


@dataclass(frozen=True, slots=True)
class _Queue:
    url: str
    visibility_s: int
    looked_s: float


class SqsSource:
    """Implements `ports.Source`."""

    def __init__(self, mapping: EventSourceMapping, caller: Caller, clock: Clock, principal: Callable[[], str]) -> None:
        """`principal`: on whose behalf the queue is read."""
        assert mapping.source_arn is not None
        self._arn = mapping.source_arn
        self._parsed = Arn.parse(self._arn)
        self._caller = caller
        self._clock = clock
        self._principal = principal
        self._filters = Filters.of(Kind.SQS, mapping.settings.filters)
        self._queue: _Queue | None = None

    @property
    def at_once(self) -> int:
        return AT_ONCE

    @property
    def visibility_s(self) -> float:
        return DEFAULT_VISIBILITY_S if self._queue is None else self._queue.visibility_s

    async def read(self, limit: int, wait_s: float) -> Read:
        queue = await self._known()
        begun_s = self._clock.monotonic()
        try:
            reply = await self._call(
                "ReceiveMessage",
                QueueUrl=queue.url,
                MaxNumberOfMessages=min(limit, AT_ONCE),
                WaitTimeSeconds=int(wait_s),
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
        except ApiError:
            # Perhaps it is another queue of the same name by now.
            self._queue = None
            raise
        messages = reply.get("Messages") or []
        # Of a long poll nobody knows when the messages were hidden: after it began, and at the latest now.
        held_from_s = begun_s if not wait_s else self._clock.monotonic()
        return self._sorted(messages, held_from_s + queue.visibility_s)

    async def delete(self, events: Sequence[Event]) -> int:
        """Returns how many are gone. What cannot be deleted comes again: it is logged, not raised."""
        parts = [self._delete(part) for part in _tens(events)]
        return sum(await asyncio.gather(*parts))

    async def hold(self, events: Sequence[Event]) -> list[Event]:
        """Hide them for a whole visibility timeout from now on; those that still were ours."""
        return await self._hide(events, self.visibility_s)

    async def give_back(self, events: Sequence[Event]) -> None:
        """Others may have them at once."""
        await self._hide(events, 0)

    def _sorted(self, messages: Sequence[Mapping[str, Any]], held_until_s: float) -> Read:
        events: list[Event] = []
        dropped: list[Event] = []
        for message in messages:
            shaped = record(message, self._arn, self._parsed.region)
            metadata = {name: value for name, value in shaped.items() if name != _BODY}
            kept = not self._filters.patterns or self._filters.keep(metadata, shaped[_BODY].encode())
            (events if kept else dropped).append(event(shaped, held_until_s))
        return Read(events, dropped)

    async def _known(self) -> _Queue:
        queue = self._queue
        now_s = self._clock.monotonic()
        if queue is not None and now_s - queue.looked_s < LOOK_AGAIN_S:
            return queue
        url = (await self._call("GetQueueUrl", QueueName=self._parsed.resource)).get("QueueUrl", "")
        asked = await self._call("GetQueueAttributes", QueueUrl=url, AttributeNames=["VisibilityTimeout"])
        visibility = (asked.get("Attributes") or {}).get("VisibilityTimeout", DEFAULT_VISIBILITY_S)
        self._queue = _Queue(url, int(visibility), now_s)
        return self._queue

    async def _delete(self, events: Sequence[Event]) -> int:
        left = {str(number): each for number, each in enumerate(events)}
        for number in range(DELETE_TRIES):
            if number:
                await self._clock.sleep(DELETE_PAUSE_S * 2 ** (number - 1))
            entries = [{"Id": id, "ReceiptHandle": each.receipt} for id, each in left.items()]
            try:
                reply = await self._call("DeleteMessageBatch", QueueUrl=(await self._known()).url, Entries=entries)
            except (ApiError, PlatformFault) as error:
                logger.warning("%d messages of %s could not be deleted: %s", len(left), self._arn, error)
                continue
            for done in reply.get("Successful") or ():
                left.pop(done["Id"], None)
            if not left or all(each.get("SenderFault") for each in reply.get("Failed") or ()):
                # It is our mistake, as with a receipt that is too old: the same again would not help.
                break
        return len(events) - len(left)

    async def _hide(self, events: Sequence[Event], seconds: float) -> list[Event]:
        """Those of which the queue has taken it."""
        taken = []
        until_s = self._clock.monotonic() + seconds
        for part in _tens(events):
            named = {str(number): each for number, each in enumerate(part)}
            entries = [
                {"Id": id, "ReceiptHandle": each.receipt, "VisibilityTimeout": int(seconds)}
                for id, each in named.items()
            ]
            try:
                url = (await self._known()).url
                reply = await self._call("ChangeMessageVisibilityBatch", QueueUrl=url, Entries=entries)
            except (ApiError, PlatformFault) as error:
                logger.warning("Messages of %s could not be kept or given back: %s", self._arn, error)
                continue
            done = (each["Id"] for each in reply.get("Successful") or ())
            taken += [named[id]._replace(held_until_s=until_s) for id in done if id in named]
        return taken

    async def _call(self, operation: str, **parameters: Any) -> Result:
        return await self._caller.call(
            "sqs",
            operation,
            parameters,
            account=self._parsed.account,
            region=self._parsed.region,
            principal=self._principal(),
        )


def _tens(events: Sequence[Event]) -> list[Sequence[Event]]:
    return [events[at : at + AT_ONCE] for at in range(0, len(events), AT_ONCE)]
