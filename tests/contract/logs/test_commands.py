"""`lambent logs` and the AWS CLI as processes, against a server on loopback."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lambent.cli.client import Client, Credentials
from lambent.cli.failure import Failure
from lambent.cli.logs import Reader, logs, parse_since, plain_name
from tests.contract.logs.conftest import LiveServer

GROUP = "/aws/lambda/hello"
START = time.time_ns() // 10**12 * 1_000_000 - 3_600_000
"""An hour or a little more ago, at a whole second."""


@pytest.fixture(autouse=True)
def no_aws_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)


def run(server: LiveServer, *arguments: str) -> Result:
    return CliRunner().invoke(logs, [*arguments, "--endpoint", server.url])


def messages(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [line.split(" ", 1)[1] for line in result.stdout.splitlines()]


def test_a_log_is_shown_oldest_first_with_times(server: LiveServer) -> None:
    server.write(GROUP, "s", (START, "START RequestId: 1\n"), (START + 1, "\x1b[1mhello\n"), (START + 2, "END\n"))
    result = run(server, "hello")
    stamp = datetime.fromtimestamp(START / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    lines = ((0, "START RequestId: 1"), (1, "\x1b[1mhello"), (2, "END"))
    assert result.stdout == "".join(f"{stamp}.00{number}Z {text}\n" for number, text in lines)


def test_limit_filter_and_since_choose_events(server: LiveServer) -> None:
    now = time.time_ns() // 1_000_000
    server.write(GROUP, "s", *((START + number, f"line {number}\n") for number in range(30)), (now, 'the "new" one\n'))
    assert messages(run(server, "hello", "--limit", "3")) == ["line 28", "line 29", 'the "new" one']
    assert messages(run(server, "hello", "--filter", "line 1", "--limit", "2")) == ["line 18", "line 19"]
    assert messages(run(server, "hello", "--filter", 'the "new"')) == ['the "new" one']
    assert messages(run(server, "hello", "--since", "10m")) == ['the "new" one']
    assert len(messages(run(server, "hello", "--since", "3h"))) == 31


def test_json_is_one_object_per_line(server: LiveServer) -> None:
    server.write(GROUP, "s", (START, "zwei ß\n"), (START + 1, "three\n"))
    found = [json.loads(line) for line in run(server, "hello", "--json").stdout.splitlines()]
    assert [event["message"] for event in found] == ["zwei ß\n", "three\n"]
    assert set(found[0]) == {"logStreamName", "timestamp", "message", "ingestionTime", "eventId"}


def test_the_log_group_of_the_configuration_is_read(server: LiveServer) -> None:
    server.write("shared", "s", (START, "elsewhere\n"))
    assert messages(run(server, "custom")) == ["elsewhere"]


def test_an_unknown_function_is_one_line_and_a_deleted_one_still_has_its_log(server: LiveServer) -> None:
    result = run(server, "nobody")
    assert result.exit_code == 4
    assert result.stderr.startswith("lambent: ResourceNotFoundException: Function not found: arn:aws:lambda:")
    assert result.stderr.count("\n") == 1
    server.write("/aws/lambda/deleted", "s", (START, "was here\n"))
    assert messages(run(server, "deleted")) == ["was here"]
    assert messages(run(server, "quiet")) == []


def test_a_wrong_time_and_a_missing_server_are_one_line() -> None:
    result = CliRunner().invoke(logs, ["hello", "--since", "yesterday"])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    result = CliRunner().invoke(logs, ["hello", "--endpoint", "http://127.0.0.1:9"])
    assert (result.exit_code, result.stderr.count("\n")) == (3, 1)


def test_times_are_relative_or_iso() -> None:
    at = 1_795_000_000_000
    assert parse_since("5m", at) == at - 300_000
    assert parse_since("1w", at) == at - 7 * 86_400_000
    assert parse_since("2026-11-18T11:06:40Z", 0) == at
    assert parse_since("2026-11-18T11:06:40", 0) == at
    for text in ("5", "m", "5m30s", "soon", ""):
        with pytest.raises(Failure):
            parse_since(text, at)


@pytest.mark.parametrize(
    "text",
    ["f", "f:1", "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST", "000000000000:function:f", "function:f"],
)
def test_the_name_is_found_in_every_form(text: str) -> None:
    assert plain_name(text) == "f"


def test_follow_shows_what_comes_and_ends_quietly_on_ctrl_c(server: LiveServer) -> None:
    server.write(GROUP, "s", (START, "before\n"))
    command = [sys.executable, "-m", "lambent", "logs", "hello", "--follow", "--endpoint", server.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().endswith("before\n")
        for number in range(3):
            server.write(GROUP, f"s{number % 2}", (START + number, f"later {number}\n"))
            assert process.stdout.readline().endswith(f"later {number}\n")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    # The line break of click, so that the prompt does not follow the ^C.
    assert (process.returncode, out, err) == (130, "", "\n")


def test_following_the_newest_shows_nothing_older(server: LiveServer) -> None:
    server.write(GROUP, "s", *((START + number, f"line {number}\n") for number in range(5)))
    reader = Reader(Client(server.url, Credentials("test", "test")), "hello")
    while len(reader.newest(5, None)) < 5:
        pass  # Stored within 0.2 s; the test's own time-out ends a wait in vain.
    reader = Reader(Client(server.url, Credentials("test", "test")), "hello")
    assert [event["message"] for event in reader.newest(2, None)] == ["line 3\n", "line 4\n"]
    reader.pass_over_older()
    assert list(reader.more(0)) == []


def test_the_aws_cli_writes_and_reads_logs(server: LiveServer, tmp_path: Path) -> None:
    def aws(*arguments: str) -> Any:
        command = [str(Path(sys.executable).parent / "aws"), "--endpoint-url", server.url, "--output", "json", "logs"]
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environ, timeout=30)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    server.write(GROUP, "s", (START, "one\n"), (START + 1, "two\n"))
    found = aws("filter-log-events", "--log-group-name", GROUP, "--page-size", "1")
    assert [event["message"] for event in found["events"]] == ["one\n", "two\n"]
    stamp = time.time_ns() // 1_000_000
    aws(
        "put-log-events",
        "--log-group-name",
        GROUP,
        "--log-stream-name",
        "s",
        "--log-events",
        f"timestamp={stamp},message=mine",
    )
    found = aws("get-log-events", "--log-group-name", GROUP, "--log-stream-name", "s", "--limit", "1")
    assert [event["message"] for event in found["events"]] == ["mine"]
