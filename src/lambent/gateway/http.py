"""A request and a reply of HTTP as records, free of ASGI. Headers are Latin-1 text, names in lower case."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

Headers = Mapping[str, str]


class HttpRequest(NamedTuple):
    method: str
    path: str
    """As on the wire: percent-encoded, without the query."""
    query: str
    """As on the wire, without the question mark."""
    headers: Headers
    """A repeated header is joined with commas."""
    body: bytes
    base_url: str
    """Scheme, host and port by which the client reached us; no trailing slash."""
    source_ip: str = ""


class HttpResponse(NamedTuple):
    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | Path | AsyncIterator[bytes] = b""
    """Bytes, a file that is streamed from the disk, or what comes while the reply is sent: empty bytes let the head
    leave at once. It is closed when the client is gone, and raises `CutOff` when there is no way to go on."""


RouteHandler = Callable[[HttpRequest], Awaitable[HttpResponse]]
