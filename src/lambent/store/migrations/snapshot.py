"""Writes `schema.sql` anew: `python -m lambent.store.migrations.snapshot`, after a migration was added."""

import tempfile
from pathlib import Path

from sqlalchemy import Connection

from lambent.store.migrations import SCHEMA, SEPARATOR, VERSION_TABLE, current
from lambent.store.migrations.upgrade import upgrade
from lambent.store.sqlite import writer_engine

_OBJECTS = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY rowid"


def schema() -> str:
    """What all migrations together build in an empty SQLite file, the revision included."""
    with tempfile.TemporaryDirectory() as folder:
        engine = writer_engine(Path(folder) / "empty.db")
        with engine.connect() as connection:
            upgrade(connection)
            return described(connection)


def described(connection: Connection) -> str:
    with connection.begin():
        statements = [str(sql) for sql in connection.exec_driver_sql(_OBJECTS).scalars()]
        revision = current(connection)
    statements.append(f"INSERT INTO {VERSION_TABLE} (version_num) VALUES ('{revision}')")
    return SEPARATOR.join(line.replace(" \n", "\n") for line in statements) + "\n"


if __name__ == "__main__":
    (Path(__file__).parent / SCHEMA).write_text(schema())
