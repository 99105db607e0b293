"""Events that ended without success, kept for people who look for them and want to send them again.

Each is put in the commit that deletes the event, whether or not it has a destination. Owns how many are kept: the last
1,000 of a function, 64 MB of them, for 14 days, and 1 GB of all functions. What is sent again leaves the list in the
commit that queues it.
"""

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from lambent.core import tasks
from lambent.core.clock import Clock
from lambent.functions.records import FunctionKey
from lambent.invocation import events, trace
from lambent.invocation.events import Event
from lambent.store.database import Database
from lambent.store.messages import Holding, Listed, NewMessage
from lambent.store.queue import Queue

logger = logging.getLogger(__name__)

QUEUE: Final = "failed-events"
MAX_EVENTS: Final = 1000
MAX_BYTES: Final = 64 * 1024 * 1024
"""Of one function."""
MAX_TOTAL_BYTES: Final = 1024 * 1024 * 1024
MAX_AGE_MS: Final = 14 * 24 * 3600 * 1000
SLACK: Final = 100
"""So many more are let in before the oldest are dropped: one statement for a hundred of them."""
LOOK_EVERY_S: Final = 3600.0
NOTHING: Final = Holding(0, 0)
MAX_ERROR_MESSAGE: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How an event ended."""

    condition: str
    """Of the destination record, or FunctionNotFound."""
    ended_ms: int
    error_type: str | None = None
    """Of the last attempt's error, when the function was invoked."""
    error_message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedEvent:
    """A failed event as it is shown."""

    request_id: str
    qualifier: str | None
    accepted_ms: int
    attempts: int
    condition: str
    ended_ms: int
    error_type: str | None
    error_message: str
    size_bytes: int
    tenant_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    event: Event
    failure: Failure


def entry(event: Event, payload: bytes, failure: Failure) -> NewMessage:
    """To put in the commit that deletes the event."""
    state = _State(event=event, failure=replace(failure, error_message=failure.error_message[:MAX_ERROR_MESSAGE]))
    encoded = msgspec.json.encode(state).decode()
    return NewMessage(queue=QUEUE, lane=event.lane, visible_ms=failure.ended_ms, state=encoded, body=payload)


class FailedEvents:
    """`run` in the background; `added` after each commit that put an entry."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._queue = Queue(database, QUEUE)
        self._clock = clock
        self._held: dict[str, Holding] = {}
        """By lane, never less than what is in the store."""
        self._total_bytes = 0
        self._trimming = False
        self._looking = asyncio.Lock()

    async def run(self) -> None:
        """See what there is, and drop what is too old, each hour. No start waits for that."""
        while True:
            await self._look()
            await self.trim(*self._held)
            await self._clock.sleep(LOOK_EVERY_S)

    def added(self, put: NewMessage) -> None:
        held = self._held[put.lane] = self._held.get(put.lane, NOTHING) + Holding(1, len(put.body))
        self._total_bytes += len(put.body)
        many = held.messages >= MAX_EVENTS + SLACK or held.size_bytes > MAX_BYTES
        if (many or self._total_bytes > MAX_TOTAL_BYTES) and not self._trimming:
            self._trimming = True
            task = tasks.detach("failed events", self._make_room(put.lane))
            task.add_done_callback(lambda _: setattr(self, "_trimming", False))

    async def _make_room(self, lane: str) -> None:
        await self.trim(lane)
        if self._total_bytes > MAX_TOTAL_BYTES:
            largest = max(self._held, key=lambda each: self._held[each].size_bytes)
            await self._trim(largest, self._held[largest].size_bytes // 2)

    async def trim(self, *lanes: str) -> None:
        for lane in lanes:
            await self._trim(lane, MAX_BYTES)

    async def listed(self, key: FunctionKey, limit: int) -> list[FailedEvent]:
        """The last ones first."""
        rows = await self._queue.listed(events.lane_of(key), limit, newest_first=True)
        return [_shown(row) for row in rows]

    async def count(self, key: FunctionKey) -> int:
        return await self._queue.count(events.lane_of(key))

    async def redrive(self, key: FunctionKey, request_ids: Collection[str] | None) -> int:
        """Queue these again, or all, as if they were accepted now. Returns how many that were."""
        now_ms = self._clock.epoch_ms()

        def again(encoded: str) -> str | None:
            event = _decode(encoded).event
            if request_ids is not None and event.request_id not in request_ids:
                return None
            fresh = replace(
                event,
                # Whoever sends it again begins a new chain.
                trace_header=trace.without_lineage(event.trace_header),
                accepted_ms=now_ms,
                attempts=0,
                refusals=0,
                refused_status=None,
                last_error="",
            )
            return events.encode(fresh)

        lane = events.lane_of(key)
        moved = await self._queue.move(lane, events.QUEUE, now_ms, again)
        await self._look(lane)
        return moved

    async def purge(self, key: FunctionKey | None = None) -> int:
        lane = None if key is None else events.lane_of(key)
        gone = await self._queue.purge(lane)
        await self._look()
        return gone

    async def _trim(self, lane: str, max_bytes: int) -> None:
        since_ms = self._clock.epoch_ms() - MAX_AGE_MS
        dropped = await self._queue.keep_newest(lane, MAX_EVENTS, max_bytes, since_ms)
        if dropped:
            logger.info("%d of the failed events of %s were dropped: too many or too old", dropped, lane)
        await self._look(lane)

    async def _look(self, lane: str | None = None) -> None:
        """See what the store holds, of one lane or of all. What is added during the read is counted on top of it:
        the read may not have seen it."""
        async with self._looking:
            before = self._held.copy()
            seen = await self._queue.holdings(lane)
            for each in [lane] if lane is not None else {*seen, *self._held}:
                held = seen.get(each, NOTHING) + (self._held.get(each, NOTHING) - before.get(each, NOTHING))
                if held == NOTHING:
                    self._held.pop(each, None)
                else:
                    self._held[each] = held
            self._total_bytes = sum(each.size_bytes for each in self._held.values())


def _shown(row: Listed) -> FailedEvent:
    state = _decode(row.state)
    event, failure = state.event, state.failure
    return FailedEvent(
        request_id=event.request_id,
        qualifier=event.qualifier,
        accepted_ms=event.accepted_ms,
        attempts=event.attempts,
        condition=failure.condition,
        ended_ms=failure.ended_ms,
        error_type=failure.error_type,
        error_message=failure.error_message,
        size_bytes=row.size_bytes,
        tenant_id=event.tenant_id,
    )


_decode = msgspec.json.Decoder(_State).decode
