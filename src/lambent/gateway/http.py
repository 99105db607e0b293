"""A request and a reply of HTTP as records, free of ASGI. Headers are Latin-1 text, names in lower case."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from msgspec import Struct

from lambent.aws.streams import FileRange

Headers = Mapping[str, str]
RawHeaders = Iterable[tuple[bytes, bytes]]
"""As on the wire, names in lower case."""

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class HttpRequest(Struct, frozen=True):
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
    request_id: str = ""


class HttpResponse(Struct, frozen=True):
    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | Path | FileRange | AsyncIterator[bytes] = b""
    """Bytes, a file or a part of one that is streamed from the disk, or what comes while the reply is sent: empty
    bytes let the head leave at once. It is closed when the client is gone, and raises `CutOff` when there is no way to
    go on."""


@runtime_checkable
class Closable(Protocol):
    async def aclose(self) -> None: ...


async def closed(body: object) -> None:
    """Tell an iterator that nobody reads on; whoever has to know that has an `aclose`."""
    if isinstance(body, Closable):
        await body.aclose()


RouteHandler = Callable[[HttpRequest], Awaitable[HttpResponse]]


def headers_of(raw: RawHeaders) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = str(raw_name, "latin-1"), str(raw_value, "latin-1")
        if name in headers:
            # Cookies are a list of their own: a comma may stand in the value of one.
            value = f"{headers[name]}{'; ' if name == 'cookie' else ','}{value}"
        headers[name] = value
    return headers


def adopted_id(headers: Headers) -> str | None:
    """The caller's own request id, when it is a UUID."""
    sent = headers.get("x-amzn-requestid")
    return sent.lower() if sent is not None and _UUID.fullmatch(sent) else None
