"""moto's process as the server sees it: started, asked, watched, ended.

The only way in is one end of a socket pair, which no other user and no function can reach. Calls share it; each has a
number, and replies come in any order.
"""

import asyncio
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any, Final, Self

import orjson

from lambent.aws.caller import Caller
from lambent.core import tasks
from lambent.services.neighbours import carried, frames

logger = logging.getLogger(__name__)

END_S: Final = 5.0
LOG_LINE_BYTES: Final = 65_536
LOG_LINES: Final = 500
LOG_S: Final = 60.0
READ_AHEAD_BYTES: Final = 1_048_576
ENVIRONMENT: Final = {
    "MOTO_ALLOW_NONEXISTENT_REGION": "true",
    "MOTO_DISABLE_GLOBAL_CORS": "true",
    # The gateway has put the bucket of a host name into the path.
    "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true",
    # Bucket policies are not evaluated, so an account sees its own buckets alone.
    "MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS": "false",
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    # Nothing in there may look for credentials of this machine.
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "PYTHONDONTWRITEBYTECODE": "1",
}


class LineLimit:
    """So many lines of the log in a minute; a caller can make moto write one for each request."""

    def __init__(self, lines: int = LOG_LINES) -> None:
        self._lines = lines
        self._since = 0.0
        self._written = 0

    def admit(self, now: float) -> bool | None:
        """None for the first line that is left out."""
        if now - self._since >= LOG_S:
            self._since, self._written = now, 0
        self._written += 1
        return True if self._written <= self._lines else None if self._written == self._lines + 1 else False


class ProcessEnded(Exception):
    """The process ended before it answered."""


class MotoProcess:
    """Made by `start`. Once `ended`, it answers nothing more."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        caller: Caller | None,
    ) -> None:
        self._process = process
        self._caller = caller
        self._reader = reader
        self._writer = writer
        self._writing = asyncio.Lock()
        self._waiting: dict[int, asyncio.Future[tuple[dict[str, Any], bytes]]] = {}
        self._accounts: set[str] = set()
        """Whose requests it was asked."""
        self._calls = 0
        self.ended = False
        self._tasks = [
            tasks.detach("replies of moto", self._read_replies()),
            tasks.detach("log of moto", self._read_log()),
        ]

    @classmethod
    async def start(
        cls, scratch: Path, memory_bytes: int, caller: Caller | None = None, *, buckets: bool = False
    ) -> Self:
        """`scratch`: a folder for what moto does not keep in memory; its files have no names. Once it holds more than
        `memory_bytes`, the process ends. `caller` makes the calls that it asks for; without one none is made.
        `buckets`: those of S3 are reached by them, too."""
        ours, theirs = socket.socketpair()
        with theirs:
            environ = {
                name: value
                for name, value in os.environ.items()
                if name in ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")
            }
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "lambent.services.neighbours.child",
                str(theirs.fileno()),
                str(memory_bytes),
                *(["buckets"] if buckets else []),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                limit=LOG_LINE_BYTES,
                env={**environ, **ENVIRONMENT, "TMPDIR": str(scratch), "HOME": str(scratch)},
                cwd=scratch,
                start_new_session=True,
            )
        reader, writer = await asyncio.open_connection(sock=ours, limit=READ_AHEAD_BYTES)
        return cls(process, reader, writer, caller)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def call(self, head: frames.Head, body: bytes) -> tuple[dict[str, Any], bytes]:
        """The head and body of the reply. Raises `ProcessEnded`."""
        if self.ended:
            raise ProcessEnded
        self._calls += 1
        number = self._calls
        future: asyncio.Future[tuple[dict[str, Any], bytes]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        self._accounts.add(head["account"])
        try:
            await self._write({"id": number, **head}, body)
            return await future
        finally:
            self._waiting.pop(number, None)

    async def _write(self, head: frames.Head, body: bytes) -> None:
        async with self._writing:
            self._writer.write(frames.opening(head, len(body)))
            if body:
                self._writer.write(body)
            try:
                await self._writer.drain()
            except ConnectionError:
                # Who reads the replies sees the end too, and says so to everybody.
                pass

    async def _answer(self, head: frames.Head, body: bytes) -> None:
        reply, content = await carried.answer(self._caller, head, body, self._accounts)
        if not self.ended:
            await self._write({"called": head["call"], **reply}, content)

    def kill(self) -> None:
        """End it without waiting."""
        self.ended = True
        if self._process.returncode is None:
            self._process.kill()
        self._writer.close()

    async def close(self) -> None:
        """End the process; what it was asked is answered with `ProcessEnded`."""
        self._writer.close()
        try:
            async with asyncio.timeout(END_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _read_replies(self) -> None:
        try:
            while True:
                head_bytes, body_bytes = frames.SIZES.unpack(await self._reader.readexactly(frames.SIZES.size))
                head = orjson.loads(await self._reader.readexactly(head_bytes))
                body = await self._reader.readexactly(body_bytes)
                if "call" in head:
                    tasks.detach(f"{head['service']} {head['operation']} for moto", self._answer(head, body))
                    continue
                future = self._waiting.get(head["id"])
                if future is not None and not future.done():
                    future.set_result((head, body))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.ended = True
            self._writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ProcessEnded())

    async def _read_log(self) -> None:
        assert self._process.stdout is not None
        limit, clock = LineLimit(), asyncio.get_running_loop()
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:
                # A line without an end; what was read of it is gone.
                continue
            if not line:
                return
            admitted = limit.admit(clock.time())
            if admitted:
                logger.warning("moto: %s", line.decode(errors="replace").rstrip())
            elif admitted is None:
                logger.warning("moto: more than %d lines in a minute; the others are left out", LOG_LINES)
