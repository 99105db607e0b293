"""Reading what is stored, whatever happens to it meanwhile: a file that is open, or parts that are held."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lambent.aws.streams import FileRange, read_range
from lambent.services.s3.files import Files
from lambent.services.s3.records import ObjectVersion, Part

Body = FileRange | AsyncIterator[bytes] | bytes


@dataclass(frozen=True, slots=True)
class Piece:
    path: Path
    offset: int
    length: int


@dataclass(slots=True)
class Opened:
    """A version with its bytes. Whoever has it calls `body` once, or `close`."""

    version: ObjectVersion
    files: Files
    path: Path | None = None
    file: BinaryIO | None = None
    parts: Sequence[Part] = ()

    def body(self, offset: int, length: int) -> Body:
        if length == 0:
            self.close()
            return b""
        if self.path is not None:
            file, self.file = self.file, None
            return FileRange(self.path, offset, length, file)
        parts, self.parts = self.parts, ()
        return _Parts(self.files, parts, offset, length)

    def close(self) -> None:
        file, self.file = self.file, None
        if file is not None:
            file.close()
        parts, self.parts = self.parts, ()
        self.files.release(_names(parts))


class _Parts:
    """An async iterator over parts that are held until it ends, is closed, or is forgotten."""

    def __init__(self, files: Files, parts: Sequence[Part], offset: int, length: int) -> None:
        self._files = files
        self._held = _names(parts)
        self._chunks = _read(pieces(files, parts, offset, length))
        self._loop = asyncio.get_running_loop()

    def __aiter__(self) -> "_Parts":
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._chunks)
        except BaseException:
            self._let_go()
            raise

    async def aclose(self) -> None:
        await self._chunks.aclose()
        self._let_go()

    def __del__(self) -> None:
        # A reply of which nothing was ever read.
        if self._held and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._files.release, self._held)

    def _let_go(self) -> None:
        held, self._held = self._held, []
        self._files.release(held)


def pieces(files: Files, parts: Sequence[Part], offset: int, length: int) -> list[Piece]:
    """Where `length` bytes from `offset` on are, of parts that follow each other."""
    found: list[Piece] = []
    at = 0
    for part in parts:
        first, last = max(offset, at), min(offset + length, at + part.size)
        if first < last and part.file is not None:
            found.append(Piece(files.path(part.file), first - at, last - first))
        at += part.size
    return found


async def _read(wanted: Sequence[Piece]) -> AsyncGenerator[bytes, None]:
    for piece in wanted:
        async for chunk in read_range(FileRange(piece.path, piece.offset, piece.length)):
            yield chunk


def _names(parts: Sequence[Part]) -> list[str]:
    return [part.file for part in parts if part.file is not None]
