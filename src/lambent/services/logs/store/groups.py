"""Rows of log groups."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from lambent.services.logs.names import Scope
from lambent.services.logs.store.streams import discard_streams
from lambent.services.logs.store.tables import groups, streams


@dataclass(frozen=True, slots=True)
class Group:
    id: int
    name: str
    created_ms: int
    retention_days: int | None
    tags: Mapping[str, str]
    stored_bytes: int


def find_group(connection: Connection, scope: Scope, name: str) -> Group | None:
    row = connection.execute(_in_scope(scope).where(groups.c.name == name)).one_or_none()
    return None if row is None else _group(row)


def scan_groups(connection: Connection, scope: Scope, after: str, prefix: str) -> Iterator[Group]:
    """Groups in the order of their names, from the first one behind `after` that begins with `prefix`."""
    rows = connection.execute(
        _in_scope(scope)
        .where(groups.c.name > after, groups.c.name >= prefix, func.substr(groups.c.name, 1, len(prefix)) == prefix)
        .order_by(groups.c.name)
        .execution_options(yield_per=100)
    )
    # A caller that has enough leaves the rest in the database.
    with rows:
        yield from map(_group, rows)


def all_groups(connection: Connection) -> list[Group]:
    return [_group(row) for row in connection.execute(select(groups))]


def put_group(connection: Connection, scope: Scope, name: str, created_ms: int, tags: Mapping[str, str]) -> int | None:
    """Id of the new group; None when it exists."""
    if find_group(connection, scope, name) is not None:
        return None
    row = {
        "account": scope.account,
        "region": scope.region,
        "name": name,
        "created_ms": created_ms,
        "tags": json.dumps(dict(tags)),
        "stored_bytes": 0,
    }
    key = connection.execute(insert(groups).values(row)).inserted_primary_key
    assert key is not None
    return int(key[0])


def set_group(connection: Connection, group_id: int, **columns: Any) -> None:
    """Change `retention_days` or `tags` (JSON text)."""
    connection.execute(update(groups).where(groups.c.id == group_id).values(columns))


def delete_group(connection: Connection, scope: Scope, name: str) -> bool:
    group = find_group(connection, scope, name)
    if group is None:
        return False
    discard_streams(connection, streams.c.group_id == group.id)
    connection.execute(delete(groups).where(groups.c.id == group.id))
    return True


def _in_scope(scope: Scope) -> Any:
    return select(groups).where(groups.c.account == scope.account, groups.c.region == scope.region)


def _group(row: Row[Any]) -> Group:
    return Group(row.id, row.name, row.created_ms, row.retention_days, json.loads(row.tags), row.stored_bytes)
