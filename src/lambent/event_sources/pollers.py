"""What the pollers of a server share, and how one is made for a mapping. Nothing of them is loaded before the first."""

from collections.abc import Callable
from functools import partial

from lambent.aws.caller import Caller
from lambent.core.clock import Clock
from lambent.event_sources.invoker import Invoker, Router
from lambent.event_sources.ports import Poller, PollerFactory
from lambent.event_sources.records import EventSourceMapping, MappingKey
from lambent.event_sources.sources import Kind
from lambent.event_sources.turns import Turns
from lambent.functions.read_model import ReadModel as Functions
from lambent.functions.records import FunctionKey
from lambent.invocation.metrics import Metrics
from lambent.invocation.ports import Resolver
from lambent.invocation.recursion import LoopDetection


class Pollers:
    def __init__(
        self,
        *,
        caller: Caller,
        functions: Functions,
        resolver: Resolver,
        router: Router,
        loops: LoopDetection,
        metrics: Metrics,
        clock: Clock,
        budget: int,
        told: Callable[[MappingKey, str], None] = lambda _key, _result: None,
    ) -> None:
        """`budget`: batches of all mappings at one time. `told`: the result of what a mapping processed last."""
        self._caller = caller
        self._functions = functions
        self._resolver = resolver
        self._router = router
        self._loops = loops
        self._metrics = metrics
        self._clock = clock
        self._turns = Turns(budget)
        self._told = told

    def factories(self) -> dict[Kind, PollerFactory]:
        return {Kind.SQS: self._sqs}

    def _sqs(self, mapping: EventSourceMapping) -> Poller:
        from lambent.event_sources import handling, poller, sqs

        invoker = Invoker(mapping, resolver=self._resolver, router=self._router, loops=self._loops, clock=self._clock)
        source = sqs.SqsSource(mapping, self._caller, self._clock, partial(self._role, mapping))
        return poller.Poller(
            mapping,
            source,
            invoker,
            clock=self._clock,
            turns=self._turns,
            count=partial(self._count, mapping) if "EventCount" in mapping.settings.metrics else handling.uncounted,
            told=partial(self._told, mapping.key),
            provisioned=partial(self._count, mapping, "ProvisionedPollers"),
        )

    def _role(self, mapping: EventSourceMapping) -> str:
        """On whose behalf the source is read: the function's, as it is now."""
        function = self._functions.get(_function_of(mapping))
        return "lambda.amazonaws.com" if function is None else function.latest.role

    def _count(self, mapping: EventSourceMapping, name: str, value: int) -> None:
        self._metrics.count(_function_of(mapping), name, value, mapping=mapping.uuid)


def _function_of(mapping: EventSourceMapping) -> FunctionKey:
    return FunctionKey(mapping.account, mapping.region, mapping.function_name)
