"""`lambent up` as users and scripts rely on it: its ready line, its health, its end, and what a second start says."""

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest

import lambent
from lambent import __version__
from lambent.testing.running_server import READY, Server
from tests.e2e.conftest import SANDBOX

COMMAND = str(Path(sys.executable).parent / "lambent")
StartServer = Callable[..., Server]


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def health(server: Server) -> dict[str, object]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", "/_lambent/health")
        answer = connection.getresponse()
        assert answer.status == 200
        found: dict[str, object] = json.loads(answer.read())
        return found
    finally:
        connection.close()


def test_health_names_version_sandbox_and_runtimes(server: Server) -> None:
    found = health(server)
    assert (found["status"], found["version"]) == ("ok", __version__)
    assert isinstance(found["sandbox"], dict)
    assert found["sandbox"]["driver"] == server.sandbox
    assert isinstance(found["runtimes"], list)
    assert found["runtimes"]


def test_sigterm_ends_it_with_status_0(start_server: StartServer) -> None:
    server = start_server()
    begun = time.monotonic()
    assert server.terminate() == 0
    # With nothing to wait for it does not use the 10 s that it may drain.
    assert time.monotonic() - begun < 8


def test_ctrl_c_ends_it_with_status_0(start_server: StartServer) -> None:
    server = start_server()
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(timeout=15) == 0


def test_nothing_but_the_ready_line_is_on_stdout(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [COMMAND, "up", "--port", "0", "--data-dir", "data", "--sandbox", SANDBOX],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline().rstrip("\n")
    finally:
        process.terminate()
        rest, said = process.communicate(timeout=20)
    found = READY.match(line)
    assert found is not None, line
    assert found["data"] == "data"
    assert rest == ""
    assert (found["sandbox"] == "process") is ("NOT isolated" in said)


def test_a_second_start_on_the_same_data_dir_is_refused(server: Server) -> None:
    done = run("up", "--port", "0", "--data-dir", str(server.data_dir))
    assert done.returncode == 5
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("lambent: The data directory ")
    assert f"in use by another Lambent (process {server.pid})" in done.stderr
    assert health(server)["status"] == "ok"


def test_a_second_start_on_the_same_port_is_refused(server: Server, tmp_path: Path) -> None:
    done = run("up", "--port", str(server.port), "--data-dir", str(tmp_path / "other"))
    assert done.returncode == 5
    assert done.stderr.startswith(f"lambent: port {server.port} is in use")
    assert not (tmp_path / "other").exists()


def test_the_doctor_knows_the_running_server(server: Server) -> None:
    done = run("doctor", "--json", LAMBENT_PORT=str(server.port), LAMBENT_DATA_DIR=str(server.data_dir))
    findings = {each["subject"]: each for each in json.loads(done.stdout)["findings"]}
    assert findings["port"]["text"] == f"a Lambent server runs on 127.0.0.1:{server.port}"


def test_client_commands_reach_it(server: Server) -> None:
    done = run("function", "list", LAMBENT_ENDPOINT=server.url)
    assert done.returncode == 0, done.stderr
    done = run("invoke", "no-such-function", LAMBENT_ENDPOINT=server.url)
    assert done.returncode == 4
    assert done.stderr == (
        "lambent: ResourceNotFoundException: Function not found: "
        "arn:aws:lambda:us-east-1:000000000000:function:no-such-function:$LATEST\n"
    )


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def others_may_enter(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in path.resolve().parents)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(
    ("flags", "variables"), [(("--user", "daemon"), {}), ((), {"SUDO_UID": "1"})], ids=["--user", "sudo"]
)
def test_started_by_root_for_a_user_it_becomes_that_user_or_says_why_not(
    start_server: StartServer, flags: tuple[str, ...], variables: dict[str, str]
) -> None:
    # pytest's own temporary folders are closed to other users.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        data_dir = Path(folder) / "data"
        if not all(others_may_enter(Path(file)) for file in (os.__file__, lambent.__file__, click.__file__)):
            done = run("up", "--port", "0", "--data-dir", str(data_dir), *flags, **variables)
            assert done.returncode == 5
            assert done.stderr.startswith("lambent: user daemon cannot read ")
            assert not data_dir.exists()
            return
        server = start_server(*flags, data_dir=data_dir, variables=variables)
        found = status(server.pid)
        assert set(found["Uid"].split()) == {"1"}
        assert int(found["CapEff"], 16) == int(found["CapBnd"], 16) == 0
        assert found["NoNewPrivs"] == "1"
        assert health(server)["status"] == "ok"
        server.terminate()


@pytest.mark.skipif(os.geteuid() != 0, reason="about root")
def test_started_by_plain_root_it_keeps_no_capability(server: Server) -> None:
    found = status(server.pid)
    assert int(found["CapEff"], 16) == int(found["CapPrm"], 16) == int(found["CapBnd"], 16) == 0
    assert found["NoNewPrivs"] == "1"
