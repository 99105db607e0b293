"""The command as a whole: help, version, and how failures show."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from lambent import __version__
from lambent.cli.help import Sectioned
from lambent.cli.main import COMMANDS, command
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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("functions",), "no such command 'functions'. Did you mean 'function'?; see: lambent --help"),
        (("function", "ls"), "no such command 'ls'. Did you mean 'list'?; see: lambent function --help"),
        (("logs",), "missing argument 'FUNCTION'; see: lambent logs --help"),
        (("invoke", "f", "--qualifer", "1"), "Did you mean '--qualifier'?; see: lambent invoke --help"),
        (("up", "--port", "x"), "'x' is not a whole number from 0 to 65535; see: lambent up --help"),
        (("up", "--max-environments", "0"), "'0' is not a whole number of 1 or more; see: lambent up --help"),
        (("env", "--shell", "csh"), "'csh' is not one of 'bash', 'fish', 'powershell'; see: lambent env --help"),
    ],
)
def test_wrong_usage_is_one_line_with_the_place_where_help_is(run: Run, arguments: tuple[str, ...], said: str) -> None:
    outcome = run(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("lambent: ")
    assert outcome.err.endswith(said + "\n")
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [(), ("function",), ("layer",)])
def test_a_group_without_a_command_shows_its_help(run: Run, arguments: tuple[str, ...]) -> None:
    outcome = run(*arguments)
    assert outcome.code == 2
    assert outcome.err.startswith("Usage: lambent")
    assert "Commands:" in outcome.err


def commands() -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    for name in COMMANDS:
        made = command.get_command(click.Context(command), name)
        assert made is not None
        found.append((name, made))
        if isinstance(made, click.Group):
            found += [(f"{name} {below}", each) for below, each in made.commands.items()]
    return found


@pytest.mark.parametrize(("name", "made"), commands(), ids=[name for name, _ in commands()])
def test_every_option_says_what_it_does_in_the_same_form(name: str, made: click.Command) -> None:
    assert made.help
    for option in made.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.help, option.name
            assert option.help[0].isupper(), option.help
            assert "efault " not in option.help.replace("by default ", ""), f"[default: ...] instead: {option.help}"
            assert "RANGE" not in (option.make_metavar(click.Context(made)) or ""), option.name


def test_every_option_of_up_has_its_section() -> None:
    (up,) = [made for name, made in commands() if name == "up"]
    assert isinstance(up, Sectioned)
    shown = {name for names in up.sections.values() for name in names}
    assert {param.name for param in up.params} - shown == set(), "to be named in `_Up.sections`"
    assert len(up.get_help(click.Context(up)).splitlines()) < 130


def test_the_server_and_the_form_may_be_named_before_the_subcommand(run: Run, server: ScriptedServer) -> None:
    server.answer("POST", "/_lambent/clock", {"Now": "2026-11-21T19:30:00.123Z", "AheadSeconds": 60.0})
    shown = run("clock", "--endpoint", server.url, "--json", "advance", "1m")
    assert json.loads(shown.out)["AheadSeconds"] == 60
