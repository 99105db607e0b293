"""`lambent up` before a server is there: what is refused, and in which words. tests/e2e/test_command.py starts it."""

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from lambent.cli.up import up
from lambent.cli.up_words import explain, no_way_out, weakness
from lambent.core.settings import KEYS, Settings
from lambent.environments.sandbox.guarantees import GUARANTEES
from lambent.launcher.wire import EGRESS_STARTING
from tests.unit.cli.conftest import Outcome

Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_port_in_use_is_refused_before_anything_is_made(run: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        outcome = run("up", "--port", str(port))
    assert outcome.code == 5
    assert outcome.err == (
        f"lambent: port {port} is in use on 127.0.0.1; stop what uses it, or choose another with --port\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_networks_opened_and_closed_at_one_time_are_refused(run: Run, tmp_path: Path) -> None:
    outcome = run("up", "--port", "0", "--egress", "none", "--egress-allow", "10.1.0.0/16")
    assert (outcome.code, "--egress-allow would be without effect" in outcome.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_a_service_of_vpcs_is_refused_as_it_was_given(run: Run) -> None:
    outcome = run("up", "--port", "0", "--vpc-service", "db:5432")
    assert outcome.err == "lambent: --vpc-service: db:5432 is not as 10.0.1.10:5432=127.0.0.1:5432\n"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.test", "::"])
def test_an_address_that_others_can_reach_is_refused(run: Run, host: str) -> None:
    outcome = run("up", "--host", host)
    assert outcome.code == 2
    assert outcome.err.startswith(f"lambent: refusing to listen on {host}: ")


def test_a_data_dir_with_other_things_in_it_is_refused(run: Run) -> None:
    Path("photos").mkdir()
    Path("photos/cat.jpg").touch()
    outcome = run("up", "--port", "0", "--data-dir", "photos")
    assert outcome.code == 5
    assert "is not a data directory of Lambent" in outcome.err


def test_a_data_dir_of_a_newer_version_is_refused(run: Run) -> None:
    Path("data").mkdir()
    Path("data/VERSION").write_text("999\n")
    outcome = run("up", "--port", "0", "--data-dir", "data")
    assert outcome.code == 5
    assert "written by a newer Lambent" in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_data_dir_below_a_file_is_refused(run: Run) -> None:
    Path("file").touch()
    outcome = run("up", "--port", "0", "--data-dir", "file/data")
    assert outcome.code == 5
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("path", ["/proc/data", "d" * 300])
def test_a_data_dir_that_cannot_be_made_is_refused(run: Run, path: str) -> None:
    outcome = run("up", "--port", "0", "--data-dir", path)
    assert outcome.code == 5
    assert outcome.err.endswith("choose another folder with --data-dir\n")
    assert outcome.err.count("\n") == 1


def test_every_setting_has_a_flag() -> None:
    assert {parameter.name for parameter in up.params} == {*KEYS, "config", "until_stdin_ends"}


@pytest.mark.parametrize("name", ["python3.12", "python3.99", "nodejs20.x"])
def test_an_interpreter_that_cannot_serve_is_refused(run: Run, name: str) -> None:
    outcome = run("up", "--port", "0", "--interpreter", f"{name}=/nowhere/python")
    assert outcome.code == 2
    assert outcome.err.startswith("lambent: ")
    assert name in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_setting_that_does_not_exist_is_refused(run: Run) -> None:
    Path("lambent.toml").write_text("prot = 4566\n")
    assert run("up").err.startswith("lambent: lambent.toml: unknown key 'prot'")


def test_an_interpreter_without_a_path_is_wrong_usage(run: Run) -> None:
    assert run("up", "--interpreter", "python3.12").code == 2


@pytest.mark.parametrize(
    ("number", "filename", "said"),
    [
        (errno.EACCES, "/data", "no permission: /data: Permission denied; choose another folder with --data-dir"),
        (errno.EROFS, "/data", "no permission: /data: Read-only file system; choose another folder with --data-dir"),
        (errno.ENOSPC, "/data", "/data: No space left on device; choose another folder with --data-dir"),
        (
            errno.EACCES,
            None,
            "no permission to listen on 127.0.0.1:80; ports below 1024 are root's: choose another with --port",
        ),
        (errno.EBADF, None, None),
    ],
)
def test_errors_of_the_system_say_what_to_do(number: int, filename: str | None, said: str | None) -> None:
    error = OSError(number, os.strerror(number), filename)
    assert explain(error, Settings(port=80)) == said


def test_the_whole_native_sandbox_needs_no_warning() -> None:
    assert weakness("native", {}, None) is None


def test_a_way_out_that_is_about_to_be_there_is_not_missing() -> None:
    assert no_way_out(None) is None
    assert no_way_out(EGRESS_STARTING) is None
    assert no_way_out("pasta has ended") == "Functions have no way to the internet: pasta has ended."


def test_a_missing_guarantee_is_named_at_start() -> None:
    said = weakness("native", {"tmp": "no loop devices"}, None)
    assert said is not None
    assert said.startswith("WARNING: the native sandbox is without tmp (no loop devices).")
    said = weakness("rootless", {"memory": "no groups", "tmp": "memory", "cpu": "no groups"}, None)
    assert said is not None
    assert said.split("\n")[:2] == [
        "WARNING: the rootless sandbox is without memory, cpu (no groups);",
        "         tmp (memory).",
    ]


def test_the_process_sandbox_is_named_loudly_with_the_reason() -> None:
    said = weakness(
        "process", dict.fromkeys(GUARANTEES, "a plain process"), "native sandboxes need root: start with sudo"
    )
    assert said is not None
    assert "NOT isolated" in said
    assert "native sandboxes need root: start with sudo" in said


def test_a_process_sandbox_that_gives_something_says_what_it_does_not() -> None:
    said = weakness("process", {"network": "shared"}, "root here is without CAP_SYS_ADMIN") or ""
    assert "isolated in part only: the process sandbox is without network" in said
    assert "CAP_SYS_ADMIN" in said


@pytest.mark.parametrize("value", ["s3", "s3=", "s3=localhost:9000", "=http://a"])
def test_an_endpoint_is_a_service_and_a_url(run: Run, value: str) -> None:
    outcome = run("up", "--endpoint", value)
    assert outcome.code == 2
    assert "--endpoint takes SERVICE=URL" in outcome.err


def test_a_table_of_prices_that_cannot_be_used_is_refused_by_the_key(run: Run, tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text("[default]\nrequets = 1\n")
    outcome = run("up", "--port", "0", "--prices", str(prices))
    assert outcome.code == 2
    assert outcome.err.startswith(f"lambent: prices: {prices}: unknown key 'default.requets' (known: request, ")
    missing = run("up", "--port", "0", "--prices", "nowhere.toml")
    assert (missing.code, missing.err) == (
        2,
        "lambent: --prices: nowhere.toml cannot be read: No such file or directory\n",
    )
