"""`/_lambent/metrics`: what this server counts, in the text format of Prometheus.

Counts only: no name of a function, an account or an environment is among them, so that whoever may read
`/_lambent/health` may read this. Rendered when asked; nothing is kept for it but the counters themselves.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from lambent.core.statistics import Point, Statistics
from lambent.environments.cold_starts import BUCKETS_MS, PHASES, ColdStarts, Histogram
from lambent.environments.pool import Pool
from lambent.environments.states import State
from lambent.environments.stock import BLANK
from lambent.invocation.concurrency import Concurrency
from lambent.invocation.metrics import GAUGES, Metrics

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]
Sample = tuple[Labels, float]


def render(
    pool: Pool, concurrency: Concurrency, counted: Metrics, queues: Mapping[str, Statistics] = MappingProxyType({})
) -> str:
    """`queues`: the totals of AWS/SQS."""
    parts = (
        _environments(pool),
        _throttles(pool, concurrency),
        _counted(counted),
        _queues(queues),
        _cold_starts(pool.cold_starts),
    )
    return "\n".join([*(line for part in parts for line in part), ""])


def datapoint(point: Point) -> dict[str, float]:
    """One minute of a metric, as our routes show it."""
    value = point.value
    return {
        "Timestamp": point.epoch_ms,
        "SampleCount": value.count,
        "Sum": value.sum,
        "Minimum": value.min,
        "Maximum": value.max,
    }


def family(name: str, kind: str, help_text: str, samples: Iterable[Sample]) -> Iterator[str]:
    """One metric with all of its samples; nothing where there is none."""
    lines = [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
    if lines:
        yield f"# HELP {name} {help_text}"
        yield f"# TYPE {name} {kind}"
        yield from lines


def _environments(pool: Pool) -> Iterator[str]:
    states = Counter(environment.state for environment in pool.environments)
    yield from family(
        "lambent_environments",
        "gauge",
        "Execution environments by state.",
        [({"state": state.value.lower()}, states[state]) for state in State if state is not State.STOPPED],
    )
    yield from family(
        "lambent_environments_capacity", "gauge", "How many environments there can be.", [({}, pool.capacity)]
    )
    prepared = pool.prewarm.prepared()
    yield from family(
        "lambent_prepared_sandboxes",
        "gauge",
        "Sandboxes that wait prepared, by the runtime whose interpreter is up in them.",
        [({"runtime": name if name != BLANK else "none"}, count) for name, count in sorted(prepared.items())],
    )
    yield from family(
        "lambent_zygotes", "gauge", "Processes that new runtimes are forks of.", [({}, pool.prewarm.zygotes)]
    )
    yield from family(
        "lambent_templates",
        "gauge",
        "Versions with SnapStart that are kept initialised.",
        [({}, pool.snapshots.templates)],
    )


def _throttles(pool: Pool, concurrency: Concurrency) -> Iterator[str]:
    refused = dict(sorted(concurrency.refused.items()))
    yield from family(
        "lambent_throttles_total",
        "counter",
        "Invocations refused: a limit of concurrency, or no room on the machine.",
        [*(({"reason": reason}, count) for reason, count in refused.items()), ({"reason": "NoRoom"}, pool.refused)],
    )


def _counted(counted: Metrics) -> Iterator[str]:
    totals = counted.totals()
    yield from family(
        "lambent_cloudwatch_sum_total",
        "counter",
        "Metrics of AWS/Lambda over all functions, by CloudWatch's name: the sum of the values.",
        [({"metric": name}, value.sum) for name, value in totals.items() if name not in GAUGES],
    )
    yield from family(
        "lambent_cloudwatch_samples_total",
        "counter",
        "The same: how many values there were.",
        [({"metric": name}, value.count) for name, value in totals.items() if name not in GAUGES],
    )
    yield from family(
        "lambent_cloudwatch_dropped_total",
        "counter",
        "Values that are in the sums alone, because there are too many series.",
        [({}, counted.dropped)],
    )


def _queues(totals: Mapping[str, Statistics]) -> Iterator[str]:
    yield from family(
        "lambent_sqs_sum_total",
        "counter",
        "Metrics of AWS/SQS over all queues, by CloudWatch's name, up to the last minute: the sum of the values.",
        [({"metric": name}, value.sum) for name, value in totals.items()],
    )


def _cold_starts(cold_starts: ColdStarts) -> Iterator[str]:
    yield from family(
        "lambent_cold_start_causes_total",
        "counter",
        "New environments by the reason why none was warm.",
        [({"cause": cause.value}, count) for cause, count in sorted(cold_starts.causes.items())],
    )
    kinds = {(runtime, how): {"runtime": runtime, "how": how.value} for runtime, how in sorted(cold_starts.totals)}
    yield from family(
        "lambent_cold_start_phase_seconds_total",
        "counter",
        "Time spent in the phases of cold starts.",
        [
            (labels | {"phase": phase}, cold_starts.phases_ms[kind][number] / 1000)
            for kind, labels in kinds.items()
            for number, phase in enumerate(PHASES)
        ],
    )
    yield from _histogram(
        "lambent_cold_start_seconds",
        "From the request for an environment to a runtime that asks for its first event.",
        [(labels, cold_starts.totals[kind]) for kind, labels in kinds.items()],
    )


def _histogram(name: str, help_text: str, series: Sequence[tuple[dict[str, str], Histogram]]) -> Iterator[str]:
    if not series:
        return
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} histogram"
    for labels, histogram in series:
        below = 0
        for bound, count in zip((*BUCKETS_MS, None), histogram.counts, strict=True):
            below += count
            edge = "+Inf" if bound is None else _number(bound / 1000)
            yield f"{name}_bucket{_labels(labels | {'le': edge})} {below}"
        yield f"{name}_sum{_labels(labels)} {_number(histogram.sum_ms / 1000)}"
        yield f"{name}_count{_labels(labels)} {below}"


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items()) + "}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return f"{value:.9g}"
