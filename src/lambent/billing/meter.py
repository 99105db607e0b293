"""The meter: adds up ended invocations in memory until the ledger takes the sums. A `Meter` of environments.

On the warm path: a look-up and a few additions for each invocation, no price and no I/O. Memory is bounded by versions
and minutes, and by a number of tenants that have sums of their own.
"""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from lambent.billing.prices import FREE_EPHEMERAL_MB, Prices
from lambent.billing.rows import OTHER_TENANTS, Key, Kind, Rows, Span, Sums, add
from lambent.environments.events import Status, Usage
from lambent.functions.records import FunctionVersion

FREE_STREAMED_BYTES: Final = 6 * 1024 * 1024
"""Of each request."""
MOST_SUMS: Final = 20_000
"""Held at one time; beyond it, tenants share a sum."""


class _Tally:
    """The open sums of one version, minute, class and tenant."""

    __slots__ = (
        "billed_ms",
        "errors",
        "first",
        "invocations",
        "requests",
        "restored",
        "streamed_bytes",
        "usage",
    )

    def __init__(self, usage: Usage) -> None:
        self.usage = usage
        """The first one; it keeps the version alive, whose identity is in the key."""
        self.invocations = 0
        self.requests = 0
        self.errors = 0
        self.billed_ms = 0
        self.streamed_bytes = 0
        self.restored = 0
        self.first = 0


class RollUp:
    """`woken` is called at the first usage after the sums were taken."""

    def __init__(self, prices: Prices, woken: Callable[[], None], *, most_sums: int = MOST_SUMS) -> None:
        self._prices = prices
        self._woken = woken
        self._most = most_sums
        self._open: dict[tuple[int, int, bool, str | None], _Tally] = {}

    def ended(self, usage: Usage) -> None:
        key = (id(usage.version), usage.time_ms // 60_000, usage.provisioned, usage.tenant)
        tally = self._open.get(key)
        if tally is None:
            tally = self._begin(key, usage)
        tally.invocations += 1
        tally.requests += usage.request_units
        tally.billed_ms += usage.billed_ms
        if usage.status is not Status.SUCCESS:
            tally.errors += 1
        if usage.first:
            tally.first += 1
            tally.restored += usage.restored
        if usage.streamed_bytes > FREE_STREAMED_BYTES:
            tally.streamed_bytes += usage.streamed_bytes - FREE_STREAMED_BYTES

    def take(self) -> Rows:
        """The sums since the last time."""
        taken, self._open = self._open, {}
        rows: Rows = {}
        for tally in taken.values():
            add(rows, _key(tally.usage), self._sums(tally, tally.usage.version))
        return rows

    def _begin(self, key: tuple[int, int, bool, str | None], usage: Usage) -> _Tally:
        if not self._open:
            self._woken()
        if usage.tenant is not None and len(self._open) >= self._most:
            key = (*key[:3], OTHER_TENANTS)
            usage = replace(usage, tenant=OTHER_TENANTS)
            if (found := self._open.get(key)) is not None:
                return found
        tally = self._open[key] = _Tally(usage)
        return tally

    def _sums(self, tally: _Tally, version: FunctionVersion) -> Sums:
        # What a fork of ours saves is no SnapStart, and costs nothing.
        charged = version.snap_start and self._prices.charges_snapshots(version.runtime)
        return Sums(
            invocations=tally.invocations,
            requests=tally.requests,
            errors=tally.errors,
            billed_ms=tally.billed_ms,
            memory_mb_ms=tally.billed_ms * version.memory_mb,
            storage_mb_ms=tally.billed_ms * max(0, version.ephemeral_storage_mb - FREE_EPHEMERAL_MB),
            streamed_bytes=tally.streamed_bytes,
            restored_mb=tally.restored * version.memory_mb if charged else 0,
            tenant_mb=0 if tally.usage.tenant is None else tally.first * version.memory_mb,
        )


def _key(usage: Usage) -> Key:
    version = usage.version
    return Key(
        Span.MINUTE,
        Span.MINUTE.begin(usage.time_ms),
        version.account,
        version.region,
        version.name,
        version.version,
        version.architecture,
        Kind.PROVISIONED if usage.provisioned else Kind.ON_DEMAND,
        usage.tenant or "",
    )
