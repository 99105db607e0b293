"""A sandbox that the launcher has built and somebody's code runs in.

This side has no privileges, only what it was handed: limits and measurements go through descriptors that came with the
sandbox; starting and killing through its control socket, whose end is the sandbox's end.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence

from lambent.environments.sandbox.channel import Channel, SandboxGone
from lambent.environments.sandbox.control_group import ControlGroup
from lambent.environments.sandbox.ports import ProcessExit, SandboxSpec
from lambent.environments.sandbox.revival import GO, Revived
from lambent.launcher.request import EXTENSION, RUNTIME
from lambent.launcher.wire import LINE, START_FD
from lambent.runtimes.layout import AWS_LAYOUT, Command, RenderCommand

LAYOUT = AWS_LAYOUT
_START_TIMEOUT_S = 10.0
_KILL_TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 5.0


class NativeSandbox:
    layout = LAYOUT

    def __init__(
        self,
        spec: SandboxSpec,
        channel: Channel,
        fds: Mapping[str, int],
        stopped: "Callable[[NativeSandbox], None]",
        number: int,
    ) -> None:
        self.number = number
        """By which the launcher knows it."""
        self._spec = spec
        self._stopped = stopped
        self._channel = channel
        self.runtime_api: Sequence[socket.socket] = _listeners(fds, "runtime_api.")
        self._has_line = any(each.family == socket.AF_UNIX for each in self.runtime_api)
        self.aws_endpoint: Sequence[socket.socket] = _listeners(fds, "aws_endpoint.")
        self.output_fd = fds["output"]
        self.extension_output_fd = fds["extension_output"]
        self.network_missing: str | None = None
        """Why it was not connected with the network of its spec."""
        self.revived: Revived | None = None
        """What was restored in it by CRIU and stands still, until `start`."""
        self._was_revived = False
        self.saved = False
        """Its runtime is on disk, for others to restore."""
        self.clones: set[NativeSandbox] = set()
        """Of its runtime, which end with this sandbox."""
        self._clone_ended = asyncio.Event()
        self._fds = fds
        self._group = ControlGroup(fds)
        self._oom_kills_before = 0
        self._ran_out = False
        self._ended: asyncio.Future[ProcessExit] | None = None
        self._extensions: dict[str, asyncio.Future[ProcessExit]] = {}
        self._oom_event = fds.get("oom_event")
        if self._oom_event is not None:
            asyncio.get_running_loop().add_reader(self._oom_event, self._memory_ran_out, self._oom_event)
        channel.when_gone(self.thaw)  # What v1 has frozen cannot die.
        self._stopping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._ended is not None and not self._ended.done():
            raise RuntimeError("the runtime process of this sandbox is still running")
        self._oom_kills_before = self._group.oom_kills()
        self._ran_out = False
        if self._was_revived:
            raise RuntimeError("a restored runtime starts once")
        if self.revived is not None:
            self._was_revived = True
            await self._go_on(self.revived)
            return
        command = self._spec.command(self.layout)
        self._ended, status = await self._start(RUNTIME, command, self.layout.task)
        self._group.memory.restart(status)

    async def _go_on(self, revived: Revived) -> None:
        self._ended = await self._channel.adopt(revived.pid, _START_TIMEOUT_S)
        self.revived = None
        os.write(revived.go, GO)
        os.close(revived.go)
        self._channel.tell({"do": "signal", "name": RUNTIME, "number": signal.SIGCONT})
        self._group.memory.restart(revived.status)

    def take_revived(self, revived: Revived, output: int) -> None:
        """With an output of its own, since what it wrote to was saved with it."""
        os.close(self.output_fd)
        self._fds = {**self._fds, "output": output}
        self.output_fd = output
        self.revived = revived

    async def _start(self, name: str, command: Command, folder: str) -> tuple[asyncio.Future[ProcessExit], int]:
        template, image = (name == RUNTIME and each for each in (self._spec.template, self._spec.image))
        waits = {"_LAMBENT_TEMPLATE_FD": str(START_FD)} if template else {}
        if image:
            waits = {"_LAMBENT_IMAGE_FD": str(START_FD)}
        if name == RUNTIME and self._has_line and self._spec.runtime is not None:
            waits["_LAMBENT_LINE"] = LINE
        order = {
            "name": name,
            "argv": command.argv,
            "variables": {**command.variables, **waits},
            "folder": folder,
            "open_files": self._spec.max_open_files,
            "must_exec": self._spec.must_exec,
            "template": template,
            "image": image,
        }
        return await self._channel.start(order, _START_TIMEOUT_S)

    async def exited(self) -> ProcessExit:
        if self._ended is None:
            raise RuntimeError("the runtime process of this sandbox was never started")
        return await asyncio.shield(self._ended)

    def forget_clone(self, clone: "NativeSandbox") -> None:
        self.clones.discard(clone)
        self._clone_ended.set()

    def outlived_by(self, template: "NativeSandbox") -> None:
        """That one does not stop before this one has."""
        stopped = self._stopped

        def both(sandbox: NativeSandbox) -> None:
            stopped(sandbox)
            template.forget_clone(sandbox)

        self._stopped = both
        template.clones.add(self)

    @property
    def memory_mb(self) -> int:
        return self._spec.memory_mb

    def end_runtime(self) -> None:
        self._channel.tell({"do": "signal", "name": RUNTIME, "number": signal.SIGKILL})

    async def snapshot(self) -> str | None:
        return await self._channel.snapshot()

    def hand_over(self, finisher: socket.socket) -> None:
        """Of a template: let it know the finisher of a clone."""
        self._channel.give("finisher", finisher)

    async def start_extension(self, name: str, command: RenderCommand) -> None:
        running = self._extensions.get(name)
        if running is not None and not running.done():
            raise RuntimeError(f"the extension {name} of this sandbox is still running")
        self._extensions[name], status = await self._start(EXTENSION + name, command(self.layout), "/")
        os.close(status)

    async def extension_exited(self, name: str) -> ProcessExit:
        return await asyncio.shield(self._extensions[name])

    def terminate(self, name: str | None = None, *, force: bool = False) -> None:
        target = RUNTIME if name is None else EXTENSION + name
        number = signal.SIGKILL if force else signal.SIGTERM
        self._channel.tell({"do": "signal", "name": target, "number": number})

    async def connect(self, port: int) -> socket.socket:
        message, fds = await self._channel.ask({"do": "connect", "port": port}, "connected", _CONNECT_TIMEOUT_S)
        if "connection" not in fds:
            raise OSError(message["errno"], os.strerror(message["errno"]))
        connection = socket.socket(fileno=fds["connection"])
        try:
            await _connected(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    async def kill(self) -> bool:
        self.limit_cpu(None)  # A throttled process takes long to die.
        self.thaw()
        try:
            await self._channel.ask({"do": "kill", "answer": True}, "killed", _KILL_TIMEOUT_S)
        except SandboxGone:
            return False
        return not self._was_revived

    def _memory_ran_out(self, event: int) -> None:
        """v1 has killed, or is about to kill, one process; as on AWS all of them end. Sent at once, so that it cannot
        reach a runtime that is started later."""
        os.eventfd_read(event)
        if self._ended is not None and not self._ended.done():
            self._ran_out = True  # Our kill may come before the kernel counts its own.
            self.limit_cpu(None)
            self._channel.tell({"do": "kill", "answer": False})

    def freeze(self) -> None:
        self._group.freeze(True)

    def thaw(self) -> None:
        self._group.freeze(False)

    def limit_cpu(self, cpus: float | None) -> None:
        self._group.limit_cpu(cpus)

    def memory_peak_bytes(self) -> int:
        if self._ended is not None and self._ended.done():
            self._group.memory.raise_to(self._channel.peak_bytes_at_exit)
        return self._group.memory.measure()

    def sample_memory(self) -> None:
        self._group.memory.sample()

    def processes(self) -> list[int]:
        """Pids of the function's processes, as the host counts them; empty where there are no cgroups."""
        return self._group.processes()

    def out_of_memory(self) -> bool:
        return self._ran_out or self._group.oom_kills() > self._oom_kills_before

    async def stop(self) -> None:
        if self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        self.limit_cpu(None)
        self.thaw()
        if self.clones:
            self.end_runtime()
        while self.clones:
            self._clone_ended.clear()
            await self._clone_ended.wait()
        if self._oom_event is not None:
            asyncio.get_running_loop().remove_reader(self._oom_event)
        for listener in (*self.runtime_api, *self.aws_endpoint):
            listener.close()
        await self._channel.end()
        self._group.close()
        if self.revived is not None:
            self.revived.close()
        fds, self._fds = self._fds, {}
        for name, fd in fds.items():
            if not name.startswith(("runtime_api.", "aws_endpoint.")):
                os.close(fd)
        self._stopped(self)


async def _connected(connection: socket.socket) -> None:
    """Wait for a connection that another process has begun."""
    loop = asyncio.get_running_loop()
    writable = asyncio.Event()
    loop.add_writer(connection, writable.set)
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            await writable.wait()
    finally:
        loop.remove_writer(connection)
    if (code := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) != 0:
        raise OSError(code, os.strerror(code))


def _listeners(fds: Mapping[str, int], prefix: str) -> Sequence[socket.socket]:
    return tuple(socket.socket(fileno=fd) for name, fd in fds.items() if name.startswith(prefix))
