"""A runtime made of data: it speaks the Runtime API over a real socket and does exactly what its script says.

One script per start of the process; the last one repeats for every further start (after a Reset).
"""

import asyncio
import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lambent.environments.sandbox.ports import ProcessExit

API = "/2018-06-01/runtime"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the Runtime API answered."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Next:
    """GET /next; its reply is the current event."""


@dataclass(frozen=True, slots=True)
class Respond:
    """POST the response; None echoes the event. `then_next` pipelines GET /next in the same write."""

    body: bytes | None = None
    request_id: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    then_next: bool = False


@dataclass(frozen=True, slots=True)
class Fail:
    """POST the error."""

    body: bytes = b'{"errorMessage":"boom","errorType":"ValueError","requestId":"","stackTrace":[]}'
    error_type: str | None = "Function.ValueError"
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class FailInit:
    body: bytes = b'{"errorMessage":"boom","errorType":"Runtime.ImportModuleError","requestId":"","stackTrace":[]}'
    error_type: str | None = "Runtime.ImportModuleError"


@dataclass(frozen=True, slots=True)
class Say:
    """Write to stdout."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Send:
    """Raw bytes on the connection; the reply, if any, is not read."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Begin:
    """POST the head of a response that is streamed."""

    content_type: str = "text/plain"


@dataclass(frozen=True, slots=True)
class Chunk:
    data: bytes


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a streamed response."""

    trailers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Exit:
    status: int = 0


@dataclass(frozen=True, slots=True)
class Die:
    """End by a signal; `out_of_memory` also raises the kernel's flag."""

    signal: int = 9
    out_of_memory: bool = False


@dataclass(frozen=True, slots=True)
class Hang:
    """Do nothing until killed."""


@dataclass(frozen=True, slots=True)
class Echo:
    """Answer every event with itself, pipelined, forever."""


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Go on when the test sets the event."""

    event: asyncio.Event


@dataclass(frozen=True, slots=True)
class Obey:
    """Take events forever; the JSON text of each event names an entry of `moods`, whose actions are done.

    `Next` is implied after the actions, unless one of them ends the process.
    """

    moods: Mapping[str, "Script"]


Action = (
    Obey | Next | Respond | Fail | FailInit | Say | Send | Begin | Chunk | Finish | Exit | Die | Hang | Echo | WaitFor
)
Script = Sequence[Action]


@dataclass(slots=True)
class ScriptedRuntime:
    """Runs one script against the Runtime API at `address`, writing its output to `output_fd`."""

    script: Script
    address: tuple[str, int]
    output_fd: int
    replies: list[Reply] = field(default_factory=list)
    events: list[Reply] = field(default_factory=list)
    out_of_memory: bool = False
    hangs: asyncio.Event = field(default_factory=asyncio.Event)
    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None

    async def run(self) -> ProcessExit:
        """Do what the script says; a script that ends exits with status 0."""
        try:
            for action in self.script:
                end = await self._do(action)
                if end is not None:
                    return end
            return ProcessExit(0, None)
        except (ConnectionError, asyncio.IncompleteReadError):
            return ProcessExit(1, None)
        finally:
            if self._writer is not None:
                self._writer.close()

    async def _do(self, action: Action) -> ProcessExit | None:
        match action:
            case Next():
                await self._send(b"GET " + f"{API}/invocation/next".encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n")
                self.events.append(await self._read())
            case Respond():
                await self._respond(action)
            case Fail():
                headers = (("Lambda-Runtime-Function-Error-Type", action.error_type),) if action.error_type else ()
                await self._post(f"/invocation/{action.request_id or self._request_id}/error", action.body, headers)
            case FailInit():
                headers = (("Lambda-Runtime-Function-Error-Type", action.error_type),) if action.error_type else ()
                await self._post("/init/error", action.body, headers)
            case Say():
                await asyncio.get_running_loop().run_in_executor(None, write_all, self.output_fd, action.text)
            case Send():
                await self._send(action.data)
            case Begin():
                await self._begin(action.content_type)
            case Chunk():
                await self._send(b"%x\r\n%b\r\n" % (len(action.data), action.data))
            case Finish():
                lines = "".join(f"{name}: {value}\r\n" for name, value in action.trailers)
                await self._send(f"0\r\n{lines}\r\n".encode())
                self.replies.append(await self._read())
            case Exit():
                return ProcessExit(action.status, None)
            case Die():
                self.out_of_memory = action.out_of_memory
                return ProcessExit(None, action.signal)
            case Hang():
                self.hangs.set()
                await asyncio.get_running_loop().create_future()
            case WaitFor():
                await action.event.wait()
            case Obey():
                await self._do(Next())
                while True:
                    for step in action.moods[json.loads(self.events[-1].body)]:
                        end = await self._do(step)
                        if end is not None:
                            return end
                    await self._do(Next())
            case Echo():
                await self._do(Next())
                while True:
                    await self._respond(Respond(then_next=True))
        return None

    async def _respond(self, action: Respond) -> None:
        body = self.events[-1].body if action.body is None else action.body
        path = f"/invocation/{action.request_id or self._request_id}/response"
        if not action.then_next:
            await self._post(path, body, action.headers)
            return
        next_request = f"GET {API}/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        await self._send(_post(path, body, action.headers) + next_request)
        self.replies.append(await self._read())
        self.events.append(await self._read())

    async def _begin(self, content_type: str) -> None:
        await self._send(
            f"POST {API}/invocation/{self._request_id}/response HTTP/1.1\r\nHost: x\r\n"
            f"Content-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n"
            "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
            "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n".encode()
        )

    @property
    def _request_id(self) -> str:
        return self.events[-1].headers["lambda-runtime-aws-request-id"]

    async def _post(self, path: str, body: bytes, headers: tuple[tuple[str, str], ...]) -> None:
        await self._send(_post(path, body, headers))
        self.replies.append(await self._read())

    async def _send(self, data: bytes) -> None:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(*self.address, limit=16 * 1024 * 1024)
            self._writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._writer.write(data)
        await self._writer.drain()

    async def _read(self) -> Reply:
        assert self._reader is not None
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return Reply(int(first.split(" ")[1]), headers, body)


def _post(path: str, body: bytes, headers: tuple[tuple[str, str], ...]) -> bytes:
    head = f"POST {API}{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    return (head + "".join(f"{name}: {value}\r\n" for name, value in headers) + "\r\n").encode() + body


def write_all(fd: int, data: bytes) -> None:
    """Write like a process does: block until the reader has taken everything."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
