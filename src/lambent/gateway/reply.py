"""Sending a reply over ASGI: bytes, a file or a stream, and what happens to a request body that nobody has read."""

import asyncio
import errno
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from lambent.aws.errors import CutOff
from lambent.aws.streams import FileRange
from lambent.gateway.body import BodyReader
from lambent.gateway.exchange import CUT_OFF
from lambent.gateway.http import HttpResponse, closed

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

FILE_CHUNK_BYTES: Final = 262_144
_NO_LENGTH: Final = (204, 304)
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")


async def respond(send: Send, response: HttpResponse, request_id: str, body: BodyReader) -> None:
    """Raises `Disconnected` when the client goes away before the end."""
    # Who waits to be told to send its body is told the answer instead.
    if not body.complete and body.worth_reading and not body.awaits_continue:
        await body.discard()
    if isinstance(response.body, FileRange):
        await _respond_range(send, response, response.body, request_id)
        return
    if isinstance(response.body, Path):
        await _respond_file(send, response, response.body, request_id)
        return
    if not isinstance(response.body, bytes):
        await _respond_stream(send, response, response.body, request_id)
        return
    headers = _headers(response, request_id)
    # The reply to a HEAD that was passed on has the length of what GET would bring.
    if response.status not in _NO_LENGTH and not any(name.lower() == "content-length" for name, _ in response.headers):
        headers.append((b"content-length", b"%d" % len(response.body)))
    if body.complete:
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})
        return
    # A large body was refused: the answer goes out now, and the connection ends with the body.
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    if not body.awaits_continue:
        await body.discard()
    await send({"type": "http.response.body", "body": b""})


def _headers(response: HttpResponse, request_id: str) -> list[tuple[bytes, bytes]]:
    headers = [(b"x-amzn-RequestId", request_id.encode())]
    for name, value in response.headers:
        # The exchange knows the length by this name alone.
        wire = b"content-length" if name == "Content-Length" else name.encode("latin-1")
        headers.append((wire, _clean(value).encode("latin-1", "replace")))
    return headers


def _clean(value: str) -> str:
    """A line break in a value would begin a header of somebody else's making."""
    return value if value.isprintable() else _CONTROLS.sub(" ", value)


def head_lines(response: HttpResponse, request_id: str) -> bytes:
    """What `respond` sends as headers for a reply whose body is bytes and whose request was read to its end."""
    lines = [f"x-amzn-RequestId: {request_id}\r\n"]
    has_length = response.status in _NO_LENGTH
    for name, value in response.headers:
        if not has_length:
            has_length = len(name) == len("content-length") and name.lower() == "content-length"
        lines.append(f"{name}: {value if value.isprintable() else _clean(value)}\r\n")
    if not has_length:
        assert isinstance(response.body, bytes)
        lines.append(f"content-length: {len(response.body)}\r\n")
    return "".join(lines).encode("latin-1", "replace")


async def _respond_stream(send: Send, response: HttpResponse, body: AsyncIterator[bytes], request_id: str) -> None:
    try:
        await send(
            {"type": "http.response.start", "status": response.status, "headers": _headers(response, request_id)}
        )
        if response.status not in _NO_LENGTH:
            async for chunk in body:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except CutOff:
        await send({"type": CUT_OFF})
    finally:
        await closed(body)


async def _respond_file(send: Send, response: HttpResponse, path: Path, request_id: str) -> None:
    try:
        file, size = await asyncio.to_thread(_open, path)
    except OSError:
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return
    with file:
        headers = [*_headers(response, request_id), (b"content-length", b"%d" % size)]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        left = size
        while left > 0:
            # A file that shrinks meanwhile ends the connection, since its length has been told.
            chunk = await asyncio.to_thread(file.read, min(FILE_CHUNK_BYTES, left))
            left = left - len(chunk) if chunk else 0
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _respond_range(send: Send, response: HttpResponse, source: FileRange, request_id: str) -> None:
    """A range of an open file is there; of one that is gone the connection ends, since its length has been told."""
    with await source.taken() as file:
        headers = _headers(response, request_id)
        if not any(name.lower() == "content-length" for name, _ in response.headers):
            headers.append((b"content-length", b"%d" % source.length))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        descriptor, offset, left = file.fileno(), source.offset, source.length
        while left > 0:
            size = min(FILE_CHUNK_BYTES, left)
            chunk = _read_from_memory(descriptor, size, offset)
            if chunk is None:
                chunk = await asyncio.to_thread(os.pread, descriptor, size, offset)
            offset += len(chunk)
            left = left - len(chunk) if chunk else 0
            await send({"type": "http.response.body", "body": chunk, "more_body": left > 0})
        if source.length == 0:
            await send({"type": "http.response.body", "body": b""})


def _read_from_memory(descriptor: int, size: int, offset: int) -> bytes | None:
    """What the page cache has of it, without waiting for the disk; None when it has nothing."""
    buffer = bytearray(size)
    try:
        count = os.preadv(descriptor, [buffer], offset, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EOPNOTSUPP, errno.ENOSYS):
            return None
        raise
    return bytes(buffer) if count == size else bytes(memoryview(buffer)[:count])


def _open(path: Path) -> tuple[BinaryIO, int]:
    file = path.open("rb")
    return file, path.stat().st_size
