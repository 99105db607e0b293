"""From sums to money: what rows cost at a table of prices, with tiers and the free tier of a month. Pure.

Tiers are by region and architecture of one account; what a group (a function, a day) pays of a tiered price is its
share of all. The free tier is the account's, so it is no group's: it is a line of its own.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from lambent.billing.prices import MB_PER_GB, MS_PER_S, ZERO, Prices, Tier
from lambent.billing.rows import Kind, Sums

BYTES_PER_GB: Final = 1024**3
MB_MS_PER_GB_S: Final = MB_PER_GB * MS_PER_S


class Item(NamedTuple):
    """Sums of one price class, and which group they belong to."""

    group: str
    region: str
    architecture: str
    kind: Kind
    sums: Sums


class Charges(NamedTuple):
    """US dollars."""

    requests: Decimal = ZERO
    duration: Decimal = ZERO
    """On demand."""
    storage: Decimal = ZERO
    streaming: Decimal = ZERO
    provisioned: Decimal = ZERO
    """What is kept ready, and what runs there."""
    snapstart: Decimal = ZERO
    tenants: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        return sum(self, ZERO)

    def plus(self, other: "Charges") -> "Charges":
        return Charges(*map(Decimal.__add__, self, other))

    def minus(self, other: "Charges") -> "Charges":
        return Charges(*map(Decimal.__sub__, self, other))


class Line(NamedTuple):
    """One group."""

    sums: Sums = Sums()
    """Of its invocations."""
    charges: Charges = Charges()

    @property
    def gb_seconds(self) -> Decimal:
        return gb_seconds(self.sums.memory_mb_ms)

    def plus(self, other: "Line") -> "Line":
        return Line(self.sums.plus(other.sums), self.charges.plus(other.charges))


class Bill(NamedTuple):
    groups: dict[str, Line]
    free: Charges
    """What the free tier takes off."""

    @property
    def all(self) -> Line:
        """Before the free tier."""
        together = Line()
        for line in self.groups.values():
            together = together.plus(line)
        return together

    @property
    def total(self) -> Decimal:
        return self.all.charges.total - self.free.total


def gb_seconds(mb_ms: int) -> Decimal:
    return Decimal(mb_ms) / MB_MS_PER_GB_S


def tiered(amount: Decimal, tiers: Sequence[Tier]) -> Decimal:
    """What `amount` GB-seconds of one month cost."""
    cost, below = ZERO, ZERO
    for tier in tiers:
        upper = amount if tier.up_to is None else min(amount, tier.up_to)
        if upper > below:
            cost += (upper - below) * tier.price
            below = upper
    return cost


def bill(items: Iterable[Item], prices: Prices, *, free: bool | None = None) -> Bill:
    """`items` are all of one account and month. `free`: whether there is a free tier; None: as the table says."""
    items = list(items)
    used = _on_demand(items)
    groups: dict[str, Line] = {}
    for item in items:
        line = Line(_invoked(item), _charges(item, used, prices))
        groups[item.group] = groups.get(item.group, Line()).plus(line)
    enabled = prices.free.enabled if free is None else free
    return Bill(groups, _free(items, used, prices) if enabled else Charges())


def _invoked(item: Item) -> Sums:
    """Memory that is kept without an invocation is in the charges, not among the GB-seconds of invocations."""
    return item.sums._replace(memory_mb_ms=0) if item.kind in (Kind.ALLOCATED, Kind.CACHED) else item.sums


def _on_demand(items: Iterable[Item]) -> dict[tuple[str, str], Decimal]:
    """GB-seconds by region and architecture: what the tiers count."""
    used: dict[tuple[str, str], Decimal] = {}
    for item in items:
        if item.kind is Kind.ON_DEMAND:
            place = item.region, item.architecture
            used[place] = used.get(place, ZERO) + gb_seconds(item.sums.memory_mb_ms)
    return used


def _charges(item: Item, used: dict[tuple[str, str], Decimal], prices: Prices) -> Charges:
    region = prices.of(item.region)
    own = region.architectures[item.architecture]
    memory = gb_seconds(item.sums.memory_mb_ms)
    if item.kind is Kind.ALLOCATED:
        return Charges(provisioned=memory * own.provisioned_gb_second)
    if item.kind is Kind.CACHED:
        return Charges(snapstart=memory * region.cache_gb_second)
    duration = ZERO
    if item.kind is Kind.ON_DEMAND:
        together, first = used[item.region, item.architecture], own.gb_second[0]
        if first.up_to is None or together <= first.up_to:
            duration = memory * first.price
        else:
            duration = tiered(together, own.gb_second) * memory / together
    return Charges(
        requests=item.sums.requests * region.request,
        duration=duration,
        storage=gb_seconds(item.sums.storage_mb_ms) * region.ephemeral_gb_second,
        streaming=Decimal(item.sums.streamed_bytes) / BYTES_PER_GB * region.streamed_gb,
        provisioned=memory * own.provisioned_run_gb_second if item.kind is Kind.PROVISIONED else ZERO,
        snapstart=Decimal(item.sums.restored_mb) / MB_PER_GB * region.restore_gb,
        tenants=Decimal(item.sums.tenant_mb) / MB_PER_GB * own.tenant_environment_gb,
    )


def _free(items: Sequence[Item], used: dict[tuple[str, str], Decimal], prices: Prices) -> Charges:
    """Dearest first, in the account's favour. Invocations of provisioned concurrency have none of it."""
    on_demand = [item for item in items if item.kind is Kind.ON_DEMAND]
    requests = [(prices.of(item.region).request, Decimal(item.sums.requests)) for item in on_demand]
    streamed = [
        (prices.of(item.region).streamed_gb, Decimal(item.sums.streamed_bytes) / BYTES_PER_GB) for item in on_demand
    ]
    left, duration = prices.free.gb_seconds, ZERO
    tables = [(prices.of(region).architectures[name].gb_second, amount) for (region, name), amount in used.items()]
    for tiers, amount in sorted(tables, key=lambda table: table[0][0].price, reverse=True):
        taken = min(left, amount)
        duration += tiered(amount, tiers) - tiered(amount - taken, tiers)
        left -= taken
    return Charges(
        requests=_taken_off(requests, prices.free.requests),
        duration=duration,
        streaming=_taken_off(streamed, prices.free.streamed_gb),
    )


def _taken_off(priced: Iterable[tuple[Decimal, Decimal]], left: Decimal) -> Decimal:
    off = ZERO
    for price, amount in sorted(priced, reverse=True):
        taken = min(left, amount)
        off += taken * price
        left -= taken
    return off
