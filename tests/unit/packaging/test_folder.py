"""Which files are in a package, and that equal folders give equal bytes."""

import io
import os
import stat
import zipfile
from pathlib import Path

import pytest

from lambent.packaging.archive import of_folder
from lambent.packaging.folder import PackagingError, files, folders


def write(root: Path, *names: str) -> None:
    for name in names:
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{name}\n")


def test_what_tools_leave_behind_stays_out_and_node_modules_is_in(tmp_path: Path) -> None:
    write(tmp_path, "app.py", "lib/x.py", "node_modules/a/index.js", "README.md")
    write(tmp_path, ".git/HEAD", ".venv/bin/python", "lib/__pycache__/x.pyc", "lib/y.pyc", ".app.py.swp", "app.py~")
    assert files(tmp_path) == ["README.md", "app.py", "lib/x.py", "node_modules/a/index.js"]
    assert folders(tmp_path) == ["", "lib", "node_modules", "node_modules/a"]


def test_lambentignore_names_files_folders_and_paths(tmp_path: Path) -> None:
    write(tmp_path, "app.py", "tests/a.py", "lib/tests/b.py", "docs/a.png", "lib/docs/a.png", "a.md", "lib/b.md")
    (tmp_path / ".lambentignore").write_text("# not these\ntests/\n/docs\n*.md\n\n")
    assert files(tmp_path) == ["app.py", "lib/docs/a.png"]


def test_a_link_in_the_folder_is_kept_as_a_link(tmp_path: Path) -> None:
    write(tmp_path, "lib/x.py")
    (tmp_path / "y.py").symlink_to("lib/x.py")
    with zipfile.ZipFile(io.BytesIO(of_folder(tmp_path))) as package:
        assert stat.S_ISLNK(package.getinfo("y.py").external_attr >> 16)
        assert package.read("y.py") == b"lib/x.py"


@pytest.mark.parametrize("target", ["../outside", "/etc/hostname"])
def test_a_link_out_of_the_folder_is_refused_by_name(tmp_path: Path, target: str) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "away").symlink_to(target)
    with pytest.raises(PackagingError, match=r"the link away leads out of the folder.*\.lambentignore"):
        files(tmp_path / "f")


def test_equal_folders_give_equal_bytes_whatever_their_times_and_order(tmp_path: Path) -> None:
    for name, order in (("a", ("x.py", "lib/y.py")), ("b", ("lib/y.py", "x.py"))):
        write(tmp_path / name, *order)
    os.utime(tmp_path / "a" / "x.py", (1, 1))
    (tmp_path / "a" / "x.py").chmod(0o600)
    assert of_folder(tmp_path / "a") == of_folder(tmp_path / "b")


def test_executable_is_the_one_mode_that_is_kept(tmp_path: Path) -> None:
    write(tmp_path, "bootstrap", "x.py")
    (tmp_path / "bootstrap").chmod(0o700)
    with zipfile.ZipFile(io.BytesIO(of_folder(tmp_path))) as package:
        modes = {item.filename: stat.S_IMODE(item.external_attr >> 16) for item in package.infolist()}
    assert modes == {"bootstrap": 0o755, "x.py": 0o644}


def test_the_folders_own_file_counts_where_the_requirements_have_one_of_the_same_name(tmp_path: Path) -> None:
    write(tmp_path / "theirs", "x.py", "y.py")
    (tmp_path / "theirs" / "x.py").write_text("theirs")
    write(tmp_path / "ours", "x.py")
    package = of_folder(tmp_path / "ours", of_folder(tmp_path / "theirs"))
    with zipfile.ZipFile(io.BytesIO(package)) as found:
        assert sorted(found.namelist()) == ["x.py", "y.py"]
        assert found.read("x.py") == b"x.py\n"
        assert found.testzip() is None


def test_what_is_no_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match="is no folder"):
        files(tmp_path / "nothing")


def test_a_link_in_a_circle_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(PackagingError, match="circle leads nowhere"):
        files(tmp_path)
