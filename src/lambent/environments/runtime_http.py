"""HTTP/1.1 for the Runtime API: one connection of a runtime, on httptools.

Owns parsing, pipelining, caps on headers and bodies, and back-pressure. It knows no route: each complete request goes
to its `Server`, which returns the reply or parks the connection. Replies of one read are written together, and a
reply that precedes a parked request waits for it: a pipelining runtime then wakes once.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Protocol, cast

import httptools
from msgspec import Struct

from lambent.environments.runtime_pair import NEXT, response_and_next

MAX_HEAD_BYTES = 64 * 1024
"""Of anything but bodies: a head, trailers, the extensions of a chunk."""
MAX_HEADERS = 128
MAX_PIPELINED = 64
"""Requests in one read. Our bootstrap sends two; thousands would keep everybody else waiting."""
MAX_BUFFERED_BYTES = 16 * 1024 * 1024
"""Of bodies held at one time for all connections of a server."""
MAX_DROPPED_BYTES = 1024 * 1024 * 1024
"""An oversized body is read and dropped, so that the runtime lives to see the 413; beyond this it loses the line."""
MAX_UNWANTED_BYTES = 256 * 1024
"""The same for a body that nobody asked for."""
LARGE_READ_BYTES = 8 * 1024
REST_AFTER_S = 0.001
REST_FACTOR = 4
"""A read that took longer, as one of chunks of a byte does, is followed by a rest of this many times its time for all
connections of the server: a fifth of the loop at most is theirs."""

Address = tuple[str, int]

_NOTHING: Mapping[bytes, bytes] = {}


class HttpRequest(Struct, frozen=True):
    method: bytes
    path: bytes
    headers: Mapping[bytes, bytes]
    """Names in lower case."""
    body: bytes
    trailers: Mapping[bytes, bytes]
    oversized: bool
    """The body was longer than the server wanted; `body` is then empty."""


class BodyTaker(Protocol):
    def take(self, data: bytes) -> bool:
        """Called once for each read at most. False: the body is oversized, what follows is dropped."""
        ...


class Server(Protocol):
    buffered_bytes: int
    """Bodies held for all connections of the server."""

    @property
    def outflow(self) -> BodyTaker | None:
        """Where a body may have to go as it arrives; `taker` is then asked for each request."""
        ...

    def taker(
        self, connection: "Connection", method: bytes, path: bytes, headers: Mapping[bytes, bytes]
    ) -> BodyTaker | None:
        """Who gets the body of this request, which is then empty in `handle`."""
        ...

    def connected(self, connection: "Connection") -> bool: ...

    def disconnected(self, connection: "Connection") -> None: ...

    def body_limit(self, method: bytes, path: bytes) -> int: ...

    def handle(self, connection: "Connection", request: HttpRequest) -> bytes | None: ...

    def accept(self, request_id: bytes, body: bytes) -> bytes | None:
        """`handle` for the response of an invocation, where nothing is to be said against it; None, and nothing has
        happened, where something is."""
        ...

    def rest(self, seconds: float) -> None:
        """Read nothing more for this time."""
        ...

    @property
    def resting(self) -> bool: ...


_NEXT_EVENT = HttpRequest(b"GET", NEXT, _NOTHING, b"", _NOTHING, False)


def encode(status: int, content_type: bytes, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Content-Type: " + content_type + b"\r\n\r\n" + body


def encode_json(status: int, body: bytes) -> bytes:
    return encode(status, b"application/json", body)


async def what_was_sent_is_read() -> None:
    """Let the loop read what has arrived already: a process may say something and end at once."""
    for _ in range(2):
        await asyncio.sleep(0)


class _Refused(Exception):
    """Raised inside the parser's callbacks to stop it; the argument is the reply."""


_BAD_REQUEST = encode(400, b"text/plain", b"")
_HEAD_TOO_LARGE = encode(431, b"text/plain", b"")


class Connection(asyncio.Protocol):
    """Lives as long as the runtime keeps it; a malformed request ends it."""

    def __init__(self, server: Server, admits: Callable[[Address, Address], bool] | None = None) -> None:
        """`admits(peer, local)`: whether who has connected may; None: nobody else can."""
        self._server = server
        self._admits = admits
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._replies: list[bytes] = []
        self._waiting = False
        self._unread = False
        self._held = False
        self.ended_unread = False
        """The peer's end came before it had read all that it was sent."""
        self._within = False
        """The parser has seen the beginning of a message and not its end."""
        self._in_head = True
        self._quiet_bytes = 0
        self._completed = 0
        self._reset()

    def _reset(self) -> None:
        self._path = b""
        self._headers: dict[bytes, bytes] = {}
        self._trailers: dict[bytes, bytes] = {}
        self._body: bytes | bytearray = b""
        self._body_bytes = 0
        self._limit = 0
        self._oversized = False
        self._taker: BodyTaker | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not self._welcome(transport) or not self._server.connected(self):
            self._transport.abort()
            self._transport = None
        elif self._server.resting:
            # uvloop starts to read after this call.
            asyncio.get_running_loop().call_soon(self.read_on)

    def _welcome(self, transport: asyncio.BaseTransport) -> bool:
        if self._admits is None:
            return True
        try:
            return self._admits(transport.get_extra_info("peername"), transport.get_extra_info("sockname"))
        except OSError:
            return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        # The kernel closes a connection in order only where nothing was left to read.
        self.ended_unread = isinstance(exc, ConnectionResetError)
        self._release_body()
        self._server.disconnected(self)

    def pause_writing(self) -> None:
        self._unread = True
        self.read_on()

    def resume_writing(self) -> None:
        self._unread = False
        self.read_on()

    def read_on(self) -> None:
        """Read, or do not, as the peer's own reading, who takes the body, and the rests of the server allow."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._unread or self._held or self._server.resting:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if len(data) < LARGE_READ_BYTES:
            if not self._take_pair(data):
                self._feed(data)
            return
        before = time.thread_time()
        self._feed(data)
        took = time.thread_time() - before
        if took > REST_AFTER_S:
            self._server.rest(took * REST_FACTOR)

    def _take_pair(self, data: bytes) -> bool:
        """Whether `data` was handled without the parser, which stands between two messages and stays there."""
        if self._within or self._waiting or self._server.outflow is not None:
            return False
        if self._transport is None or self._transport.is_closing():
            return False
        pair = response_and_next(data)
        # Before its first message a parser knows of no connection that is to be kept.
        if pair is None or not self._parser.should_keep_alive():
            return False
        accepted = self._server.accept(*pair)
        if accepted is None:
            return False
        self._replies.append(accepted)
        if self._transport is None or self._transport.is_closing():
            self.abort()
            return True
        reply = self._server.handle(self, _NEXT_EVENT)
        if reply is not None:
            self._replies.append(reply)
        if self._replies and not self._waiting:
            self._flush()
        return True

    def _feed(self, data: bytes) -> None:
        # Counts what the parser takes in without a body to show for it; the callbacks set it back.
        self._quiet_bytes += len(data)
        self._completed = 0
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, _Refused):
                self._refuse(error.__context__.args[0])
                return
            # A bug of ours in a callback; httptools would hide it behind its own error.
            self.abort()
            raise error.__context__ or error from None
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(_BAD_REQUEST)
            return
        if self._quiet_bytes > MAX_HEAD_BYTES:
            self._refuse(_HEAD_TOO_LARGE)
            return
        if self._taker is not None:
            self._hand_on()
        if self._replies and not self._waiting:
            self._flush()

    # What the server asks for

    def park(self) -> None:
        """Keep the request that is being handled waiting for `reply`."""
        self._waiting = True

    def reply(self, data: bytes) -> None:
        """Answer the request that was kept waiting."""
        self._waiting = False
        self._replies.append(data)
        self._flush()

    def hold(self) -> None:
        """Read nothing until `release`."""
        self._held = True
        self.read_on()

    def release(self) -> None:
        if self._held:
            self._held = False
            self.read_on()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        replies, self._replies = self._replies, []
        if self._transport is not None:
            self._transport.write(replies[0] if len(replies) == 1 else b"".join(replies))
            if not self._parser.should_keep_alive() and not self._waiting:
                self._transport.close()

    def _refuse(self, reply: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            if not self._waiting:
                self._transport.write(b"".join(self._replies) + reply)
            self._replies.clear()
            self._transport.close()

    # httptools callbacks

    def on_message_begin(self) -> None:
        self._within = True
        self._reset()

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        headers = self._headers if self._in_head else self._trailers
        headers[name.lower()] = value
        if len(headers) > MAX_HEADERS:
            raise _Refused(_HEAD_TOO_LARGE)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._quiet_bytes = 0
        self._limit = self._server.body_limit(self._parser.get_method(), self._path)
        if self._server.outflow is not None:
            self._taker = self._server.taker(self, self._parser.get_method(), self._path, self._headers)
        if self._headers.get(b"expect", b"").lower() == b"100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        size = len(body)
        self._quiet_bytes = 0
        self._body_bytes += size
        if self._oversized:
            if self._body_bytes > (MAX_DROPPED_BYTES if self._limit else MAX_UNWANTED_BYTES):
                self.abort()
            return
        if self._taker is None and (
            self._body_bytes > self._limit or self._server.buffered_bytes + size > MAX_BUFFERED_BYTES
        ):
            self._release_body()
            self._oversized = True
            return
        self._server.buffered_bytes += size
        if not self._body:
            self._body = body
            return
        # Not a list of pieces: of two bytes each, they would take twenty times the memory.
        if isinstance(self._body, bytes):
            self._body = bytearray(self._body)
        self._body += body

    def _hand_on(self) -> None:
        """All of one read together: chunks of a byte would make a call and a frame each."""
        assert self._taker is not None
        body = bytes(self._body)
        self._release_body()
        if body and not self._taker.take(body):
            self._oversized = True

    def on_message_complete(self) -> None:
        if self._taker is not None:
            self._hand_on()
        self._within = False
        self._in_head = True
        self._quiet_bytes = 0
        self._completed += 1
        if self._completed > MAX_PIPELINED:
            raise _Refused(_BAD_REQUEST)
        body = bytes(self._body)
        self._release_body()
        if self._waiting or self._transport is None or self._transport.is_closing():
            # Nobody may send more before the parked request is answered.
            self.abort()
            return
        request = HttpRequest(
            self._parser.get_method(), self._path, self._headers, body, self._trailers or _NOTHING, self._oversized
        )
        reply = self._server.handle(self, request)
        if reply is not None:
            self._replies.append(reply)

    def _release_body(self) -> None:
        self._server.buffered_bytes -= len(self._body)
        self._body = b""
