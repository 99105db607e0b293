"""A month's bill as text: a table, the free tier as a line of its own, and bars."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from lambent.cli.money import dollars, share
from lambent.cli.table import right_aligned

MOST_BARS: Final = 31
NARROWEST_BAR: Final = 10
LONGEST_NAME: Final = 48
_COSTS: Final = ("Requests", "Duration", "Storage", "Streaming", "Provisioned", "SnapStart", "Tenants")
_ALWAYS: Final = frozenset({"Requests", "Duration", "Storage", "Streaming", "Provisioned"})
"""Columns that are there also when nothing was spent on them, as long as the terminal is wide enough."""


def table(found: Mapping[str, Any], width: int) -> list[str]:
    """Lines of the table; columns of nothing go when it would be wider than `width`."""
    spent = [name for name in _COSTS if Decimal(found["Total"]["Cost"][name])]
    lines = _table(found, [name for name in _COSTS if name in _ALWAYS or name in spent])
    return lines if max(map(len, lines)) <= width else _table(found, spent)


def _table(found: Mapping[str, Any], costs: Sequence[str]) -> list[str]:
    heads = {"Requests": "FOR REQUESTS"}
    rows = [
        (title(found), "REQUESTS", "GB-S", *(heads.get(name, name.upper()) for name in costs), "TOTAL"),
        *(_row(each["Key"], each, costs) for each in found["Rows"]),
    ]
    free = found["FreeTier"]
    if len(found["Rows"]) > 1:
        rows.append(_row("all", found["Total"], costs))
    if Decimal(free["Total"]):
        rows.append(
            ("free tier", "", "", *(dollars(Decimal(free[name])) for name in costs), dollars(Decimal(free["Total"])))
        )
    total = Decimal(found["Total"]["AfterFreeTier"])
    rows.append(("total", "", "", *("" for _ in costs), dollars(total) if total else "$0"))
    return right_aligned(rows)


def _row(name: str, line: Mapping[str, Any], costs: Sequence[str]) -> tuple[str, ...]:
    cost = line["Cost"]
    amounts = [dollars(Decimal(cost[each])) for each in (*costs, "Total")]
    return short(name), f"{line['Requests']:,}", amount(Decimal(line["GbSeconds"])), *amounts


def title(found: Mapping[str, Any]) -> str:
    return str(found["TagKey"] or found["By"]).upper()


def short(name: str) -> str:
    """Tags and tenants may have 256 characters; the table needs its place for numbers."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 3] + "..."


def amount(number: Decimal) -> str:
    """Of GB-seconds: with the places that it takes to be seen."""
    if number >= 100:
        return f"{number:,.0f}"
    return dollars(number).replace("$", "")


def bars(found: Mapping[str, Any], width: int) -> list[str]:
    """What each row is of all, as a bar; the longest fills the terminal."""
    rows = [(short(each["Key"]), Decimal(each["Cost"]["Total"])) for each in found["Rows"]]
    shown, rest = rows[:MOST_BARS], len(rows) - MOST_BARS
    most = max((total for _, total in shown), default=Decimal(0))
    if not most:
        return []
    whole = sum(total for _, total in rows)
    names = max(len(name) for name, _ in shown)
    ends = [f"{dollars(total)} {share(total, Decimal(whole))}" for _, total in shown]
    room = max(NARROWEST_BAR, width - names - max(map(len, ends)) - 3)
    lines = []
    for (name, total), end in zip(shown, ends, strict=True):
        length = max(1, int(total / most * room)) if total else 0
        lines.append(f"{name.ljust(names)}  {('#' * length).ljust(room)} {end}")
    return [*lines, f"and {rest} more"] if rest > 0 else lines
