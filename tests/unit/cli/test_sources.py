"""What is sent of a folder, and what of its requirements stays out of the package."""

import io
import os
import zipfile
from pathlib import Path

import pytest

from lambent.cli.progress import Progress
from lambent.cli.sources import BESIDE_FROM, Package, Sources
from lambent.packaging import requirements


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "app"
    made.mkdir()
    (made / "requirements.txt").write_text("large\n")
    (made / "app.py").write_text("import large\n")
    return made


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def installed(folder: Path, size: int) -> bytes:
    """As if pip had installed that before."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as package:
        package.writestr("large/__init__.py", os.urandom(size))
        package.writestr("six.py", "")
    requirements.cache_folder().mkdir(parents=True)
    for python in ("3.12", "3.13"):
        digest = requirements.digest(folder / requirements.FILE, python)
        (requirements.cache_folder() / f"{digest}.zip").write_bytes(out.getvalue())
    return out.getvalue()


def packaged(folder: Path, *, apart: bool, runtime: str = "python3.12") -> Package:
    with Progress() as progress:
        return Sources(folder, runtime, apart).package(progress)


def names(code: bytes) -> set[str]:
    with zipfile.ZipFile(io.BytesIO(code)) as package:
        return set(package.namelist())


OWN = {"app.py", "requirements.txt"}
ALL = {*OWN, "large/__init__.py", "six.py"}


def test_large_requirements_are_beside_the_code_only_when_asked_for(folder: Path) -> None:
    package = installed(folder, BESIDE_FROM)
    whole = packaged(folder, apart=False)
    assert (names(whole.code), whole.beside) == (ALL, None)
    parted = packaged(folder, apart=True)
    assert parted.beside is not None
    assert (names(parted.code), parted.beside.package) == (OWN, package)
    other = packaged(folder, apart=True, runtime="python3.13").beside
    assert other is not None
    assert other.content != parted.beside.content


def test_small_requirements_are_in_the_package(folder: Path) -> None:
    installed(folder, BESIDE_FROM // 2)
    assert packaged(folder, apart=True).beside is None


@pytest.mark.parametrize("own", ["large/more.py", "large.py", "six/__init__.py"])
def test_a_name_of_both_keeps_requirements_in_the_package(folder: Path, own: str) -> None:
    installed(folder, BESIDE_FROM)
    (folder / own).parent.mkdir(exist_ok=True)
    (folder / own).write_text("")
    package = packaged(folder, apart=True)
    assert (names(package.code), package.beside) == ({*ALL, own}, None)
