"""Budgets in force: what has been spent this month, who is told, and who may not begin. An `Admission` of the router.

Knows in memory what the scopes with a budget have used this month: read from the ledger when a budget is put and at the
start, and added to with each batch that is stored. So a budget is noticed one batch, 200 ms at most, after it is used
up. Where there is no budget nothing is computed and nothing kept, however many functions come and go.
"""

import logging
from collections.abc import Iterable
from decimal import Decimal
from functools import partial

from sqlalchemy import Connection

from lambent.aws.errors import ApiError
from lambent.billing import store
from lambent.billing.budget import Budget, Scope, Standing
from lambent.billing.charges import Item, bill
from lambent.billing.month import Month
from lambent.billing.prices import Prices
from lambent.billing.rows import Kind, Rows, Sums
from lambent.core.clock import Clock
from lambent.functions.records import FunctionKey
from lambent.store.database import Database

logger = logging.getLogger(__name__)

_Class = tuple[str, str, Kind]
"""Region, architecture, kind."""


class Budgets:
    """`load` before the first invocation; `stored` hears of each batch."""

    def __init__(self, database: Database, clock: Clock, prices: Prices) -> None:
        self._database = database
        self._clock = clock
        self._prices = prices
        self._month = Month.at(clock.epoch_ms())
        self._month_end_ms = self._month.end_ms
        self._budgets: dict[Scope, Budget] = {}
        self._used: dict[Scope, dict[_Class, Sums]] = {}
        """Of the month, for each budget."""
        self._standings: dict[Scope, Standing] = {}
        self._stopped: dict[Scope, Budget] = {}

    def load(self) -> None:
        for budget in self._database.read_now(store.all_budgets):
            self._budgets[budget.scope] = budget
            self._used[budget.scope] = self._database.read_now(partial(_used, scope=budget.scope, month=self._month))
        self._look(self._budgets)

    def refuses(self, key: FunctionKey) -> ApiError | None:
        if not self._stopped:
            return None
        if self._clock.epoch_ms() >= self._month_end_ms:
            self._begin_month()
        stopped = self._stopped.get(Scope(*key)) or self._stopped.get(Scope(key.account))
        return None if stopped is None else stopped.refusal(str(self._month))

    def stored(self, rows: Rows) -> None:
        if not self._budgets:
            return
        if self._clock.epoch_ms() >= self._month_end_ms:
            self._begin_month()
        changed = set()
        for key, sums in rows.items():
            if self._month.begin_ms <= key.start_ms < self._month_end_ms:
                found = key.region, key.architecture, key.kind
                for scope in (Scope(key.account), Scope(key.account, key.region, key.function)):
                    if scope in self._budgets:
                        classes = self._used.setdefault(scope, {})
                        classes[found] = classes.get(found, Sums()).plus(sums)
                        changed.add(scope)
        self._look(changed)

    async def put(self, budget: Budget) -> None:
        month = Month.at(self._clock.epoch_ms())

        def work(connection: Connection) -> dict[_Class, Sums]:
            store.put_budget(connection, budget)
            return _used(connection, budget.scope, month)

        def applied(used: dict[_Class, Sums]) -> None:
            # In the order of commits: what was read has each batch that `stored` has heard of, and no other.
            if self._clock.epoch_ms() >= self._month_end_ms:
                self._begin_month()
            self._budgets[budget.scope] = budget
            self._used[budget.scope] = used if month == self._month else {}
            self._standings.pop(budget.scope, None)
            self._look([budget.scope])

        await self._database.write(work, applied=applied)

    async def remove(self, scope: Scope) -> bool:
        """Whether there was one."""
        found = await self._database.write(partial(store.delete_budget, scope=scope))
        self._forget(scope)
        return found

    def of(self, account: str) -> list[tuple[Budget, Decimal, Standing]]:
        """Those of an account, its own first, with what has been spent."""
        if self._clock.epoch_ms() >= self._month_end_ms:
            self._begin_month()
        mine = sorted(scope for scope in self._budgets if scope.account == account)
        return [
            (budget, spent, budget.standing(spent))
            for budget, spent in ((self._budgets[scope], self._spent(scope)) for scope in mine)
        ]

    async def reset(self) -> None:
        """Forget all; the ledger drops the rows."""
        for each in (self._budgets, self._used, self._standings, self._stopped):
            each.clear()

    def _begin_month(self) -> None:
        self._month = Month.at(self._clock.epoch_ms())
        self._month_end_ms = self._month.end_ms
        self._used.clear()
        self._standings.clear()
        self._stopped.clear()
        self._look(self._budgets)

    def _spent(self, scope: Scope) -> Decimal:
        """As `lambent bill` shows it: the free tier is the account's, a function's line is before it."""
        items = [Item("", *classes, sums) for classes, sums in self._used.get(scope, {}).items()]
        return bill(items, self._prices, free=False if scope.function else None).total

    def _look(self, scopes: Iterable[Scope]) -> None:
        for scope in scopes:
            budget = self._budgets[scope]
            spent = self._spent(scope)
            standing = budget.standing(spent)
            if standing is Standing.OVER and budget.stop:
                self._stopped[scope] = budget
            else:
                self._stopped.pop(scope, None)
            if standing is not self._standings.get(scope, Standing.WITHIN):
                _tell(budget, spent, standing)
            self._standings[scope] = standing

    def _forget(self, scope: Scope) -> None:
        for each in (self._budgets, self._used, self._standings, self._stopped):
            each.pop(scope, None)


def _used(connection: Connection, scope: Scope, month: Month) -> dict[_Class, Sums]:
    """What the ledger has of a month, by class."""
    by = ("region", "architecture", "kind")
    found = store.summed(connection, begin_ms=month.begin_ms, end_ms=month.end_ms, by=by, scope=scope)
    return {(key["region"], key["architecture"], Kind(key["kind"])): sums for key, sums in found}


def _tell(budget: Budget, spent: Decimal, standing: Standing) -> None:
    name, amount = budget.scope.name, f"${budget.amount:f}"
    if standing is Standing.NEAR:
        logger.warning("The budget of %s, %s, is used to %d %%", name, amount, spent * 100 / budget.amount)
    elif standing is Standing.OVER and budget.stop:
        logger.warning("The budget of %s, %s, is used up: invocations are refused until the month ends", name, amount)
    elif standing is Standing.OVER:
        logger.warning("The budget of %s, %s, is used up", name, amount)
