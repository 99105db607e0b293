"""What CloudWatch keeps of a metric: four numbers for each minute. Shared by all who count in memory."""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

MINUTE_MS: Final = 60_000
KEPT_MINUTES: Final = 180


@dataclass(slots=True)
class Statistics:
    """SampleCount, Sum, Minimum and Maximum."""

    count: int = 0
    sum: float = 0.0
    min: float = math.inf
    max: float = -math.inf

    def add(self, value: float) -> None:
        self.count += 1
        self.sum += value
        if value < self.min:
            self.min = value
        if value > self.max:
            self.max = value

    def merge(self, other: "Statistics") -> None:
        self.count += other.count
        self.sum += other.sum
        self.min = min(self.min, other.min)
        self.max = max(self.max, other.max)


class Point(NamedTuple):
    epoch_ms: int
    """When its minute began."""
    value: Statistics
