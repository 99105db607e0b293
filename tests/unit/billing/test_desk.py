"""What a bill looks like when it is asked for, and how budgets are set."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from lambent.aws.errors import ApiError
from lambent.billing import store
from lambent.billing.budgets import Budgets
from lambent.billing.desk import Desk
from lambent.billing.ledger import Ledger
from lambent.billing.month import Month
from lambent.billing.prices import load
from lambent.billing.rows import Kind, Rows, Sums
from lambent.functions.records import Function, FunctionKey
from lambent.store.database import Database
from tests.places import Place
from tests.unit.billing.kit import ACCOUNT, NOVEMBER_MS, key, usage
from tests.unit.billing.test_ledger import DAY, clock_at, database_at
from tests.unit.environments.kit import function_version

PRICES = load("[free]\nrequests = 2\ngb_seconds = 0\n[default]\nrequest = 1\nx86_64.gb_second = 1")
"""A request and a GB-second cost a dollar each, and two requests are free."""
GB_S = 1024 * 1000


@dataclass
class Kit:
    desk: Desk
    ledger: Ledger
    database: Database

    async def add(self, rows: Rows) -> None:
        await self.database.write(lambda connection: store.add(connection, rows))

    async def rows(self, **query: str) -> dict[str, str]:
        """Totals by key, in order."""
        found = await self.desk.bill(ACCOUNT, query)
        return {each["Key"]: each["Cost"]["Total"] for each in found["Rows"]}


@pytest.fixture
async def kit(place: Place) -> AsyncIterator[Kit]:
    functions = {
        "thumbnail": Function(latest=function_version(), tags={"team": "blue"}),
        "other": Function(latest=function_version(name="other")),
    }

    def find(wanted: FunctionKey) -> Function | None:
        return functions.get(wanted.name)

    async with database_at(place) as database:
        clock = clock_at(20)
        ledger, budgets = Ledger(database, clock, PRICES), Budgets(database, clock, PRICES)
        ledger.stored = budgets.stored
        desk = Desk(database=database, clock=clock, prices=PRICES, ledger=ledger, budgets=budgets, functions=find)
        yield Kit(desk, ledger, database)


async def test_the_bill_has_what_was_metered_a_moment_ago(kit: Kit) -> None:
    kit.ledger.meter.ended(usage(1000, version=function_version(memory_mb=2048)))
    found = await kit.desk.bill(ACCOUNT, {})
    assert (found["Account"], found["Month"], found["By"]) == (ACCOUNT, "2026-11", "function")
    assert found["Rows"] == [
        {
            "Key": "thumbnail",
            "Invocations": 1,
            "Errors": 0,
            "Requests": 1,
            "BilledMs": 1000,
            "GbSeconds": "2",
            "Cost": {
                "Requests": "1",
                "Duration": "2",
                "Storage": "0",
                "Streaming": "0",
                "Provisioned": "0",
                "SnapStart": "0",
                "Tenants": "0",
                "Total": "3",
            },
        }
    ]
    assert (found["FreeTier"]["Requests"], found["FreeTier"]["Total"]) == ("-1", "-1")
    assert (found["Total"]["Cost"]["Total"], found["Total"]["AfterFreeTier"]) == ("3", "2")


async def test_rows_are_the_dearest_first_and_days_in_order(kit: Kit) -> None:
    await kit.add(
        {
            key(): Sums(requests=1),
            key(function="other", start_ms=NOVEMBER_MS + 3 * DAY): Sums(requests=5),
            key(start_ms=NOVEMBER_MS + DAY): Sums(requests=2),
        }
    )
    assert list((await kit.rows()).items()) == [("other", "5"), ("thumbnail", "3")]
    assert list((await kit.rows(By="day")).items()) == [("2026-11-01", "1"), ("2026-11-02", "2"), ("2026-11-04", "5")]


async def test_by_tag_and_by_tenant(kit: Kit) -> None:
    await kit.add(
        {
            key(tenant="a"): Sums(requests=1),
            key(function="other", tenant="b"): Sums(requests=2),
            key(function="gone"): Sums(requests=4),
        }
    )
    assert await kit.rows(By="tag", TagKey="team") == {"(no tag)": "6", "blue": "1"}
    assert await kit.rows(By="tenant") == {"(no tenant)": "4", "b": "2", "a": "1"}


async def test_other_months_and_other_accounts_are_not_in_it(kit: Kit) -> None:
    await kit.add(
        {
            key(): Sums(requests=1),
            key(account="111111111111"): Sums(requests=2),
            key(start_ms=NOVEMBER_MS - 60_000): Sums(requests=4),
            key(start_ms=Month(2026, 12).begin_ms): Sums(requests=8),
        }
    )
    assert await kit.rows() == {"thumbnail": "1"}
    assert await kit.rows(Month="2026-10") == {"thumbnail": "4"}
    assert await kit.rows(Month="2026-12") == {"thumbnail": "8"}


async def test_a_bill_of_several_regions_names_them(kit: Kit) -> None:
    await kit.add({key(): Sums(requests=1), key(region="eu-west-1"): Sums(requests=2)})
    assert await kit.rows() == {"thumbnail (eu-west-1)": "2", "thumbnail (us-east-1)": "1"}


async def test_what_is_kept_ready_is_no_gb_second_of_invocations(kit: Kit) -> None:
    await kit.add({key(kind=Kind.ALLOCATED): Sums(memory_mb_ms=240_000 * GB_S)})
    (row,) = (await kit.desk.bill(ACCOUNT, {}))["Rows"]
    assert (row["GbSeconds"], row["Cost"]["Provisioned"], row["Cost"]["Duration"]) == ("0", "1.000008", "0")


async def test_a_month_without_usage_is_empty(kit: Kit) -> None:
    found = await kit.desk.bill(ACCOUNT, {"Month": "2025-01"})
    assert (found["Rows"], found["Total"]["AfterFreeTier"], found["FreeTier"]["Total"]) == ([], "0", "0")


@pytest.mark.parametrize(
    "query", [{"By": "color"}, {"By": "tag"}, {"TagKey": "team"}, {"Month": "yesterday"}, {"Month": "2026-13"}]
)
async def test_what_is_no_bill_is_refused(kit: Kit, query: Mapping[str, str]) -> None:
    with pytest.raises(ApiError, match="InvalidParameterValueException"):
        await kit.desk.bill(ACCOUNT, query)


async def test_budgets_are_set_for_functions_and_accounts_shown_and_removed(kit: Kit) -> None:
    kit.ledger.meter.ended(usage(0))
    await kit.desk.put_budget(ACCOUNT, "us-east-1", {"Amount": "8"})
    found = await kit.desk.put_budget(
        ACCOUNT, "us-east-1", {"Amount": "$1", "FunctionName": "thumbnail", "Action": "stop"}
    )
    await kit.desk.bill(ACCOUNT, {})
    account, function = kit.desk.budgets(ACCOUNT)
    assert (
        account
        == found[0]
        == {
            "FunctionName": None,
            "Region": None,
            "Amount": "8",
            "Spent": "0",
            "Action": "warn",
            "Standing": "within",
            "Stopped": False,
        }
    )
    assert (function["FunctionName"], function["Spent"], function["Standing"], function["Stopped"]) == (
        "thumbnail",
        "1",
        "over",
        True,
    )
    arn = function_version().function_arn
    assert await kit.desk.remove_budget(ACCOUNT, "us-east-1", {"FunctionName": arn}) == [account]
    assert await kit.desk.remove_budget(ACCOUNT, "us-east-1", {}) == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"Amount": "5", "FunctionName": "nowhere"}, "ResourceNotFoundException"),
        (
            {"Amount": "5", "FunctionName": "arn:aws:lambda:us-east-1:111111111111:function:thumbnail"},
            "ResourceNotFoundException",
        ),
        ({"Amount": "5", "Action": "pray"}, "InvalidParameterValueException"),
        ({}, "InvalidParameterValueException"),
    ],
)
async def test_a_budget_that_cannot_be_is_refused_and_leaves_nothing(
    kit: Kit, query: dict[str, str], code: str
) -> None:
    with pytest.raises(ApiError, match=code):
        await kit.desk.put_budget(ACCOUNT, "us-east-1", query)
    assert kit.desk.budgets(ACCOUNT) == []


async def test_a_budget_that_is_not_there_cannot_be_removed(kit: Kit) -> None:
    with pytest.raises(ApiError, match="There is no budget of account 000000000000"):
        await kit.desk.remove_budget(ACCOUNT, "us-east-1", {})


async def test_a_reset_drops_the_ledger_and_budgets(kit: Kit) -> None:
    kit.ledger.meter.ended(usage(5))
    await kit.desk.put_budget(ACCOUNT, "us-east-1", {"Amount": "8"})
    await kit.ledger.reset()
    found: dict[str, Any] = await kit.desk.bill(ACCOUNT, {})
    assert found["Rows"] == []
