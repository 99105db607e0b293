"""SQL of the ledger: rows are added to what is there, compacted a piece at a time, and summed up."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, TextClause, bindparam, delete, func, literal_column, select, text, true

from lambent.billing.budget import Budget, Scope
from lambent.billing.retention import Cuts
from lambent.billing.rows import OTHER_TENANTS, Key, Kind, Rows, Span, Sums, coarser
from lambent.billing.tables import budgets, usage


def _upsert(table: Table, change: str) -> TextClause:
    """Both databases say it in the same words, and the dialect of the one that is not there need not be imported."""
    keys = [column.name for column in table.primary_key]
    names = [column.name for column in table.c]
    changes = ", ".join(change.format(name, table.name) for name in names if name not in keys)
    return text(
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)}) "
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}"
    )


PIECE: Final = 2000
"""Rows that one transaction compacts: others wait for it no longer than for a large batch of logs."""

_ADD: Final = _upsert(usage, "{0} = {1}.{0} + excluded.{0}")
_PUT_BUDGET: Final = _upsert(budgets, "{0} = excluded.{0}")
_KEY = [usage.c[name] for name in Key._fields]
_SUMS = [usage.c[name] for name in Sums._fields]


def add(connection: Connection, rows: Rows) -> None:
    """What is new is inserted, the rest is added to the row of its key."""
    if not rows:
        return
    connection.execute(_ADD, [{**key._asdict(), **sums._asdict()} for key, sums in rows.items()])


def compact(connection: Connection, cuts: Cuts) -> int:
    """Make one piece of what is due coarser, or delete it. Returns how many rows that were; 0: nothing is due."""
    named = usage.c.tenant.not_in(("", OTHER_TENANTS))
    for span, before_ms, longer, condition in (
        (Span.MINUTE, cuts.minutes_before_ms, Span.HOUR, true()),
        (Span.HOUR, cuts.hours_before_ms, Span.DAY, true()),
        (Span.DAY, cuts.tenants_before_ms, Span.DAY, named),
    ):
        due = select(*_KEY, *_SUMS).where(usage.c.span == span, usage.c.start_ms < before_ms, condition)
        found = connection.execute(due.order_by(usage.c.start_ms).limit(PIECE)).all()
        if found:
            rows = [_row(each) for each in found]
            gone = delete(usage).where(*(column == bindparam(f"_{column.name}") for column in _KEY))
            connection.execute(gone, [{f"_{name}": value for name, value in key._asdict().items()} for key, _ in rows])
            add(connection, coarser(rows, longer, tenants=span is not Span.DAY))
            return len(rows)
    old = delete(usage).where(usage.c.span == Span.DAY, usage.c.start_ms < cuts.days_before_ms)
    return int(connection.execute(old).rowcount)


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(usage)).scalar_one()


def summed(
    connection: Connection, begin_ms: int, end_ms: int, by: Sequence[str], scope: Scope
) -> list[tuple[Mapping[str, Any], Sums]]:
    """Sums of what a scope began in a time, by columns of the key; `day` is one too: its begin."""
    # Not as a parameter: PostgreSQL would take the two places of it for two expressions.
    day = usage.c.start_ms - usage.c.start_ms % literal_column(str(Span.DAY.ms))
    columns = [day if name == "day" else usage.c[name] for name in by]
    query = select(*columns, *(func.sum(column) for column in _SUMS)).where(
        usage.c.start_ms >= begin_ms, usage.c.start_ms < end_ms, usage.c.account == scope.account
    )
    if scope.function:
        query = query.where(usage.c.region == scope.region, usage.c.function == scope.function)
    rows = connection.execute(query.group_by(*columns))
    return [
        (dict(zip(by, each[: len(by)], strict=True)), Sums(*(int(value) for value in each[len(by) :]))) for each in rows
    ]


def cached_mb_ms(connection: Connection) -> dict[tuple[str, str, str, str], int]:
    """How long snapshots were billed so far: memory times milliseconds, by account, region, function and version."""
    columns = usage.c.account, usage.c.region, usage.c.function, usage.c.version
    rows = connection.execute(
        select(*columns, func.sum(usage.c.memory_mb_ms)).where(usage.c.kind == Kind.CACHED).group_by(*columns)
    )
    return {(account, region, name, version): int(total) for account, region, name, version, total in rows}


def allocated_since(connection: Connection, since_ms: int) -> dict[tuple[str, str, str, str], list[tuple[int, int]]]:
    """When provisioned concurrency was last paid for, and how much: memory times milliseconds."""
    columns = usage.c.account, usage.c.region, usage.c.function, usage.c.version
    found: dict[tuple[str, str, str, str], list[tuple[int, int]]] = {}
    for *names, start_ms, amount in connection.execute(
        select(*columns, usage.c.start_ms, usage.c.memory_mb_ms)
        .where(usage.c.span == Span.MINUTE, usage.c.kind == Kind.ALLOCATED, usage.c.start_ms >= since_ms)
        .order_by(usage.c.start_ms)
    ):
        account, region, name, version = names
        found.setdefault((account, region, name, version), []).append((start_ms, int(amount)))
    return found


def put_budget(connection: Connection, budget: Budget) -> None:
    values = {"amount": str(budget.amount), "stop": int(budget.stop)}
    connection.execute(_PUT_BUDGET, {**budget.scope._asdict(), **values})


def delete_budget(connection: Connection, scope: Scope) -> bool:
    """Whether there was one."""
    gone = delete(budgets).where(*(budgets.c[name] == value for name, value in scope._asdict().items()))
    return bool(connection.execute(gone).rowcount)


def all_budgets(connection: Connection) -> list[Budget]:
    return [
        Budget(Scope(row.account, row.region, row.function), Decimal(row.amount), bool(row.stop))
        for row in connection.execute(select(budgets))
    ]


def delete_everything(connection: Connection) -> None:
    connection.execute(delete(usage))
    connection.execute(delete(budgets))


def rows_of(connection: Connection) -> Iterable[tuple[Key, Sums]]:
    """Every row there is; for tests."""
    return [_row(each) for each in connection.execute(select(*_KEY, *_SUMS))]


def _row(found: Row[Any]) -> tuple[Key, Sums]:
    span, start_ms, account, region, function, version, architecture, kind, tenant = found[: len(_KEY)]
    key = Key(Span(span), start_ms, account, region, function, version, architecture, Kind(kind), tenant)
    return key, Sums(*found[len(_KEY) :])
