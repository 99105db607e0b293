"""One invocation as the environment sees it: what goes in, what comes out.

Structs, as all records that each invocation makes: a named tuple takes twice as long, or ten times where its fields are
named, and a frozen dataclass ten times.
"""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct


class Answer(Struct, frozen=True):
    """What the runtime posted. `error_type` is None for a response."""

    body: bytes
    error_type: str | None = None


class ResponseHead(Struct, frozen=True):
    """What the runtime said of its response before the first byte of it."""

    content_type: str
    """"" when it named none."""
    streaming: bool
    """`Lambda-Runtime-Function-Response-Mode: streaming`; else the response is one chunk."""


class ResponseSink(Protocol):
    """Takes a response as it arrives. Called synchronously from the event loop; must not raise.

    `begin` once or never, then chunks, then `end` once; when the invocation raises, `end` is not called.
    """

    def begin(self, head: ResponseHead) -> None: ...

    def chunk(self, data: bytes) -> bool:
        """False: nothing more is read from the runtime until the callable given to `resumes` is called.

        What had been read by then still comes."""
        ...

    def resumes(self, call: Callable[[], None]) -> None:
        """Told before `begin`. The callable may be called at any time and as often as wanted."""
        ...

    def end(self, error: Answer | None) -> None:
        """`error`: of the function, its runtime or its sandbox, also in the middle of the response."""
        ...


class InvokeRequest(Struct, frozen=True):
    request_id: str
    payload: bytes
    """Handed to the runtime byte for byte."""
    function_arn: str
    """The ARN in the form that the caller used."""
    trace_header: str = ""
    client_context: str = ""
    """JSON text, without line breaks."""
    keep_tail: bool = False
    """The caller wants the log's tail; the result then waits for the REPORT line."""
    tenant_id: str | None = None
    """Of a function with tenant isolation; the environment is this tenant's alone."""
    request_units: int = 1
    """As how many requests it is billed."""
    sink: ResponseSink | None = None
    """Takes the bytes of the response as they arrive; the payload of the result is then empty."""


class InvokeResult(Struct, frozen=True):
    payload: bytes
    error_type: str | None = None
    """Set when the function, its runtime or its sandbox failed."""
    log_tail: bytes | None = None
    """Last 4,096 bytes of the invocation's log, REPORT included, when asked for."""
    streamed_bytes: int = 0
    """That a runtime streamed to the request's sink, for the bill."""
