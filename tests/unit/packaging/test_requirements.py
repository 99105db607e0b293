"""Requirements installed by pip from a folder of wheels, and kept."""

import io
import zipfile
from pathlib import Path

import pytest

from lambent.packaging.folder import PackagingError
from lambent.packaging.requirements import digest, installed, is_kept


def wheel(folder: Path, name: str, version: str) -> None:
    information = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}/__init__.py", f"version = '{version}'\n")
        file.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{information}/RECORD", "")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_they_are_installed_once_and_again_when_they_change(tmp_path: Path, wheels: Path) -> None:
    wheel(wheels, "example", "1.0")
    requirements, cache = tmp_path / "requirements.txt", tmp_path / "cache"
    requirements.write_text("example==1.0\n")
    package = installed(requirements, "3.11", cache)
    with zipfile.ZipFile(io.BytesIO(package)) as found:
        assert "example/__init__.py" in found.namelist()
    assert is_kept(requirements, "3.11", cache)
    assert not is_kept(requirements, "3.12", cache)
    for file in wheels.iterdir():
        file.unlink()
    # Nothing is left to install from: this is what was kept.
    assert installed(requirements, "3.11", cache) == package
    requirements.write_text("example==2.0\n")
    with pytest.raises(PackagingError, match=r"^cannot install requirements\.txt of the function: [^\n]+$"):
        installed(requirements, "3.11", cache)


def test_a_home_that_cannot_be_written_costs_only_time(tmp_path: Path, wheels: Path) -> None:
    wheel(wheels, "example", "1.0")
    (tmp_path / "requirements.txt").write_text("example\n")
    (tmp_path / "cache").write_text("a file where a folder should be")
    assert installed(tmp_path / "requirements.txt", "3.11", tmp_path / "cache")


def test_the_digest_follows_files_that_are_included(tmp_path: Path) -> None:
    requirements, other = tmp_path / "requirements.txt", tmp_path / "base.txt"
    requirements.write_text("-r base.txt\n")
    other.write_text("a==1\n")
    before = digest(requirements, "3.11")
    other.write_text("a==2\n")
    assert None not in (before, digest(requirements, "3.11"))
    assert digest(requirements, "3.11") != before


@pytest.mark.parametrize("line", ["-e .", "./lib", "../lib", "mine @ file:///src/mine", "-r https://example.org/r.txt"])
def test_what_means_something_else_tomorrow_has_no_digest(tmp_path: Path, line: str) -> None:
    (tmp_path / "requirements.txt").write_text(f"a==1\n{line}\n")
    assert digest(tmp_path / "requirements.txt", "3.11") is None
