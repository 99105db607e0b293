"""A Runtime API that hands out a list of events and records what a runtime posts; for tests of bootstraps.

The smallest server that `awslambdaric`, our bootstraps and any other runtime client can talk to: one thread per
connection, blocking sockets, no validation.
"""

import queue
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_ANSWER_MS = 60_000


@dataclass(frozen=True, slots=True)
class Event:
    """One invocation; `headers` are added to those that every invocation has, or replace them (None: left out)."""

    body: bytes = b"{}"
    headers: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Post:
    """What a runtime sent: path below `/2018-06-01/runtime/`, header names in lower case, body."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class ScriptedRuntimeApi:
    """Use as a context manager; `address` is the value for AWS_LAMBDA_RUNTIME_API."""

    def __init__(self, events: Sequence[Event], statuses: Mapping[str, int] | None = None) -> None:
        self.posts: list[Post] = []
        self.idle = threading.Event()
        """Set when the runtime asks for an event after the last one."""
        self._events: queue.SimpleQueue[tuple[int, Event]] = queue.SimpleQueue()
        for number, event in enumerate(events, 1):
            self._events.put((number, event))
        self._statuses = statuses or {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "ScriptedRuntimeApi":
        return self

    def __exit__(self, *error: object) -> None:
        # A blocked accept goes on holding a listener that is only closed.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(60)
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as stream:
                while line := stream.readline():
                    method, target, _ = line.decode().split(" ")
                    headers: dict[str, str] = {}
                    while (line := stream.readline()) not in (b"\r\n", b""):
                        name, _, value = line.decode().partition(":")
                        headers[name.lower()] = value.strip()
                    if "expect" in headers:
                        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                    body = stream.read(int(headers.get("content-length", 0)))
                    answer = self._next() if method == "GET" else self._posted(target, headers, body)
                    if answer is None:
                        return
                    connection.sendall(answer)
        except OSError:
            return

    def _next(self) -> bytes | None:
        try:
            number, event = self._events.get_nowait()
        except queue.Empty:
            self.idle.set()
            # As the real one: no answer until there is an event. The test ends the runtime.
            threading.Event().wait(_ANSWER_MS / 1000)
            return None
        headers: dict[str, str | None] = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": request_id(number),
            "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + _ANSWER_MS),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:f",
            "Lambda-Runtime-Trace-Id": f"Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e70{number % 10};Sampled=0",
            **event.headers,
        }
        return _response(200, {k: v for k, v in headers.items() if v is not None}, event.body)

    def _posted(self, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
        path = target.partition("/2018-06-01/runtime/")[2]
        self.posts.append(Post(path, headers, body))
        status = self._statuses.get(path.rpartition("/")[2], 202)
        return _response(status, {"Content-Type": "application/json"}, b'{"status":"OK"}\n')


def request_id(number: int) -> str:
    """The request id of the first (1), second, ... event."""
    return f"00000000-0000-4000-8000-{number:012}"


def _response(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", *(f"{k}: {v}" for k, v in headers.items()), f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
