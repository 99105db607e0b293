"""When minutes of the ledger become hours, hours days, and days go. Pure: `now` and the number of rows decide.

Minutes are for the charts of the last hours; a month's bill needs days alone.
"""

from dataclasses import dataclass
from typing import Final

from lambent.billing.rows import Span

MOST_PRESSURE: Final = 12
TENANTS_FIRST: Final = 6
"""Steps in which no day is deleted early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    minutes_h: int = 48
    hours_d: int = 35
    days_d: int = 400
    """Thirteen months."""
    max_rows: int = 400_000
    """About 100 MB with their index."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """Epoch milliseconds; what begins before them is due."""

    minutes_before_ms: int
    """Become hours."""
    hours_before_ms: int
    """Become days."""
    tenants_before_ms: int
    """Days whose tenants share a row from then on."""
    days_before_ms: int
    """Are deleted."""


def cuts(now_ms: int, retention: Retention, pressure: int = 0) -> Cuts:
    """Each step of `pressure` halves what is kept of everything: there are too many rows. Who the tenants were goes
    first, what was spent last.

    Cuts are at the begin of an hour or a day: what is left of a span would make two rows of it.
    """
    return Cuts(
        Span.HOUR.begin(now_ms - (retention.minutes_h * Span.HOUR.ms >> pressure)),
        Span.DAY.begin(now_ms - (retention.hours_d * Span.DAY.ms >> pressure)),
        Span.DAY.begin(now_ms - (retention.days_d * Span.DAY.ms >> pressure)) if pressure else 0,
        Span.DAY.begin(now_ms - (retention.days_d * Span.DAY.ms >> max(0, pressure - TENANTS_FIRST))),
    )
