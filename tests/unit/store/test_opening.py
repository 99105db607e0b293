"""A data directory and its database stay together."""

import os
from pathlib import Path

import pytest

from lambent.store.datadir import DataDir, DataDirError
from lambent.store.opening import open_database
from tests.postgres import Databases

NOBODY = "postgresql://nobody@127.0.0.1:1/nothing"


def test_sqlite_is_in_the_data_directory(tmp_path: Path) -> None:
    data_dir = DataDir.open(tmp_path)
    open_database(data_dir, None).close_now()
    assert data_dir.database.exists()
    assert data_dir.elsewhere is None
    data_dir.close()


def test_a_data_directory_with_sqlite_takes_no_other_database(tmp_path: Path) -> None:
    data_dir = DataDir.open(tmp_path)
    open_database(data_dir, None).close_now()
    with pytest.raises(DataDirError, match="holds the state of a server without --database"):
        open_database(data_dir, NOBODY)
    data_dir.close()


def test_a_data_directory_of_postgresql_takes_no_other_database(tmp_path: Path, postgres: Databases) -> None:
    url = postgres.cluster.create()
    data_dir = DataDir.open(tmp_path / "one")
    open_database(data_dir, url).close_now()
    open_database(data_dir, url).close_now()
    with pytest.raises(DataDirError, match=r"is in postgresql://lambent@/test_\d+\S*: start with --database"):
        open_database(data_dir, None)
    assert not data_dir.database.exists()
    other = DataDir.open(tmp_path / "other")
    with pytest.raises(DataDirError, match=f"belongs to another data directory, {os.path.realpath(tmp_path)}/one"):
        open_database(other, url)
    data_dir.close()
    other.close()


def test_a_database_that_does_not_answer_leaves_no_mark(tmp_path: Path) -> None:
    data_dir = DataDir.open(tmp_path)
    with pytest.raises(DataDirError, match=r"nobody@127\.0\.0\.1:1/nothing cannot be reached"):
        open_database(data_dir, NOBODY)
    assert data_dir.elsewhere is None
    assert not data_dir.database.exists()
    data_dir.close()
