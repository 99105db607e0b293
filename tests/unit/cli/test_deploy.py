"""`lambent deploy` without a server: what is refused, and which requests an update needs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lambent.cli.deploy import name_of
from lambent.cli.deployment import Wanted
from lambent.cli.failure import Failure
from tests.unit.cli.conftest import Outcome, ScriptedServer

Run = Callable[..., Outcome]
CONFIGURATION = "/2015-03-31/functions/{}/configuration"


def test_the_name_is_that_of_the_folder_made_valid(tmp_path: Path) -> None:
    assert name_of(tmp_path / "my app (2)") == "my-app-2"
    assert name_of(tmp_path / ("x" * 80)) == "x" * 64
    with pytest.raises(Failure, match="--name"):
        name_of(tmp_path / "äöü")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "nowhere is no folder"),
        ((".", "--logs"), "--logs goes with --watch"),
        (("--url", "."), "--url is 'none' or 'iam', not '.'; a folder comes before it: DIR --url"),
        ((".", "--env", "novalue"), "--env 'novalue' is no variable"),
    ],
)
def test_wrong_usage_is_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run("deploy", *arguments)
    assert outcome.code == 2
    assert said in outcome.err


def test_a_folder_without_a_handler_is_refused_before_anything_is_sent(
    run: Run, server: ScriptedServer, tmp_path: Path
) -> None:
    server.answer("GET", "/_lambent/health", {"sandbox": {}, "runtimes": ["python3.11"]})
    missing = {"Type": "User", "Message": "Function not found: arn"}
    path = CONFIGURATION.format("f")
    server.answer("GET", path, missing, 404, {"x-amzn-errortype": "ResourceNotFoundException"})
    outcome = run("deploy", str(tmp_path), "--name", "f", "--endpoint", server.url)
    assert outcome.code == 2
    assert "name it with --handler" in outcome.err
    assert {method for method, *_ in server.asked} == {"GET"}


def test_a_runtime_that_the_server_does_not_run_is_refused_before_anything_is_sent(
    run: Run, server: ScriptedServer, tmp_path: Path
) -> None:
    server.answer("GET", "/_lambent/health", {"sandbox": {}, "runtimes": ["python3.11", "python3.12"]})
    server.answer("GET", CONFIGURATION.format("f"), {"Runtime": "python3.11", "Handler": "app.handler"})
    outcome = run("deploy", str(tmp_path), "--name", "f", "--runtime", "nodejs22.x", "--endpoint", server.url)
    assert outcome.code == 2
    assert "the server does not run nodejs22.x; it runs python3.11, python3.12" in outcome.err
    assert {method for method, *_ in server.asked} == {"GET"}


@pytest.mark.parametrize(
    ("wanted", "different"),
    [
        ({}, {}),
        ({"memory_mb": 128, "handler": "app.handler"}, {}),
        ({"memory_mb": 256}, {"MemorySize": 256}),
        ({"variables": {"A1": "x"}}, {}),
        ({"variables": {"B1": "y"}}, {"Environment": {"Variables": {"A1": "x", "B1": "y"}}}),
        ({"layers": ("arn:l:1",)}, {"Layers": ["arn:l:1"]}),
    ],
)
def test_only_what_differs_is_sent(wanted: dict[str, Any], different: dict[str, Any]) -> None:
    current = {"MemorySize": 128, "Handler": "app.handler", "Environment": {"Variables": {"A1": "x"}}}
    assert Wanted(name="f", **wanted).settings(current) == different
