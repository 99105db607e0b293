"""The data directory: made private, versioned, and used by one server at a time."""

import stat
from pathlib import Path

import pytest

from lambent.store.datadir import DataDir, DataDirError, DataDirInUse, DataDirTooNew


def test_a_new_data_directory_is_private_and_has_a_version(tmp_path: Path) -> None:
    data_dir = DataDir.open(tmp_path / "a" / "data")
    assert stat.S_IMODE(data_dir.root.stat().st_mode) == 0o700
    assert (data_dir.root / "VERSION").read_text() == "1\n"
    data_dir.close()


def test_a_second_opening_is_refused_until_the_first_closes(tmp_path: Path) -> None:
    first = DataDir.open(tmp_path)
    with pytest.raises(DataDirInUse, match=r"in use by another Lambent \(process \d+\)"):
        DataDir.open(tmp_path)
    first.close()
    DataDir.open(tmp_path).close()


def test_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    DataDir.open(tmp_path).close()
    (tmp_path / "VERSION").write_text("2\n")
    with pytest.raises(DataDirTooNew, match="version 2, written by a newer Lambent"):
        DataDir.open(tmp_path)
    assert (tmp_path / "VERSION").read_text() == "2\n"


def test_a_folder_with_other_things_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    mode = tmp_path.stat().st_mode
    with pytest.raises(DataDirError, match=r"holds thesis\.tex"):
        DataDir.open(tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["thesis.tex"]
    assert tmp_path.stat().st_mode == mode


def test_a_path_that_is_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataDirError, match="cannot be used: File exists"):
        DataDir.open(tmp_path / "file")


def test_a_secret_stays_the_same_and_is_private(tmp_path: Path) -> None:
    data_dir = DataDir.open(tmp_path)
    key = data_dir.secret("code-url")
    data_dir.close()
    again = DataDir.open(tmp_path)
    assert again.secret("code-url") == key
    assert len(key) == 64
    assert again.secret("other") != key
    assert stat.S_IMODE((tmp_path / "secrets" / "code-url").stat().st_mode) == 0o600
    again.close()
