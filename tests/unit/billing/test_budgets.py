"""Budgets: who is told at 80 %, who is stopped at 100 %, and that a restart forgets none of it."""

import logging
from collections.abc import AsyncIterator
from decimal import Decimal
from functools import partial

import pytest

from lambent.aws.errors import ApiError
from lambent.billing import store
from lambent.billing.budget import Budget, Scope, Standing
from lambent.billing.budgets import Budgets
from lambent.billing.month import Month
from lambent.billing.prices import load
from lambent.billing.rows import Rows, Sums
from lambent.functions.records import FunctionKey
from lambent.store.database import Database
from lambent.testing.manual_clock import ManualClock
from tests.places import Place
from tests.unit.billing.kit import ACCOUNT, NOVEMBER_MS, key
from tests.unit.billing.test_ledger import clock_at, database_at

PRICES = load("free.enabled = false\n[default]\nrequest = 1\n")
"""A request costs a dollar."""
FUNCTION = FunctionKey(ACCOUNT, "us-east-1", "thumbnail")
OTHER = FunctionKey(ACCOUNT, "us-east-1", "other")
SCOPE = Scope(*FUNCTION)


@pytest.fixture
async def database(place: Place) -> AsyncIterator[Database]:
    async with database_at(place) as database:
        yield database


def rows(dollars: int, **changes: object) -> Rows:
    return {key(**changes): Sums(requests=dollars)}


async def test_at_eighty_percent_a_warning_is_logged_once(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    budgets = Budgets(database, clock_at(), PRICES)
    await budgets.put(Budget.of(SCOPE, 10))
    budgets.stored(rows(7))
    assert caplog.messages == []
    budgets.stored(rows(1))
    budgets.stored(rows(1))
    assert caplog.messages == ["The budget of function thumbnail (us-east-1), $10, is used to 80 %"]
    budgets.stored(rows(1))
    budgets.stored(rows(100))
    assert caplog.messages[1:] == ["The budget of function thumbnail (us-east-1), $10, is used up"]
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    assert budgets.refuses(FUNCTION) is None


async def test_a_budget_that_stops_refuses_its_function_alone(database: Database) -> None:
    budgets = Budgets(database, clock_at(29.5), PRICES)
    await budgets.put(Budget.of(SCOPE, 2, stop=True))
    budgets.stored(rows(1))
    assert budgets.refuses(FUNCTION) is None
    budgets.stored(rows(1))
    refusal = budgets.refuses(FUNCTION)
    assert refusal is not None
    assert refusal.code == "TooManyRequestsException"
    assert refusal.message == (
        "The budget of function thumbnail (us-east-1) for 2026-11, $2, is used up. Invocations go on next month, "
        "or with another budget: see lambent bill budget."
    )
    # Some SDKs would wait for as long as it says.
    assert refusal.headers == {"Retry-After": "1"}
    assert budgets.refuses(OTHER) is None


async def test_a_budget_of_an_account_stops_all_its_functions_in_all_regions(database: Database) -> None:
    budgets = Budgets(database, clock_at(), PRICES)
    await budgets.put(Budget.of(Scope(ACCOUNT), 3, stop=True))
    budgets.stored({**rows(1), **rows(1, function="other"), **rows(1, region="eu-west-1")})
    assert budgets.refuses(OTHER) is not None
    assert budgets.refuses(FunctionKey("111111111111", "us-east-1", "thumbnail")) is None


async def test_raising_or_removing_a_budget_lets_invocations_begin_again(database: Database) -> None:
    budgets = Budgets(database, clock_at(), PRICES)
    await budgets.put(Budget.of(SCOPE, 0, stop=True))
    assert budgets.refuses(FUNCTION) is not None
    await budgets.put(Budget.of(SCOPE, 5, stop=True))
    assert budgets.refuses(FUNCTION) is None
    budgets.stored(rows(5))
    assert budgets.refuses(FUNCTION) is not None
    assert await budgets.remove(SCOPE)
    assert not await budgets.remove(SCOPE)
    assert budgets.refuses(FUNCTION) is None


async def test_budgets_and_what_was_spent_survive_a_restart(database: Database) -> None:
    before = Budgets(database, clock_at(), PRICES)
    await before.put(Budget.of(SCOPE, 10, stop=True))
    await before.put(Budget.of(Scope(ACCOUNT), "20.50"))
    await database.write(lambda connection: store.add(connection, rows(10)))
    await database.write(lambda connection: store.add(connection, rows(99, start_ms=NOVEMBER_MS - 60_000)))
    budgets = Budgets(database, clock_at(), PRICES)
    budgets.load()
    assert budgets.refuses(FUNCTION) is not None
    assert budgets.of(ACCOUNT) == [
        (Budget(Scope(ACCOUNT), Decimal("20.50")), Decimal(10), Standing.WITHIN),
        (Budget(SCOPE, Decimal(10), stop=True), Decimal(10), Standing.OVER),
    ]
    assert budgets.of("111111111111") == []


async def test_a_budget_counts_what_was_used_before_it_was_set_and_all_that_follows(database: Database) -> None:
    budgets = Budgets(database, clock_at(), PRICES)
    for dollars in (1, 2):
        used = rows(dollars) | rows(100, function="other")
        await database.write(partial(store.add, rows=used), applied=lambda _, used=used: budgets.stored(used))  # type: ignore[misc]
    await budgets.put(Budget.of(SCOPE, 10))
    budgets.stored(rows(3))
    assert [spent for _, spent, _ in budgets.of(ACCOUNT)] == [6]


async def test_functions_without_a_budget_take_no_memory(database: Database) -> None:
    budgets = Budgets(database, clock_at(), PRICES)
    await budgets.put(Budget.of(SCOPE, 10))
    for number in range(50):
        budgets.stored(rows(1, function=f"passing-{number}", account=f"{number:012}"))
    assert list(budgets._used) == [SCOPE]
    await budgets.remove(SCOPE)
    assert not budgets._used


async def test_the_month_ends_and_invocations_go_on(database: Database) -> None:
    clock = clock_at(29.9)
    budgets = Budgets(database, clock, PRICES)
    await budgets.put(Budget.of(SCOPE, 1, stop=True))
    budgets.stored(rows(1))
    assert budgets.refuses(FUNCTION) is not None
    await clock.advance(86_400)
    assert budgets.refuses(FUNCTION) is None
    budgets.stored(rows(1))
    assert budgets.of(ACCOUNT)[0][1] == 0
    budgets.stored(rows(1, start_ms=Month(2026, 12).begin_ms))
    assert budgets.refuses(FUNCTION) is not None


async def test_a_function_is_measured_before_the_free_tier_and_an_account_after_it(database: Database) -> None:
    budgets = Budgets(database, clock_at(), load("[default]\nrequest = 1\n[free]\nrequests = 3"))
    await budgets.put(Budget.of(SCOPE, 10))
    await budgets.put(Budget.of(Scope(ACCOUNT), 10))
    budgets.stored(rows(5))
    assert [spent for _, spent, _ in budgets.of(ACCOUNT)] == [2, 5]


@pytest.mark.parametrize(
    "amount", ["", "-1", "much", "NaN", "Infinity", "1e13", "1e-999999", "0.00000000001", "1_0", "٣", " 5", "9" * 13]
)
def test_an_amount_that_is_none_is_refused(amount: str) -> None:
    with pytest.raises(ApiError, match="InvalidParameterValueException"):
        Budget.of(SCOPE, amount)


async def test_the_least_amount_is_there_again_after_a_restart(database: Database) -> None:
    await Budgets(database, clock_at(), load("")).put(Budget.of(SCOPE, "0.0000000001"))
    again = Budgets(database, clock_at(), load(""))
    again.load()
    assert [budget.amount for budget, _, _ in again.of(ACCOUNT)] == [Decimal("0.0000000001")]


@pytest.mark.parametrize("text", ["", "2026", "２０２６-11", "2026-13", "2026-00", "26-1", "2026-1"])
def test_a_month_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="is no month; one looks like 2026-11"):
        Month.parse(text)


def test_months_follow_each_other() -> None:
    assert [str(Month(2026, 11).following), str(Month(2026, 12).following)] == ["2026-12", "2027-01"]
    assert Month.at(NOVEMBER_MS) == Month.parse("2026-11")
    assert Month.at(NOVEMBER_MS - 1) == Month(2026, 10)
    assert Month(2026, 11).end_ms - Month(2026, 11).begin_ms == 30 * 86_400_000
    assert ManualClock().now().month == 11
