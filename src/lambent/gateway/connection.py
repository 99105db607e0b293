"""One HTTP connection: uvicorn's httptools protocol with limits on what a peer may hold and how slow it may be.

uvicorn alone keeps headers without bound and waits for them for ever. Timers are not set per request: the server asks
every connection once a second whether it is late.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from lambent.aws.streams import CHUNK_BYTES
from lambent.gateway.body import READER, BodyReader
from lambent.gateway.direct import DirectReply, DirectWay, InvokeHead
from lambent.gateway.exchange import Exchange
from lambent.gateway.http import HttpResponse, headers_of
from lambent.gateway.invoke_head import RawHead, head_of

if TYPE_CHECKING:
    from lambent.gateway.app import AsgiApp


@dataclass(frozen=True, slots=True)
class Limits:
    header_bytes: int = 65_536
    header_s: float = 10.0
    body_s: float = 30.0
    """Time for any body; a longer one has to come at `body_bytes_per_s` on the average."""
    body_bytes_per_s: int = 262_144
    unread_s: float = 30.0
    """How long a peer may leave a reply unread that does not fit into the socket."""
    keep_alive_s: int = 75
    connections_per_peer: int = 1024
    connections: int = 8192
    """Of all peers: who is on this machine has 16 million addresses."""
    pipelined: int = 64
    linger_s: float = 1.0
    """After a refusal, how long the peer may go on sending, so that it gets to read why."""


@dataclass(slots=True)
class Clients:
    """The connections of one listener."""

    app: "AsgiApp"
    limits: Limits
    direct: DirectWay | None = None
    connections: set[Any] = field(default_factory=set)
    peers: Counter[str] = field(default_factory=Counter)


class Shared(ServerState):
    """uvicorn's state of a server, and its default headers as they go over the wire."""

    header_lines = b""


TOO_LARGE: Final = "Request headers are larger than 64 KB."
_IDLE: Final = 0
_HEAD: Final = 1
_BODY: Final = 2


class _Refused(Exception):
    """Raised inside the parser's callbacks to stop it."""


class Connection(HttpToolsProtocol):
    def __init__(self, clients: Clients, config: Config, state: Shared, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(config, state, {}, loop)
        self.app = clients.app
        self.access_log = False
        self.connections = clients.connections
        self.timeout_keep_alive = clients.limits.keep_alive_s
        self._shared = state
        self._direct = clients.direct
        self._waits_for_body = False
        """The head of a request is here that may take the direct way, and at most the first piece of its body."""
        self._piece = b""
        self._last_head: tuple[RawHead, InvokeHead] | None = None
        """Of the last request that needed no parser."""
        self.tasks: set[asyncio.Future[Any]]  # type: ignore[assignment]
        self.cycle: Any
        self._clients = clients
        self._limits = clients.limits
        self._reading = _IDLE
        self._since = 0.0
        self._unread_since: float | None = None
        self._message_bytes = 0
        self._header_bytes = 0
        self._quiet_bytes = 0
        self._refusal: tuple[int, str] | None = None
        self._replaying = False
        self._ending = False
        self._lingering: asyncio.TimerHandle | None = None

    # Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        peer = self.client[0] if self.client else ""
        self._clients.peers[peer] += 1
        if len(self._clients.connections) > self._limits.connections:
            # At once: even the time to read a refusal would hold a descriptor.
            transport.abort()
        elif self._clients.peers[peer] > self._limits.connections_per_peer:
            self._refuse(503, "Too many connections from this address.")

    def connection_lost(self, exc: Exception | None) -> None:
        peer = self.client[0] if self.client else ""
        self._clients.peers[peer] -= 1
        if self._clients.peers[peer] <= 0:
            del self._clients.peers[peer]
        if self._lingering is not None:
            self._lingering.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._lingering is not None or self._ending:
            return
        if self._reading == _IDLE:
            if self._direct is not None and self._take_whole(self._direct, data):
                return
            self._begin()
        self._feed(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that has sent all it wants to may still wait for answers; not for one that comes when it comes."""
        waiting = self.cycle is not None and not self.cycle.response_complete and self._reading == _IDLE
        self._ending = True
        reader = self._reader()
        return waiting and (reader is None or not reader.asking)

    def on_response_complete(self) -> None:
        """As uvicorn's, without its timer for each pause between two requests: `check` sees those that are long."""
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._reading == _IDLE:
            self._since = self.loop.time()
        if self._ending and (self.cycle is None or self.cycle.response_complete):
            self.transport.close()

    def _feed(self, data: bytes) -> None:
        # Counts what the parser swallows without telling anyone: unfinished headers, trailers, chunk extensions.
        self._quiet_bytes += len(data)
        self._message_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(*(self._refusal or (400, "Invalid HTTP request received.")))
        else:
            if self._waits_for_body:
                self._begin_exchange()
            if self._reading != _IDLE and self._quiet_bytes > self._limits.header_bytes:
                self._refuse(431, TOO_LARGE)

    # Parser

    def on_message_begin(self) -> None:
        if self._replaying:
            return
        self._begin()
        self._waits_for_body = False
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_url(self, url: bytes) -> None:
        if not self._replaying:
            self._header_bytes += len(url)
            if self._header_bytes > self._limits.header_bytes:
                self._stop(431, TOO_LARGE)
            self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._replaying:
            return
        self._header_bytes += len(name) + len(value) + 4
        if self._header_bytes > self._limits.header_bytes:
            self._stop(431, TOO_LARGE)
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._replaying:
            return
        if len(self.pipeline) >= self._limits.pipelined:
            self._stop(400, "Too many pipelined requests.")
        self._reading = _BODY
        self._quiet_bytes = 0
        self._waits_for_body = self._may_go_direct()
        self._piece = b""
        if not self._waits_for_body:
            self._begin_exchange()

    def _may_go_direct(self) -> bool:
        direct, parser = self._direct, self.parser
        return (
            direct is not None
            and direct.may_take(parser.get_method(), self.url)
            and self._is_free()
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
        )

    def _is_free(self) -> bool:
        """Whether an answer could be written at once."""
        return (self.cycle is None or self.cycle.response_complete) and not self.flow.write_paused

    def _take_whole(self, direct: DirectWay, data: bytes) -> bool:
        """Whether `data` is an Invoke that takes the direct way without the parser, which is between two messages and
        stays there."""
        if not self._is_free():
            return False
        if self._last_head is None or not self._last_head[0].begins(data):
            raw = head_of(data)
            head = None if raw is None else direct.read(raw.target, raw.headers, self.scheme or "http")
            if raw is None or head is None:
                return False
            self._last_head = raw, head
        raw, head = self._last_head
        return self._go_direct(direct, head, raw.body(data))

    def _go_direct(self, direct: DirectWay, head: InvokeHead, body: bytes) -> bool:
        """Whether a request that is complete takes the direct way."""
        taken = direct.take(head, body, self.client[0] if self.client else "")
        if taken is None:
            return False
        lines = self._shared.header_lines
        reply = self.cycle = DirectReply(self.transport, lines, taken.request_id, self.on_response_complete)
        if isinstance(begun := taken.answer, HttpResponse):
            reply.reply(begun)
            return True
        # The end of the server waits for it as for a task.
        self.tasks.add(begun.future)

        def over(future: asyncio.Future[Any]) -> None:
            self.tasks.discard(future)
            reply.ended(begun)

        begun.future.add_done_callback(over)
        return True

    def _parsed_goes_direct(self) -> bool:
        """The same for a request that came through the parser."""
        assert self._direct is not None
        head = self._direct.read(self.url, headers_of(self.headers), self.scheme or "http")
        if head is None or not self._go_direct(self._direct, head, self._piece):
            return False
        self._waits_for_body = False
        return True

    def _begin_exchange(self) -> None:
        """Hand the request to ASGI: at the end of its head, or when it turns out not to be for the direct way."""
        parser = self.parser
        url = httptools.parse_url(self.url)
        version = parser.get_http_version()
        scope = self.scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "method": parser.get_method().decode("ascii"),
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "root_path": self.root_path,
            "raw_path": url.path,
            "path": unquote(url.path.decode("ascii")),
            "query_string": url.query or b"",
            "headers": self.headers,
            "state": {},
        }
        previous = self.cycle
        self.cycle = Exchange(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if previous is None or previous.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))
        if self._waits_for_body:
            self._waits_for_body = False
            if self._piece:
                super().on_body(self._piece)

    def on_body(self, body: bytes) -> None:
        self._quiet_bytes = 0
        if self._waits_for_body:
            if not self._piece:
                self._piece = body
                return
            self._begin_exchange()
        if not self._is_streamed():
            super().on_body(body)
            return
        # Its reader is woken for what is worth its while; `check` sees to what comes slowly.
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.pieces.append(body)
            cycle.held_bytes += len(body)
            if cycle.held_bytes >= CHUNK_BYTES:
                self.flow.pause_reading()
                cycle.message_event.set()

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            # Too early: httptools takes the body for another protocol. See `_go_on_without_upgrade`.
            return
        self._reading = _IDLE
        if self._waits_for_body:
            if self._parsed_goes_direct():
                return
            self._begin_exchange()
        super().on_message_complete()

    def _begin(self) -> None:
        self._reading = _HEAD
        self._since = self.loop.time()
        self._header_bytes = self._quiet_bytes = self._message_bytes = 0

    def _stop(self, status: int, text: str) -> None:
        self._refusal = (status, text)
        raise _Refused

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """Ignore an offer to change the protocol, as RFC 9110 section 7.8 allows.

        The parser cannot go on after it, so another one is told the framing of this message and reads the rest.
        """
        framing = b"content-length: 0"
        for name, value in self.headers:
            if name in (b"content-length", b"transfer-encoding"):
                framing = name + b": " + value
        self.parser = httptools.HttpRequestParser(self)
        self._replaying = True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n" + framing + b"\r\n\r\n")
        self._replaying = False
        if rest:
            self._feed(rest)

    # Limits

    def pause_writing(self) -> None:
        self._unread_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._unread_since = None
        super().resume_writing()

    def check(self, now: float) -> None:
        """Refuse a peer that is late with its headers or its body, or that does not read."""
        if self._unread_since is not None and now - self._unread_since > self._limits.unread_s:
            self.transport.abort()
            return
        if self._lingering is not None:
            return
        if self._reading == _IDLE:
            idle = self.cycle is None or self.cycle.response_complete
            if idle and now - self._since > self._limits.keep_alive_s:
                self.transport.close()
            return
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering and self._is_streamed() and self.cycle.held_bytes:
            self.cycle.message_event.set()
        if self._reading == _HEAD:
            # A head behind a request that is still being answered has time.
            if not answering and now - self._since > self._limits.header_s:
                self._refuse(408, "The request headers took too long.")
        elif not self.pipeline and not self._is_streamed():
            allowed = self._limits.body_s + self._message_bytes / self._limits.body_bytes_per_s
            if now - self._since > allowed:
                self._refuse(408, "The request body took too long.")

    def _is_streamed(self) -> bool:
        """Whether the body is read piece by piece: its reader limits the time of each, and we may be the slow ones."""
        reader = self._reader()
        return reader is not None and reader.streaming

    def _reader(self) -> BodyReader | None:
        """None also for a request that is answered the direct way, which has read its body."""
        scope = getattr(self.cycle, "scope", None)
        return None if scope is None else scope["state"].get(READER)

    def _refuse(self, status: int, text: str) -> None:
        """Answer as far as the state of the connection lets us, and end it."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self._reading != _BODY or self.pipeline:
                # What is wrong comes after good requests: they are answered first, then the connection ends.
                if self._reading == _BODY:
                    self.pipeline.popleft()
                self._ending = True
                self.flow.pause_reading()
                return
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
                return
        self._write_refusal(status, text.encode())

    def _write_refusal(self, status: int, text: bytes) -> None:
        self.transport.write(
            STATUS_LINE[status]
            + b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: "
            + str(len(text)).encode()
            + b"\r\n\r\n"
            + text
        )
        if self.transport.can_write_eof():
            self.transport.write_eof()
        # Closing at once would reset the connection and take the answer with it.
        self._lingering = self.loop.call_later(self._limits.linger_s, self.transport.close)
