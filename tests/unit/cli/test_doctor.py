"""`lambent doctor` on the machine that runs the tests."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Outcome, ScriptedServer

Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def finding(run: Run, subject: str) -> dict[str, str]:
    findings: list[dict[str, str]] = json.loads(run("doctor", "--json").out)["findings"]
    return next(f for f in findings if f["subject"] == subject)


def test_says_one_line_for_each_subject(run: Run) -> None:
    shown = run("doctor").out
    for subject in ("machine", "python", "system", "port", "data dir"):
        assert f" {subject} " in shown


def test_changes_nothing(run: Run, tmp_path: Path) -> None:
    run("doctor")
    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use_by_another_program_is_told_from_our_own_server(
    run: Run, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMBENT_PORT", server.url.rpartition(":")[2])
    assert finding(run, "port")["verdict"] == "warn"
    server.answer("GET", "/_lambent/health", {"status": "ok", "sandbox": {}})
    assert "Lambent server runs" in finding(run, "port")["text"]


def test_a_data_dir_that_is_a_file_is_a_fault(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    monkeypatch.setenv("LAMBENT_DATA_DIR", "data")
    assert finding(run, "data dir")["verdict"] == "fail"
    assert run("doctor").code == 1


def test_a_data_dir_that_a_start_would_refuse_is_a_fault(run: Run) -> None:
    Path(".lambent").mkdir()
    assert finding(run, "data dir")["verdict"] == "ok"
    Path(".lambent/VERSION").write_text("999\n")
    assert "newer Lambent" in finding(run, "data dir")["text"]
    Path(".lambent/VERSION").unlink()
    Path(".lambent/cat.jpg").touch()
    assert "it holds cat.jpg" in finding(run, "data dir")["text"]


def test_settings_that_cannot_be_used_are_one_line(run: Run) -> None:
    Path("lambent.toml").write_text("prot = 1\n")
    outcome = run("doctor")
    assert outcome.code == 2
    assert outcome.err.startswith("lambent: lambent.toml: unknown key 'prot'")
