"""What the ledger keeps to, on every database."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from lambent.billing import store
from lambent.billing.budget import Budget, Scope
from lambent.billing.ledger import Ledger
from lambent.billing.prices import default
from lambent.billing.rows import Key, Kind, Rows, Span, Sums
from lambent.store.database import Database
from tests.places import Place
from tests.unit.billing.kit import ACCOUNT, NOVEMBER_MS, key, usage
from tests.unit.billing.test_ledger import DAY, HOUR, clock_at


@pytest.fixture
async def database(place: Place) -> AsyncIterator[Database]:
    database = place.open()
    yield database
    await database.close()


async def add(database: Database, rows: Rows) -> None:
    await database.write(lambda connection: store.add(connection, rows))


async def stored(database: Database) -> Rows:
    return await database.read(lambda connection: dict(store.rows_of(connection)))


async def test_rows_are_inserted_and_added_to(database: Database) -> None:
    many: Rows = {key(version=str(number)): Sums(*range(1, 10)) for number in range(20)}
    await add(database, many)
    await add(database, {key(version="7"): Sums(*range(1, 10)), key(version="new"): Sums(requests=2**40)})
    found = await stored(database)
    assert found[key(version="7")] == Sums(*range(2, 20, 2))
    assert found[key(version="8")] == Sums(*range(1, 10))
    assert found[key(version="new")] == Sums(requests=2**40)


async def test_a_flush_adds_to_what_an_earlier_run_wrote(database: Database) -> None:
    for _ in range(2):
        ledger = Ledger(database, clock_at(), default())
        ledger.meter.ended(usage(100, tenant="blue"))
        await ledger.close()
    assert (await stored(database))[key(tenant="blue")].billed_ms == 200


async def test_what_is_due_becomes_coarser(database: Database) -> None:
    start = NOVEMBER_MS - 3 * DAY
    await add(database, {key(start_ms=start + minute * 60_000): Sums(requests=1) for minute in range(90)})
    await add(
        database, {key(start_ms=start - 50 * DAY + hour * HOUR, span=Span.HOUR): Sums(requests=1) for hour in range(30)}
    )
    await Ledger(database, clock_at(), default()).compact()
    days: list[Key] = [key(start_ms=start - 50 * DAY, span=Span.DAY), key(start_ms=start - 49 * DAY, span=Span.DAY)]
    hours: list[Key] = [key(start_ms=start, span=Span.HOUR), key(start_ms=start + HOUR, span=Span.HOUR)]
    assert await stored(database) == dict(zip([*days, *hours], map(Sums, [0] * 4, [24, 6, 60, 30]), strict=True))


async def test_sums_are_by_day_and_class(database: Database) -> None:
    await add(
        database,
        {
            key(start_ms=NOVEMBER_MS + 5 * HOUR): Sums(requests=1),
            key(start_ms=NOVEMBER_MS + 6 * HOUR, version="2"): Sums(requests=2),
            key(start_ms=NOVEMBER_MS + DAY, span=Span.DAY): Sums(requests=4),
            key(start_ms=NOVEMBER_MS + DAY, kind=Kind.CACHED): Sums(memory_mb_ms=2**53),
            key(start_ms=NOVEMBER_MS + 2 * DAY): Sums(requests=8),
        },
    )
    found = await database.read(
        lambda connection: store.summed(connection, NOVEMBER_MS, NOVEMBER_MS + 2 * DAY, ("kind", "day"), Scope(ACCOUNT))
    )
    assert {(each["kind"], each["day"] - NOVEMBER_MS): (sums.requests, sums.memory_mb_ms) for each, sums in found} == {
        ("on-demand", 0): (3, 0),
        ("on-demand", DAY): (4, 0),
        ("cached", DAY): (0, 2**53),
    }
    assert await database.read(store.cached_mb_ms) == {(ACCOUNT, "us-east-1", "thumbnail", "$LATEST"): 2**53}
    assert await database.read(store.count) == 5
    allocated = key(kind=Kind.ALLOCATED, start_ms=NOVEMBER_MS + 60_000)
    await add(
        database, {allocated: Sums(memory_mb_ms=7), allocated._replace(start_ms=NOVEMBER_MS): Sums(memory_mb_ms=5)}
    )
    found_since = await database.read(lambda connection: store.allocated_since(connection, NOVEMBER_MS + 1))
    assert found_since == {(ACCOUNT, "us-east-1", "thumbnail", "$LATEST"): [(NOVEMBER_MS + 60_000, 7)]}


async def test_budgets_are_put_over_each_other_and_deleted(database: Database) -> None:
    first, second = Budget(Scope(ACCOUNT), Decimal("0.10")), Budget(Scope(ACCOUNT), Decimal(5), stop=True)
    function = Budget(Scope(ACCOUNT, "us-east-1", "thumbnail"), Decimal("1E-7"))
    for budget in (first, second, function):
        await database.write(lambda connection, budget=budget: store.put_budget(connection, budget))  # type: ignore[misc]
    assert sorted(await database.read(store.all_budgets), key=str) == sorted([second, function], key=str)
    assert await database.write(lambda connection: store.delete_budget(connection, second.scope))
    assert not await database.write(lambda connection: store.delete_budget(connection, second.scope))
    await database.write(store.delete_everything)
    assert await database.read(store.all_budgets) == []
