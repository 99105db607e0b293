"""Reading a request's body: bounded per operation and over all requests together, refused as early as it can be.

Or piece by piece, when somebody takes it as it comes: then memory has the bound of the connection's own buffer.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, MutableMapping
from typing import Any, Final, TypeVar

from lambent.aws.errors import ApiError
from lambent.aws.streams import CHUNK_BYTES, LONGEST_CHUNK_BYTES

READER: Final = "lambent.body"
"""Key of a request's `BodyReader` in the state of its ASGI scope: the connection asks it who is slow."""
T = TypeVar("T")
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

ALL_BODIES_BYTES: Final = 512 * 1024 * 1024
SMALL_BYTES: Final = 65_536
"""Below this a body is not counted: uvicorn has it in memory before anyone can refuse it."""
DISCARDED_TO_KEEP_BYTES: Final = 1_048_576
DISCARDED_BYTES: Final = 256 * 1024 * 1024
"""What is read and thrown away so that a client which sends first and reads then gets to see the refusal."""

QUIET_S: Final = 30.0
"""How long a body that is read piece by piece may stand still. Its whole time has no limit: 5 GB take their time."""


class Disconnected(Exception):
    """The client went away; there is nobody to answer."""


class TooLarge(Exception):
    """The body is over the limit. `size_bytes` as announced, None when it came without a length."""

    def __init__(self, size_bytes: int | None) -> None:
        super().__init__(size_bytes)
        self.size_bytes = size_bytes


class Budget:
    """Bytes of bodies held at one time. Synchronous: a request that does not fit is refused, never queued."""

    def __init__(self, total_bytes: int = ALL_BODIES_BYTES, *, part_of: "Budget | None" = None) -> None:
        self._left = total_bytes
        self._whole = part_of

    def take(self, size_bytes: int) -> None:
        """Raises `ApiError` 503, which every SDK retries."""
        if size_bytes > self._left:
            raise ApiError(
                "ServiceUnavailableException",
                "Too many large requests are being received. Try again.",
                status=503,
                headers={"Retry-After": "1"},
            )
        if self._whole is not None:
            self._whole.take(size_bytes)
        self._left -= size_bytes

    def give_back(self, size_bytes: int) -> None:
        self._left += size_bytes
        if self._whole is not None:
            self._whole.give_back(size_bytes)


def announced_bytes(headers: Mapping[str, str]) -> int | None:
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


class BodyReader:
    """Reads one body. `held_bytes` is what it has taken from the budget; the owner gives it back."""

    def __init__(self, receive: Receive, headers: Mapping[str, str], budget: Budget) -> None:
        self._receive = receive
        self._announced = announced_bytes(headers)
        self._budget = budget
        self._chunked = "transfer-encoding" in headers
        self.awaits_continue = headers.get("expect", "").lower() == "100-continue"
        self.held_bytes = 0
        self.complete = False
        self.streaming = False
        """Somebody reads it piece by piece, and sees to it that it does not stand still."""
        self.asking = False
        """What was asked is done only as long as its client is there."""

    @property
    def worth_reading(self) -> bool:
        """Whether an unread body is small enough to be read for the sake of keeping the connection."""
        return not self._chunked and (self._announced or 0) <= DISCARDED_TO_KEEP_BYTES

    async def read(self, limit_bytes: int) -> bytes:
        """Raises `TooLarge`, `Disconnected`, `ApiError` 503."""
        if self._announced is not None and self._announced > limit_bytes:
            raise TooLarge(self._announced)
        self._hold((self._announced or 0) - SMALL_BYTES)
        message = await self._next()
        body: bytes = message["body"]
        if self.complete:
            return self._checked(body, limit_bytes)
        # Not joined at its end: 50 MB in one call would keep everybody waiting for as long as it takes.
        whole = io.BytesIO()
        size = whole.write(body)
        while not self.complete:
            message = await self._next()
            size += whole.write(message["body"])
            if size > limit_bytes:
                raise TooLarge(None)
            self._hold(size - SMALL_BYTES - self.held_bytes)
        return whole.getvalue()

    async def pieces(self, quiet_s: float = QUIET_S) -> AsyncIterator[bytes]:
        """The body as it comes; the client waits while nobody asks for more.

        Raises `Disconnected`, and `TimeoutError` when nothing comes for `quiet_s`.
        """
        self.streaming = True
        held: list[bytes] = []
        size = 0
        try:
            while not self.complete:
                async with asyncio.timeout(quiet_s):
                    message = await self._next()
                held.append(message["body"])
                size += len(message["body"])
                # Each piece costs its reader a way to a thread and back: few large ones are cheaper.
                if size >= CHUNK_BYTES or self.complete:
                    whole = held[0] if len(held) == 1 else b"".join(held)
                    held, size = [], 0
                    for start in range(0, len(whole), LONGEST_CHUNK_BYTES):
                        yield whole[start : start + LONGEST_CHUNK_BYTES]
        finally:
            self.streaming = False

    async def while_asked(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work` as long as the client of a body that was read is there; then cancel it.

        Raises Disconnected.
        """
        task = asyncio.ensure_future(work)
        both: list[asyncio.Future[Any]] = [task]
        try:
            # Most need no waiting, and nobody to look out.
            await asyncio.sleep(0)
            if not task.done():
                self.asking = True
                both.append(asyncio.ensure_future(self._hung_up()))
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise Disconnected
        finally:
            self.asking = False
            for each in both:
                each.cancel()
            await asyncio.wait(both)

    async def _hung_up(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    @property
    def announced(self) -> int | None:
        """Its length on the wire, where its client has said it."""
        return None if self._chunked else self._announced

    @property
    def is_absent(self) -> bool:
        return not self._chunked and self._announced is None

    async def discard(self) -> bool:
        """Read what is left and throw it away; False when it was too much."""
        size = 0
        while not self.complete and size < DISCARDED_BYTES:
            size += len((await self._next())["body"])
        return self.complete

    def release(self) -> None:
        self._budget.give_back(self.held_bytes)
        self.held_bytes = 0

    def _checked(self, body: bytes, limit_bytes: int) -> bytes:
        if len(body) > limit_bytes:
            raise TooLarge(None)
        return body

    def _hold(self, size_bytes: int) -> None:
        if size_bytes > 0:
            self._budget.take(size_bytes)
            self.held_bytes += size_bytes

    async def _next(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        self.complete = not message.get("more_body", False)
        message.setdefault("body", b"")
        return message
