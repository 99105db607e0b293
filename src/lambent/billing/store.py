"""SQL of the ledger: rows are added to what is there, compacted a piece at a time, and summed up."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, func, literal_column, select, true
from sqlalchemy.dialects import postgresql, sqlite

from lambent.billing.budget import Budget, Scope
from lambent.billing.retention import Cuts
from lambent.billing.rows import OTHER_TENANTS, Key, Kind, Rows, Span, Sums, coarser
from lambent.billing.tables import budgets, usage

PIECE: Final = 2000
"""Rows that one transaction compacts: others wait for it no longer than for a large batch of logs."""

_KEY = [usage.c[name] for name in Key._fields]
_SUMS = [usage.c[name] for name in Sums._fields]


def add(connection: Connection, rows: Rows) -> None:
    """What is new is inserted, the rest is added to the row of its key."""
    if not rows:
        return
    insert = _insert(connection)(usage)
    statement = insert.on_conflict_do_update(
        index_elements=_KEY, set_={name: usage.c[name] + insert.excluded[name] for name in Sums._fields}
    )
    connection.execute(statement, [{**key._asdict(), **sums._asdict()} for key, sums in rows.items()])


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
    connection: Connection, begin_ms: int, end_ms: int, by: Sequence[str], account: str | None = None
) -> list[tuple[Mapping[str, Any], Sums]]:
    """Sums of what began in a time, by columns of the key; `day` is one too: epoch milliseconds of its begin."""
    # Not as a parameter: PostgreSQL would take the two places of it for two expressions.
    day = usage.c.start_ms - usage.c.start_ms % literal_column(str(Span.DAY.ms))
    columns = [day if name == "day" else usage.c[name] for name in by]
    query = select(*columns, *(func.sum(column) for column in _SUMS)).where(
        usage.c.start_ms >= begin_ms, usage.c.start_ms < end_ms
    )
    if account is not None:
        query = query.where(usage.c.account == account)
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


def put_budget(connection: Connection, budget: Budget) -> None:
    insert = _insert(connection)(budgets)
    scope = budget.scope._asdict()
    values = {"amount": str(budget.amount), "stop": int(budget.stop)}
    connection.execute(insert.values(**scope, **values).on_conflict_do_update(index_elements=list(scope), set_=values))


def delete_budget(connection: Connection, scope: Scope) -> bool:
    """Whether there was one."""
    gone = delete(budgets).where(*(budgets.c[name] == value for name, value in scope._asdict().items()))
    return bool(connection.execute(gone).rowcount)


def all_budgets(connection: Connection) -> list[Budget]:
    return [
        Budget.of(Scope(row.account, row.region, row.function), row.amount, stop=bool(row.stop))
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


def _insert(connection: Connection) -> Any:
    """Of the dialect: both know ON CONFLICT, plain SQL does not."""
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
