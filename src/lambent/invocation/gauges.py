"""The metrics that are levels: how many invocations ran at one time, as the highest level of each minute.

Leases note their peaks when they are taken; here they become metrics once a minute. Nothing is counted beside leases.
"""

from typing import Final

from lambent.core.clock import Clock
from lambent.core.statistics import MINUTE_MS
from lambent.functions.records import FunctionKey
from lambent.invocation.concurrency import Concurrency
from lambent.invocation.metrics import Metrics

BEFORE_THE_END_MS: Final = 1
"""What ends with a minute belongs to it."""


class Gauges:
    def __init__(self, concurrency: Concurrency, metrics: Metrics, clock: Clock) -> None:
        self._concurrency = concurrency
        self._metrics = metrics
        self._clock = clock

    async def run(self) -> None:
        """At the end of each minute, until cancelled."""
        while True:
            now_ms = self._clock.epoch_ms()
            end_ms = now_ms - now_ms % MINUTE_MS + MINUTE_MS
            await self._clock.sleep((end_ms - now_ms) / 1000)
            self.take(end_ms - BEFORE_THE_END_MS)

    def take_now(self) -> None:
        """For who reads before the minute is over."""
        self.take(self._clock.epoch_ms())

    def take(self, at_ms: int) -> None:
        """The levels since the last time, as of the minute of `at_ms`."""
        observe = self._metrics.observe
        for (account, region), peaks in self._concurrency.take_peaks().items():
            whole = FunctionKey(account, region, "")
            unreserved = peaks.all if peaks.unreserved is None else peaks.unreserved
            observe(whole, "ConcurrentExecutions", peaks.all, at_ms=at_ms)
            observe(whole, "UnreservedConcurrentExecutions", unreserved, at_ms=at_ms)
            claimed = self._concurrency.claimed(account, region, unreserved, peaks.provisioned)
            observe(whole, "ClaimedAccountConcurrency", claimed, at_ms=at_ms)
            for name, level in peaks.by_function.items():
                observe(FunctionKey(account, region, name), "ConcurrentExecutions", level, at_ms=at_ms)
            for (name, version), (level, provisioned) in peaks.provisioned.items():
                key = FunctionKey(account, region, name)
                observe(key, "ProvisionedConcurrentExecutions", level, qualifier=version, at_ms=at_ms)
                utilisation = level / provisioned if provisioned else 0.0
                observe(key, "ProvisionedConcurrencyUtilization", utilisation, qualifier=version, at_ms=at_ms)
