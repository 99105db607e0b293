"""Sandboxes without isolation: loopback sockets, a pipe and a ScriptedRuntime instead of processes."""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping, Sequence

from lambent.environments.ports import ProcessExit, SandboxSpec
from lambent.runtimes.layout import Layout
from lambent.testing.scripted_runtime import Script, ScriptedRuntime


def _listen() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    listener.setblocking(False)
    return listener


class FakeSandbox:
    """Implements `environments.ports.Sandbox`. What was done to it is in `starts`, `kills`, `cpus`, `frozen`."""

    def __init__(self, spec: SandboxSpec, scripts: Sequence[Script]) -> None:
        self.spec = spec
        self.scripts = scripts
        self.runtime_api: Sequence[socket.socket] = (_listen(),)
        self.aws_endpoint: Sequence[socket.socket] = ()
        self.output_fd, self._output_write = os.pipe()
        os.set_blocking(self.output_fd, False)
        host, port = self.runtime_api[0].getsockname()
        self._address = (host, port)
        self.layout = Layout(
            task="/var/task",
            runtime="/var/runtime",
            lang="/var/lang",
            opt="/opt",
            tmp="/tmp",
            runtime_api=f"{host}:{port}",
            aws_endpoint_url="",
        )
        self.runtimes: list[ScriptedRuntime] = []
        self.kills = 0
        self.frozen = False
        self.freezes = 0
        self.cpus: float | None = None
        self.peak_bytes = 35 * 1024 * 1024
        self.stopped = False
        self._process: asyncio.Task[ProcessExit] | None = None
        self._exit: asyncio.Future[ProcessExit] | None = None

    @property
    def starts(self) -> int:
        return len(self.runtimes)

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        script = self.scripts[min(self.starts, len(self.scripts) - 1)]
        runtime = ScriptedRuntime(script, self._address, self._output_write)
        self.runtimes.append(runtime)
        self._exit = loop.create_future()
        self._process = loop.create_task(runtime.run())
        self._process.add_done_callback(self._ended)

    def _ended(self, process: asyncio.Task[ProcessExit]) -> None:
        if self._exit is not None and not self._exit.done():
            self._exit.set_result(ProcessExit(None, 9) if process.cancelled() else process.result())

    async def exited(self) -> ProcessExit:
        assert self._exit is not None
        return await asyncio.shield(self._exit)

    async def kill(self) -> bool:
        assert not self.frozen, "a frozen tree is thawed before it is killed"
        self.kills += 1
        await self._end()
        return True

    async def _end(self) -> None:
        if self._process is not None and not self._process.done():
            self._process.cancel()
            await asyncio.wait({self._process})

    def freeze(self) -> None:
        self.frozen = True
        self.freezes += 1

    def thaw(self) -> None:
        self.frozen = False

    def limit_cpu(self, cpus: float | None) -> None:
        self.cpus = cpus

    def memory_peak_bytes(self) -> int:
        return self.peak_bytes

    def out_of_memory(self) -> bool:
        return bool(self.runtimes) and self.runtimes[-1].out_of_memory

    async def stop(self) -> None:
        if self.stopped:
            return
        self.stopped = True
        await self._end()
        os.close(self._output_write)
        os.close(self.output_fd)
        for listener in self.runtime_api:
            listener.close()


class FakeDriver:
    """Implements `environments.ports.SandboxDriver`; `scripts` gives the scripts of each new sandbox, in order."""

    name = "fake"
    guarantees: Mapping[str, bool] = {}

    def __init__(self, scripts: Callable[[int], Sequence[Script]] | Sequence[Script]) -> None:
        self.scripts = scripts
        self.sandboxes: list[FakeSandbox] = []

    async def create(self, spec: SandboxSpec) -> FakeSandbox:
        scripts = self.scripts(len(self.sandboxes)) if callable(self.scripts) else self.scripts
        sandbox = FakeSandbox(spec, scripts)
        self.sandboxes.append(sandbox)
        return sandbox

    async def close(self) -> None:
        for sandbox in self.sandboxes:
            await sandbox.stop()
