"""Sandboxes without isolation: loopback sockets, a pipe and a ScriptedRuntime instead of processes."""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping, Sequence

from lambent.environments.events import HowStarted
from lambent.environments.sandbox.channel import SandboxGone
from lambent.environments.sandbox.ports import Preparation, ProcessExit, Sandbox, SandboxError, SandboxSpec
from lambent.runtimes.layout import Command, Layout, RenderCommand, RuntimeStart
from lambent.testing.scripted_extension import ScriptedExtension, Steps
from lambent.testing.scripted_runtime import Script, ScriptedRuntime


def _listen() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    listener.setblocking(False)
    return listener


class FakeSandbox:
    """Implements `environments.ports.Sandbox`. What was done to it is in `starts`, `kills`, `cpus`, `frozen`,
    `extensions`, `terminated`. An extension runs its entry of `extension_scripts`; without one, until the test calls
    `end_extension`, or `kill`. One whose script is an error cannot be started."""

    def __init__(
        self,
        spec: SandboxSpec,
        scripts: Sequence[Script],
        extension_scripts: "Mapping[str, Steps | SandboxError] | None" = None,
        note: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.spec = spec
        self.scripts = scripts
        self.extension_scripts = extension_scripts or {}
        self.ignores_sigterm = False
        """The runtime does; else it dies of it."""
        self.runtime_api: Sequence[socket.socket] = (_listen(),)
        self.aws_endpoint: Sequence[socket.socket] = ()
        self.network_missing: str | None = None
        self.output_fd, self._output_write = os.pipe()
        os.set_blocking(self.output_fd, False)
        self.extension_output_fd, self.extension_output_write = os.pipe()
        os.set_blocking(self.extension_output_fd, False)
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
        self.extensions: dict[str, Command] = {}
        self.scripted: dict[str, list[ScriptedExtension]] = {}
        """By name, one for each start."""
        self.terminated: list[tuple[str, bool]] = []
        """(`runtime` or name of an extension, by force)."""
        self._note = note
        self._extension_exits: dict[str, asyncio.Future[ProcessExit]] = {}
        self._extension_tasks: dict[str, asyncio.Task[ProcessExit]] = {}
        self.kills = 0
        self.frozen = False
        self.freezes = 0
        self.cpus: float | None = None
        self.peak_bytes = 35 * 1024 * 1024
        self.stopped = False
        self.was_started = asyncio.Event()
        self.obstacle: str | None = None
        """Of a template, which can be cloned once its script hangs: why it cannot."""
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
        self.was_started.set()
        self._note("runtime starts")
        self._exit = loop.create_future()
        self._process = loop.create_task(runtime.run())
        self._process.add_done_callback(self._ended)

    def _ended(self, process: asyncio.Task[ProcessExit]) -> None:
        if self._exit is not None and not self._exit.done():
            self._exit.set_result(ProcessExit(None, 9) if process.cancelled() else process.result())

    async def exited(self) -> ProcessExit:
        assert self._exit is not None
        return await asyncio.shield(self._exit)

    async def start_extension(self, name: str, command: RenderCommand) -> None:
        script = self.extension_scripts.get(name)
        if isinstance(script, SandboxError):
            raise script
        loop = asyncio.get_running_loop()
        rendered = self.extensions[name] = command(self.layout)
        self._extension_exits[name] = loop.create_future()
        self._note(f"{name} starts")
        if script is not None:
            extension = ScriptedExtension(
                name, script, self._address, self.extension_output_write, rendered.variables, self._note
            )
            self.scripted.setdefault(name, []).append(extension)
            task = self._extension_tasks[name] = loop.create_task(extension.run())
            task.add_done_callback(lambda done: self._extension_ended(name, done))

    def _extension_ended(self, name: str, task: asyncio.Task[ProcessExit]) -> None:
        how = ProcessExit(None, 9) if task.cancelled() else task.result()
        self._note(f"{name} ends")
        self.end_extension(name, how)

    async def extension_exited(self, name: str) -> ProcessExit:
        return await asyncio.shield(self._extension_exits[name])

    def end_extension(self, name: str, how: ProcessExit | None = None) -> None:
        if not (ended := self._extension_exits[name]).done():
            ended.set_result(how or ProcessExit(0, None))

    def terminate(self, name: str | None = None, *, force: bool = False) -> None:
        assert not self.frozen, "a frozen tree is thawed before it is told to end"
        self.terminated.append((name or "runtime", force))
        self._note(f"{'SIGKILL' if force else 'SIGTERM'} to {name or 'runtime'}")
        if name is not None:
            if force and (task := self._extension_tasks.get(name)) is not None:
                task.cancel()
        elif self._process is not None and not self._process.done() and (force or not self.ignores_sigterm):
            assert self._exit is not None
            if not self._exit.done():
                self._exit.set_result(ProcessExit(None, 9 if force else 15))
            self._process.cancel()

    def end_runtime(self) -> None:
        if self._process is not None:
            self._process.cancel()

    async def snapshot(self) -> str | None:
        await self.was_started.wait()
        await self.runtimes[-1].hangs.wait()
        return self.obstacle

    async def connect(self, port: int) -> socket.socket:
        connection = socket.socket()
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        except BaseException:
            connection.close()
            raise
        return connection

    async def kill(self) -> bool:
        assert not self.frozen, "a frozen tree is thawed before it is killed"
        self.kills += 1
        await self._end()
        return True

    async def _end(self) -> None:
        for task in self._extension_tasks.values():
            task.cancel()
        if self._extension_tasks:
            await asyncio.wait(self._extension_tasks.values())
        for name in self._extension_exits:
            self.end_extension(name, ProcessExit(None, 9))
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

    def sample_memory(self) -> None:
        self.memory_peak_bytes()

    def out_of_memory(self) -> bool:
        return bool(self.runtimes) and self.runtimes[-1].out_of_memory

    async def stop(self) -> None:
        if self.stopped:
            return
        self.stopped = True
        await self._end()
        for fd in (self._output_write, self.output_fd, self.extension_output_write, self.extension_output_fd):
            os.close(fd)
        for listener in self.runtime_api:
            listener.close()


class FakePrepared:
    """Implements `environments.ports.Prepared`."""

    def __init__(self, driver: "FakeDriver", wish: Preparation) -> None:
        self.wish = wish
        self.stopped = False
        self.sandbox: FakeSandbox | None = None
        self._driver = driver
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def how(self) -> HowStarted:
        if self.wish.runtime is None:
            return HowStarted.EXECUTED
        return HowStarted.POOLED if self.wish.zygote_of is None else HowStarted.FORKED

    def when_gone(self, action: Callable[[], None]) -> None:
        self._gone.add_done_callback(lambda _: action())

    def die(self) -> None:
        """End by itself."""
        self._gone.set_result(None)

    async def assign(self, spec: SandboxSpec) -> FakeSandbox:
        assert self.sandbox is None, "a prepared sandbox is assigned once"
        assert not self.stopped
        if self._gone.done():
            raise SandboxGone
        self.sandbox = await self._driver.make(spec)
        return self.sandbox

    async def stop(self) -> None:
        if self.sandbox is None:
            self.stopped = True
        if not self._gone.done():
            self._gone.set_result(None)


class FakeDriver:
    """Implements `environments.ports.SandboxDriver`; `scripts` gives the scripts of each new sandbox, in order."""

    name = "fake"
    guarantees: Mapping[str, bool] = {}
    can_prepare = True
    can_restore = True
    no_images: str | None = "CRIU is not used: --criu"

    def __init__(self, scripts: Callable[[int], Sequence[Script]] | Sequence[Script]) -> None:
        self.scripts = scripts
        self.extension_scripts: dict[str, Steps | SandboxError] = {}
        """Of all sandboxes, by name."""
        self.order: list[str] = []
        """What extensions and runtimes did, over all sandboxes."""
        self.obstacle: str | None = None
        """Of all templates."""
        self.restore_error: SandboxError | None = None
        self.save_error: SandboxError | None = None
        self.restores = 0
        self.sandboxes: list[FakeSandbox] = []
        self.prepared: list[FakePrepared] = []
        self.zygotes: set[tuple[str, str]] = set()

    async def prepare(self, wish: Preparation) -> FakePrepared:
        self.prepared.append(FakePrepared(self, wish))
        return self.prepared[-1]

    async def create(self, spec: SandboxSpec) -> FakeSandbox:
        return await self.make(spec)

    async def save(self, template: Sandbox) -> None:
        if self.save_error is not None:
            raise self.save_error

    async def restore(self, template: Sandbox, spec: SandboxSpec) -> FakeSandbox:
        if self.restore_error is not None:
            raise self.restore_error
        self.restores += 1
        return await self.make(spec)

    async def make(self, spec: SandboxSpec) -> FakeSandbox:
        scripts = self.scripts(len(self.sandboxes)) if callable(self.scripts) else self.scripts
        sandbox = FakeSandbox(spec, scripts, self.extension_scripts, self.order.append)
        sandbox.obstacle = self.obstacle
        self.sandboxes.append(sandbox)
        return sandbox

    async def start_zygote(self, account: str, runtime: RuntimeStart) -> None:
        self.zygotes.add((account, runtime.identifier))

    async def stop_zygote(self, account: str, runtime: RuntimeStart) -> None:
        self.zygotes.discard((account, runtime.identifier))

    async def close(self) -> None:
        for sandbox in self.sandboxes:
            await sandbox.stop()
