"""The history of migrations and the tables that the parts declare are one thing."""

import importlib
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, MetaData, create_engine, text

from lambent.billing.tables import metadata as billing_metadata
from lambent.event_sources.store import metadata as mappings_metadata
from lambent.functions.layers.store import metadata as layers_metadata
from lambent.functions.signing.store import metadata as signing_metadata
from lambent.functions.tables import metadata as functions_metadata
from lambent.services.logs.store import metadata as logs_metadata
from lambent.services.neighbours.store import metadata as neighbours_metadata
from lambent.services.s3.tables import metadata as s3_metadata
from lambent.services.sqs.tables import metadata as sqs_metadata
from lambent.services.sts.store import metadata as sts_metadata
from lambent.store import migrations
from lambent.store.messages import metadata as queue_metadata
from lambent.store.migrations import snapshot
from lambent.store.migrations.upgrade import upgrade
from lambent.store.sqlite import writer_engine

if TYPE_CHECKING:
    from tests.postgres import Databases

ALL_METADATA: list[MetaData] = [
    billing_metadata,
    functions_metadata,
    layers_metadata,
    logs_metadata,
    mappings_metadata,
    neighbours_metadata,
    queue_metadata,
    s3_metadata,
    signing_metadata,
    sqs_metadata,
    sts_metadata,
]
"""Every part that keeps rows is named here."""


def bring_up_to_date(engine: Engine) -> None:
    with engine.connect() as connection:
        migrations.bring_up_to_date(connection)


def declared() -> MetaData:
    together = MetaData()
    for metadata in ALL_METADATA:
        for table in metadata.sorted_tables:
            table.to_metadata(together)
    return together


def test_migrations_build_exactly_the_declared_tables(tmp_path: Path) -> None:
    engine = writer_engine(tmp_path / "lambent.db")
    with engine.connect() as connection:
        upgrade(connection)
        assert compare_metadata(MigrationContext.configure(connection), declared()) == []


def test_migrations_build_exactly_the_declared_tables_on_postgresql(postgres: "Databases") -> None:
    """Types, collations, defaults and keys too, as the server itself tells them."""
    # What a table is on PostgreSQL alone is said there.
    importlib.import_module("lambent.store.postgres")
    migrated = create_engine(postgres.cluster.create())
    with migrated.connect() as connection:
        upgrade(connection)
        assert compare_metadata(MigrationContext.configure(connection), declared()) == []
        found = _told(connection)
    made = create_engine(postgres.cluster.create())
    with made.connect() as connection:
        declared().create_all(connection)
        assert _told(connection) == found
    for engine in (migrated, made):
        engine.dispose()


def _told(connection: Connection) -> set[tuple[object, ...]]:
    columns = """
        SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, collation_name, column_default
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
    """
    indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
    return {tuple(row) for statement in (columns, indexes) for row in connection.execute(text(statement))}


def test_what_postgresql_counts_up_has_64_bits(postgres: "Databases") -> None:
    engine = create_engine(postgres.cluster.create())
    with engine.connect() as connection:
        upgrade(connection)
        counted = connection.execute(
            text("SELECT table_name, data_type FROM information_schema.columns WHERE column_default LIKE 'nextval%'")
        )
        assert [table for table, kind in counted if kind != "bigint"] == []
    engine.dispose()


def test_the_written_schema_is_what_the_migrations_build(tmp_path: Path) -> None:
    written = (resources.files(migrations) / migrations.SCHEMA).read_text()
    assert written == snapshot.schema(), "run: python -m lambent.store.migrations.snapshot"
    engine = writer_engine(tmp_path / "lambent.db")
    bring_up_to_date(engine)
    with engine.connect() as connection:
        assert snapshot.described(connection) == written


def test_an_older_database_is_migrated_and_keeps_its_rows(tmp_path: Path) -> None:
    engine = writer_engine(tmp_path / "lambent.db")
    with engine.connect() as connection:
        upgrade(connection, "0001")
        with connection.begin():
            connection.execute(text("INSERT INTO functions VALUES ('1', 'r', 'n', '{}')"))
    bring_up_to_date(engine)
    with engine.connect() as connection, connection.begin():
        assert migrations.current(connection) == migrations.head()
        assert connection.execute(text("SELECT name FROM functions")).scalar() == "n"


def test_neither_a_first_nor_a_second_opening_imports_alembic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = writer_engine(tmp_path / "lambent.db")
    monkeypatch.setitem(sys.modules, "lambent.store.migrations.upgrade", None)
    bring_up_to_date(engine)
    bring_up_to_date(engine)


def test_a_database_of_a_newer_lambent_is_refused(tmp_path: Path) -> None:
    engine = writer_engine(tmp_path / "lambent.db")
    bring_up_to_date(engine)
    with engine.connect() as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(migrations.SchemaTooNew, match="newer Lambent"):
        bring_up_to_date(engine)


def test_the_history_is_one_straight_line_of_numbers() -> None:
    names = sorted(item.name for item in migrations.versions().iterdir() if item.name[:4].isdigit())
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    for name in names:
        source = (migrations.versions() / name).read_text()
        assert f'revision = "{name[:4]}"' in source
        before = "None" if name.startswith("0001") else f'"{int(name[:4]) - 1:04d}"'
        assert f"down_revision = {before}" in source
