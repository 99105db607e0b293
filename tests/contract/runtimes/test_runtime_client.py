"""Our bootstrap on the wire: one connection, pipelined, and what happens when the other side misbehaves."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.runtimes.runtime_process import BOOTSTRAP

HANDLER = "def handler(event, context):\n    return event\n"
ACCEPTED = b'HTTP/1.1 202 Accepted\r\nContent-Length: 15\r\n\r\n{"status":"OK"}'


class Wire:
    """The server side of a runtime's connections, byte by byte."""

    def __init__(self, listener: socket.socket, process: "subprocess.Popen[bytes]") -> None:
        self._listener = listener
        self.process = process
        self.connection: socket.socket | None = None

    def accept(self) -> None:
        self.connection, _ = self._listener.accept()
        self.connection.settimeout(10)

    def receive(self, *, requests: int) -> bytes:
        """What was sent, until it holds this many requests with all of their bodies."""
        assert self.connection is not None
        data = b""
        while _complete_requests(data) < requests:
            received = self.connection.recv(65536)
            assert received, f"the connection ended after {data!r}"
            data += received
        return data

    def send(self, data: bytes) -> None:
        assert self.connection is not None
        self.connection.sendall(data)

    def hang_up(self) -> None:
        assert self.connection is not None
        self.connection.close()


def event(body: bytes, number: int = 1, extra: bytes = b"") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nlambda-runtime-aws-request-id: id-%d\r\nCONTENT-TYPE:application/json\r\n%s" % (
        number,
        extra,
    )
    return head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def _complete_requests(data: bytes) -> int:
    count = 0
    while b"\r\n\r\n" in data:
        head, _, data = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        size = int(length[1]) if length else 0
        if len(data) < size:
            return count
        data = data[size:]
        count += 1
    return count


@contextlib.contextmanager
def _wire(folder: Path, listener: socket.socket, variables: dict[str, str]) -> Iterator[Wire]:
    """A runtime that has connected to `listener`."""
    (folder / "app.py").write_text(HANDLER)
    with listener, (folder / "err").open("wb") as stderr:
        listener.settimeout(10)
        environ = {
            "_HANDLER": "app.handler",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
            "LAMBDA_RUNTIME_DIR": str(BOOTSTRAP),
            "LAMBDA_TASK_ROOT": str(folder),
            "PATH": os.defpath,
            "PYTHONDONTWRITEBYTECODE": "1",
            **variables,
        }
        argv = [sys.executable, "-S", str(BOOTSTRAP / "bootstrap.py")]
        process = subprocess.Popen(argv, env=environ, cwd=folder, stdout=stderr, stderr=stderr)
        made = Wire(listener, process)
        try:
            made.accept()
            yield made
        finally:
            process.kill()
            process.wait()
            with contextlib.suppress(AssertionError):
                made.hang_up()


def _on_loopback() -> tuple[socket.socket, dict[str, str]]:
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{listener.getsockname()[1]}"}


def _on_line() -> tuple[socket.socket, dict[str, str]]:
    """Where nobody listens on loopback."""
    listener = socket.socket(socket.AF_UNIX)
    name = f"lambent-test-{os.getpid()}-{uuid.uuid4().hex}"
    listener.bind(f"\0{name}")
    listener.listen()
    return listener, {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1", "_LAMBENT_LINE": name}


@pytest.fixture(params=[_on_loopback, _on_line], ids=["loopback", "line"])
def wire(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Wire]:
    with _wire(tmp_path, *request.param()) as made:
        yield made


def test_a_line_that_is_not_there_is_done_without(tmp_path: Path) -> None:
    listener, variables = _on_loopback()
    with _wire(tmp_path, listener, {**variables, "_LAMBENT_LINE": "lambent-test-nobody"}) as wire:
        assert wire.receive(requests=1).startswith(b"GET ")


def test_a_result_and_the_request_for_the_next_event_arrive_together(wire: Wire) -> None:
    assert wire.receive(requests=1).startswith(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n")
    wire.send(event(b'{"a": 1}'))
    both = wire.receive(requests=2)
    assert both.startswith(b"POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\n")
    assert b'{"a": 1}GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n' in both
    wire.send(ACCEPTED + event(b"2", 2))
    assert b"/invocation/id-2/response" in wire.receive(requests=2)


def test_an_answer_may_arrive_in_any_pieces(wire: Wire) -> None:
    wire.receive(requests=1)
    for byte in event(b'"slow"'):
        wire.send(bytes([byte]))
    assert b'"slow"GET' in wire.receive(requests=2)


def test_a_large_event_and_its_result_pass(wire: Wire) -> None:
    wire.receive(requests=1)
    body = b'"%s"' % (b"x" * 6_000_000)
    wire.send(event(body))
    assert body in wire.receive(requests=2)


def test_an_event_in_chunks_passes(wire: Wire) -> None:
    wire.receive(requests=1)
    head = event(b"").replace(b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n")
    wire.send(head + b'3;x=y\r\n{"a\r\n5\r\n": 1}\r\n')
    wire.send(b"0\r\nTrailer: x\r\n\r\n")
    both = wire.receive(requests=2)
    assert b'{"a": 1}GET' in both
    wire.send(ACCEPTED + event(b"2", 2))
    assert b"/invocation/id-2/response" in wire.receive(requests=2)


def test_a_connection_that_was_closed_between_events_is_opened_again(wire: Wire) -> None:
    wire.receive(requests=1)
    wire.hang_up()
    wire.accept()
    assert wire.receive(requests=1).startswith(b"GET ")
    wire.send(event(b"1"))
    assert b"/invocation/id-1/response" in wire.receive(requests=2)


def test_a_result_is_sent_again_when_the_connection_is_lost_before_its_answer(wire: Wire) -> None:
    wire.receive(requests=1)
    wire.send(event(b"1"))
    wire.receive(requests=2)
    wire.hang_up()
    wire.accept()
    assert b"/invocation/id-1/response" in wire.receive(requests=2)
    # The first one had arrived, so this one is refused; that is no reason to end.
    wire.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}" + event(b"2", 2))
    assert b"/invocation/id-2/response" in wire.receive(requests=2)


def test_a_server_that_closes_after_each_answer_is_served(wire: Wire) -> None:
    wire.receive(requests=1)
    wire.send(event(b"1", 1, b"Connection: close\r\n"))
    wire.hang_up()
    wire.accept()
    wire.receive(requests=2)
    wire.send(ACCEPTED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    wire.hang_up()
    wire.accept()
    assert wire.receive(requests=1).startswith(b"GET ")
    wire.send(event(b"2", 2))
    assert b"/invocation/id-2/response" in wire.receive(requests=2)


def test_a_runtime_api_that_is_gone_ends_the_runtime(wire: Wire) -> None:
    wire.receive(requests=1)
    wire.hang_up()
    wire.accept()
    wire.hang_up()
    assert wire.process.wait(10) == 1


def test_a_refused_request_for_an_event_ends_the_runtime(wire: Wire) -> None:
    wire.receive(requests=1)
    wire.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n{}")
    assert wire.process.wait(10) == 1
