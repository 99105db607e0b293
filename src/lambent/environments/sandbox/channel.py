"""The control socket of one native sandbox, seen from the supervisor: questions, answers, and news in between.

Its end is the sandbox's end, in both directions. The first process of the sandbox answers, and after its end the
launcher says so once it has cleaned up.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress

from lambent.environments.sandbox.ports import ProcessExit
from lambent.environments.sandbox.ports import SandboxError as SandboxError
from lambent.launcher import wire
from lambent.launcher.request import RUNTIME


class SandboxGone(SandboxError):
    """The first process of the sandbox has ended, and with it all others: killed from outside, or the launcher was."""

    def __init__(self) -> None:
        super().__init__("the sandbox ended by itself")


class Channel:
    """The control socket of one sandbox: one question at a time, and news in between."""

    def __init__(self, control: socket.socket) -> None:
        control.setblocking(False)
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[tuple[wire.Message, dict[str, int]]] | None = None
        self._exits: dict[str, asyncio.Future[ProcessExit]] = {}
        self._plug: asyncio.Future[wire.Message] | None = None
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._asking = asyncio.Lock()
        self.peak_bytes_at_exit = 0
        """Of the runtime process that ended last, as the kernel kept it."""
        self._snapshot: asyncio.Future[str | None] = self._loop.create_future()
        self._loop.add_reader(control.fileno(), self._readable)

    async def start(self, order: wire.Message, timeout_s: float) -> tuple["asyncio.Future[ProcessExit]", int]:
        """Start the process `name` of the order; its end, and a descriptor of its status in /proc, the caller's."""
        name = order["name"]
        async with self._asking:
            # Before the order, so that no process is too short-lived to be seen.
            ended = self._exits[name] = self._loop.create_future()
            if name == RUNTIME:
                self.peak_bytes_at_exit = 0
            _, fds = await self._ask({"do": "start", **order}, "started", timeout_s)
        return ended, fds["status"]

    async def adopt(self, pid: int, timeout_s: float) -> "asyncio.Future[ProcessExit]":
        """Let what was restored in the sandbox be its runtime; its end."""
        async with self._asking:
            ended = self._exits[RUNTIME] = self._loop.create_future()
            self.peak_bytes_at_exit = 0
            await self._ask({"do": "adopt", "pid": pid}, "adopted", timeout_s)
        return ended

    async def ask(
        self, order: wire.Message | None, answer: str, timeout_s: float
    ) -> tuple[wire.Message, dict[str, int]]:
        """Send `order` (None: only wait) and return the answer, which must be the event of this name."""
        async with self._asking:
            return await self._ask(order, answer, timeout_s)

    async def _ask(
        self, order: wire.Message | None, answer: str, timeout_s: float
    ) -> tuple[wire.Message, dict[str, int]]:
        self._answer = self._loop.create_future()
        if order is not None:
            if self._gone.done():
                raise SandboxGone
            try:
                wire.send(self._control, order)
            except (BrokenPipeError, ConnectionResetError):
                raise SandboxGone from None
        async with asyncio.timeout(timeout_s):
            message, fds = await self._answer
        if message["event"] == "gone":
            raise SandboxGone
        if message["event"] != answer:
            raise SandboxError(message["reason"])
        return message, fds

    def expect_plug(self) -> "asyncio.Future[wire.Message]":
        """What the launcher, not the sandbox, says of the network that it was asked to connect."""
        self._plug = self._loop.create_future()
        return self._plug

    async def snapshot(self) -> str | None:
        """Of a template: None once it can be cloned, or what is in the way. Raises SandboxGone."""
        await asyncio.wait((self._snapshot, self._gone), return_when=asyncio.FIRST_COMPLETED)
        if not self._snapshot.done():
            raise SandboxGone
        return self._snapshot.result()

    def give(self, name: str, descriptor: socket.socket) -> None:
        """Hand a descriptor over, which has no answer here; it is closed on this side."""
        with descriptor, suppress(BrokenPipeError, ConnectionResetError):
            wire.send(self._control, {"do": name}, {name: descriptor.fileno()})

    def tell(self, order: wire.Message) -> None:
        """Send an order that has no answer."""
        if not self._gone.done():
            with suppress(BrokenPipeError, ConnectionResetError):
                wire.send(self._control, order)

    async def end(self) -> None:
        """Close our half, which ends the sandbox, and wait until the launcher has cleaned up after it."""
        if not self._gone.done():
            self._control.shutdown(socket.SHUT_WR)
            await self._gone
        self._control.close()

    def abandon(self) -> None:
        """Whatever may still be said here."""
        if not self._gone.done():
            self._loop.remove_reader(self._control.fileno())
        self._control.close()

    def close(self) -> None:
        """What has ended by itself."""
        self._control.close()

    def _readable(self) -> None:
        try:
            received = wire.receive(self._control)
        except BlockingIOError:
            return
        except wire.DescriptorsLost as error:
            self._answered({"event": "failed", "reason": str(error)}, {})
            return
        except ConnectionResetError:
            received = None
        message, fds = received if received is not None else ({"event": "gone", "code": None}, {})
        if message["event"] == "exited":
            name, code = message["name"], message["code"]
            if name == RUNTIME:
                self.peak_bytes_at_exit = message["peak_bytes"]
            self._exited(name, ProcessExit(code, None) if code >= 0 else ProcessExit(None, -code))
        elif message["event"] in ("plugged", "not_plugged"):
            self._plugged(message)
        elif message["event"] == "snapshot":
            if not self._snapshot.done():
                self._snapshot.set_result(message["reason"])
        elif message["event"] == "gone":
            self._plugged({"event": "not_plugged", "reason": "the sandbox ended by itself", "kind": "SandboxGone"})
            self._loop.remove_reader(self._control.fileno())
            self._gone.set_result(None)
            for name in self._exits:
                self._exited(name, ProcessExit(None, 9))
            self._answered(message, fds)
        else:
            self._answered(message, fds)

    def when_gone(self, action: Callable[[], None]) -> None:
        self._gone.add_done_callback(lambda _: action())

    def _exited(self, name: str, how: ProcessExit) -> None:
        if (ended := self._exits.get(name)) is not None and not ended.done():
            ended.set_result(how)

    def _plugged(self, message: wire.Message) -> None:
        if self._plug is not None and not self._plug.done():
            self._plug.set_result(message)

    def _answered(self, message: wire.Message, fds: dict[str, int]) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((message, fds))
        else:
            for fd in fds.values():
                os.close(fd)
