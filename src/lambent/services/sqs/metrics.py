"""The metrics of AWS/SQS: what happened to each queue and how full it was, by minute, in memory.

Names are CloudWatch's, QueueName is the only dimension. Bounded as the metrics of functions are: by age, and by number,
where the oldest minute goes first. Minutes in which nothing happened and nothing was there are left out.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from lambent.core.statistics import KEPT_MINUTES, MINUTE_MS, Point, Statistics
from lambent.services.sqs.records import QueueKey

MAX_POINTS: Final = 50_000
"""Metrics of one queue in one minute, over all minutes kept."""
COUNTS: Final = (
    *("NumberOfMessagesSent", "NumberOfMessagesReceived", "NumberOfMessagesDeleted", "NumberOfEmptyReceives"),
    "NumberOfDeduplicatedSentMessages",
)
_LEVELS: Final = (
    *("ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible"),
    "ApproximateNumberOfMessagesDelayed",
)
_AGE: Final = "ApproximateAgeOfOldestMessage"
_IN_QUIET: Final = "InQuietGroups"
UNITS: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys((*COUNTS, *_LEVELS, *(name + _IN_QUIET for name in _LEVELS)), "Count")
    | {_AGE: "Seconds", _AGE + _IN_QUIET: "Seconds", "SentMessageSize": "Bytes"}
    | dict.fromkeys(("ApproximateNumberOfGroupsWithInflightMessages", "ApproximateNumberOfNoisyGroups"), "Count")
)
"""Every metric there is."""

Values = Mapping[str, Statistics]


def one(value: float) -> Statistics:
    """A single sample."""
    return Statistics(1, value, value, value)


class QueueMetrics:
    def __init__(self, *, max_points: int = MAX_POINTS) -> None:
        self._max_points = max_points
        self._points = 0
        self._minutes: dict[int, dict[QueueKey, dict[str, Statistics]]] = {}
        self._totals: dict[str, Statistics] = {}

    def record(self, queue: QueueKey, at_ms: int, values: Values) -> None:
        """What was counted and seen in the minute of `at_ms`; what of that minute is there already is added to."""
        for name, value in values.items():
            if name in COUNTS or name == "SentMessageSize":
                self._totals.setdefault(name, Statistics()).merge(value)
        number = at_ms // MINUTE_MS
        for old in [each for each in self._minutes if each <= number - KEPT_MINUTES]:
            self._drop(old)
        row = self._minutes.setdefault(number, {}).setdefault(queue, {})
        for name, value in values.items():
            before = row.get(name)
            if before is not None:
                before.merge(value)
            elif self._has_room(number):
                row[name] = Statistics(value.count, value.sum, value.min, value.max)
                self._points += 1

    def names(self, queue: QueueKey) -> set[str]:
        """What there is of a queue in the last hours."""
        return {name for rows in self._minutes.values() for name in rows.get(queue, ())}

    def series(self, queue: QueueKey, name: str) -> list[Point]:
        """Minute by minute, oldest first."""
        found = ((number, self._minutes[number].get(queue, {}).get(name)) for number in sorted(self._minutes))
        return [Point(number * MINUTE_MS, value) for number, value in found if value is not None]

    def totals(self) -> dict[str, Statistics]:
        """Of all queues since the server started: what is counted, not what is a level."""
        return dict(sorted(self._totals.items()))

    def clear(self) -> None:
        """All series; the totals stay, because counters never go back."""
        self._minutes.clear()
        self._points = 0

    def _has_room(self, number: int) -> bool:
        while self._points >= self._max_points:
            oldest = min(self._minutes)
            if oldest == number:
                return False
            self._drop(oldest)
        return True

    def _drop(self, number: int) -> None:
        self._points -= sum(map(len, self._minutes.pop(number).values()))
