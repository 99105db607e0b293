"""The Runtime API of one environment (`/2018-06-01/...`): the state of its runtime and the replies of each route.

Owns the parked `/next`, the invocation that was handed out and the caps which make a hostile runtime hurt only
itself. It decides nothing about time, logs or restarts: it tells its `RuntimeEvents` what the runtime did.
HTTP itself is in `runtime_http`, the routes of extensions on the same sockets in `extensions.api`. Behaviour: "Lambda
runtime API" of AWS's guide.
"""

import asyncio
import base64
import binascii
import socket
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from functools import partial
from typing import Protocol

import orjson

from lambent.aws.errors import FunctionFault
from lambent.environments import faults, metadata_api, peers
from lambent.environments.extensions import api as extensions_api
from lambent.environments.extensions.api import ExtensionsApi
from lambent.environments.outflow import Outflow
from lambent.environments.request import Answer, InvokeRequest
from lambent.environments.runtime_http import Connection, HttpRequest, encode, encode_json
from lambent.environments.snapshots import restore_api
from lambent.environments.telemetry import api as telemetry_api
from lambent.environments.telemetry.api import TelemetryApi

MAX_CONNECTIONS = 64

_PREFIX = b"/2018-06-01"
_NEXT = _PREFIX + b"/runtime/invocation/next"
_INVOCATION = _PREFIX + b"/runtime/invocation/"
_INIT_ERROR = _PREFIX + b"/runtime/init/error"
_PING = frozenset({b"/ping", _PREFIX + b"/ping"})

_ACCEPTED = encode_json(202, b'{"status":"OK"}')
_INVALID_ID = encode_json(400, b'{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}')
_INVALID_MODE = encode_json(
    400, b'{"errorMessage":"Invalid function response mode","errorType":"InvalidFunctionResponseMode"}'
)
_MODE = b"lambda-runtime-function-response-mode"
_STREAMING = b"streaming"
_NOT_FOUND = encode(404, b"text/plain", b"404 page not found\n")
_NOT_ALLOWED = encode(405, b"text/plain", b"")
_PONG = encode(200, b"text/plain", b"pong")


class RuntimeState(StrEnum):
    """Names as Lambda prints them in InvalidStateTransition texts."""

    STARTED = "Started"
    INIT_ERROR = "InitError"
    READY = "Ready"
    RUNNING = "Running"
    RESPONSE_SENT = "ResponseSent"
    TERMINATING = "Terminating"
    """Its invocation has failed and its processes are about to end: it gets nothing more."""


_NOT_AT_OUR_DISPOSAL = (RuntimeState.RUNNING, RuntimeState.INIT_ERROR, RuntimeState.TERMINATING)
"""Not a set: the hash of an enum's member is Python, and this is asked for each invocation."""


class RuntimeEvents(Protocol):
    """Called synchronously from the event loop; must not raise."""

    def runtime_ready(self) -> None:
        """The runtime asked for the next event: Init, or the invocation before, is over."""
        ...

    def runtime_answered(self, answer: Answer) -> None: ...

    def runtime_init_failed(self, answer: Answer) -> None: ...


class RuntimeApi:
    """One per environment, over all restarts of its runtime process."""

    __slots__ = (
        "_connections",
        "_drained",
        "_events",
        "_extensions",
        "_max_response_bytes",
        "_metadata",
        "_parked",
        "_pending",
        "_reader",
        "_rest",
        "_restore",
        "_restored",
        "_servers",
        "_telemetry",
        "_unread",
        "answer_begun",
        "buffered_bytes",
        "outflow",
        "request",
        "state",
    )

    def __init__(
        self,
        events: RuntimeEvents,
        max_response_bytes: int,
        extensions: ExtensionsApi,
        telemetry: TelemetryApi | None = None,
        restore: restore_api.RestoreApi | None = None,
        metadata: metadata_api.MetadataApi | None = None,
    ) -> None:
        """`restore`: under SnapStart."""
        self._events = events
        self._extensions = extensions
        self._telemetry = telemetry
        self._restore = restore
        self._metadata = metadata
        self._restored = False
        """`/restore/next` was asked for."""
        self._max_response_bytes = max_response_bytes
        self._servers: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._parked: Connection | None = None
        self._pending: bytes | None = None
        self._reader: Connection | None = None
        """To which the last request was written."""
        self._unread: InvokeRequest | None = None
        self._drained: asyncio.Future[None] | None = None
        self._rest: asyncio.TimerHandle | None = None
        self.request: InvokeRequest | None = None
        self.outflow: Outflow | None = None
        """Of an invocation with a sink, until it is answered."""
        self.state = RuntimeState.STARTED
        self.buffered_bytes = 0
        self.answer_begun: Callable[[], None] | None = None
        """Called at the head of an answer to the invocation, where somebody wants to know."""

    async def serve(self, listeners: Iterable[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        for listener in listeners:
            admits = partial(peers.admits, listener) if isinstance(listener, peers.OwnedListener) else None
            create = loop.create_unix_server if listener.family == socket.AF_UNIX else loop.create_server
            self._servers.append(await create(partial(Connection, self, admits), sock=listener))

    def close(self) -> None:
        self.rested()
        self.restart()
        for server in self._servers:
            server.close()
        self._servers.clear()

    # What the environment asks for

    def deliver(self, request: InvokeRequest, deadline_ms: int, outflow: Outflow | None = None) -> None:
        """Answer the parked `/next` with `request`, or the following one when none is parked.

        `outflow`: takes the response as it arrives; else it is kept and told when it is complete."""
        self.request = request
        self.outflow = outflow
        event = _event(request, deadline_ms)
        parked = self._parked
        if parked is None:
            self._pending = event
            return
        self._parked = None
        self._reader = parked
        self.state = RuntimeState.RUNNING
        parked.reply(event)

    def restart(self) -> None:
        """Forget the processes that are gone, with their connections and the invocation."""
        self.forget()
        self._restored = False
        self.state = RuntimeState.STARTED
        for connection in list(self._connections):
            connection.abort()

    def forget(self) -> None:
        """Forget the invocation: what the runtime says of it from now on comes too late."""
        self._parked = None
        self._pending = None
        self.request = None
        self.state = RuntimeState.TERMINATING
        if self.outflow is not None:
            self.outflow.forget()
            self.outflow = None

    def never_read(self, request: InvokeRequest) -> bool:
        """The request waits for a `/next` that has not come, or its reader ended before it had read it to the end."""
        return self._pending is not None or self._unread is request

    async def drained(self) -> None:
        """Wait until every connection has ended, so that what a dead runtime still sent has been seen."""
        if self._connections:
            if self._drained is None:
                self._drained = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._drained)

    # What connections report

    def connected(self, connection: Connection) -> bool:
        if len(self._connections) >= MAX_CONNECTIONS:
            return False
        self._connections.add(connection)
        return True

    def disconnected(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if self._parked is connection:
            self._parked = None
        if self._reader is connection:
            self._reader = None
            if connection.ended_unread:
                self._unread = self.request
        if self.outflow is not None and self.outflow.line is connection:
            self.outflow.truncated = True
        self._extensions.disconnected(connection)
        if not self._connections and self._drained is not None:
            self._drained.set_result(None)
            self._drained = None

    def rest(self, seconds: float) -> None:
        if self._rest is None:
            self._rest = asyncio.get_running_loop().call_later(seconds, self.rested)
            self._read_on()

    @property
    def resting(self) -> bool:
        return self._rest is not None

    def rested(self) -> None:
        """The end of a rest."""
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        self._read_on()

    def _read_on(self) -> None:
        for connection in self._connections:
            connection.read_on()

    def body_limit(self, method: bytes, path: bytes) -> int:
        """How many bytes of the request's body are worth keeping: none where the request will be refused."""
        if method != b"POST":
            return telemetry_api.body_limit(method, path)
        if self.state is RuntimeState.RUNNING and self.request is not None:
            wanted = path.startswith(_INVOCATION + self.request.request_id.encode())
            if wanted and self.answer_begun is not None:
                self.answer_begun()
        else:
            wanted = self.state is RuntimeState.STARTED and path in (_INIT_ERROR, restore_api.RESTORE_ERROR)
        return self._max_response_bytes if wanted else self._extensions.body_limit(path)

    def taker(
        self, connection: Connection, method: bytes, path: bytes, headers: Mapping[bytes, bytes]
    ) -> Outflow | None:
        """The sink's way in, when this is the head of a response that the runtime streams."""
        if self.outflow is None or self.request is None or self.state is not RuntimeState.RUNNING:
            return None
        if method != b"POST" or path != b"%b%b/response" % (_INVOCATION, self.request.request_id.encode()):
            return None
        if self.outflow.line is not None or headers.get(_MODE, b"").lower() != _STREAMING:
            return None
        self.outflow.begin(connection, _content_type(headers))
        return self.outflow

    def handle(self, connection: Connection, request: HttpRequest) -> bytes | None:
        """The reply to one complete request; None when it is a `/next` that was parked."""
        path = request.path
        if path == _NEXT:
            return self._next(connection) if request.method == b"GET" else _NOT_ALLOWED
        if path.startswith(_INVOCATION):
            request_id, _, action = path[len(_INVOCATION) :].partition(b"/")
            if action not in (b"response", b"error"):
                return _NOT_FOUND
            if request.method != b"POST":
                return _NOT_ALLOWED
            return self._answer(connection, request, request_id, is_error=action == b"error")
        if path == _INIT_ERROR:
            return self._init_error(request) if request.method == b"POST" else _NOT_ALLOWED
        if path in _PING:
            return _PONG if request.method == b"GET" else _NOT_ALLOWED
        if path.startswith(extensions_api.PREFIX):
            return self._extensions.handle(connection, request)
        if path in telemetry_api.PATHS and self._telemetry is not None:
            return self._telemetry.handle(request)
        if path == metadata_api.PATH and self._metadata is not None:
            return self._metadata.handle(request)
        return self._snap_start(connection, request) if self._restore is not None else _NOT_FOUND

    def accept(self, request_id: bytes, body: bytes) -> bytes | None:
        """The short way of `_answer`, for a response as JSON that is not streamed."""
        current = self.request
        if self.state is not RuntimeState.RUNNING or current is None or self.outflow is not None:
            return None
        if request_id != current.request_id.encode() or len(body) > self._max_response_bytes:
            return None
        if self.answer_begun is not None:
            self.answer_begun()
        self._answered(Answer(body))
        return _ACCEPTED

    # Routes

    def _next(self, connection: Connection) -> bytes | None:
        if self._pending is not None and self.state is not RuntimeState.RUNNING:
            event, self._pending = self._pending, None
            self._reader = connection
            self.state = RuntimeState.RUNNING
            return event
        if self.outflow is not None and self.outflow.truncated:
            assert self.request is not None
            self._fail(faults.truncated_response(self.request.request_id))
        if self.state in _NOT_AT_OUR_DISPOSAL or self._parked is not None:
            return self._refused(RuntimeState.READY)
        connection.park()
        self._parked = connection
        self.state = RuntimeState.READY
        self.request = None
        self._events.runtime_ready()
        return None

    def _answer(self, connection: Connection, request: HttpRequest, request_id: bytes, *, is_error: bool) -> bytes:
        current, outflow = self.request, self.outflow
        if self.state is not RuntimeState.RUNNING:
            return self._refused("InvocationErrorResponse" if is_error else "InvocationResponse")
        if current is None or request_id != current.request_id.encode():
            return _INVALID_ID
        if outflow is not None and outflow.line not in (None, connection) and not (outflow.truncated and is_error):
            # A response has begun on another line, and cannot begin again.
            return self._refused("InvocationErrorResponse" if is_error else "InvocationResponse")
        if request.oversized:
            limit = self._max_response_bytes if outflow is None or outflow.line is None else outflow.limit_bytes
            self._fail(faults.response_too_large(limit))
            return _too_large(limit)
        if is_error:
            self._answered(Answer(request.body, _error_type(request)))
            return _ACCEPTED
        mode = request.headers.get(_MODE)
        if mode is not None and mode.lower() != _STREAMING:
            self._fail(faults.invalid_response_mode(current.request_id))
            return _INVALID_MODE
        answer = _trailer_error(request) or Answer(request.body)
        if outflow is not None and outflow.line is None and answer.error_type is None:
            outflow.whole(_content_type(request.headers), answer.body)
            answer = Answer(b"")
        self._answered(answer)
        return _ACCEPTED

    def _answered(self, answer: Answer) -> None:
        self.state = RuntimeState.RESPONSE_SENT
        self.outflow = None
        self._events.runtime_answered(answer)

    def _init_error(self, request: HttpRequest, target: str = RuntimeState.INIT_ERROR) -> bytes:
        """Also of a hook after a restore, which is the same to the environment and has another name."""
        if self.state is not RuntimeState.STARTED:
            return self._refused(target)
        if request.oversized:
            return _too_large(self._max_response_bytes)
        self.state = RuntimeState.INIT_ERROR
        self._events.runtime_init_failed(Answer(request.body, _error_type(request)))
        return _ACCEPTED

    def _snap_start(self, connection: Connection, request: HttpRequest) -> bytes | None:
        assert self._restore is not None
        if request.path == restore_api.CREDENTIALS:
            return self._restore.session(request) if request.method == b"GET" else _NOT_ALLOWED
        if request.path == restore_api.RESTORE_ERROR:
            return self._init_error(request, "RestoreError") if request.method == b"POST" else _NOT_ALLOWED
        if request.path != restore_api.RESTORE_NEXT:
            return _NOT_FOUND
        if request.method != b"GET":
            return _NOT_ALLOWED
        if self.state is not RuntimeState.STARTED or self._restored:
            return self._refused("RestoreReady")
        self._restored = True
        reply = self._restore.next()
        if reply is None:
            connection.park()
        return reply

    def _fail(self, fault: FunctionFault) -> None:
        self._answered(Answer(fault.payload, fault.error_type))

    def _refused(self, target: str) -> bytes:
        message = (
            f"State transition from {self.state} to {target} failed for runtime. Error: State transition is not allowed"
        )
        return encode_json(403, orjson.dumps({"errorMessage": message, "errorType": "InvalidStateTransition"}))


def _too_large(limit_bytes: int) -> bytes:
    text = f"Exceeded maximum allowed payload size ({limit_bytes} bytes)."
    return encode_json(413, orjson.dumps({"errorMessage": text, "errorType": "RequestEntityTooLarge"}))


def _content_type(headers: Mapping[bytes, bytes]) -> str:
    return headers.get(b"content-type", b"").decode("latin-1")


def _event(request: InvokeRequest, deadline_ms: int) -> bytes:
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        f"Lambda-Runtime-Aws-Request-Id: {request.request_id}\r\n"
        f"Lambda-Runtime-Deadline-Ms: {deadline_ms}\r\n"
        f"Lambda-Runtime-Invoked-Function-Arn: {request.function_arn}\r\n"
    )
    if request.trace_header:
        head += f"Lambda-Runtime-Trace-Id: {request.trace_header}\r\n"
    if request.client_context:
        head += f"Lambda-Runtime-Client-Context: {request.client_context}\r\n"
    if request.tenant_id is not None:
        head += f"Lambda-Runtime-Aws-Tenant-Id: {request.tenant_id}\r\n"
    return f"{head}Content-Length: {len(request.payload)}\r\n\r\n".encode() + request.payload


def _error_type(request: HttpRequest) -> str:
    header = request.headers.get(b"lambda-runtime-function-error-type")
    return faults.reported_type(header.decode("latin-1") if header is not None else None)


def _trailer_error(request: HttpRequest) -> Answer | None:
    """An error in the middle of a streamed response comes in the trailers."""
    header = request.trailers.get(b"lambda-runtime-function-error-type")
    if header is None:
        return None
    encoded = request.trailers.get(b"lambda-runtime-function-error-body", b"")
    try:
        body = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        body = encoded
    return Answer(body, faults.reported_type(header.decode("latin-1")))
