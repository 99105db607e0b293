"""The command as a whole: help, version, and how failures show."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lambent import __version__
from tests.unit.cli.conftest import Outcome, ScriptedServer

Run = Callable[..., Outcome]


def test_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version") == Outcome(0, f"lambent {__version__}\n", "")


def test_help_lists_every_command_and_the_exit_codes(run: Run) -> None:
    shown = run("--help").out
    for name in ("up", "demo", "deploy", "invoke", "logs", "function", "layer", "runtimes", "env", "doctor"):
        assert f"\n  {name} " in shown
    assert "130 interrupted" in shown


def test_help_imports_neither_the_server_nor_an_aws_library() -> None:
    code = (
        "import sys\nfrom lambent.cli.main import main\ntry:\n    main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'botocore', 'boto3', 'sqlalchemy', 'uvicorn', 'uvloop', 'rich', 'http.client', 'lambent.app'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stderr.strip() == "[]"


def test_an_unknown_command_is_wrong_usage(run: Run) -> None:
    outcome = run("no-such-command")
    assert outcome.code == 2
    assert "no-such-command" in outcome.err


def test_a_server_that_does_not_run_is_named_with_the_command_that_starts_it(run: Run) -> None:
    outcome = run("function", "list", "--endpoint", "http://127.0.0.1:9")
    assert outcome.code == 3
    assert outcome.err == "lambent: no server answers on http://127.0.0.1:9; start one with: lambent up\n"


@pytest.mark.parametrize("endpoint", ["127.0.0.1:4566", "ftp://a", "http://", "http://a:b"])
def test_what_is_no_endpoint_is_wrong_usage(run: Run, endpoint: str) -> None:
    outcome = run("function", "list", "--endpoint", endpoint)
    assert outcome.code == 2
    assert "is no endpoint" in outcome.err


def test_an_unknown_function_is_one_line_in_the_servers_words(run: Run, server: ScriptedServer) -> None:
    server.answer(
        "POST",
        "/2015-03-31/functions/nope/invocations",
        {"Type": "User", "Message": "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nope"},
        404,
        {"x-amzn-errortype": "ResourceNotFoundException"},
    )
    outcome = run("invoke", "nope", "--endpoint", server.url)
    assert outcome.code == 4
    assert outcome.err == (
        "lambent: ResourceNotFoundException: Function not found: arn:aws:lambda:us-east-1:000000000000:function:nope\n"
    )


def test_the_endpoint_may_come_from_a_variable(
    run: Run, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer("GET", "/2015-03-31/functions/", {"Functions": []})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("LAMBENT_ENDPOINT", server.url)
    assert run("function", "list").code == 0


def test_the_console_script_runs_the_command() -> None:
    script = Path(sys.executable).parent / "lambent"
    done = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == f"lambent {__version__}\n"


@pytest.mark.parametrize("words", [("invoke",), ("logs",), ("function", "show")])
def test_an_empty_name_is_wrong_usage(run: Run, words: tuple[str, ...]) -> None:
    outcome = run(*words, "")
    assert outcome.code == 2
    assert "a function has a name" in outcome.err
