"""A saved file is told, by the kernel and by looking; what does not belong in the package is not."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lambent.cli.failure import Failure
from lambent.cli.saved_files import Inotify, Looking, SavedFiles

LONGEST_S = 10.0
KINDS = [Looking] if sys.platform != "linux" else [Inotify.open, Looking]


@pytest.fixture(params=KINDS)
def watcher(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SavedFiles]:
    (tmp_path / "lib").mkdir()
    (tmp_path / "app.py").write_text("1")
    make: Callable[[Path], SavedFiles] = request.param
    watching = make(tmp_path)
    yield watching
    watching.close()


def test_a_file_that_is_written_renamed_or_removed(watcher: SavedFiles, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("22")
    assert watcher.wait(LONGEST_S) == {"app.py"}
    (tmp_path / "lib" / "x.py").write_text("1")
    assert watcher.wait(LONGEST_S) == {"lib/x.py"}
    # As many editors save.
    (tmp_path / ".app.py.swp").write_text("333")
    (tmp_path / ".app.py.swp").rename(tmp_path / "app.py")
    assert watcher.wait(LONGEST_S) == {"app.py"}
    (tmp_path / "lib" / "x.py").unlink()
    assert watcher.wait(LONGEST_S) == {"lib/x.py"}


def test_files_in_a_new_folder(watcher: SavedFiles, tmp_path: Path) -> None:
    (tmp_path / "new" / "deep").mkdir(parents=True)
    (tmp_path / "new" / "deep" / "a.py").write_text("1")
    assert watcher.wait(LONGEST_S)
    (tmp_path / "new" / "deep" / "a.py").write_text("22")
    assert "new/deep/a.py" in watcher.wait(LONGEST_S)


def test_what_is_left_out_of_the_package_is_no_change(watcher: SavedFiles, tmp_path: Path) -> None:
    (tmp_path / "lib" / "__pycache__").mkdir()
    (tmp_path / "lib" / "__pycache__" / "x.pyc").write_text("1")
    (tmp_path / "app.py~").write_text("1")
    assert watcher.wait(0.0) == frozenset()


@pytest.mark.parametrize("make", KINDS)
def test_the_loss_of_the_folder_ends_it(make: Callable[[Path], SavedFiles], tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    watching = make(folder)
    folder.rmdir()
    with pytest.raises(Failure, match=r"f is (gone|no folder)"):
        watching.wait(LONGEST_S)
    watching.close()


def test_what_cannot_be_packaged_does_not_end_it(watcher: SavedFiles, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "out").symlink_to("/etc/passwd")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / ".lambentignore").write_bytes(b"\xff")
    assert watcher.wait(LONGEST_S)
    while watcher.wait(0.2):
        pass
    (tmp_path / "new" / "later").mkdir()
    for wrong in ("new/out", "circle", ".lambentignore"):
        (tmp_path / wrong).unlink()
    assert watcher.wait(LONGEST_S)
    while watcher.wait(0.2):
        pass
    (tmp_path / "new" / "later" / "a.py").write_text("1")
    assert "new/later/a.py" in watcher.wait(LONGEST_S)
