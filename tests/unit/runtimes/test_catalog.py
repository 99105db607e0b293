import logging
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.session import get_session

from lambent.runtimes import interpreters
from lambent.runtimes.catalog import Catalog, Refusal, RuntimeUnavailable
from lambent.runtimes.identifiers import IDENTIFIERS
from lambent.runtimes.interpreters import Interpreter, Places
from lambent.runtimes.layout import Layout
from lambent.runtimes.python.runtime import WRAPPING
from lambent.runtimes.variables import Process
from tests.unit.runtimes.conftest import elf

Install = Callable[..., Path]

LAYOUT = Layout(
    task="/var/task",
    runtime="/var/runtime",
    lang="/var/lang",
    opt="/opt",
    tmp="/tmp",
    runtime_api="169.254.100.1:9001",
    aws_endpoint_url="http://127.0.0.1:4566",
)


def process(runtime: str = "python3.12", **changes: object) -> Process:
    facts: dict[str, object] = {
        "runtime": runtime,
        "handler": "app.handler",
        "function_name": "shop",
        "function_version": "7",
        "memory_mb": 512,
        "region": "eu-central-1",
        "log_group": "/aws/lambda/shop",
        "log_stream": "2026/11/20/[7]0123",
        "access_key_id": "AKID",
        "secret_access_key": "secret",
        "session_token": "token",
        "metadata_token": "where",
        **changes,
    }
    return Process(**facts)  # type: ignore[arg-type]


def test_an_identifier_is_served_by_its_own_version(tmp_path: Path, install: Install) -> None:
    install(tmp_path / "3.12.4", "3.12", 4)
    runtime = Catalog(Places([], [tmp_path])).find("python3.12")
    assert runtime.prefix == tmp_path / "3.12.4"
    assert runtime.version == "python:3.12.v4"
    command = runtime.command(process())(LAYOUT)
    assert command.argv == ("/var/lang/bin/python3.12", "-S", "/var/runtime/bootstrap.py")
    assert command.variables["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.12"


def test_a_missing_version_is_refused_with_the_mending_command(tmp_path: Path, install: Install) -> None:
    install(tmp_path / "3.12.4", "3.12", 4)
    catalog = Catalog(Places([], [tmp_path]))
    with pytest.raises(RuntimeUnavailable, match=r"no.*Python 3\.13|3\.13.*none") as caught:
        catalog.find("python3.13")
    assert "`uv python install 3.13`" in str(caught.value)
    assert str(caught.value.mend).startswith("uv python install 3.13")
    refusal = catalog.refusal("python3.13", "x86_64", tmp_path)
    assert refusal == Refusal(str(caught.value), "InvalidRuntime")


def test_the_mending_command_is_of_a_tool_that_is_there(tmp_path: Path) -> None:
    pyenv = tmp_path / "pyenv"
    pyenv.write_text("#!/bin/sh\n")
    pyenv.chmod(0o755)
    with pytest.raises(RuntimeUnavailable, match=r"To install one: `pyenv install 3\.13`\. Or"):
        Catalog(Places([tmp_path], [])).find("python3.13")


def test_a_version_that_is_installed_later_is_found(tmp_path: Path, install: Install) -> None:
    catalog = Catalog(Places([], [tmp_path]))
    with pytest.raises(RuntimeUnavailable):
        catalog.find("python3.13")
    install(tmp_path / "3.13.0", "3.13", 0)
    first = catalog.find("python3.13")
    assert catalog.find("python3.13") is first
    first.interpreter.executable.unlink()
    with pytest.raises(RuntimeUnavailable):
        catalog.find("python3.13")


def test_nearest_is_used_only_where_asked_for_and_warns_at_each_init(
    tmp_path: Path, install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install(tmp_path / "3.10.1", "3.10", 1)
    install(tmp_path / "3.12.1", "3.12", 1)
    install(tmp_path / "3.14.1", "3.14", 1)
    catalog = Catalog(Places([], [tmp_path]), fallback="nearest")
    runtime = catalog.find("python3.13")
    assert runtime.identifier == "python3.13"
    assert runtime.interpreter.version == "3.14"
    assert runtime.warning is not None
    assert catalog.find("python3.12").warning is None
    assert [each.identifier for each in catalog.available()] == ["python3.10", "python3.12", "python3.14"]
    render = runtime.command(process("python3.13"))
    with caplog.at_level(logging.WARNING):
        commands = [render(LAYOUT), render(LAYOUT)]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert commands[0].argv[0] == "/var/lang/bin/python3.14"
    assert commands[0].variables["_LAMBENT_WARNING"] == runtime.warning


def test_no_version_at_all_is_refused_with_nearest_too(tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnavailable, match="uv python install"):
        Catalog(Places([], [tmp_path]), fallback="nearest").find("python3.13")


def test_a_configured_interpreter_wins(tmp_path: Path, install: Install) -> None:
    install(tmp_path / "found/3.12.9", "3.12", 9)
    mine = install(tmp_path / "mine", "3.12", 1)
    catalog = Catalog(Places([], [tmp_path / "found"]), configured=[("python3.12", mine)])
    assert catalog.find("python3.12").prefix == tmp_path / "mine"
    wrong = Catalog(Places([], [tmp_path / "found"]), configured=[("python3.13", mine)])
    with pytest.raises(RuntimeUnavailable, match="setting interpreters"):
        wrong.find("python3.13")


@pytest.mark.parametrize(
    ("identifier", "reason"),
    [
        ("nodejs24.x", "does not run Node.js functions yet (nodejs24.x)"),
        ("java21", "does not run Java functions yet"),
        ("python3.8", "does not run python3.8: it runs python3.9 to python3.14"),
        ("python4.0", "not a runtime identifier"),
    ],
)
def test_what_is_not_built_is_refused_with_a_reason(tmp_path: Path, identifier: str, reason: str) -> None:
    refusal = Catalog(Places([], []), fallback="nearest").refusal(identifier, "x86_64", tmp_path)
    assert refusal is not None
    assert reason in refusal.reason
    assert refusal.code == "InvalidRuntime"


def test_a_custom_runtime_needs_nothing_of_this_machine(tmp_path: Path) -> None:
    nowhere = Catalog(Places([], []))
    assert (
        nowhere.refusal("provided.al2023", "x86_64" if nowhere._architecture == "x86_64" else "arm64", tmp_path) is None
    )
    runtime = nowhere.serving("provided.al2023")
    assert runtime.version == "provided:al2023.v1"
    assert runtime.start is None


def test_every_identifier_of_the_model_is_known_and_no_other() -> None:
    model = get_session().get_service_model("lambda")
    assert set(IDENTIFIERS) == set(model.shape_for("Runtime").enum)


@pytest.mark.parametrize(
    ("machine", "architecture", "contents", "runs"),
    [
        ("x86_64", "x86_64", "arm64", True),
        ("x86_64", "arm64", None, True),
        ("x86_64", "arm64", "x86_64", True),
        ("x86_64", "arm64", "arm64", False),
        ("aarch64", "x86_64", "x86_64", False),
        ("arm64", "x86_64", None, True),
        ("arm64", "arm64", "arm64", True),
    ],
)
def test_a_function_for_another_processor_runs_when_nothing_in_it_is_compiled_for_that(
    tmp_path: Path, install: Install, machine: str, architecture: str, contents: str | None, runs: bool
) -> None:
    install(tmp_path / "py/3.12.1", "3.12", 1)
    code = tmp_path / "code"
    (code / "numpy/core").mkdir(parents=True)
    (code / "app.py").write_text("def handler(event, context): ...")
    (code / "notes.so").write_text("not a library")
    if contents is not None:
        (code / "numpy/core/_umath.so").write_bytes(elf(contents))
    catalog = Catalog(Places([], [tmp_path / "py"]), machine=machine)
    refusal = catalog.refusal("python3.12", architecture, code)
    assert (refusal is None) == runs
    if refusal is not None:
        assert "numpy/core/_umath.so" in refusal.reason
        assert refusal.code == "InvalidConfiguration"


def test_a_missing_interpreter_has_no_version_arn(tmp_path: Path) -> None:
    assert Catalog(Places([], [tmp_path])).version_arn("python3.12", "eu-central-1") is None


def test_the_version_arn_names_the_build(tmp_path: Path, install: Install) -> None:
    executable = install(tmp_path / "3.12.4", "3.12", 4)
    catalog = Catalog(Places([], [tmp_path]))
    first = catalog.version_arn("python3.12", "eu-central-1")
    assert first is not None
    pattern = get_session().get_service_model("lambda").shape_for("RuntimeVersionArn").metadata
    assert first.startswith("arn:aws:lambda:eu-central-1::runtime:")
    assert len(first.rpartition(":")[2]) == 64
    assert pattern["min"] <= len(first) <= pattern["max"]
    assert catalog.version_arn("python3.12", "eu-central-1") == first
    executable.write_bytes(executable.read_bytes() + b"rebuilt")
    assert catalog.version_arn("python3.12", "eu-central-1") != first


def test_where_functions_are_other_users_an_interpreter_that_is_closed_to_them_is_none(
    tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "3.12.4", "3.12", 4)
    executable = install(tmp_path / "3.12.5", "3.12", 5)
    monkeypatch.setattr(
        interpreters, "closed_to_others", lambda each: each.prefix if each.prefix == executable.parents[1] else None
    )
    catalog = Catalog(Places([], [tmp_path]))
    assert catalog.find("python3.12").interpreter.patch == 5
    catalog.serve_other_users()
    assert catalog.find("python3.12").interpreter.patch == 4
    named = Catalog(Places([], []), configured=[("python3.12", executable)])
    named.serve_other_users()
    with pytest.raises(RuntimeUnavailable, match=r"cannot execute .*: .*/3\.12\.5 is closed to them") as refused:
        named.find("python3.12")
    assert refused.value.mend == f"chmod o+x {executable.parents[1]}"


def test_what_keeps_others_from_an_interpreter_is_found(tmp_path: Path, install: Install) -> None:
    everybodys = Interpreter("3.12", 1, Path("/usr"), Path("/usr/bin/env"))
    assert interpreters.closed_to_others(everybodys) is None
    executable = install(tmp_path / "3.12.4", "3.12", 4)
    executable.chmod(0o700)
    found = interpreters.closed_to_others(Interpreter("3.12", 4, tmp_path / "3.12.4", executable))
    assert found is not None
    assert executable.is_relative_to(found)
    missing = tmp_path / "none"
    assert interpreters.closed_to_others(Interpreter("3.12", 4, tmp_path, missing)) is not None


def test_a_wrapper_gets_the_command_as_its_arguments(tmp_path: Path, install: Install) -> None:
    install(tmp_path / "3.12.4", "3.12", 4)
    runtime = Catalog(Places([], [tmp_path])).find("python3.12")
    command = runtime.command(process(variables={"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrap"}))(LAYOUT)
    wrapped = ("/opt/wrap", "/var/lang/bin/python3.12", "-S", "/var/runtime/bootstrap.py")
    assert command.argv == ("/bin/sh", "-c", WRAPPING, *wrapped)


def test_a_wrapper_is_found_where_the_sandbox_has_the_layers_and_the_code(tmp_path: Path, install: Install) -> None:
    install(tmp_path / "3.12.4", "3.12", 4)
    runtime = Catalog(Places([], [tmp_path])).find("python3.12")
    for wrapper, place in (("/opt/bin/w", "/x/opt/bin/w"), ("/var/task/w", "/x/task/w"), ("/bin/env", "/bin/env")):
        render = runtime.command(process(variables={"AWS_LAMBDA_EXEC_WRAPPER": wrapper}))
        assert render(replace(LAYOUT, opt="/x/opt", task="/x/task")).argv[3] == place


@pytest.mark.parametrize(
    ("text", "mode", "status", "says"),
    [
        (None, 0, 127, "{}: does not exist\n"),
        ("#!/bin/sh\n", 0o644, 126, "{}: is not an executable\n"),
        ('#!/bin/sh\necho "wraps $*"\n', 0o755, 0, "wraps python bootstrap.py\n"),
        ('echo "wraps $*"\n', 0o755, 0, "wraps python bootstrap.py\n"),
    ],
)
def test_a_wrapper_that_cannot_be_started_says_so_as_on_aws(
    tmp_path: Path, text: str | None, mode: int, status: int, says: str
) -> None:
    wrapper = tmp_path / "wrapper of mine"
    if text is not None:
        wrapper.write_text(text)
        wrapper.chmod(mode)
    argv = ["/bin/sh", "-c", WRAPPING, str(wrapper), "python", "bootstrap.py"]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (status, says.format(wrapper))
