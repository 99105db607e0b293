"""What the project promises of itself: locks, set-up, targets, the contract of its wheel."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PINNED = [path for path in sorted(ROOT.glob("requirements/*.txt")) if path.name != "apt.txt"]
LOCKS = [*PINNED, *sorted(ROOT.glob("examples/*/requirements.txt"))]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
def test_a_lock_holds_pins_and_hashes_but_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert "--index-url" not in text
    pins = [block for block in re.split(r"\n(?=\S)", text.strip()) if block]
    assert pins
    for pin in pins:
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+", pin), pin
        assert "--hash=sha256:" in pin


def test_the_lock_holds_every_dependency_of_the_package() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements/main.txt").read_text(), re.MULTILINE))
    assert {re.split(r"[><=\[]", dependency)[0] for dependency in wanted} <= locked


def test_the_tests_lock_pins_what_the_main_lock_pins() -> None:
    pins: dict[str, str] = {}
    for lock in (ROOT / "requirements").glob("*.txt"):
        for name, version in re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(), re.MULTILINE):
            assert pins.setdefault(name, version) == version, name


@pytest.mark.parametrize("target", ["venv", "demo", "test", "check", "bench", "soak", "up"])
def test_make_help_names_the_target(target: str) -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True).stdout
    assert re.search(rf"^  make {target} +\S", shown, re.MULTILINE)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the set-up script and the locks, but no environment."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def set_up(checkout: Path, python: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "scripts/set-up", "main"],
        env={"PATH": "/usr/bin:/bin", "PYTHON": python},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_set_up_says_which_python_it_needs(checkout: Path) -> None:
    done = set_up(checkout, "/bin/false")
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr
    assert not (checkout / ".venv").exists()


def test_set_up_does_not_take_an_older_python(checkout: Path) -> None:
    old = checkout / "python-old"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    assert "needs Python 3.11 or newer" in set_up(checkout, str(old)).stderr


def test_make_stops_with_set_up(checkout: Path) -> None:
    shutil.copy(ROOT / "Makefile", checkout)
    done = subprocess.run(
        ["make", "demo", "PYTHON=/bin/false"], cwd=checkout, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode != 0
    assert "needs Python 3.11" in done.stderr
