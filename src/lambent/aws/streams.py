"""Payloads that never are in memory as a whole: what comes with a request, and what leaves with a reply.

An `Upload` is read once, to its end; its digests are made on the way, and at its end it is checked against what its
client has said, so that a handler which commits after the end has the right bytes. A reply's payload may be a
`FileRange` or any async iterator of bytes; callers of this process get a `Download`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from lambent.aws import checksums

CHUNK_BYTES: Final = 262_144
"""What is worth a chunk of an `Upload`, where more is to come."""
LONGEST_CHUNK_BYTES: Final = 2 * CHUNK_BYTES
IN_A_THREAD_BYTES: Final = 65_536
"""From here on, digests take longer than it takes to ask a thread for them."""
AT_ONCE_BYTES: Final = 1024 * 1024
"""For one call of a thread: on a busy machine each costs as much as the digests of 100 KB."""


@dataclass(frozen=True, slots=True)
class FileRange:
    """`length` bytes of a file from `offset` on."""

    path: Path
    offset: int
    length: int
    file: BinaryIO | None = None
    """Already open, so that a file which is deleted meanwhile is still read; closed by whoever reads it."""

    @classmethod
    def opened(cls, path: Path, offset: int, length: int) -> "FileRange":
        """Raises `OSError`."""
        return cls(path, offset, length, path.open("rb"))

    async def taken(self) -> BinaryIO:
        """For who reads it, and closes it. Raises `OSError`."""
        return await asyncio.to_thread(self.path.open, "rb") if self.file is None else self.file


class Upload:
    """An async iterator of chunks of at most `LONGEST_CHUNK_BYTES`. Iterating raises `ApiError` for a body that is not
    what its client has said, at its end at the latest; then nothing of it counts. A thread makes the digests of what
    has come while its reader does something with it."""

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        *,
        length_bytes: int | None = None,
        checksum_algorithm: str | None = None,
        trailers: Mapping[str, str] | None = None,
        check: Callable[["Upload"], None] | None = None,
    ) -> None:
        self._chunks = chunks
        self.length_bytes = length_bytes
        """Of the content, without any encoding for the way; None where the client has not said it."""
        self.checksum_algorithm = checksum_algorithm
        """Of the checksum that the client sends, before or after the body; None when it sends none."""
        self.trailers: Mapping[str, str] = trailers if trailers is not None else {}
        """Names in lower case; complete once the upload has ended."""
        self.size_bytes = 0
        """So far."""
        self.ended = False
        self._check = check
        self._digests = {checksums.MD5: checksums.new(checksums.MD5)}
        self._pending: list[bytes] = []
        """Chunks that no digest has seen yet."""
        self._pending_bytes = 0
        self._digesting: asyncio.Future[None] | None = None
        if checksum_algorithm is not None:
            self.want(checksum_algorithm)

    def want(self, algorithm: str) -> None:
        """Compute this digest too; before the first chunk."""
        assert self.size_bytes == 0
        if algorithm not in self._digests:
            self._digests[algorithm] = checksums.new(algorithm)

    def digest(self, algorithm: str) -> bytes:
        """Of what has ended. Raises `KeyError` for one that nobody wanted; MD5 is always there."""
        assert self.ended
        return self._digests[algorithm].digest()

    def __aiter__(self) -> "Upload":
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            if not self.ended:
                await self._digest_pending()
                if self._digesting is not None:
                    await self._digesting
                self.ended = True
                if self._check is not None:
                    self._check(self)
            raise
        self.size_bytes += len(chunk)
        self._pending.append(chunk)
        self._pending_bytes += len(chunk)
        if self._pending_bytes >= AT_ONCE_BYTES or self.size_bytes == self.length_bytes:
            await self._digest_pending()
        return chunk

    async def _digest_pending(self) -> None:
        """Begin with it, when what came before is done: memory holds no more than two rounds."""
        if self._digesting is not None:
            await self._digesting
            self._digesting = None
        chunks, self._pending = self._pending, []
        size, self._pending_bytes = self._pending_bytes, 0
        if size >= IN_A_THREAD_BYTES:
            self._digesting = asyncio.get_running_loop().run_in_executor(None, self._update, chunks)
        else:
            self._update(chunks)

    def _update(self, chunks: list[bytes]) -> None:
        for digest in self._digests.values():
            for chunk in chunks:
                digest.update(chunk)

    @classmethod
    def of(cls, content: bytes) -> "Upload":
        return cls(_pieces(content), length_bytes=len(content))


class Download:
    """What a caller of this process gets for a streamed payload: iterate it, or `read` it; to the end, or `aclose`."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self._chunks])

    async def aclose(self) -> None:
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()


async def whole(payload: "bytes | Download | None") -> bytes:
    """The bytes of a payload, in whichever form its service gives it."""
    if payload is None or isinstance(payload, bytes):
        return payload or b""
    return await payload.read()


async def pieces(payload: "bytes | Download | None") -> AsyncIterator[bytes]:
    """The same piece by piece, without having the whole."""
    if isinstance(payload, bytes):
        yield payload
    elif payload is not None:
        async for chunk in payload:
            yield chunk


def for_caller(value: object) -> object:
    """A member of a result as a caller of this process gets it."""
    if isinstance(value, FileRange):
        return Download(read_range(value))
    return Download(value) if isinstance(value, AsyncIterator) else value


async def read_range(source: FileRange) -> AsyncIterator[bytes]:
    """Ends early where the file does. Raises `OSError` for a file that is not there."""
    with await source.taken() as file:
        offset, left = source.offset, source.length
        while left > 0:
            chunk = await asyncio.to_thread(_read_at, file, min(CHUNK_BYTES, left), offset)
            if not chunk:
                return
            offset += len(chunk)
            left -= len(chunk)
            yield chunk


def _read_at(file: BinaryIO, size: int, offset: int) -> bytes:
    file.seek(offset)
    return file.read(size)


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), CHUNK_BYTES):
        yield content[start : start + CHUNK_BYTES]
