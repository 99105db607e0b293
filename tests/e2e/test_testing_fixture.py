"""`lambent.testing.server` as its users have it: their pytest, their conftest."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lambent.testing.lambent_server import Deployed, FunctionFailed, LambentServer
from tests.e2e.conftest import SANDBOX

DOCUMENTED = Path(__file__).parents[2] / "docs" / "testing.md"
EXAMPLE = Path(__file__).parents[2] / "examples" / "testing"


def run_pytest(*arguments: str, folder: Path, scratch: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
        *arguments,
        str(folder),
    ]
    return subprocess.run(
        command,
        cwd=folder,
        env={
            **os.environ,
            "TMPDIR": str(folder.parent if folder != EXAMPLE else "/tmp"),
            "LAMBENT_SANDBOX": "nonsense",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LambentServer]:
    folder = tmp_path_factory.mktemp("testing")
    with LambentServer.start(folder, ["--sandbox", SANDBOX]) as started:
        yield started


def test_the_example_passes_with_two_workers(tmp_path: Path) -> None:
    done = run_pytest("-n", "2", folder=EXAMPLE, scratch=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "....." in done.stdout
    assert [item.name for item in tmp_path.glob("lambent-test-*")] == []


def test_the_project_of_the_documentation_passes_as_it_is_written(tmp_path: Path) -> None:
    files = re.findall(r"```python\n# (\S+)\n(.*?)```", DOCUMENTED.read_text(), re.DOTALL)
    assert [name for name, _ in files] == ["conftest.py", "orders/app.py", "test_orders.py"]
    folder = tmp_path / "project"
    for name, text in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    done = run_pytest(folder=folder, scratch=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_server_that_does_not_start_is_an_error_with_its_log_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "conftest.py").write_text(
        "from lambent.testing import server\nlambent_server = server(arguments=['--host', '192.0.2.1'])\n"
    )
    (folder / "test_it.py").write_text("def test_it(lambent_server):\n    raise AssertionError('it ran')\n")
    done = run_pytest(folder=folder, scratch=tmp_path)
    assert done.returncode == 1
    assert "Lambent did not start: " in done.stdout
    assert "192.0.2.1" in done.stdout
    assert "it ran" not in done.stdout
    assert [item.name for item in tmp_path.glob("lambent-test-*")] == []


LONGEST_S = 40.0
HANGING = """
import os, pathlib, time

def test_it(lambent_server):
    pathlib.Path({pids!r}).joinpath(str(lambent_server._server.pid)).write_text(str(os.getpid()))
    time.sleep(600)
"""


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_server_ends_with_the_tests_that_are_killed(tmp_path: Path, workers: tuple[str, ...]) -> None:
    expected = 2 if workers else 1
    folder, pids = tmp_path / "project", tmp_path / "pids"
    folder.mkdir()
    pids.mkdir()
    (folder / "conftest.py").write_text("from lambent.testing import server\nlambent_server = server()\n")
    for name in ("test_a.py", "test_b.py"):
        (folder / name).write_text(HANGING.format(pids=str(pids)))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), *workers]
    variables = {**os.environ, "TMPDIR": str(tmp_path)}
    with (tmp_path / "log").open("w") as log:
        tests = subprocess.Popen(
            [*command, str(folder)], cwd=folder, env=variables, stdout=log, stderr=log, start_new_session=True
        )
    try:
        until(lambda: [each.read_text() for each in pids.iterdir()].count("") == 0 and len(servers(pids)) == expected)
        owners = {int(each.read_text()) for each in pids.iterdir()}
        assert all(is_running(pid) for pid in servers(pids))
        for pid in owners:
            os.kill(pid, signal.SIGKILL)
        until(lambda: not any(is_running(pid) for pid in servers(pids)))
    finally:
        os.killpg(tests.pid, signal.SIGKILL)
        tests.wait(timeout=20)


def test_a_standard_input_that_nobody_holds_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lambent", "up", "--until-stdin-ends", "--port", "0", "--data-dir", str(tmp_path)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONGEST_S, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "--until-stdin-ends: standard input is no pipe" in done.stderr


def servers(pids: Path) -> list[int]:
    return [int(each.name) for each in pids.iterdir()]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_function_is_updated_by_its_name_and_its_failure_is_told(running: LambentServer) -> None:
    first = running.deploy("def handler(event, context):\n    return 1\n", name="f")
    assert (first.invoke(), first.arn) == (1, "arn:aws:lambda:us-east-1:000000000000:function:f")
    texts = {"main.py": "from words import word\ndef run(event, context):\n    raise ValueError(word)\n"}
    second = running.deploy({**texts, "words.py": "word = 'no'\n"}, name="f", Timeout=7)
    with pytest.raises(FunctionFailed, match="ValueError: no") as failed:
        second.invoke({"a": 1})
    assert failed.value.type == "ValueError"
    assert running.client("lambda").get_function_configuration(FunctionName="f")["Timeout"] == 7


def test_a_reset_leaves_no_function_and_no_log(running: LambentServer) -> None:
    function = running.deploy("def handler(event, context):\n    print('hello')\n", name="g")
    assert function.logs() == []
    function.invoke()
    assert "hello\n" in function.logs()
    running.reset()
    assert running.client("lambda").list_functions()["Functions"] == []
    assert running.logs("g") == []


def test_an_advance_goes_through_all_retries_to_the_destination(running: LambentServer) -> None:
    broken = running.deploy("def handler(event, context):\n    raise ValueError(event)\n", name="h")
    told = running.deploy("def handler(event, context):\n    print('told', event['requestPayload'])\n", name="i")
    running.client("lambda").put_function_event_invoke_config(
        FunctionName="h", DestinationConfig={"OnFailure": {"Destination": told.arn}}
    )
    request_id = broken.send(7)
    running.advance(0)
    assert starts(broken, request_id) == 1
    running.advance(20)
    assert starts(broken, request_id) == 1
    running.advance(40)
    assert starts(broken, request_id) == 2
    running.advance(120)
    assert starts(broken, request_id) == 3
    assert "told 7\n" in told.logs()


def starts(function: Deployed, request_id: str) -> int:
    return "".join(function.logs()).count(f"START RequestId: {request_id}")


def test_an_advance_says_what_it_did_not_wait_for(running: LambentServer) -> None:
    slow = running.deploy("import time\ndef handler(event, context):\n    time.sleep(2)\n", name="s")
    slow.send()
    with pytest.raises(TimeoutError, match="1 events or deliveries are still under way"):
        running.advance(0, wait_s=0.1)
    running.advance(0)
