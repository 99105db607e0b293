"""The ledger's rows: sums of what was used, by function version, time and price class. Pure.

Whole numbers only, so that however rows are added up, over restarts and compactions, the sum is the same.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

OTHER_TENANTS: Final = "(other)"
"""Of those that came when too many had a row of their own."""


class Span(StrEnum):
    """How much time a row stands for. Always whole ones of UTC, so none crosses the end of a month."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"

    @property
    def ms(self) -> int:
        return _SPAN_MS[self]

    def begin(self, time_ms: int) -> int:
        """Of the span in which `time_ms` is."""
        return time_ms - time_ms % self.ms


_SPAN_MS: Final = {Span.MINUTE: 60_000, Span.HOUR: 3_600_000, Span.DAY: 86_400_000}


class Kind(StrEnum):
    """The price class beside the architecture."""

    ON_DEMAND = "on-demand"
    PROVISIONED = "provisioned"
    """Invocations in environments of provisioned concurrency."""
    ALLOCATED = "allocated"
    """Provisioned concurrency as it is kept, busy or not."""
    CACHED = "cached"
    """Snapshots of SnapStart as they are kept."""


class Key(NamedTuple):
    span: Span
    start_ms: int
    account: str
    region: str
    function: str
    version: str
    architecture: str
    kind: Kind
    tenant: str = ""
    """"": none."""

    def within(self, span: Span) -> "Key":
        return self._replace(span=span, start_ms=span.begin(self.start_ms))


class Sums(NamedTuple):
    invocations: int = 0
    requests: int = 0
    """As billed: more than invocations where events are large."""
    errors: int = 0
    """Invocations that failed or ran out of time, which cost the same."""
    billed_ms: int = 0
    memory_mb_ms: int = 0
    storage_mb_ms: int = 0
    """Of /tmp above 512 MB."""
    streamed_bytes: int = 0
    """Beyond the first 6 MB of each request."""
    restored_mb: int = 0
    """Memory of the environments that were restored from a snapshot that costs."""
    tenant_mb: int = 0
    """Memory of the environments that were made for a tenant."""

    def plus(self, other: "Sums") -> "Sums":
        return Sums(*map(int.__add__, self, other))


Rows = dict[Key, Sums]


def add(rows: Rows, key: Key, sums: Sums) -> None:
    found = rows.get(key)
    rows[key] = sums if found is None else found.plus(sums)


def added(*many: Rows) -> Rows:
    together: Rows = {}
    for rows in many:
        for key, sums in rows.items():
            add(together, key, sums)
    return together


def coarser(rows: Iterable[tuple[Key, Sums]], span: Span, *, tenants: bool = True) -> Rows:
    """The same sums by longer spans; without `tenants`, those of all tenants of a version together."""
    together: Rows = {}
    for key, sums in rows:
        if key.tenant and not tenants:
            key = key._replace(tenant=OTHER_TENANTS)
        add(together, key.within(span), sums)
    return together
