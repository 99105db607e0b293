"""Samples of one measure over all rounds, and what is said of them. Pure."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Samples:
    """Values of one measure of one subject: one per round, or one per observation."""

    values: list[float] = field(default_factory=list)

    def add(self, *values: float) -> None:
        self.values.extend(values)

    @property
    def median(self) -> float | None:
        return statistics.median(self.values) if self.values else None


@dataclass(slots=True)
class Results:
    """(measure, subject) -> samples; why a subject is missing; remarks for the reader."""

    samples: dict[tuple[str, str], Samples] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def add(self, measure: str, subject: str, *values: float) -> None:
        self.samples.setdefault((measure, subject), Samples()).add(*values)

    def median(self, measure: str, subject: str) -> float | None:
        found = self.samples.get((measure, subject))
        return found.median if found else None

    def ratio(self, measure: str, subject: str, other: str) -> float | None:
        """`subject` over `other`; None when either is missing."""
        ours, theirs = self.median(measure, subject), self.median(measure, other)
        return ours / theirs if ours is not None and theirs else None

    def as_json(self) -> dict[str, object]:
        return {
            "results": [
                {"measure": measure, "subject": subject, "median": samples.median, "samples": samples.values}
                for (measure, subject), samples in self.samples.items()
            ],
            "absent": self.absent,
            "remarks": self.remarks,
        }


def rounded(values: Iterable[float], digits: int = 3) -> list[float]:
    return [round(value, digits) for value in values]
