"""Which module a function gets: its own, its layers', the runtime's, or the library's."""

from pathlib import Path

import pytest

from lambent.testing.scripted_runtime_api import Event
from tests.contract.runtimes.runtime_process import BOOTSTRAP, OURS, run

APP = "import sys, chosen\n\ndef handler(event, context):\n    return [chosen.WHERE, sys.path[:5]]\n"


@pytest.fixture
def task(tmp_path: Path) -> Path:
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    return folder


def put(folder: Path, name: str, where: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"WHERE = {where!r}\n")


def test_the_code_of_the_function_comes_before_its_layers(task: Path, tmp_path: Path) -> None:
    put(tmp_path / "opt/python", "chosen.py", "layer")
    opt = {"_LAMBENT_OPT": str(tmp_path / "opt")}
    assert run(OURS, task, "app.handler", [Event()], variables=opt).payloads()[0][0] == "layer"
    put(task, "chosen.py", "function")
    assert run(OURS, task, "app.handler", [Event()], variables=opt).payloads()[0][0] == "function"


def test_a_pythonpath_of_the_function_comes_after_the_runtime_folder(task: Path, tmp_path: Path) -> None:
    put(tmp_path / "mine", "chosen.py", "pythonpath")
    variables = {"PYTHONPATH": f"{tmp_path}/mine"}
    where, path = run(OURS, task, "app.handler", [Event()], variables=variables).payloads()[0]
    assert where == "pythonpath"
    assert path == [
        str(task),
        path[1],
        "/opt/python",
        str(BOOTSTRAP),
        f"{tmp_path}/mine",
    ]


def test_pythonsafepath_takes_no_folder_away(task: Path) -> None:
    put(task, "chosen.py", "function")
    _, path = run(OURS, task, "app.handler", [Event()], variables={"PYTHONSAFEPATH": "1"}).payloads()[0]
    assert (path[0], path[3]) == (str(task), str(BOOTSTRAP))


def test_an_instrumentation_on_pythonpath_starts_first(task: Path, tmp_path: Path) -> None:
    put(task, "chosen.py", "function")
    put(tmp_path / "agent", "sitecustomize.py", "agent")
    (tmp_path / "agent/sitecustomize.py").write_text("print('agent started')\n")
    variables = {"PYTHONPATH": f"{tmp_path}/agent"}
    assert run(OURS, task, "app.handler", [Event()], variables=variables).stdout == "agent started\n"


@pytest.mark.parametrize("name", ["json", "logging", "token", "decimal"])
def test_a_file_of_the_function_does_not_hide_what_lambda_has_imported_before(task: Path, name: str) -> None:
    (task / f"{name}.py").write_text("WHERE = 'hidden'\n")
    (task / "app.py").write_text(
        f"import {name}\n\ndef handler(event, context):\n    return hasattr({name}, 'WHERE')\n"
    )
    assert run(OURS, task, "app.handler", [Event()]).payloads() == [False]


def test_the_packages_of_the_host_are_not_part_of_the_runtime(task: Path) -> None:
    (task / "app.py").write_text("import pytest\n")
    assert run(OURS, task, "app.handler", []).payloads()[0]["errorType"] == "Runtime.ImportModuleError"
