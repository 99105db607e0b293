"""Bodies in aws-chunked encoding, decoded as they come: chunks with or without signatures, and trailers at the end.

Data is taken by length alone, as it may hold anything. Data of a chunk leaves before its signature is compared: who
reads it commits nothing before the end.
"""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

from lambent.aws.errors import ApiError
from lambent.aws.streams import CHUNK_BYTES

LINE_BYTES: Final = 16_384
"""The longest line of a chunk's head or of a trailer."""
_TRAILERS: Final = 32
_ENOUGH_BYTES: Final = 65_536
"""Of content, to be worth its reader's while: chunks may be small."""
_IN_A_ROW: Final = 256
_EMPTY_HASH: Final = hashlib.sha256(b"").hexdigest()
_SIGNATURE: Final = "chunk-signature"
TRAILER_SIGNATURE: Final = "x-amz-trailer-signature"


def incomplete_body() -> ApiError:
    text = "You did not provide the number of bytes specified by the Content-Length HTTP header"
    return ApiError("IncompleteBody", text, status=400)


@dataclass(slots=True)
class ChunkSignatures:
    """The chain of signatures: each covers its chunk and the one before it, the first one that of the headers."""

    key: bytes
    timestamp: str
    scope: str
    previous: str
    _hash: Any = field(default_factory=hashlib.sha256)

    def update(self, data: bytes) -> None:
        self._hash.update(data)

    def end_of_chunk(self, given: str) -> None:
        """Raises `ApiError` SignatureDoesNotMatch."""
        self._compare("PAYLOAD", f"{_EMPTY_HASH}\n{self._hash.hexdigest()}", given)
        self._hash = hashlib.sha256()

    def end_of_trailers(self, lines: str, given: str) -> None:
        self._compare("TRAILER", hashlib.sha256(lines.encode()).hexdigest(), given)

    def _compare(self, kind: str, hashes: str, given: str) -> None:
        text = f"AWS4-HMAC-SHA256-{kind}\n{self.timestamp}\n{self.scope}\n{self.previous}\n{hashes}"
        wanted = hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted.encode(), given.encode()):
            raise ApiError(
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. "
                "Check your key and signing method.",
                status=403,
                members={"StringToSign": text, "SignatureProvided": given},
            )
        self.previous = given


class _Source:
    """Bytes by line and by length, from pieces of any size."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""
        self._at = 0
        """Of what is held, how much was taken: cutting it off each time would copy the rest each time."""

    async def line(self) -> str | None:
        """Without its end; None when the body is at its end."""
        while (end := self._held.find(b"\n", self._at)) < 0:
            if len(self._held) - self._at > LINE_BYTES:
                raise incomplete_body()
            if not await self._more():
                rest, self._held, self._at = self._held[self._at :], b"", 0
                return rest.decode("latin-1").rstrip("\r") if rest else None
        found, self._at = self._held[self._at : end], end + 1
        if len(found) > LINE_BYTES:
            raise incomplete_body()
        return found.decode("latin-1").rstrip("\r")

    async def take(self, most: int) -> bytes:
        """At least one byte. Raises `ApiError` IncompleteBody at the end of the body."""
        if self._at == len(self._held) and not await self._more():
            raise incomplete_body()
        found = self._held[self._at : self._at + most]
        self._at += len(found)
        return found

    async def _more(self) -> bool:
        async for piece in self._pieces:
            if piece:
                self._held = self._held[self._at :] + piece
                self._at = 0
                return True
        return False


async def decoded(
    pieces: AsyncIterator[bytes],
    length_bytes: int,
    trailers: MutableMapping[str, str],
    signatures: ChunkSignatures | None = None,
) -> AsyncIterator[bytes]:
    """The content; `trailers` are filled at its end. Raises `ApiError` IncompleteBody, SignatureDoesNotMatch."""
    source = _Source(pieces)
    left_bytes, number = length_bytes, 0
    ready: list[bytes] = []
    ready_bytes = 0
    while True:
        size, signature = _head(await source.line())
        left_bytes -= size
        if left_bytes < 0:
            raise incomplete_body()
        left = size
        while left:
            data = await source.take(left)
            left -= len(data)
            if signatures is not None:
                signatures.update(data)
            if ready_bytes + len(data) > CHUNK_BYTES:
                yield b"".join(ready)
                ready, ready_bytes = [], 0
            ready.append(data)
            ready_bytes += len(data)
            if ready_bytes >= _ENOUGH_BYTES:
                yield b"".join(ready)
                ready, ready_bytes = [], 0
        if signatures is not None:
            signatures.end_of_chunk(signature)
        if size == 0:
            break
        if await source.line() not in ("", None):
            raise incomplete_body()
        number += 1
        if number % _IN_A_ROW == 0:
            # A client may send chunks of one byte: others get their turn.
            await asyncio.sleep(0)
    if ready:
        yield b"".join(ready)
    if left_bytes:
        raise incomplete_body()
    await _read_trailers(source, trailers, signatures)


def _head(line: str | None) -> tuple[int, str]:
    size, _, extension = (line or "").partition(";")
    size = size.strip()
    # int() takes signs, underscores and digits of other scripts.
    if not 0 < len(size) <= 16 or not all(char in "0123456789abcdefABCDEF" for char in size):
        raise incomplete_body()
    name, _, value = extension.strip().partition("=")
    return int(size, 16), value if name == _SIGNATURE else ""


async def _read_trailers(
    source: _Source, trailers: MutableMapping[str, str], signatures: ChunkSignatures | None
) -> None:
    signed = ""
    while (line := await source.line()) is not None:
        if not line:
            # The end, or what separates the last chunk from the trailers in some SDKs.
            continue
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        if len(trailers) >= _TRAILERS:
            raise incomplete_body()
        if name == TRAILER_SIGNATURE:
            if signatures is not None:
                signatures.end_of_trailers(signed, value)
                signed = ""
            continue
        signed += f"{name}:{value}\n"
        trailers[name] = value
    if signed and signatures is not None:
        signatures.end_of_trailers(signed, "")
