"""A plain file server for `benchmarks.s3`, served by uvicorn: PUT writes a file and flushes it, GET reads it."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

ROOT = Path(os.environ.get("PLAIN_FILES", "."))
PIECE = 262_144


async def app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    if scope["type"] != "http":
        return
    path = ROOT / scope["path"].strip("/").replace("/", "_")
    if scope["method"] == "PUT":
        chunks, more = [], True
        while more:
            message = await receive()
            chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
        await asyncio.to_thread(_write, path, chunks)
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


def _write(path: Path, chunks: list[bytes]) -> None:
    scratch = path.with_name(f".{path.name}")
    with scratch.open("wb") as file:
        file.writelines(chunks)
        file.flush()
        os.fsync(file.fileno())
    scratch.rename(path)
