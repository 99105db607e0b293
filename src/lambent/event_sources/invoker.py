"""The function of a mapping, as its poller sees it: whether it can be invoked, and how one batch ended.

Resolved anew for each batch, so a moved alias or new code counts from the next one on. Batches are synchronous
invocations within the function's concurrency; like events they have no rate.
"""

from collections.abc import Awaitable, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from lambent.aws.arn import Arn
from lambent.aws.errors import ApiError, PlatformFault
from lambent.core.clock import Clock
from lambent.core.ids import uuid4
from lambent.environments.request import InvokeRequest, InvokeResult
from lambent.event_sources.batch import Event, payload
from lambent.event_sources.records import EventSourceMapping
from lambent.functions.records import FunctionVersion, State
from lambent.invocation import trace
from lambent.invocation.leases import Kind
from lambent.invocation.ports import Resolution, Resolver
from lambent.invocation.recursion import LoopDetection


class Outcome(Enum):
    ANSWERED = "answered"
    FAILED = "failed"
    """The function, its runtime or its time-out."""
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    """The function cannot be invoked now, or the server failed: nobody knows whether it ran."""


class Answer(NamedTuple):
    outcome: Outcome
    response: bytes = b""


class Router(Protocol):
    def invoke(
        self, version: FunctionVersion, request: InvokeRequest, *, kind: Kind = Kind.REQUEST
    ) -> Awaitable[InvokeResult]: ...


class Invoker:
    def __init__(
        self, mapping: EventSourceMapping, *, resolver: Resolver, router: Router, loops: LoopDetection, clock: Clock
    ) -> None:
        self._mapping = mapping
        self._qualifier = Arn.parse(mapping.function_arn).resource.removeprefix("function:").partition(":")[2] or None
        self._resolver = resolver
        self._router = router
        self._loops = loops
        self._clock = clock

    def ready(self) -> bool:
        """Whether there is a function that can be invoked: nothing is read for one that is not there."""
        resolution = self._resolved()
        return resolution is not None and resolution.function.state is State.ACTIVE

    def timeout_s(self) -> float:
        resolution = self._resolved()
        return 0.0 if resolution is None else resolution.function.timeout_s

    def without_loops(self, events: Sequence[Event]) -> list[Event]:
        """Those that the function may have: a message that its own chain has sent too often is not among them."""
        if not any(event.trace_header and "Lineage=" in event.trace_header for event in events):
            return list(events)
        resolution = self._resolved()
        if resolution is None:
            return list(events)
        version, arn = resolution.function, resolution.invoked_arn
        return [
            each for each in events if not (each.trace_header and self._loops.stops(version, arn, each.trace_header))
        ]

    async def invoke(self, events: Sequence[Event]) -> Answer:
        resolution = self._resolved()
        if resolution is None or resolution.function.state is not State.ACTIVE:
            return Answer(Outcome.UNAVAILABLE)
        version = resolution.function
        header = trace.outgoing(
            _longest_chain(events, version.function_arn),
            epoch_ms=self._clock.epoch_ms(),
            function_arn=version.function_arn,
        )
        request = InvokeRequest(
            request_id=uuid4(),
            payload=payload(events),
            function_arn=resolution.invoked_arn,
            trace_header=header,
        )
        try:
            result = await self._router.invoke(version, request, kind=Kind.EVENT)
        except ApiError as error:
            throttled = error.code == "TooManyRequestsException"
            return Answer(Outcome.THROTTLED if throttled else Outcome.UNAVAILABLE)
        except PlatformFault:
            return Answer(Outcome.UNAVAILABLE)
        return Answer(Outcome.ANSWERED if result.error_type is None else Outcome.FAILED, result.payload)

    def _resolved(self) -> Resolution | None:
        mapping = self._mapping
        try:
            return self._resolver.resolve(mapping.account, mapping.region, mapping.function_name, self._qualifier)
        except ApiError:
            return None


def _longest_chain(events: Sequence[Event], function_arn: str) -> str | None:
    """The trace header that a batch carries on: the one whose chain has invoked the function most often."""
    headers = [event.trace_header for event in events if event.trace_header]
    return max(headers, key=lambda header: trace.invocations(header, function_arn)) if headers else None
