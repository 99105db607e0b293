"""`lambent bill`."""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from lambent.cli.money import dollars, share
from tests.unit.cli.conftest import Outcome, ScriptedServer

Run = Callable[..., Outcome]

KINDS = ("Requests", "Duration", "Storage", "Streaming", "Provisioned", "SnapStart", "Tenants")


def cost(**amounts: str) -> dict[str, str]:
    total = sum((Decimal(amount) for amount in amounts.values()), Decimal(0))
    return {name: amounts.get(name, "0") for name in KINDS} | {"Total": f"{total:f}"}


def line(requests: int, gb_seconds: str, **amounts: str) -> dict[str, Any]:
    return {"Requests": requests, "GbSeconds": gb_seconds, "Cost": cost(**amounts)}


FOUND: dict[str, Any] = {
    "Account": "000000000000",
    "Month": "2026-11",
    "By": "function",
    "TagKey": None,
    "Rows": [
        {"Key": "thumbnail"} | line(3_000_000, "540000", Requests="0.60", Duration="9.000018"),
        {"Key": "small"} | line(1, "0.000125", Requests="0.0000002", Duration="0.0000000020833375"),
    ],
    "FreeTier": cost(Requests="-0.20", Duration="-6.66668"),
    "Total": line(3_000_001, "540000.000125", Requests="0.6000002", Duration="9.0000180020833375")
    | {"AfterFreeTier": "2.7333382020833375"},
    "Budgets": [],
}


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def bill_of(run: Run, server: ScriptedServer, found: Mapping[str, Any], *arguments: str) -> list[str]:
    server.answer("GET", "/_lambent/bill", found)
    return run("bill", *arguments, "--endpoint", server.url).out.splitlines()


def test_a_table_with_the_free_tier_as_a_line_and_bars(run: Run, server: ScriptedServer) -> None:
    _, _, *lines = bill_of(run, server, FOUND)
    assert lines == [
        "FUNCTION    REQUESTS     GB-S  FOR REQUESTS       DURATION  STORAGE  STREAMING  PROVISIONED       TOTAL",
        "thumbnail  3,000,000  540,000         $0.60          $9.00        -          -            -       $9.60",
        "small              1  0.00013    $0.0000002  $0.0000000021        -          -            -  $0.0000002",
        "all        3,000,001  540,000         $0.60          $9.00        -          -            -       $9.60",
        "free tier                            -$0.20         -$6.67        -          -            -      -$6.87",
        "total                                                                                             $2.73",
        "",
        "thumbnail  " + "#" * 94 + " $9.60 99 %",
        "small      #" + " " * 93 + " $0.0000002 0 %",
    ]


def test_columns_of_nothing_go_where_the_terminal_is_narrow(
    run: Run, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    head = bill_of(run, server, FOUND)[2]
    assert head.split() == ["FUNCTION", "REQUESTS", "GB-S", "FOR", "REQUESTS", "DURATION", "TOTAL"]
    assert all(len(line) <= 80 for line in bill_of(run, server, FOUND)[2:])


def test_a_bill_within_the_free_tier_is_nothing(run: Run, server: ScriptedServer) -> None:
    one = FOUND["Rows"][1]
    found = FOUND | {
        "Rows": [one],
        "FreeTier": cost(Requests="-0.0000002", Duration="-0.0000000020833375"),
        "Total": one | {"AfterFreeTier": "0"},
    }
    lines = bill_of(run, server, found)
    assert lines[-2].split() == ["free", "tier", "-$0.0000002", "-$0.0000000021", "-", "-", "-", "-$0.0000002"]
    assert lines[-1].split() == ["total", "$0"]


def test_json_is_what_the_server_says(run: Run, server: ScriptedServer) -> None:
    assert json.loads("\n".join(bill_of(run, server, FOUND, "--json"))) == FOUND


def test_what_is_asked_for_is_passed_on(run: Run, server: ScriptedServer) -> None:
    bill_of(run, server, FOUND, "--by", "tag", "team", "--month", "2026-11")
    assert server.asked[-1][1] == "/_lambent/bill?By=tag&Month=2026-11&TagKey=team"
    bill_of(run, server, FOUND, "--by", "day")
    assert server.asked[-1][1] == "/_lambent/bill?By=day"


def test_a_tag_without_its_key_is_wrong_usage(run: Run, server: ScriptedServer) -> None:
    outcome = run("bill", "--by", "tag", "--endpoint", server.url)
    assert (outcome.code, outcome.err) == (
        2,
        "lambent: --by tag needs the key of the tag, as in: lambent bill --by tag team\n",
    )


def test_a_month_of_nothing_says_so(run: Run, server: ScriptedServer) -> None:
    lines = bill_of(run, server, FOUND | {"Rows": []})
    assert lines == ["nothing was used in 2026-11; invoke a function first (see: lambent demo)"]


BUDGET = {
    "FunctionName": "thumbnail",
    "Region": "us-east-1",
    "Amount": "10",
    "Spent": "9.6",
    "Action": "stop",
    "Standing": "near",
    "Stopped": False,
}


def test_budgets_that_are_nearly_used_up_are_told_below_the_bill(run: Run, server: ScriptedServer) -> None:
    over = BUDGET | {"FunctionName": None, "Amount": "5", "Standing": "over", "Stopped": True}
    within = BUDGET | {"Standing": "within"}
    lines = bill_of(run, server, FOUND | {"Budgets": [over, BUDGET, within]})
    assert lines[-2:] == [
        "budget of the account: $5.00 a month, 192 % used; "
        "invocations are refused until it is raised or the month ends",
        "budget of thumbnail (us-east-1): $10.00 a month, 96 % used",
    ]


def test_a_budget_is_set_listed_and_removed(run: Run, server: ScriptedServer) -> None:
    for method in ("GET", "PUT", "DELETE"):
        server.answer(method, "/_lambent/budgets", {"Budgets": [BUDGET]})
    shown = run("bill", "budget", "set", "$10", "--function", "thumbnail", "--stop", "--endpoint", server.url).out
    assert server.asked[-1][:2] == ("PUT", "/_lambent/budgets?Action=stop&Amount=10&FunctionName=thumbnail")
    assert shown.splitlines() == [
        "BUDGET OF              A MONTH  SPENT  USED  AT 100 %",
        "thumbnail (us-east-1)  $10.00   $9.60  96 %  stop",
    ]
    assert run("bill", "budget", "list", "--endpoint", server.url).out == shown
    assert json.loads(run("bill", "budget", "list", "--json", "--endpoint", server.url).out) == [BUDGET]
    server.answer("DELETE", "/_lambent/budgets", {"Budgets": []})
    assert "no budgets" in run("bill", "budget", "remove", "--endpoint", server.url).out
    assert server.asked[-1][:2] == ("DELETE", "/_lambent/budgets")


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "-"),
        ("0.0000002", "$0.0000002"),
        ("0.0000002020833375", "$0.0000002"),
        ("0.00000941", "$0.0000094"),
        ("0.0123", "$0.012"),
        ("0.4", "$0.40"),
        ("2.733338", "$2.73"),
        ("115000.2", "$115,000.20"),
        ("-6.66668", "-$6.67"),
    ],
)
def test_amounts_have_the_places_that_say_something(amount: str, text: str) -> None:
    assert dollars(Decimal(amount)) == text


def test_a_share_is_whole_only_when_it_is_all() -> None:
    assert [share(Decimal(part), Decimal(1000)) for part in (1000, 999, 0)] == ["100 %", "99 %", "0 %"]
    assert share(Decimal(5), Decimal(0)) == "-"


def test_long_names_leave_room_for_numbers(run: Run, server: ScriptedServer) -> None:
    first = FOUND["Rows"][0] | {"Key": "x" * 256}
    lines = bill_of(run, server, FOUND | {"Rows": [first, FOUND["Rows"][1]]})
    assert lines[3].startswith("x" * 45 + "...  ")
    assert max(map(len, lines)) <= 160
