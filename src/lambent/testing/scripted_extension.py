"""An extension made of data: it speaks the Extensions API over a real socket and does exactly what its script says."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lambent.environments.sandbox.ports import ProcessExit
from lambent.testing.scripted_runtime import Die, Exit, Hang, Reply, Say, WaitFor, write_all

API = "/2020-01-01/extension"


@dataclass(frozen=True, slots=True)
class Register:
    events: Sequence[str] = ("INVOKE", "SHUTDOWN")
    name: str | None = None
    """None: its own."""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class NextEvent:
    """GET /event/next; the reply is the current event."""


@dataclass(frozen=True, slots=True)
class Report:
    """POST an error; `phase` is `init` or `exit`."""

    phase: str
    error_type: str = "Extension.NoKey"


@dataclass(frozen=True, slots=True)
class Serve:
    """Register, then take events until SHUTDOWN, which ends it."""

    events: Sequence[str] = ("INVOKE", "SHUTDOWN")


Step = Register | NextEvent | Report | Serve | Say | Exit | Die | Hang | WaitFor
Steps = Sequence[Step]


@dataclass(slots=True)
class ScriptedExtension:
    """Runs one script against the Extensions API at `address`, writing its output to `output_fd`."""

    name: str
    script: Steps
    address: tuple[str, int]
    output_fd: int
    variables: Mapping[str, str] = field(default_factory=dict)
    note: Callable[[str], None] = lambda _text: None
    """Called with each event that it is told, for the order of things."""
    replies: list[Reply] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    identifier: str = ""
    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None

    async def run(self) -> ProcessExit:
        """Do what the script says; a script that ends exits with status 0."""
        try:
            for step in self.script:
                end = await self._do(step)
                if end is not None:
                    return end
            return ProcessExit(0, None)
        except (ConnectionError, asyncio.IncompleteReadError):
            return ProcessExit(1, None)
        finally:
            if self._writer is not None:
                self._writer.close()

    async def _do(self, step: Step) -> ProcessExit | None:
        match step:
            case Register():
                headers = (("Lambda-Extension-Name", step.name or self.name), *step.headers)
                body = json.dumps({"events": list(step.events)}).encode()
                reply = await self.call("POST", "/register", headers, body)
                self.identifier = reply.headers.get("lambda-extension-identifier", "")
            case NextEvent():
                reply = await self.call("GET", "/event/next")
                if reply.status == 200:
                    self.events.append(json.loads(reply.body))
                    self.note(f"{self.name} {self.events[-1]['eventType']}")
            case Report():
                await self.call(
                    "POST", f"/{step.phase}/error", (("Lambda-Extension-Function-Error-Type", step.error_type),)
                )
            case Serve():
                await self._do(Register(step.events))
                while not self.events or self.events[-1]["eventType"] != "SHUTDOWN":
                    await self._do(NextEvent())
            case Say():
                await asyncio.get_running_loop().run_in_executor(None, write_all, self.output_fd, step.text)
            case Exit():
                return ProcessExit(step.status, None)
            case Die():
                return ProcessExit(None, step.signal)
            case Hang():
                await asyncio.get_running_loop().create_future()
            case WaitFor():
                await step.event.wait()
        return None

    async def call(self, method: str, path: str, headers: tuple[tuple[str, str], ...] = (), body: bytes = b"") -> Reply:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(*self.address)
        if self.identifier:
            headers = (("Lambda-Extension-Identifier", self.identifier), *headers)
        head = f"{method} {API}{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers)
        self._writer.write(f"{head}\r\n".encode() + body)
        await self._writer.drain()
        first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        received = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        content = await self._reader.readexactly(int(received.get("content-length", "0")))
        self.replies.append(Reply(int(first.split(" ")[1]), received, content))
        return self.replies[-1]
