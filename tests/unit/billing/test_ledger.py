"""What is metered is in the store soon, whatever happens to the store, and stays small there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection

from lambent.aws.errors import PlatformFault
from lambent.billing import store
from lambent.billing.budget import Scope
from lambent.billing.ledger import FLUSH_INTERVAL_S, Ledger
from lambent.billing.prices import default
from lambent.billing.retention import Retention
from lambent.billing.rows import OTHER_TENANTS, Rows, Span, Sums
from lambent.store.database import Database
from lambent.testing.manual_clock import ManualClock
from tests.places import Place
from tests.unit.billing.kit import NOVEMBER_MS, key, usage
from tests.unit.environments.kit import until

HOUR, DAY = Span.HOUR.ms, Span.DAY.ms


@asynccontextmanager
async def database_at(place: Place) -> AsyncIterator[Database]:
    database = place.open()
    try:
        yield database
    finally:
        await database.close()


def clock_at(days: float = 0) -> ManualClock:
    return ManualClock(datetime.fromtimestamp(NOVEMBER_MS / 1000 + days * 86_400, UTC))


async def stored(database: Database) -> Rows:
    return await database.read(lambda connection: dict(store.rows_of(connection)))


async def test_what_is_metered_is_stored_half_a_flush_later(place: Place) -> None:
    clock = clock_at()
    async with database_at(place) as database:
        ledger = Ledger(database, clock, default())
        heard: list[Rows] = []
        ledger.stored = heard.append
        ledger.start()
        ledger.meter.ended(usage(100))
        ledger.meter.ended(usage(50))
        await clock.advance(FLUSH_INTERVAL_S)
        await until(lambda: bool(heard))
        expected = {key(): Sums(invocations=2, requests=2, billed_ms=150, memory_mb_ms=19_200)}
        assert heard == [expected]
        assert await stored(database) == expected
        await ledger.close()


async def test_rows_of_several_flushes_and_runs_are_added_up(place: Place) -> None:
    for _ in range(3):
        async with database_at(place) as database:
            ledger = Ledger(database, clock_at(), default())
            for _ in range(2):
                ledger.meter.ended(usage(100))
                assert await ledger.flush()
            ledger.meter.ended(usage(7))
            await ledger.close()
    async with database_at(place) as database:
        assert (await stored(database))[key()].billed_ms == 3 * 207


async def test_what_cannot_be_stored_waits_and_is_stored_once(place: Place) -> None:
    async with database_at(place) as database:
        ledger = Ledger(Full(database, 2), clock_at(), default())  # type: ignore[arg-type]
        ledger.meter.ended(usage(1))
        assert not await ledger.flush()
        ledger.meter.ended(usage(10))
        assert not await ledger.flush()
        ledger.meter.ended(usage(100))
        assert await ledger.flush()
        assert await ledger.flush()
        assert (await stored(database))[key()].billed_ms == 111


async def test_while_the_store_is_full_for_long_memory_is_bounded_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lambent.billing.ledger.MOST_WAITING", 100)
    async with database_at(Place(tmp_path / "lambent.db")) as database:
        full = Full(database, 500)
        ledger = Ledger(full, clock_at(), default())  # type: ignore[arg-type]
        most = 0
        for number in range(500):
            ledger.meter.ended(usage(1, NOVEMBER_MS + number * 60_000, tenant=str(number)))
            assert not await ledger.flush()
            most = max(most, len(ledger._waiting))
        assert most <= 100
        assert await ledger.flush()
        assert sum(sums.billed_ms for sums in (await stored(database)).values()) == 500


class Full:
    """A database whose first writes find a full disk."""

    def __init__(self, database: Database, failures: int) -> None:
        self._database = database
        self._failures = failures

    async def write(self, work: object, **more: object) -> object:
        if self._failures:
            self._failures -= 1
            raise PlatformFault("The store cannot write: disk full")
        return await self._database.write(work, **more)  # type: ignore[arg-type]


async def test_a_flush_whose_caller_leaves_is_finished(place: Place) -> None:
    async with database_at(place) as database:
        ledger = Ledger(database, clock_at(), default())
        ledger.meter.ended(usage(5))
        flushing = asyncio.create_task(ledger.flush())
        await asyncio.sleep(0)
        flushing.cancel()
        await asyncio.wait([flushing])
        await ledger.close()
        await database.write(lambda connection: None)
        assert (await stored(database))[key()].billed_ms == 5


async def test_minutes_become_hours_hours_days_and_old_days_go(place: Place) -> None:
    async with database_at(place) as database:
        rows = {
            key(start_ms=NOVEMBER_MS - 500 * DAY, span=Span.DAY): Sums(requests=1),
            key(start_ms=NOVEMBER_MS - 40 * DAY + 3 * HOUR): Sums(requests=2),
            key(start_ms=NOVEMBER_MS - 40 * DAY + 4 * HOUR, span=Span.HOUR): Sums(requests=4),
            key(start_ms=NOVEMBER_MS - 3 * DAY + 60_000): Sums(requests=8),
            key(start_ms=NOVEMBER_MS - 3 * DAY + 120_000): Sums(requests=16),
            key(start_ms=NOVEMBER_MS - HOUR): Sums(requests=32),
        }
        await database.write(lambda connection: store.add(connection, rows))
        await Ledger(database, clock_at(), default()).compact()
        assert await stored(database) == {
            key(start_ms=NOVEMBER_MS - 40 * DAY, span=Span.DAY): Sums(requests=6),
            key(start_ms=NOVEMBER_MS - 3 * DAY, span=Span.HOUR): Sums(requests=24),
            key(start_ms=NOVEMBER_MS - HOUR): Sums(requests=32),
        }


async def test_more_rows_than_there_may_be_become_coarser_early_and_tenants_go_before_money(place: Place) -> None:
    async with database_at(place) as database:
        rows = {
            key(start_ms=NOVEMBER_MS - 20 * DAY + hour * HOUR, tenant=f"tenant-{tenant}"): Sums(requests=1)
            for hour in range(24)
            for tenant in range(20)
        }
        await database.write(lambda connection: store.add(connection, rows))
        await Ledger(database, clock_at(), default(), retention=Retention(max_rows=1)).compact()
        assert await stored(database) == {
            key(start_ms=NOVEMBER_MS - 20 * DAY, span=Span.DAY, tenant=OTHER_TENANTS): Sums(requests=480)
        }


async def test_sums_are_by_any_part_of_the_key_and_by_day(place: Place) -> None:
    rows = {
        key(start_ms=NOVEMBER_MS + 5 * HOUR): Sums(requests=1),
        key(start_ms=NOVEMBER_MS + DAY, span=Span.DAY, function="other"): Sums(requests=2),
        key(start_ms=NOVEMBER_MS, account="111111111111"): Sums(requests=4),
        key(start_ms=NOVEMBER_MS - 60_000): Sums(requests=8),
    }

    def work(connection: Connection) -> list[tuple[object, int]]:
        scope = Scope("000000000000")
        found = store.summed(connection, NOVEMBER_MS, NOVEMBER_MS + 30 * DAY, ("function", "day"), scope)
        return sorted((tuple(each.values()), sums.requests) for each, sums in found)

    async with database_at(place) as database:
        await database.write(lambda connection: store.add(connection, rows))
        assert await database.read(work) == [(("other", NOVEMBER_MS + DAY), 2), (("thumbnail", NOVEMBER_MS), 1)]
