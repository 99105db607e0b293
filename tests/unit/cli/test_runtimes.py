"""`lambent runtimes`."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Outcome

Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_lists_every_identifier_whether_served_or_not(run: Run) -> None:
    found = json.loads(run("runtimes", "--json").out)
    pythons = [f"python3.{minor}" for minor in range(9, 15)]
    assert [each["identifier"] for each in found] == [*pythons, "provided", "provided.al2", "provided.al2023"]
    for each in found:
        assert bool(each["executable"]) is bool(each["version"])
        assert each["executable"] or each["reason"]


def test_a_configured_interpreter_serves_its_identifier(run: Run) -> None:
    name = f"python3.{sys.version_info[1]}"
    executable = Path(sys.base_prefix) / "bin" / name
    Path("lambent.toml").write_text(f'[interpreters]\n"{name}" = "{executable}"\n')
    shown = run("runtimes").out
    line = next(line for line in shown.splitlines() if line.startswith(name))
    assert line.split()[2] == str(executable.resolve())


def test_what_is_missing_is_one_short_line_with_its_mend(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PATH", "PYENV_ROOT", "UV_PYTHON_INSTALL_DIR", "HOME"):
        monkeypatch.setenv(name, "")
    lines = [line.split(maxsplit=2) for line in run("runtimes").out.splitlines()]
    missing = [(name, served_by) for name, version, served_by in lines if version == "-"]
    assert missing
    for name, served_by in missing:
        number = name.removeprefix("python")
        assert served_by.startswith(f"not here; to install it: uv python install {number}")


def test_the_python_that_runs_lambent_serves_its_own_version(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PATH", "PYENV_ROOT", "UV_PYTHON_INSTALL_DIR", "HOME"):
        monkeypatch.setenv(name, "")
    found = json.loads(run("runtimes", "--json").out)
    own = next(each for each in found if each["identifier"] == f"python3.{sys.version_info[1]}")
    assert own["executable"] is not None
