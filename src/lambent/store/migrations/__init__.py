"""The schema's history, and whether a database is at its end.

The answer comes from one SQL select and a listing of `versions/`; Alembic is imported only when a schema has to
change, because its import costs a quarter of the time that a start may take. For the same reason an empty SQLite file
gets the schema from `schema.sql`, which is what the migrations build, written down by `snapshot`.
"""

from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from sqlalchemy import Connection, inspect, text

from lambent.store.datadir import DataDirError

VERSION_TABLE = "alembic_version"
SCHEMA = "schema.sql"
SEPARATOR = ";\n\n"


class SchemaTooNew(DataDirError):
    """The database was written by a newer Lambent than this one."""


class StrangeDatabase(DataDirError):
    """The database holds other things."""


@cache
def head() -> str:
    """The newest revision: the highest number that a file in `versions/` begins with."""
    return max(item.name[:4] for item in versions().iterdir() if item.name[:4].isdigit())


def versions() -> Traversable:
    return resources.files(__name__) / "versions"


def current(connection: Connection) -> str | None:
    """The revision of the database; None when it is empty."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()


def bring_up_to_date(connection: Connection) -> None:
    """Run the migrations that are missing, in one transaction. `SchemaTooNew` instead of a guess."""
    with connection.begin():
        found = current(connection)
        if found is None and (tables := sorted(inspect(connection).get_table_names())):
            raise StrangeDatabase(
                f"The database is not Lambent's: it holds a table {tables[0]}. Name one that is empty or new."
            )
        if found is None and connection.dialect.name == "sqlite":
            _make(connection)
            found = current(connection)
    if found == head():
        return
    if found is not None and not _is_ours(found):
        raise StrangeDatabase("The database is not Lambent's: another program has its tables there. Name another one.")
    if found is not None and found > head():
        raise SchemaTooNew(
            f"The database is at schema {found}, written by a newer Lambent; this one knows {head()} at most."
        )
    from lambent.store.migrations.upgrade import upgrade

    upgrade(connection)


def _is_ours(revision: str) -> bool:
    return len(revision) == 4 and revision.isdigit()


def _make(connection: Connection) -> None:
    for statement in (resources.files(__name__) / SCHEMA).read_text().split(SEPARATOR):
        connection.exec_driver_sql(statement)
