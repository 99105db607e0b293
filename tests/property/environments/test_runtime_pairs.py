"""A response and the next request in one read: the quick look and the parser tell the server the same."""

import importlib
import sys
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import lambent.runtimes.python
from lambent.environments.runtime_http import Connection, HttpRequest, encode_json
from lambent.environments.runtime_pair import response_and_next

BOOTSTRAP = Path(lambent.runtimes.python.__file__).with_name("bootstrap")
PATH = "/2018-06-01/runtime/invocation/"
NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: 127.0.0.1:9001\r\n\r\n"


class Wire:
    """A server and a transport that write down what happens."""

    outflow = None
    resting = False
    buffered_bytes = 0

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.seen: list[Any] = []

    def connected(self, connection: Connection) -> bool:
        return True

    def disconnected(self, connection: Connection) -> None: ...

    def body_limit(self, method: bytes, path: bytes) -> int:
        return self.limit if method == b"POST" else 0

    def handle(self, connection: Connection, request: HttpRequest) -> bytes | None:
        kept = request.headers.get(b"lambda-runtime-function-response-mode")
        self.seen.append((request.method, request.path, request.body, request.oversized, kept))
        if request.path.endswith(b"/next"):
            connection.park()
            return None
        return encode_json(202, b"{}")

    def accept(self, request_id: bytes, body: bytes) -> bytes | None:
        if len(body) > self.limit:
            return None
        self.seen.append((b"POST", f"{PATH}{request_id.decode()}/response".encode(), body, False, None))
        return encode_json(202, b"{}")

    def rest(self, seconds: float) -> None: ...

    def write(self, data: bytes) -> None:
        self.seen.append(data)

    def is_closing(self) -> bool:
        return "closed" in self.seen

    def close(self) -> None:
        self.seen.append("closed")

    abort = close


def told(reads: list[bytes], limit: int, *, quick: bool) -> list[Any]:
    wire = Wire(limit)
    connection = Connection(wire)  # type: ignore[arg-type]
    connection.connection_made(wire)  # type: ignore[arg-type]
    for number, data in enumerate(reads):
        if wire.is_closing():
            break
        if number and connection._waiting:
            connection.reply(b"event")
        if quick:
            connection.data_received(data)
        else:
            connection._feed(data)
    return wire.seen


BODIES = st.one_of(st.binary(max_size=9), st.just(b'{"a": 1}'), st.just(b"x" * 4000), st.just(NEXT))
PAIRS = st.builds(
    lambda action, host, extra, body, off, end: (
        (
            f"POST {PATH}{action} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{extra}"
            f"Content-Length: {max(0, len(body) + off)}\r\n\r\n"
        ).encode()
        + body
        + end
    ),
    st.sampled_from(["8c23-3f2c/response", "8c23-3f2c/response", "8c23/error", "next", "a b/response"]),
    st.sampled_from(["127.0.0.1:9001", "[::1]:9001", "", "a b"]),
    st.sampled_from(
        [
            "",
            "",
            "",
            "Lambda-Runtime-Function-Response-Mode: streaming\r\n",
            "Connection: close\r\n",
            "Transfer-Encoding: chunked\r\n",
        ]
    ),
    BODIES,
    st.sampled_from([0, 0, 0, 1, -1]),
    st.sampled_from([NEXT, NEXT, NEXT, b"", NEXT[:-2], NEXT + b"x", NEXT.replace(b"1.1", b"1.0")]),
)


@settings(max_examples=500, deadline=None, database=None)
@given(
    reads=st.lists(PAIRS, min_size=1, max_size=3),
    first=st.sampled_from([b"", NEXT, NEXT[:20]]),
    limit=st.sampled_from([3, 6_000]),
)
def test_a_pair_is_handled_as_the_parser_would(reads: list[bytes], first: bytes, limit: int) -> None:
    reads = [first, *reads] if first else reads
    assert told(reads, limit, quick=True) == told(reads, limit, quick=False)


def test_our_bootstrap_sends_what_is_recognised() -> None:
    """Its parts are those of `RuntimeApi._send_result`; a change there shows here before it shows as a slow server."""
    api = bootstrap_module("api").RuntimeApi("127.0.0.1:9001")
    api.respond("8c23-3f2c", b'"done"', b"application/json")
    head, body = api._result
    assert response_and_next(head + body + api._next) == (b"8c23-3f2c", b'"done"')


def bootstrap_module(name: str) -> Any:
    sys.path.insert(0, str(BOOTSTRAP))
    try:
        return importlib.import_module(f"lambent_runtime.{name}")
    finally:
        sys.path.remove(str(BOOTSTRAP))
