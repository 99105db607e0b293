"""One request and its reply on a connection: ASGI's `receive` as uvicorn has it for small bodies, and a `send` of ours.

The head of a reply leaves together with the first bytes of its body: one system call and one packet where uvicorn
makes two. Headers are checked where they are made (`reply`), not here again.
"""

from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from lambent.gateway.body import Disconnected

_WITHOUT_BODY: Final = (204, 304)
CUT_OFF: Final = "lambent.response.cut_off"
"""A message of ours: what was sent stays without its end, and the connection ends."""


class Exchange(RequestResponseCycle):
    _start: Any = None
    _has_length = True
    """Or no body; else it ends with a last chunk, or for HTTP/1.0 with the connection."""
    _left = 0
    """Bytes of the announced length that are still to come."""
    held_bytes = 0
    """Of `pieces`."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.pieces: list[bytes] = []
        """Of a body that is read as it comes, in the order in which they came, behind `body`."""

    async def receive(self) -> Any:
        message = await super().receive()
        if self.pieces and message["type"] == "http.request":
            pieces, self.pieces, self.held_bytes = self.pieces, [], 0
            if message["body"]:
                pieces.insert(0, message["body"])
            message["body"] = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return message

    async def send(self, message: Any) -> None:
        if message["type"] != "http.response.body":
            self._begin_or_cut_off(message)
            return
        more = message.get("more_body", False)
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected or self.response_complete:
            if more:
                # There is no use in making the rest.
                raise Disconnected
            return
        body: bytes = message.get("body", b"")
        silent = self.scope["method"] == "HEAD"
        head = b"" if self.response_started else self._head()
        if self.chunked_encoding:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body = body if more else body + b"0\r\n\r\n"
        else:
            self._left -= len(body)
        if head:
            self.transport.write(head if silent else head + body)
        elif body and not silent:
            self.transport.write(body)
        if not more:
            self._complete(whole=silent or not self._has_length or self._left == 0)

    def _begin_or_cut_off(self, message: Any) -> None:
        if message["type"] != CUT_OFF:
            self._start = message
        elif not self.disconnected:
            self.response_started = self.response_complete = True
            self.transport.close()

    def _head(self) -> bytes:
        self.response_started = True
        self.waiting_for_100_continue = False
        status = self._start["status"]
        content = [STATUS_LINE[status]]
        framed = status in _WITHOUT_BODY
        for headers in (self.default_headers, self._start.get("headers", ())):
            for name, value in headers:
                if name == b"content-length":
                    framed = True
                    self._left = int(value)
                elif name == b"connection":
                    self.keep_alive = False
                    continue
                content += (name, b": ", value, b"\r\n")
        if not framed:
            self._has_length = False
            if self.scope["http_version"] != "1.0":
                self.chunked_encoding = True
                content.append(b"transfer-encoding: chunked\r\n")
        content.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        return b"".join(content)

    def _complete(self, *, whole: bool) -> None:
        self.response_complete = True
        self.message_event.set()
        if not whole:
            # The length has been told and was not kept: only the end of the connection says so.
            self.transport.abort()
        elif not self.keep_alive:
            self.transport.close()
        self.on_response()
