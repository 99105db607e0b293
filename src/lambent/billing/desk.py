"""What is asked of the bill: a month by function, tag, day or tenant, and budgets. JSON in the form of AWS's, no HTTP.

Amounts are texts of decimals, as in Cost Explorer: a float would round what the whole thing is about.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final

from lambent.aws.errors import ApiError, invalid_parameter
from lambent.billing import store
from lambent.billing.budget import Budget, Scope, Standing
from lambent.billing.budgets import Budgets
from lambent.billing.charges import Charges, Item, Line, bill
from lambent.billing.ledger import Ledger
from lambent.billing.month import Month
from lambent.billing.prices import Prices
from lambent.billing.rows import Kind
from lambent.core.clock import Clock
from lambent.functions.records import Function, FunctionKey
from lambent.functions.resolve import address
from lambent.store.database import Database

WAYS: Final = ("function", "tag", "day", "tenant")
UNTAGGED: Final = "(no tag)"
NO_TENANT: Final = "(no tenant)"
_PRICED: Final = ("region", "architecture", "kind")


class Desk:
    """`functions` finds a function by its key, for its tags and to refuse budgets of what there is not."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        prices: Prices,
        ledger: Ledger,
        budgets: Budgets,
        functions: Callable[[FunctionKey], Function | None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._prices = prices
        self._ledger = ledger
        self._budgets = budgets
        self._functions = functions

    async def bill(self, account: str, query: Mapping[str, str]) -> dict[str, Any]:
        """`Month` (the present one), `By` and, for tags, `TagKey`. Raises ApiError."""
        by, tag = query.get("By") or "function", query.get("TagKey") or ""
        if by not in WAYS:
            raise invalid_parameter(f"'{by}' is no way to group a bill (known: {', '.join(WAYS)}).")
        if bool(tag) != (by == "tag"):
            raise invalid_parameter("A bill by tag, and no other, needs TagKey.")
        now_ms = self._clock.epoch_ms()
        month = Month.parse(query["Month"]) if query.get("Month") else Month.at(now_ms)
        await self._ledger.flush()
        items = await self._items(account, month, by, tag)
        found = bill(items, self._prices)
        order = sorted(found.groups.items(), key=_by_name if by == "day" else _dearest_first)
        return {
            "Account": account,
            "Month": str(month),
            "Currency": "USD",
            "By": by,
            "TagKey": tag or None,
            "Rows": [{"Key": name, **_line(line)} for name, line in order],
            "FreeTier": {name: _text(-amount) for name, amount in _named(found.free)},
            "Total": _line(found.all) | {"AfterFreeTier": _text(found.total)},
            "Budgets": self.budgets(account) if month == Month.at(now_ms) else [],
        }

    def budgets(self, account: str) -> list[dict[str, Any]]:
        return [
            {
                "FunctionName": budget.scope.function or None,
                "Region": budget.scope.region or None,
                "Amount": _text(budget.amount),
                "Spent": _text(spent),
                "Action": "stop" if budget.stop else "warn",
                "Standing": standing.value,
                "Stopped": budget.stop and standing is Standing.OVER,
            }
            for budget, spent, standing in self._budgets.of(account)
        ]

    async def put_budget(self, account: str, region: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """`Amount`, `Action` (warn or stop), and `FunctionName` unless it is the account's. Raises ApiError."""
        scope = _scope(account, region, query)
        if scope.function and self._functions(FunctionKey(*scope)) is None:
            # Outside of an API no model knows the status.
            raise ApiError("ResourceNotFoundException", f"Function not found: {FunctionKey(*scope).arn}", status=404)
        action = query.get("Action") or "warn"
        if action not in ("warn", "stop"):
            raise invalid_parameter(f"'{action}' is nothing that a budget does (known: warn, stop).")
        await self._budgets.put(Budget.of(scope, query.get("Amount", ""), stop=action == "stop"))
        return self.budgets(account)

    async def remove_budget(self, account: str, region: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        scope = _scope(account, region, query)
        if not await self._budgets.remove(scope):
            raise ApiError("ResourceNotFoundException", f"There is no budget of {scope.name}.", status=404)
        return self.budgets(account)

    async def _items(self, account: str, month: Month, by: str, tag: str) -> list[Item]:
        columns = (*_PRICED, "function" if by == "tag" else by)
        read = partial(store.summed, begin_ms=month.begin_ms, end_ms=month.end_ms, by=columns, scope=Scope(account))
        found = await self._database.read(read)
        regions = len({key["region"] for key, _ in found}) > 1
        items = []
        for key, sums in found:
            group = self._group(account, key, by, tag, regions)
            items.append(Item(group, key["region"], key["architecture"], Kind(key["kind"]), sums))
        return items

    def _group(self, account: str, key: Mapping[str, Any], by: str, tag: str, regions: bool) -> str:
        match by:
            case "day":
                return datetime.fromtimestamp(key["day"] / 1000, UTC).date().isoformat()
            case "tenant":
                return key["tenant"] or NO_TENANT
            case "tag":
                # Tags as they are now; a function that is gone has none.
                function = self._functions(FunctionKey(account, key["region"], key["function"]))
                return UNTAGGED if function is None else function.tags.get(tag, UNTAGGED)
            case _:
                return f"{key['function']} ({key['region']})" if regions else str(key["function"])


def _scope(account: str, region: str, query: Mapping[str, str]) -> Scope:
    """A name or an ARN; what belongs to another account is as if it did not exist."""
    name = query.get("FunctionName") or ""
    if not name:
        return Scope(account)
    target = address(account, region, name, None)
    if target.key.account != account:
        raise ApiError("ResourceNotFoundException", f"Function not found: {target.arn}", status=404)
    return Scope(*target.key)


def _line(line: Line) -> dict[str, Any]:
    return {
        "Invocations": line.sums.invocations,
        "Errors": line.sums.errors,
        "Requests": line.sums.requests,
        "BilledMs": line.sums.billed_ms,
        "GbSeconds": _text(line.gb_seconds),
        "Cost": {name: _text(amount) for name, amount in _named(line.charges)},
    }


def _named(charges: Charges) -> Iterable[tuple[str, Decimal]]:
    """SnapStart is written as one word of two."""
    for name, amount in charges._asdict().items():
        yield {"snapstart": "SnapStart"}.get(name, name.capitalize()), amount
    yield "Total", charges.total


def _text(amount: Decimal) -> str:
    """Exactly, without an exponent or zeros that say nothing."""
    text = f"{amount:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _by_name(group: tuple[str, Line]) -> str:
    return group[0]


def _dearest_first(group: tuple[str, Line]) -> tuple[Decimal, str]:
    return -group[1].charges.total, group[0]
