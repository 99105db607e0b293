"""`lambent invoke`."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.unit.cli.conftest import Outcome, ScriptedServer

Run = Callable[..., Outcome]
PATH = "/2015-03-31/functions/f/invocations"


def test_the_payload_goes_as_it_is_and_the_answer_comes_as_it_is(run: Run, server: ScriptedServer) -> None:
    server.answer("POST", PATH, b'{"b":  1}')
    outcome = run("invoke", "f", '{"a":  "ä"}', "--endpoint", server.url)
    assert (outcome.code, outcome.out, outcome.err) == (0, '{"b":  1}\n', "")
    method, path, headers, body = server.asked[0]
    assert (method, path, body) == ("POST", PATH, '{"a":  "ä"}'.encode())
    assert headers["x-amz-invocation-type"] == "RequestResponse"
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=")
    assert "x-amz-log-type" not in headers


def test_no_payload_sends_an_empty_object(run: Run, server: ScriptedServer) -> None:
    server.answer("POST", PATH, b"null")
    assert run("invoke", "f", "--endpoint", server.url).out == "null\n"
    assert server.asked[0][3] == b"{}"


def test_a_tenant_is_named(run: Run, server: ScriptedServer) -> None:
    server.answer("POST", PATH, b"1")
    assert run("invoke", "f", "--tenant-id", "blue moon", "--endpoint", server.url).code == 0
    assert server.asked[0][2]["x-amz-tenant-id"] == "blue moon"


def test_an_arn_and_a_qualifier_are_encoded(run: Run, server: ScriptedServer) -> None:
    arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
    path = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af/invocations"
    server.answer("POST", path, b"1")
    assert run("invoke", arn, "--qualifier", "$LATEST", "--endpoint", server.url).code == 0
    assert server.asked[0][1] == f"{path}?Qualifier=%24LATEST"


def test_payload_from_a_file(run: Run, server: ScriptedServer, tmp_path: Path) -> None:
    server.answer("POST", PATH, b"1")
    (tmp_path / "event.json").write_text("[1]")
    assert run("invoke", "f", "--payload-file", str(tmp_path / "event.json"), "--endpoint", server.url).code == 0
    assert server.asked[0][3] == b"[1]"


def test_payload_from_stdin(run: Run, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answer("POST", PATH, b"1")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"[2]")))
    assert run("invoke", "f", "-", "--endpoint", server.url).code == 0
    assert server.asked[0][3] == b"[2]"


@pytest.mark.parametrize("payload", ["{", "{'a': 1}", "[" * 100_000])
def test_a_payload_that_is_not_json_is_refused_before_it_is_sent(
    run: Run, server: ScriptedServer, payload: str
) -> None:
    outcome = run("invoke", "f", payload, "--endpoint", server.url)
    assert outcome.code == 2
    assert outcome.err.startswith("lambent: the payload (PAYLOAD) is not JSON: ")
    assert outcome.err.count("\n") == 1
    assert server.asked == []


def test_a_missing_payload_file_is_one_line(run: Run, tmp_path: Path) -> None:
    outcome = run("invoke", "f", "--payload-file", str(tmp_path / "none"))
    assert outcome.code == 2
    assert "No such file" in outcome.err


def test_payload_and_file_together_are_refused(run: Run, tmp_path: Path) -> None:
    assert run("invoke", "f", "1", "--payload-file", str(tmp_path)).code == 2


def test_a_function_that_failed_shows_its_error_and_exits_with_1(run: Run, server: ScriptedServer) -> None:
    server.answer("POST", PATH, {"errorMessage": "no"}, 200, {"X-Amz-Function-Error": "Unhandled"})
    outcome = run("invoke", "f", "--endpoint", server.url)
    assert outcome.code == 1
    assert json.loads(outcome.out) == {"errorMessage": "no"}
    assert outcome.err == "lambent: the function failed (Unhandled)\n"


def test_the_log_goes_to_stderr(run: Run, server: ScriptedServer) -> None:
    server.answer("POST", PATH, b"1", 200, {"X-Amz-Log-Result": base64.b64encode("START é\n".encode()).decode()})
    outcome = run("invoke", "f", "--log", "--endpoint", server.url)
    assert (outcome.out, outcome.err) == ("1\n", "START é\n")
    assert server.asked[0][2]["x-amz-log-type"] == "Tail"


def test_what_the_function_left_without_an_end_of_line_gets_one(run: Run, server: ScriptedServer) -> None:
    end = f"END RequestId: {'0' * 36}\n"
    log = base64.b64encode(f"division by zero{end}".encode()).decode()
    server.answer("POST", PATH, b"1", 200, {"X-Amz-Log-Result": log})
    assert run("invoke", "f", "--log", "--endpoint", server.url).err == f"division by zero\n{end}"


def test_a_log_in_json_ends_with_its_line(run: Run, server: ScriptedServer) -> None:
    server.answer(
        "POST", PATH, b"1", 200, {"X-Amz-Log-Result": base64.b64encode(b'{"type":"platform.report"}').decode()}
    )
    assert run("invoke", "f", "--log", "--endpoint", server.url).err == '{"type":"platform.report"}\n'


def test_json_holds_what_the_headers_said(run: Run, server: ScriptedServer) -> None:
    headers = {
        "X-Amz-Executed-Version": "$LATEST",
        "x-amzn-RequestId": "r",
        "X-Amz-Log-Result": base64.b64encode(b"line\n").decode(),
    }
    server.answer("POST", PATH, {"n": 1}, 200, headers)
    outcome = run("invoke", "f", "--json", "--endpoint", server.url)
    assert json.loads(outcome.out) == {
        "StatusCode": 200,
        "FunctionError": None,
        "ExecutedVersion": "$LATEST",
        "RequestId": "r",
        "LogResult": "line\n",
        "Payload": {"n": 1},
    }


def test_an_event_is_told_by_its_request_id(run: Run, server: ScriptedServer) -> None:
    path = "/2015-03-31/functions/orders/invocations"
    server.answer("POST", path, b"", 202, {"x-amzn-requestid": "r-1"})
    assert run("invoke", "orders", "[7]", "--async", "--endpoint", server.url) == Outcome(0, "r-1\n", "")
    _, _, headers, body = server.asked[-1]
    assert (headers["x-amz-invocation-type"], body) == ("Event", b"[7]")
    shown = run("invoke", "orders", "--async", "--json", "--endpoint", server.url).out
    assert json.loads(shown) == {"StatusCode": 202, "RequestId": "r-1"}
    assert "x-amz-log-type" not in server.asked[-1][2]


def test_the_log_of_an_event_is_not_waited_for(run: Run) -> None:
    refused = run("invoke", "orders", "--async", "--log")
    assert refused.code == 2
    assert "see: lambent logs" in refused.err
