"""The metrics of AWS/Lambda: what happened to each function, rolled up by minute in memory.

Names and dimensions are CloudWatch's. Kept as fine as they are counted (function, qualifier, version that ran) and put
together into the coarser dimensions when somebody reads. Bounded by age and by number: beyond that the oldest minute
goes, and then what is new counts in the totals alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

from lambent.core.clock import Clock, SystemClock
from lambent.core.statistics import KEPT_MINUTES, MINUTE_MS, Point, Statistics
from lambent.environments.events import Report, Status
from lambent.functions.records import FunctionKey, FunctionVersion

MAX_POINTS: Final = 50_000
"""Metrics of one source in one minute, over all minutes kept: about 15 MB."""

_COUNTS: Final = (
    *("Invocations", "Errors", "Throttles", "DeadLetterErrors", "DestinationDeliveryFailures"),
    *("ProvisionedConcurrencyInvocations", "ProvisionedConcurrencySpilloverInvocations"),
    *("RecursiveInvocationsDropped", "OversizedRecordCount", "SignatureValidationErrors", "OffsetLag"),
    *("ConcurrentExecutions", "UnreservedConcurrentExecutions", "ProvisionedConcurrentExecutions"),
    *("ClaimedAccountConcurrency", "AsyncEventsReceived", "AsyncEventsDropped"),
    *("UrlRequestCount", "Url4xxCount", "Url5xxCount"),
    *("PolledEventCount", "FilteredOutEventCount", "InvokedEventCount", "FailedInvokeEventCount", "DeletedEventCount"),
    "ProvisionedPollers",
)
_TIMES: Final = ("Duration", "PostRuntimeExtensionsDuration", "IteratorAge", "AsyncEventAge", "UrlRequestLatency")
UNITS: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(_COUNTS, "Count")
    | dict.fromkeys(_TIMES, "Milliseconds")
    | {"ProvisionedConcurrencyUtilization": "None"}
)
"""Every metric there is."""
GAUGES: Final = frozenset(
    {
        *("ConcurrentExecutions", "UnreservedConcurrentExecutions", "ProvisionedConcurrentExecutions"),
        *("ProvisionedConcurrencyUtilization", "ClaimedAccountConcurrency", "ProvisionedPollers"),
    }
)
"""Whose maximum matters, never the sum."""
OF_ACCOUNT: Final = frozenset({"ConcurrentExecutions", "UnreservedConcurrentExecutions", "ClaimedAccountConcurrency"})
"""Without dimensions these are values of their own, recorded for the function name "": no sum over functions."""

_NEVER: Final = -(1 << 40)


class Source(NamedTuple):
    """What a value was counted for."""

    key: FunctionKey
    qualifier: str | None
    """As the caller gave it; None: the unqualified function."""
    version: str | None
    """That ran."""
    mapping: str | None = None
    """UUID of the event source mapping; those metrics have no other dimension."""


@dataclass(slots=True)
class _Ended:
    """Invocations of one version through one qualifier."""

    source: Source
    duration: Statistics = field(default_factory=Statistics)
    errors: int = 0
    after: Statistics | None = None

    def metrics(self) -> Iterator[tuple[str, Statistics]]:
        count = self.duration.count
        yield "Invocations", Statistics(count, count, 1, 1)
        # Each invocation is a sample, of 0 when it went well: their average is the error rate.
        errors = self.errors
        yield "Errors", Statistics(count, errors, float(errors == count), float(errors > 0))
        yield "Duration", self.duration
        if self.after is not None:
            yield "PostRuntimeExtensionsDuration", self.after


@dataclass(slots=True)
class _Minute:
    number: int
    """Since the epoch."""
    ended: dict[tuple[str, str], _Ended] = field(default_factory=dict)
    """By the ARN that was invoked and the version that ran: both are at hand, no key has to be made."""
    others: dict[tuple[Source, str], Statistics] = field(default_factory=dict)

    def points(self) -> int:
        return len(self.ended) * 3 + len(self.others)


class Metrics:
    """Whoever sees something happen counts it here. Never waits, never fails for want of room."""

    def __init__(self, clock: Clock | None = None, *, max_points: int = MAX_POINTS) -> None:
        self._clock = clock or SystemClock()
        self._max_points = max_points
        self._points = 0
        self._minutes: dict[int, _Minute] = {}
        self._current = _Minute(_NEVER)
        self._all_ended = _Ended(Source(FunctionKey("", "", ""), None, None))
        self._totals: dict[str, Statistics] = {}
        self.dropped = 0
        """Values that count in the totals alone: there was no room for their series."""

    def count(
        self,
        key: FunctionKey,
        name: str,
        value: float = 1,
        *,
        qualifier: str | None = None,
        version: str | None = None,
        mapping: str | None = None,
        at_ms: int | None = None,
    ) -> None:
        """Something happened `value` times, now or in the minute of `at_ms`. Raises KeyError for an unknown name."""
        self.observe(key, name, value, qualifier=qualifier, version=version, mapping=mapping, at_ms=at_ms)

    def observe(
        self,
        key: FunctionKey,
        name: str,
        value: float,
        *,
        qualifier: str | None = None,
        version: str | None = None,
        mapping: str | None = None,
        at_ms: int | None = None,
    ) -> None:
        """One sample: a duration or an age in milliseconds, or how many there were at one time."""
        UNITS[name]
        total = self._totals.get(name)
        if total is None:
            total = self._totals[name] = Statistics()
        total.add(value)
        minute = self._minute((self._clock.epoch_ms() if at_ms is None else at_ms) // MINUTE_MS)
        place = (Source(key, qualifier, version, mapping), name)
        statistics = None if minute is None else minute.others.get(place)
        if statistics is None:
            if minute is None or not self._has_room(1, minute):
                self.dropped += 1
                return
            statistics = minute.others[place] = Statistics()
        statistics.add(value)

    def ended(self, version: FunctionVersion, function_arn: str, report: Report) -> None:
        """An invocation is over: implements `environments.ports.Tally`, on the warm path."""
        duration_ms = report.duration_ms
        # CloudWatch shows an invocation when it began.
        number = int(report.time_ms - duration_ms) // MINUTE_MS
        minute = self._current if self._current.number == number else self._minute(number)
        ended = None if minute is None else minute.ended.get((function_arn, version.version))
        everything = self._all_ended
        everything.duration.add(duration_ms)
        failed = report.status is not Status.SUCCESS
        if failed:
            everything.errors += 1
        after_ms = report.extension_overhead_ms
        if after_ms is not None:
            _after(everything, after_ms)
        if ended is None:
            if minute is None or not self._has_room(3, minute):
                self.dropped += 1
                return
            source = Source(version.key, qualifier_of(function_arn), version.version)
            ended = minute.ended[function_arn, version.version] = _Ended(source)
        ended.duration.add(duration_ms)
        if failed:
            ended.errors += 1
        if after_ms is not None:
            _after(ended, after_ms)

    def totals(self) -> dict[str, Statistics]:
        """Of everything since the server started, by metric."""
        found = dict(self._all_ended.metrics()) if self._all_ended.duration.count else {}
        return dict(sorted((found | self._totals).items()))

    def sources(self, account: str, region: str) -> set[tuple[Source, str]]:
        """What there is in the last hours: each source with the name of a metric."""
        return {
            (source, name)
            for minute in self._minutes.values()
            for source, name, _ in _entries(minute)
            if source.key[:2] == (account, region)
        }

    def series(
        self,
        account: str,
        region: str,
        name: str,
        *,
        function: str | None = None,
        qualifier: str | None = None,
        executed: str | None = None,
        mapping: str | None = None,
        since_ms: int = 0,
    ) -> list[Point]:
        """Minute by minute, oldest first, under the dimensions that are given: none; FunctionName; with Resource
        (`function:qualifier`); with ExecutedVersion; or EventSourceMappingUUID. Minutes without a value are left
        out."""
        if function is None and name in OF_ACCOUNT:
            function = ""
        points = []
        for number in sorted(self._minutes):
            if (number + 1) * MINUTE_MS <= since_ms:
                continue
            together = Statistics()
            for source, metric, statistics in _entries(self._minutes[number]):
                if metric == name and _matches(source, account, region, function, qualifier, executed, mapping):
                    together.merge(statistics)
            if together.count:
                points.append(Point(number * MINUTE_MS, together))
        return points

    async def reset(self) -> None:
        """All series; the totals stay, because counters never go back."""
        self._minutes.clear()
        self._current = _Minute(_NEVER)
        self._points = 0

    # Inside

    def _minute(self, number: int) -> _Minute | None:
        """None: too long ago."""
        minute = self._minutes.get(number)
        if minute is not None:
            return minute
        newest = max(self._minutes, default=number)
        if number <= newest - KEPT_MINUTES:
            return None
        minute = self._minutes[number] = _Minute(number)
        if number >= newest:
            self._current = minute
            for old in [each for each in self._minutes if each <= number - KEPT_MINUTES]:
                self._drop(old)
        return minute

    def _has_room(self, points: int, into: _Minute) -> bool:
        """Count `points` more, at the cost of what is oldest."""
        while self._points + points > self._max_points:
            oldest = min(self._minutes)
            if oldest == into.number:
                return False
            self._drop(oldest)
        self._points += points
        return True

    def _drop(self, number: int) -> None:
        self._points -= self._minutes.pop(number).points()


def qualifier_of(function_arn: str) -> str | None:
    """Of the ARN as it was invoked."""
    parts = function_arn.split(":", 7)
    return parts[7] if len(parts) == 8 else None


def _after(ended: _Ended, after_ms: float) -> None:
    if ended.after is None:
        ended.after = Statistics()
    ended.after.add(after_ms)


def _entries(minute: _Minute) -> Iterator[tuple[Source, str, Statistics]]:
    for ended in minute.ended.values():
        for name, statistics in ended.metrics():
            yield ended.source, name, statistics
    for (source, name), statistics in minute.others.items():
        yield source, name, statistics


def _matches(
    source: Source,
    account: str,
    region: str,
    function: str | None,
    qualifier: str | None,
    executed: str | None,
    mapping: str | None,
) -> bool:
    key = source.key
    return (
        key.account == account
        and key.region == region
        and (function is None or key.name == function)
        and (qualifier is None or source.qualifier == qualifier)
        and (executed is None or source.version == executed)
        and (mapping is None or source.mapping == mapping)
    )
