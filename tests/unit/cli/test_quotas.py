"""`lambent quotas`, and `--quota` of `lambent up`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lambent.cli.main import command
from lambent.functions.quotas import table


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, arguments)
    return result.exit_code, result.output


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_table_shows_every_quota_and_what_was_changed(tmp_path: Path) -> None:
    Path("lambent.toml").write_text("account_concurrency = 7\n[quotas]\nmax_tags = 9\n")
    code, output = run("quotas")
    assert code == 0
    rows = {line.split()[0]: line.split()[1:3] for line in output.splitlines()[1:]}
    assert list(rows) == [each.name for each in table()]
    assert rows["max_tags"] == ["9", "50"]
    assert rows["concurrent_executions"] == ["7", "1000"]


def test_scripts_get_numbers() -> None:
    found = {each["name"]: each for each in json.loads(run("quotas", "--json", "--quota", "max_tags=9")[1])}
    assert (found["max_tags"]["value"], found["max_tags"]["default"]) == (9, 50)


@pytest.mark.parametrize("subcommand", ["quotas", "up"])
def test_an_unknown_quota_is_wrong_usage_and_the_near_one_is_named(subcommand: str) -> None:
    code, output = run(subcommand, "--quota", "max_tag=9")
    assert (code, output) == (2, "lambent: --quota, max_tag: unknown quota 'max_tag'; did you mean max_tags?\n")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("python3.9", "must map runtime identifiers to days such as 2025-03-01, not 'python3.9'"),
        ("python39=2026-06-01", "unknown runtime identifier 'python39'; did you mean python3.9?"),
    ],
)
def test_a_deprecated_runtime_is_one_that_exists_with_a_day(given: str, text: str) -> None:
    code, output = run("up", "--deprecated-runtime", given)
    assert code == 2
    assert text in output
