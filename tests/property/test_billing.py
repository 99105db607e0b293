"""Whatever is metered, flushed, compacted and begun again: the sum of the rows is the sum of the usages."""

import asyncio
import tempfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.aws.errors import PlatformFault
from lambent.billing import store
from lambent.billing.charges import Item, bill, tiered
from lambent.billing.ledger import Ledger
from lambent.billing.meter import FREE_STREAMED_BYTES, RollUp
from lambent.billing.prices import default
from lambent.billing.retention import MOST_PRESSURE, Retention, cuts
from lambent.billing.rows import Key, Kind, Rows, Span, Sums, added, coarser
from lambent.environments.events import Status, Usage
from lambent.store.database import Database
from lambent.testing.manual_clock import ManualClock
from tests.unit.billing.kit import NOVEMBER_MS
from tests.unit.environments.kit import function_version

VERSIONS = [
    function_version(),
    function_version(name="large", memory_mb=10_240, ephemeral_storage_mb=10_240, architecture="arm64"),
    function_version(version="1", snap_start=True),
]
usages = st.builds(
    Usage,
    version=st.sampled_from(VERSIONS),
    time_ms=st.integers(NOVEMBER_MS - 11 * Span.DAY.ms, NOVEMBER_MS),
    billed_ms=st.integers(0, 900_000),
    first=st.booleans(),
    restored=st.booleans(),
    provisioned=st.booleans(),
    streamed_bytes=st.integers(0, 4 * FREE_STREAMED_BYTES),
    request_units=st.integers(1, 13),
    tenant=st.sampled_from([None, "blue", "green"]),
    status=st.sampled_from(Status),
)


def expected(seen: list[Usage]) -> Sums:
    """Each usage on its own, as the rules say."""
    return Sums(
        invocations=len(seen),
        requests=sum(each.request_units for each in seen),
        errors=sum(each.status is not Status.SUCCESS for each in seen),
        billed_ms=sum(each.billed_ms for each in seen),
        memory_mb_ms=sum(each.billed_ms * each.version.memory_mb for each in seen),
        storage_mb_ms=sum(each.billed_ms * (each.version.ephemeral_storage_mb - 512) for each in seen),
        streamed_bytes=sum(max(0, each.streamed_bytes - FREE_STREAMED_BYTES) for each in seen),
        restored_mb=sum(
            each.version.memory_mb for each in seen if each.first and each.restored and each.version.snap_start
        ),
        tenant_mb=sum(each.version.memory_mb for each in seen if each.first and each.tenant is not None),
    )


def total(rows: Rows) -> Sums:
    together = Sums()
    for sums in rows.values():
        together = together.plus(sums)
    return together


@given(st.lists(st.lists(usages, max_size=10), max_size=6))
def test_the_sum_of_all_batches_is_the_sum_of_the_usages(batches: list[list[Usage]]) -> None:
    metered = RollUp(default(), lambda: None)
    rows: Rows = {}
    for batch in batches:
        for each in batch:
            metered.ended(each)
        rows = added(rows, metered.take())
    seen = [each for batch in batches for each in batch]
    assert total(rows) == expected(seen)
    for span in Span:
        longer = coarser(rows.items(), span)
        assert total(longer) == expected(seen)
        assert all(key.start_ms % span.ms == 0 and key.span is span for key in longer)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(usages, min_size=1, max_size=8), st.sampled_from(["go on", "restart", "compact", "full"])),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 40),
)
def test_the_ledger_loses_nothing_over_flushes_compactions_restarts_and_full_disks(
    steps: list[tuple[list[Usage], str]], max_rows: int
) -> None:
    async def run(path: Path) -> Rows:
        clock = ManualClock(datetime.fromtimestamp(NOVEMBER_MS / 1000, UTC))
        retention = Retention(max_rows=max_rows)
        database = Database.open(path)
        ledger = Ledger(database, clock, default(), retention=retention)
        for batch, then in steps:
            for each in batch:
                ledger.meter.ended(each)
            match then:
                case "restart":
                    await ledger.close()
                    await database.close()
                    database = Database.open(path)
                    ledger = Ledger(database, clock, default(), retention=retention)
                case "compact":
                    await ledger.flush()
                    await ledger.compact()
                case "full":
                    ledger._database = _Full()  # type: ignore[assignment]
                    assert not await ledger.flush()
                    ledger._database = database
                case _:
                    assert await ledger.flush()
        await ledger.close()
        rows = await database.read(lambda connection: dict(store.rows_of(connection)))
        await database.close()
        return rows

    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(run(Path(folder) / "lambent.db"))
    assert total(rows) == expected([each for batch, _ in steps for each in batch])


class _Full:
    async def write(self, work: object, **more: object) -> None:
        raise PlatformFault("The store cannot write: disk full")


@given(st.integers(NOVEMBER_MS, 2 * NOVEMBER_MS), st.integers(0, MOST_PRESSURE))
def test_more_pressure_never_keeps_more_and_cuts_are_at_whole_spans(now_ms: int, pressure: int) -> None:
    mild, hard = cuts(now_ms, Retention(), pressure), cuts(now_ms, Retention(), pressure + 1)
    assert hard.minutes_before_ms >= mild.minutes_before_ms
    assert hard.hours_before_ms >= mild.hours_before_ms
    assert hard.days_before_ms >= mild.days_before_ms
    assert mild.minutes_before_ms % Span.HOUR.ms == mild.hours_before_ms % Span.DAY.ms == 0
    assert mild.days_before_ms % Span.DAY.ms == 0
    assert mild.minutes_before_ms <= now_ms


amounts = st.decimals(0, 40_000_000_000, places=3)


@given(amounts, amounts)
def test_more_usage_never_costs_less_and_tiers_never_cost_more_than_the_first(one: Decimal, more: Decimal) -> None:
    tiers = default().default.architectures["x86_64"].gb_second
    assert tiered(one, tiers) <= tiered(one + more, tiers) <= tiered(one, tiers) + tiered(more, tiers)
    assert tiered(one, tiers) <= one * tiers[0].price


items = st.builds(
    Item,
    group=st.sampled_from("abc"),
    region=st.sampled_from(["us-east-1", "eu-west-1"]),
    architecture=st.sampled_from(["x86_64", "arm64"]),
    kind=st.sampled_from(Kind),
    sums=st.builds(
        Sums,
        invocations=st.just(0),
        requests=st.integers(0, 10**9),
        errors=st.just(0),
        billed_ms=st.just(0),
        memory_mb_ms=st.integers(0, 10**16),
        storage_mb_ms=st.integers(0, 10**12),
        streamed_bytes=st.integers(0, 10**14),
        restored_mb=st.integers(0, 10**6),
        tenant_mb=st.integers(0, 10**6),
    ),
)


@given(st.lists(items, max_size=8))
def test_groups_add_up_to_what_one_group_pays_and_the_free_tier_never_pays_out(found: list[Item]) -> None:
    split, whole = bill(found, default()), bill([each._replace(group="") for each in found], default())
    assert abs(split.total - whole.total) < Decimal("1e-9")
    assert split.free == whole.free
    assert 0 <= whole.free.total <= whole.all.charges.total
    assert whole.free.requests <= Decimal("0.20")


def test_a_key_within_a_longer_span_begins_with_it() -> None:
    key = Key(Span.MINUTE, NOVEMBER_MS + 90 * 60_000, "a", "r", "f", "1", "arm64", Kind.CACHED)
    assert key.within(Span.HOUR).start_ms == NOVEMBER_MS + 60 * 60_000
