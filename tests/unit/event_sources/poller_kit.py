"""A poller over scripted queues and a scripted function, on a clock that stands still."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from lambent.aws.errors import ApiError, PlatformFault, throttled
from lambent.environments.request import InvokeRequest, InvokeResult
from lambent.event_sources.poller import Poller
from lambent.event_sources.pollers import Pollers
from lambent.event_sources.records import EventSourceMapping, Settings, State
from lambent.event_sources.sources import Kind as SourceKind
from lambent.functions.records import FunctionKey, FunctionVersion
from lambent.functions.records import State as FunctionState
from lambent.invocation.leases import Kind
from lambent.invocation.metrics import Metrics
from lambent.invocation.recursion import LoopDetection
from lambent.testing.manual_clock import START, ManualClock, settle
from lambent.testing.scripted_sqs import ScriptedSqs
from tests.unit.event_sources.kit import ACCOUNT, REGION, functions

QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:work"
FIFO = f"{QUEUE}.fifo"
KEY = FunctionKey(ACCOUNT, REGION, "f")

Handler = Callable[[Any], Awaitable[Any]]


class FunctionFailed(Exception):
    """What a scripted function raises."""


@dataclass(frozen=True, slots=True)
class Resolved:
    function: FunctionVersion
    invoked_arn: str


@dataclass(slots=True)
class Function:
    """Implements the resolver and the router for one function: `handler` gets the event, and is the function."""

    handler: Handler
    version: FunctionVersion
    gone: bool = False
    refusals: int = 0
    """So many invocations are throttled."""
    limit: int = 1_000_000
    """What runs beyond it is throttled too."""
    faults: int = 0
    running: int = 0
    most: int = 0
    kinds: list[Kind] = field(default_factory=list)
    requests: list[InvokeRequest] = field(default_factory=list)
    batches: list[list[str]] = field(default_factory=list)
    """Bodies of each batch that it had."""

    def resolve(
        self,
        account: str,
        region: str,
        function_name: str,
        qualifier: str | None = None,
        caller_arn: str | None = None,
    ) -> Resolved:
        if self.gone:
            raise ApiError("ResourceNotFoundException", "Function not found", status=404)
        return Resolved(self.version, self.version.function_arn + (f":{qualifier}" if qualifier else ""))

    async def invoke(
        self, version: FunctionVersion, request: InvokeRequest, *, kind: Kind = Kind.REQUEST
    ) -> InvokeResult:
        self.kinds.append(kind)
        if self.refusals or self.running >= self.limit:
            self.refusals = max(0, self.refusals - 1)
            raise throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
        if self.faults:
            self.faults -= 1
            raise PlatformFault("scripted")
        event = json.loads(request.payload)
        self.requests.append(request)
        self.batches.append([each["body"] for each in event["Records"]])
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            return InvokeResult(json.dumps(await self.handler(event)).encode())
        except FunctionFailed:
            return InvokeResult(b'{"errorMessage": "x"}', "Unhandled")
        finally:
            self.running -= 1


async def nothing(_event: Any) -> Any:
    return None


class Kit:
    def __init__(self, handler: Handler = nothing, *, timeout_s: int = 3, budget: int = 1000) -> None:
        model = functions()
        found = model.get(KEY)
        assert found is not None
        self.clock = ManualClock()
        self.sqs = ScriptedSqs(self.clock)
        version = replace(found.latest, timeout_s=timeout_s, state=FunctionState.ACTIVE)
        self.function = Function(handler, version)
        self.metrics = Metrics(self.clock)
        self.told: list[str] = []
        self.pollers = Pollers(
            caller=self.sqs,
            functions=model,
            resolver=self.function,
            router=self.function,
            loops=LoopDetection(model, self.metrics),
            metrics=self.metrics,
            clock=self.clock,
            budget=budget,
            told=lambda _key, result: self.told.append(result),
        )

    def mapping(self, arn: str = QUEUE, **settings: Any) -> EventSourceMapping:
        return EventSourceMapping(
            account=ACCOUNT,
            region=REGION,
            uuid="0f0e0d0c-0000-4000-8000-000000000000",
            source="sqs-fifo" if arn.endswith(".fifo") else "sqs",
            source_arn=arn,
            function_arn=f"{KEY.arn}:live",
            function_name="f",
            enabled=True,
            state=State.ENABLED,
            state_reason="USER_INITIATED",
            last_modified=START + timedelta(0),
            settings=Settings(**{"batch_size": 10, "window_s": 0, **settings}),
        )

    def poller(self, arn: str = QUEUE, **settings: Any) -> Poller:
        made = self.pollers.factories()[SourceKind.SQS](self.mapping(arn, **settings))
        assert isinstance(made, Poller)
        return made

    async def stopped(self, poller: Poller) -> None:
        """Stop it, moving the clock on until it has ended."""
        stop = asyncio.ensure_future(poller.stop())
        for _ in range(10_000):
            await settle()
            if stop.done():
                break
            await self.clock.advance(0.5)
        await stop

    def counted(self, name: str) -> float:
        points = self.metrics.series(ACCOUNT, REGION, name, mapping=self.mapping().uuid)
        return sum(point.value.sum for point in points)
