"""`lambent env`."""

from collections.abc import Callable

import pytest

from tests.unit.cli.conftest import Outcome

Run = Callable[..., Outcome]


def test_prints_exports_for_bash_by_default(run: Run) -> None:
    assert run("env").out.splitlines() == [
        "export AWS_ENDPOINT_URL=http://127.0.0.1:4566",
        "export AWS_ACCESS_KEY_ID=test",
        "export AWS_SECRET_ACCESS_KEY=test",
        "export AWS_REGION=us-east-1",
        "export AWS_DEFAULT_REGION=us-east-1",
    ]


def test_follows_the_shell_of_the_user(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert run("env").out.splitlines()[1] == "set -gx AWS_ACCESS_KEY_ID test"


def test_powershell_and_another_server(run: Run) -> None:
    shown = run("env", "--shell", "powershell", "--endpoint", "http://127.0.0.1:5000/").out
    assert shown.splitlines()[0] == "$Env:AWS_ENDPOINT_URL = 'http://127.0.0.1:5000'"
