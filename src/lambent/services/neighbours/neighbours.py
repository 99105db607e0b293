"""Services that are not ours, as the gateway calls them: `aws.outside.Outside` over moto's process.

Owns when that process runs: from the first call on, again after its end. What was in its memory is lost with it.
"""

import asyncio
import logging
from functools import partial
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary

from lambent.aws.caller import Caller
from lambent.aws.errors import ApiError
from lambent.aws.outside import REPLY_BYTES, OutsideReply, OutsideRequest, UnknownService, path_with_bucket
from lambent.services.neighbours import frames
from lambent.services.neighbours.foreign import refuse_foreign
from lambent.services.neighbours.iam import IamOverRestarts, Repeat
from lambent.services.neighbours.process import MotoProcess, ProcessEnded
from lambent.services.neighbours.refused import refuse

logger = logging.getLogger(__name__)

_DROPPED: Final = frozenset({"date", "server", "connection", "transfer-encoding", "keep-alive", "x-amzn-requestid"})
"""Of a reply: what belongs to a connection, or is the gateway's to say."""

MEMORY_BYTES: Final = 1024**3
"""moto itself takes a fifth of it."""
AT_ONE_TIME: Final = 128
"""Requests of one access key; more of them wait. Each environment of a function has a key of its own."""


class Neighbours:
    def __init__(self, scratch: Path, iam: IamOverRestarts, *, memory_bytes: int = MEMORY_BYTES) -> None:
        self._scratch = scratch
        self._memory_bytes = memory_bytes
        self._iam = iam
        self.caller: Caller | None = None
        """Reaches the queues and functions that moto's services deliver to. Given once it is made: it needs this."""
        self.buckets = False
        """Whether S3 is not moto's either."""
        self._process: MotoProcess | None = None
        self._starting = asyncio.Lock()
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def load(self) -> None:
        """At the start of the server. Starts no process."""
        self._iam.load()

    async def forward(self, request: OutsideRequest) -> OutsideReply:
        refuse(request)
        refuse_foreign(request)
        async with self._turn_of(request.access_key_id):
            return await self._forward_again(request)

    def _turn_of(self, access_key_id: str) -> asyncio.Semaphore:
        """Some requests wait for 20 seconds: those of one caller must not take the place of all others."""
        turn = self._turns.get(access_key_id)
        if turn is None:
            turn = self._turns[access_key_id] = asyncio.Semaphore(AT_ONE_TIME)
        return turn

    async def _forward_again(self, request: OutsideRequest) -> OutsideReply:
        try:
            return await self._forward(request)
        except ProcessEnded:
            # Whatever the request had done was in the memory that is gone: doing it again does it once.
            try:
                return await self._forward(request)
            except ProcessEnded as error:
                text = f"The process that answers {request.service} ended. Its state is lost; try again."
                raise ApiError("ServiceUnavailable", text, status=503) from error

    async def _forward(self, request: OutsideRequest) -> OutsideReply:
        process = await self._running()
        ask = partial(_ask, process)
        if request.service == "iam":
            return await self._iam.forward(request, ask, process.kill)
        return await ask(request, {})

    def processes(self) -> list[int]:
        """Ids of the processes that run now: none before the first call."""
        return [] if self._process is None or self._process.ended else [self._process.pid]

    def kept_writes(self) -> int:
        """How many requests of IAM are done again after a restart."""
        return self._iam.kept

    async def reset(self) -> None:
        """Forget everything of every service."""
        async with self._starting:
            await self._iam.reset()
            await self._end()

    async def close(self) -> None:
        async with self._starting:
            await self._end()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await process.close()

    async def _running(self) -> MotoProcess:
        if self._process is not None and not self._process.ended:
            return self._process
        async with self._starting:
            if self._process is not None and self._process.ended:
                logger.warning("moto's process has ended; the state of all services but IAM is lost. It starts again.")
                await self._end()
            if self._process is None:
                self._scratch.mkdir(mode=0o700, exist_ok=True)
                process = await MotoProcess.start(self._scratch, self._memory_bytes, self.caller, buckets=self.buckets)
                try:
                    await self._iam.replay(partial(_ask, process))
                except BaseException:
                    # Also of a caller who gives up meanwhile: nobody else knows this process.
                    process.kill()
                    raise
                self._process = process
            return self._process


async def _ask(process: MotoProcess, request: OutsideRequest, repeat: Repeat) -> OutsideReply:
    """Raises `ProcessEnded`, and what moto's failure becomes."""
    head, body = await process.call({**_head(request), **repeat}, request.body)
    failure = head.get("failure")
    if failure is not None:
        raise _refused(failure, head, request)
    if len(body) > REPLY_BYTES:
        text = f"Replies of more than {REPLY_BYTES} bytes are not passed on. Read the object in ranges."
        raise ApiError("NotImplementedException", text, status=501)
    return OutsideReply(head["status"], _kept(head["headers"], request.method), body)


def _head(request: OutsideRequest) -> frames.Head:
    # moto reads the key with a pattern of its own, and splits at slashes.
    key = request.access_key_id if request.access_key_id.isalnum() else "unknown"
    credential = f"{key}/20260101/{request.region}/{request.service}/aws4_request"
    return {
        "service": request.service,
        "account": request.account,
        "region": request.region,
        "authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0",
        "method": request.method,
        "path": path_with_bucket(request),
        "query": request.query,
        "headers": request.headers,
    }


def _kept(headers: list[tuple[str, str]], method: str) -> list[tuple[str, str]]:
    # The length of a body is the gateway's to say; to HEAD it is the length of what GET would bring.
    dropped = _DROPPED if method == "HEAD" else _DROPPED | {"content-length"}
    return [(name, str(value)) for name, value in headers if name.lower() not in dropped]


def _refused(failure: str, head: dict[str, Any], request: OutsideRequest) -> Exception:
    if failure == "unknown":
        return UnknownService(request.service)
    if failure == "not built":
        text = f"{request.service} is answered by moto, which has not built this: {head['message']}"
        return ApiError("NotImplementedException", text, status=501)
    if failure == "undelivered":
        text = f"{request.service} could not deliver to its targets; try again. {head['message']}"
        return ApiError("ServiceUnavailable", text, status=503)
    text = f"moto, which answers {request.service}, failed: {head['message']}"
    return ApiError("InternalFailure", text, status=500)
