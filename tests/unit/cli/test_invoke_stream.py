"""`lambent invoke --stream`."""

import base64
import json
from collections.abc import Callable

import pytest

from lambent.aws.eventstream import encode
from tests.unit.cli.conftest import Outcome, ScriptedServer

Run = Callable[..., Outcome]
PATH = "/2021-11-15/functions/f/response-streaming-invocations"


def event(kind: str, payload: bytes) -> bytes:
    return encode({":event-type": kind, ":message-type": "event"}, payload)


def complete(**members: str) -> bytes:
    return event("InvokeComplete", json.dumps(members).encode())


def test_chunks_are_printed_as_they_are(run: Run, server: ScriptedServer) -> None:
    server.answer("POST", PATH, event("PayloadChunk", b"one") + event("PayloadChunk", b"two\n") + complete())
    outcome = run("invoke", "f", '{"a":1}', "--stream", "--qualifier", "live", "--endpoint", server.url)
    assert (outcome.code, outcome.out, outcome.err) == (0, "onetwo\n", "")
    _, path, headers, body = server.asked[0]
    assert (path, body, headers["x-amz-log-type"]) == (f"{PATH}?Qualifier=live", b'{"a":1}', "None")


def test_an_error_at_the_end_is_told_and_the_exit_code_is_1(run: Run, server: ScriptedServer) -> None:
    end = complete(
        ErrorCode="Unhandled", ErrorDetails='{"errorMessage":"late"}', LogResult=base64.b64encode(b"log\n").decode()
    )
    server.answer("POST", PATH, event("PayloadChunk", b"one") + end)
    outcome = run("invoke", "f", "--stream", "--log", "--endpoint", server.url)
    assert (outcome.code, outcome.out) == (1, "one")
    assert outcome.err == 'log\n\n{"errorMessage":"late"}\nlambent: the function failed (Unhandled)\n'
    assert server.asked[0][2]["x-amz-log-type"] == "Tail"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (event("PayloadChunk", b"one"), "the stream ended in the middle"),
        (b"no event stream at all, by far", "the reply is no event stream"),
        (
            encode({":error-code": "ServiceException", ":error-message": "broken", ":message-type": "error"}, b""),
            "the server could not go on: broken",
        ),
    ],
)
def test_what_is_wrong_is_one_line(run: Run, server: ScriptedServer, reply: bytes, said: str) -> None:
    server.answer("POST", PATH, reply)
    outcome = run("invoke", "f", "--stream", "--endpoint", server.url)
    assert outcome.code != 0
    assert said in outcome.err


def test_a_refusal_is_told_as_always(run: Run, server: ScriptedServer) -> None:
    server.answer(
        "POST", PATH, {"Message": "Function not found"}, 404, {"x-amzn-ErrorType": "ResourceNotFoundException"}
    )
    outcome = run("invoke", "f", "--stream", "--endpoint", server.url)
    assert "ResourceNotFoundException: Function not found" in outcome.err


@pytest.mark.parametrize("other", ["--async", "--json"])
def test_what_it_does_not_go_with(run: Run, server: ScriptedServer, other: str) -> None:
    outcome = run("invoke", "f", "--stream", other, "--endpoint", server.url)
    assert (outcome.code, other in outcome.err, server.asked) == (2, True, [])
