"""The cold starts of this server: the last few of each function version, and counts of all.

Memory is bounded: the history forgets the versions that started cold longest ago, and counts carry no name of a
function. Written once per new environment and once more after its first invocation.
"""

from bisect import bisect_left
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec import structs

from lambent.core.clock import Clock
from lambent.environments.events import Cause, ColdStart, HowStarted
from lambent.environments.init import InitEnd
from lambent.functions.records import FunctionKey, FunctionVersion

KEPT: Final = 20
"""Of each version."""
VERSIONS: Final = 1_000
BUCKETS_MS: Final = (1, 2, 4, 8, 15, 25, 40, 60, 100, 250, 500, 1_000, 2_500, 10_000)
"""Upper bounds of the histogram: the targets of the benchmarks are among them."""
PHASES: Final = ("queued", "sandbox", "runtime", "init", "handler")


class Beginning:
    """The start of one environment while it goes on: told at the end of each phase."""

    def __init__(self, clock: Clock, cause: Cause, busy: int, asked_at: float | None = None) -> None:
        """`asked_at`: of the monotonic clock; None: now."""
        self._clock = clock
        self._cause = cause
        self._busy = busy
        self._how = HowStarted.EXECUTED
        now = clock.monotonic()
        asked_at = now if asked_at is None else asked_at
        self._time_ms = clock.epoch_ms() - int((now - asked_at) * 1000)
        self._asked_at = self._admitted_at = self._built_at = asked_at

    def admitted(self) -> None:
        """It is its turn."""
        self._admitted_at = self._clock.monotonic()

    def built(self, how: HowStarted) -> None:
        """There is a sandbox."""
        self._how = how
        self._built_at = self._clock.monotonic()

    def record(self, environment_id: str, runtime: str, end: InitEnd) -> ColdStart:
        return ColdStart(
            time_ms=self._time_ms,
            environment_id=environment_id,
            runtime=runtime,
            cause=self._cause,
            busy=self._busy,
            how=self._how,
            status=end.status,
            queued_ms=(self._admitted_at - self._asked_at) * 1000,
            sandbox_ms=(self._built_at - self._admitted_at) * 1000,
            runtime_ms=end.process_ms,
            init_ms=end.duration_ms - end.process_ms,
        )


@dataclass(slots=True)
class Histogram:
    """Counts by bucket, the last one without a bound."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_MS) + 1))
    sum_ms: float = 0.0

    def add(self, value_ms: float) -> None:
        self.counts[bisect_left(BUCKETS_MS, value_ms)] += 1
        self.sum_ms += value_ms


VersionKey = tuple[FunctionKey, str]


class ColdStarts:
    def __init__(self, *, kept: int = KEPT, versions: int = VERSIONS) -> None:
        self._kept = kept
        self._versions = versions
        self._history: OrderedDict[VersionKey, deque[ColdStart]] = OrderedDict()
        self.totals: dict[tuple[str, HowStarted], Histogram] = {}
        """The whole wait, by runtime and origin."""
        self.causes: Counter[Cause] = Counter()
        self.phases_ms: dict[tuple[str, HowStarted], list[float]] = {}
        """Sums, in the order of `PHASES`."""

    def add(self, version: FunctionVersion, event: ColdStart) -> None:
        key = (version.key, version.version)
        history = self._history.setdefault(key, deque(maxlen=self._kept))
        self._history.move_to_end(key)
        history.append(event)
        while len(self._history) > self._versions:
            self._history.popitem(last=False)
        kind = (event.runtime, event.how)
        self.totals.setdefault(kind, Histogram()).add(event.total_ms)
        self.causes[event.cause] += 1
        sums = self.phases_ms.setdefault(kind, [0.0] * len(PHASES))
        for number, value in enumerate((event.queued_ms, event.sandbox_ms, event.runtime_ms, event.init_ms)):
            sums[number] += value

    def complete(self, version: FunctionVersion, event: ColdStart, handler_ms: float) -> None:
        """The first invocation in the environment of `event` is over."""
        self.phases_ms[event.runtime, event.how][PHASES.index("handler")] += handler_ms
        history = self._history.get((version.key, version.version), ())
        if isinstance(history, deque) and event in history:
            history[history.index(event)] = structs.replace(event, handler_ms=handler_ms)

    def of(self, key: FunctionKey, version: str | None = None) -> Sequence[tuple[str, ColdStart]]:
        """(version, cold start) of a function, newest first; None: of all its versions."""
        found = [
            (name, event)
            for (function, name), history in self._history.items()
            if function == key and version in (None, name)
            for event in reversed(history)
        ]
        return sorted(found, key=lambda each: each[1].time_ms, reverse=True)

    def forget(self) -> None:
        """Everything that names a function."""
        self._history.clear()


def as_json(version: str, event: ColdStart) -> Mapping[str, object]:
    """For `lambent function show --cold-starts`."""
    return {
        "time_ms": event.time_ms,
        "version": version,
        "environment_id": event.environment_id,
        "cause": str(event.cause),
        "why": event.why,
        "how": str(event.how),
        "status": str(event.status),
        "total_ms": round(event.total_ms, 3),
        "queued_ms": round(event.queued_ms, 3),
        "sandbox_ms": round(event.sandbox_ms, 3),
        "runtime_ms": round(event.runtime_ms, 3),
        "init_ms": round(event.init_ms, 3),
        "handler_ms": None if event.handler_ms is None else round(event.handler_ms, 3),
    }
