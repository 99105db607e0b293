"""Asynchronous invocations: an event is accepted when it is on disk, and attempted until it is done.

Owns the way of an event from acceptance through its attempts to what follows from its end. When it is tried again is
`retry`'s decision, what is delivered where is `destinations`'. Attempts have a budget of their own, so that no backlog
takes the room of those who wait for an answer.
"""

import asyncio
import logging
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

from lambent.aws.caller import Caller
from lambent.aws.errors import ApiError, PlatformFault
from lambent.core import tasks
from lambent.core.clock import Clock
from lambent.environments.request import InvokeRequest, InvokeResult
from lambent.functions.quotas import Quotas
from lambent.functions.records import EventInvokeConfig, Function, FunctionKey, FunctionVersion, State
from lambent.invocation import events, failed_events, retry, trace
from lambent.invocation.deliveries import Deliveries
from lambent.invocation.destinations import Ended, error_of, failure_of, follow_ups
from lambent.invocation.events import Event, WaitingEvent
from lambent.invocation.failed_events import FailedEvent, FailedEvents, Failure
from lambent.invocation.leases import Kind
from lambent.invocation.metrics import Metrics
from lambent.invocation.payload import event_units
from lambent.invocation.ports import Resolution, Resolver
from lambent.invocation.recursion import LoopDetection
from lambent.invocation.retry import Condition, End, Outcome, Policy
from lambent.invocation.standing import Standing, Totals
from lambent.store.database import Database
from lambent.store.lanes import LaneWorker, Settlement
from lambent.store.messages import Message, NewMessage
from lambent.store.queue import Queue

logger = logging.getLogger(__name__)

MAX_LAST_ERROR: Final = 200
THROTTLED: Final = "TooManyRequestsException"
FUNCTION_NOT_FOUND: Final = "FunctionNotFound"
"""The condition of events whose function, version or alias is gone: they have no destination any more."""


class Functions(Protocol):
    """The read model."""

    def get(self, key: FunctionKey) -> Function | None: ...

    def reserved(self, account: str, region: str) -> Mapping[str, int]: ...


class Invoker(Protocol):
    """The router."""

    def invoke(
        self, version: FunctionVersion, request: InvokeRequest, *, kind: Kind = Kind.REQUEST
    ) -> Awaitable[InvokeResult]: ...


class EventQueue:
    """`start` before the first event, `close` after the last request and before the pool's end."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        functions: Functions,
        resolver: Resolver,
        router: Invoker,
        caller: Caller,
        budget: int,
        quotas: Quotas | None = None,
        loops: LoopDetection | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._queue = Queue(database, events.QUEUE)
        self._clock = clock
        self._functions = functions
        self._resolver = resolver
        self._router = router
        self._recursion = loops or LoopDetection(functions)
        self._metrics = metrics or Metrics(clock)
        self.worker = LaneWorker(self._queue, self._handle, clock, budget=budget, limit=self._limit)
        self.deliveries = Deliveries(
            database=database,
            clock=clock,
            caller=caller,
            resolver=resolver,
            metrics=self._metrics,
            max_event_bytes=(quotas or Quotas()).max_event_payload_bytes,
        )
        self.deliveries.events = self.worker
        self._failed = FailedEvents(database, clock)
        self._standing = Standing(database, clock, self.worker)
        self._loops: list[asyncio.Task[None]] = []
        self._closing = False

    async def start(self) -> None:
        self._loops.append(tasks.keep_running("failed events", self._failed.run))
        for worker in (self.worker, self.deliveries.worker):
            await worker.start()
            for name, work in (("event queue", worker.run), ("events under way", worker.keep)):
                self._loops.append(tasks.keep_running(name, work))

    async def accept(
        self,
        resolution: Resolution,
        payload: bytes,
        request_id: str,
        trace_header: str | None,
        *,
        tenant_id: str | None = None,
    ) -> str:
        """Take an event over; return its trace header once it is on disk. Raises PlatformFault when it is not."""
        now_ms = self._clock.epoch_ms()
        key = resolution.function.key
        event = Event(
            account=key.account,
            region=key.region,
            name=key.name,
            qualifier=resolution.invoked_arn[len(key.arn) + 1 :] or None,
            request_id=request_id,
            trace_header=trace.accepted(trace_header, epoch_ms=now_ms),
            accepted_ms=now_ms,
            tenant_id=tenant_id,
        )
        await self.worker.put(event.message(payload, now_ms))
        self._metrics.count(key, "AsyncEventsReceived", qualifier=event.qualifier)
        return event.trace_header

    async def listed(self, key: FunctionKey, limit: int) -> list[WaitingEvent]:
        """Events of a function that wait or are under way: those that run, then those that come first."""
        rows = await self._queue.listed(events.lane_of(key), limit)
        return [events.shown(row, running=self.worker.runs(row.id)) for row in rows]

    async def failed(self, key: FunctionKey, limit: int) -> list[FailedEvent]:
        """Events of a function that ended without success, the last ones first."""
        return await self._failed.listed(key, limit)

    async def counts(self, key: FunctionKey) -> tuple[int, int]:
        """How many events of a function wait or run, and how many failed ones are kept."""
        return await self._queue.count(events.lane_of(key)), await self._failed.count(key)

    async def totals(self, account: str, region: str, name: str | None = None) -> dict[str, Totals]:
        """How many events each function has, or this one, which is always among them."""
        return await self._standing.totals(account, region, name)

    async def redrive(self, key: FunctionKey, request_ids: Collection[str] | None = None) -> int:
        """Failed events are queued again: these, or all. Returns how many that were."""
        moved = await self._failed.redrive(key, request_ids)
        self.worker.wake(events.lane_of(key))
        return moved

    async def purge(self, key: FunctionKey, *, waiting: bool = True, failed: bool = True) -> int:
        """Drop the events of a function. Attempts that are under way go on. Returns how many that were."""
        gone = 0
        if waiting:
            gone += await self._queue.purge(events.lane_of(key))
            self.worker.forget(events.lane_of(key))
        if failed:
            gone += await self._failed.purge(key)
        return gone

    async def reset(self) -> None:
        """Drop every event and every delivery."""
        await self._queue.purge()
        self.worker.forget()
        await self._failed.purge()
        await self.deliveries.purge()

    async def close(self) -> None:
        """Begin no more attempts. Those under way end with the pool, or come again at the next start."""
        self._closing = True
        self.worker.close()
        self.deliveries.worker.close()
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    def _limit(self, lane: str) -> int | None:
        key = events.key_of(lane)
        # A function that is switched off runs nothing, and its events pass by at once.
        return self._functions.reserved(key.account, key.region).get(key.name) or None

    async def _handle(self, message: Message) -> Settlement | None:
        event = events.decode(message.state)
        function = self._functions.get(event.key)
        try:
            resolution = self._resolver.resolve(event.account, event.region, event.name, event.qualifier)
        except ApiError as error:
            # The function, version or alias was deleted, and with it what said where failures go.
            logger.warning("Event %s is dropped: %s", event.request_id, error.message)
            gone = Failure(
                condition=FUNCTION_NOT_FOUND, ended_ms=self._clock.epoch_ms(), error_message=error.message or ""
            )
            return self._ended(message, event, gone, [])
        config = None if function is None else function.attached(EventInvokeConfig, event.configured_as)
        policy = policy_of(config)
        reserved = self._functions.reserved(event.account, event.region).get(event.name)
        end = retry.before(event.progress, policy, reserved, self._clock.epoch_ms())
        if end is None and self._recursion.stops(resolution.function, resolution.invoked_arn, event.trace_header):
            end = End(Condition.RECURSIVE_INVOCATION, event.attempts)
        if end is not None:
            return self._finished(message, event, end, config, resolution.function, None)
        outcome, result = await self._attempt(event, message.body, resolution)
        if outcome is Outcome.UNAVAILABLE and self._closing:
            # Cut off by our own end: the next start attempts it again.
            return None
        if outcome in _REFUSED:
            event = replace(event, refused_status=_REFUSED[outcome])
        decision = retry.after(outcome, event.progress, policy, self._clock.epoch_ms())
        if isinstance(decision, End):
            return self._finished(message, event, decision, config, resolution.function, result)
        progress = decision.progress
        words = _in_words(outcome, result)
        event = replace(event, attempts=progress.attempts, refusals=progress.refusals, last_error=words)
        return Settlement(
            partial(self._queue.delaying, message, decision.at_ms, events.encode(event)),
            partial(self.worker.wake, message.lane, decision.at_ms),
        )

    async def _attempt(
        self, event: Event, payload: bytes, resolution: Resolution
    ) -> tuple[Outcome, InvokeResult | None]:
        version = resolution.function
        if version.state is State.PENDING:
            return Outcome.NOT_READY, None
        if version.state is not State.ACTIVE:
            return Outcome.UNAVAILABLE, None
        now_ms = self._clock.epoch_ms()
        self._metrics.count(event.key, "AsyncEventAge", max(0, now_ms - event.accepted_ms), qualifier=event.qualifier)
        header = trace.outgoing(event.trace_header, epoch_ms=now_ms, function_arn=version.function_arn)
        request = InvokeRequest(
            request_id=event.request_id,
            payload=payload,
            function_arn=resolution.invoked_arn,
            trace_header=header,
            request_units=event_units(len(payload)),
            tenant_id=event.tenant_id,
        )
        try:
            result = await self._router.invoke(version, request, kind=Kind.EVENT)
        except ApiError as error:
            return (Outcome.THROTTLED if error.code == THROTTLED else Outcome.UNAVAILABLE), None
        except PlatformFault as fault:
            logger.warning("Event %s of %s could not be attempted: %s", event.request_id, event.target_arn, fault)
            return Outcome.UNAVAILABLE, None
        return (Outcome.SUCCEEDED if result.error_type is None else Outcome.FAILED), result

    def _finished(
        self,
        message: Message,
        event: Event,
        end: End,
        config: EventInvokeConfig | None,
        version: FunctionVersion,
        result: InvokeResult | None,
    ) -> Settlement:
        if end.condition is Condition.SUCCESS and (config is None or config.on_success is None):
            return Settlement(partial(self._queue.deletion, message))
        event = replace(event, attempts=end.attempts)
        ended = Ended(
            event=event,
            payload=message.body,
            end=end,
            now_ms=self._clock.epoch_ms(),
            version=version,
            result=result,
        )
        return self._ended(message, event, failure_of(ended), follow_ups(ended, config))

    def _ended(
        self, message: Message, event: Event, failure: Failure | None, following: Sequence[NewMessage]
    ) -> Settlement:
        """Delete the event, and put what follows from its end in the same commit."""
        kept = [] if failure is None else [failed_events.entry(event, message.body, failure)]

        def then() -> None:
            for each in following:
                self.deliveries.worker.wake(each.lane)
            for each in kept:
                self._metrics.count(event.key, "AsyncEventsDropped", qualifier=event.qualifier)
                self._failed.added(each)

        return Settlement(partial(self._queue.deletion, message, *following, *kept), then)


def policy_of(config: EventInvokeConfig | None) -> Policy:
    default = Policy()
    if config is None:
        return default
    retries, age = config.maximum_retry_attempts, config.maximum_event_age_s
    return Policy(
        max_retries=default.max_retries if retries is None else retries,
        max_age_s=default.max_age_s if age is None else age,
    )


def _in_words(outcome: Outcome, result: InvokeResult | None) -> str:
    """Why an attempt is made again, for people."""
    if result is None:
        return {Outcome.THROTTLED: "throttled", Outcome.NOT_READY: "not ready yet"}.get(outcome, "not available")
    kind, message = error_of(result)
    return f"{kind}: {message}"[:MAX_LAST_ERROR]


_REFUSED: Final = {Outcome.THROTTLED: 429, Outcome.UNAVAILABLE: 500}
