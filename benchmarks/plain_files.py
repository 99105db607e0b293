"""A plain file server for `benchmarks.s3`, by uvicorn: PUT streams into a file aside and renames it, GET reads it.

As it is it promises what the PUT of nginx does: the file is whole or not there, and a power cut may take it back. With
PLAIN_FLUSHED=1 it promises what Lambent does: the file and its folder are flushed before the answer.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

ROOT = Path(os.environ.get("PLAIN_FILES", "."))
FLUSHED = os.environ.get("PLAIN_FLUSHED") == "1"
PIECE = 262_144
BATCH = 1_048_576
"""Of a body, for one call of a thread."""
_numbers = count()


async def app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    if scope["type"] != "http":
        return
    path = ROOT / scope["path"].strip("/").replace("/", "_")
    if scope["method"] == "PUT":
        await _store(path, receive)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return
    size = path.stat().st_size
    headers = [(b"content-length", str(size).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _store(path: Path, receive: Callable[[], Awaitable[Any]]) -> None:
    scratch = path.with_name(f".{next(_numbers)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        pieces, size, more = [], 0, True
        while more:
            message = await receive()
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            more = message.get("more_body", False)
            if more and size >= BATCH:
                await asyncio.to_thread(_write, descriptor, pieces)
                pieces, size = [], 0
        await asyncio.to_thread(_finish, descriptor, pieces, scratch, path)
    finally:
        os.close(descriptor)


def _write(descriptor: int, pieces: Sequence[bytes]) -> None:
    for piece in pieces:
        os.write(descriptor, piece)


def _finish(descriptor: int, pieces: Sequence[bytes], scratch: Path, path: Path) -> None:
    _write(descriptor, pieces)
    if FLUSHED:
        os.fsync(descriptor)
    scratch.rename(path)
    if FLUSHED:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
