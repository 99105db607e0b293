"""The response of one invocation on its way from the runtime to the sink of the request, byte by byte.

Counts what passes, keeps the limit, holds the runtime's connection while the sink cannot take more, and ends the sink
once. It keeps nothing of the response. Which request is a response, and when it is over, is known to `runtime_api`
and `environment`.
"""

from typing import Protocol

from lambent.environments.request import Answer, ResponseHead, ResponseSink


class Line(Protocol):
    """The connection on which the response comes."""

    def hold(self) -> None: ...

    def release(self) -> None: ...


class Outflow:
    __slots__ = ("_closed", "_ended", "_sink", "limit_bytes", "line", "sent_bytes", "truncated")

    def __init__(self, sink: ResponseSink, limit_bytes: int) -> None:
        self._sink = sink
        self.limit_bytes = limit_bytes
        self._closed = self._ended = False
        self.line: Line | None = None
        """Once the response has begun."""
        self.sent_bytes = 0
        self.truncated = False
        """The line was lost in the middle: the runtime may still say why, or end."""

    def begin(self, line: Line, content_type: str) -> None:
        """The runtime streams."""
        self.line = line
        self._sink.resumes(line.release)
        self._sink.begin(ResponseHead(content_type, streaming=True))

    def take(self, data: bytes) -> bool:
        """False once the response is longer than it may be; what is over the limit is not sent."""
        if self._closed:
            return True
        room = self.limit_bytes - self.sent_bytes
        within = len(data) <= room
        sent = data if within else data[:room]
        self.sent_bytes += len(sent)
        if sent and not self._sink.chunk(sent) and self.line is not None:
            self.line.hold()
        return within

    def whole(self, content_type: str, body: bytes) -> None:
        """The response of a runtime that does not stream."""
        self._sink.begin(ResponseHead(content_type, streaming=False))
        self.take(body)

    def end(self, error: Answer | None) -> None:
        """Nothing reaches the sink after this; safe to call twice."""
        if not self._ended:
            self._ended = True
            self.forget()
            self._sink.end(error)

    def forget(self) -> None:
        """What still comes is dropped, and the line read to its end."""
        self._closed = True
        if self.line is not None:
            self.line.release()
