"""The `native` and `rootless` drivers: sandboxes that the launcher builds. This side has no privileges, only what it
was handed.

Freezing, limits and measurements go through descriptors that came with the sandbox; starting and killing through its
control socket, whose end is the sandbox's end.
"""

import asyncio
import errno
import os
import signal
import socket
from collections.abc import Callable, Collection, Mapping, Sequence

from lambent.aws.errors import ApiError
from lambent.environments.events import HowStarted
from lambent.environments.sandbox import revival
from lambent.environments.sandbox.channel import Channel, SandboxGone
from lambent.environments.sandbox.guarantees import GUARANTEES
from lambent.environments.sandbox.memory import GONE, PeakMemory, processes
from lambent.environments.sandbox.ports import NetworkSpec, Preparation, ProcessExit, Sandbox, SandboxError, SandboxSpec
from lambent.environments.sandbox.revival import GO, Revived
from lambent.environments.sandbox.zygotes import NOT_AGREED, Zygotes
from lambent.launcher import cgroups
from lambent.launcher.client import LauncherClient
from lambent.launcher.request import EXTENSION, RUNTIME, Limits
from lambent.launcher.wire import EGRESS_STARTING, NO_ADDRESS, START_FD, Message
from lambent.runtimes.layout import AWS_LAYOUT, Command, RenderCommand, RuntimeStart

LAYOUT = AWS_LAYOUT
_NO_ADDRESS = (
    "Lambda was not able to set up VPC access for the Lambda function because one or more configured subnets has no"
    " available IP addresses."
)
_CREATE_TIMEOUT_S = 10.0
_KILL_TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 5.0
_WAY_OUT_S, _LOOK_EVERY_S = 1.0, 0.004
_NO_NETWORK = NetworkSpec(kind="none")
USUAL = Limits(memory_mb=128, tmp_mb=512, processes=256)
"""Of a sandbox whose function is not known yet: what most functions have."""


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
        self._cpu = _versioned(fds, "cpu")
        self._cpus: float | None = None
        """The limit that is set."""
        self._freezer = _versioned(fds, "freezer")
        self._oom = _versioned(fds, "oom")
        self._oom_kills_before = 0
        self._ran_out = False
        self._frozen = False
        self._memory = PeakMemory(
            procs_fd=_either(fds, "procs"), count_fd=_either(fds, "count"), stat_fd=_either(fds, "stat")
        )
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
        self._oom_kills_before = self._oom_kills()
        self._ran_out = False
        if self._was_revived:
            raise RuntimeError("a restored runtime starts once")
        if self.revived is not None:
            self._was_revived = True
            await self._go_on(self.revived)
            return
        command = self._spec.command(self.layout)
        self._ended, status = await self._start(RUNTIME, command, self.layout.task)
        self._memory.restart(status)

    async def _go_on(self, revived: Revived) -> None:
        self._ended = await self._channel.adopt(revived.pid, _CREATE_TIMEOUT_S)
        self.revived = None
        os.write(revived.go, GO)
        os.close(revived.go)
        self._channel.tell({"do": "signal", "name": RUNTIME, "number": signal.SIGCONT})
        self._memory.restart(revived.status)

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
        return await self._channel.start(order, _CREATE_TIMEOUT_S)

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
        self._set_frozen(True)

    def thaw(self) -> None:
        self._set_frozen(False)

    def _set_frozen(self, frozen: bool) -> None:
        if self._freezer is not None and frozen != self._frozen:
            version, fd = self._freezer
            _write(fd, cgroups.freeze(version, frozen))
            self._frozen = frozen

    def limit_cpu(self, cpus: float | None) -> None:
        # The kernel looks at all groups of the machine for each change.
        if self._cpu is not None and cpus != self._cpus:
            version, fd = self._cpu
            _write(fd, cgroups.quota(version, cpus))
            self._cpus = cpus

    def memory_peak_bytes(self) -> int:
        if self._ended is not None and self._ended.done():
            self._memory.raise_to(self._channel.peak_bytes_at_exit)
        return self._memory.measure()

    def sample_memory(self) -> None:
        self._memory.sample()

    def processes(self) -> list[int]:
        """Pids of the function's processes, as the host counts them; empty where there are no cgroups."""
        procs = _either(self._fds, "procs")
        try:
            return processes(procs) if procs is not None else []
        except OSError as error:
            if error.errno not in GONE:
                raise
            return []

    def out_of_memory(self) -> bool:
        return self._ran_out or self._oom_kills() > self._oom_kills_before

    def _oom_kills(self) -> int:
        return cgroups.oom_kills(_read(self._oom[1])) if self._oom is not None else 0

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
        self._memory.close()
        if self.revived is not None:
            self.revived.close()
        fds, self._fds = self._fds, {}
        self._cpu = self._freezer = self._oom = None  # Their numbers will soon be other files.
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


async def _way_out(launcher: LauncherClient) -> str | None:
    """Why there is none. It starts with the first sandbox that wants it, which waits for that."""
    for _ in range(round(_WAY_OUT_S / _LOOK_EVERY_S)):
        if launcher.egress_problem() != EGRESS_STARTING:
            break
        await asyncio.sleep(_LOOK_EVERY_S)
    problem = launcher.egress_problem()
    return None if problem == EGRESS_STARTING else problem


async def _plugged(answer: "asyncio.Future[Message]", spec: SandboxSpec, launcher: LauncherClient) -> str | None:
    """Why it has no network: None when it has. A function in a VPC does not start without."""
    async with asyncio.timeout(_CREATE_TIMEOUT_S):
        message = await answer
    kind = "none" if spec.network is None else spec.network.kind
    if message["event"] == "plugged":
        # The router may be without a way out for now.
        return await _way_out(launcher) if kind == "internet" else None
    if kind == "none":
        raise SandboxError(f"it cannot be taken out of its network: {message['reason']}")
    if spec.network is not None and kind == "vpc":
        if message["kind"] == NO_ADDRESS:
            raise ApiError("SubnetIPAddressLimitReachedException", _NO_ADDRESS, status=502)
        raise SandboxError(f"the network of {spec.network.vpc_id} cannot be had: {message['reason']}")
    return str(message["reason"])


def _write(fd: int, value: bytes) -> None:
    """To a file of a cgroup, unless that has been removed: the sandbox is gone then, and its end is told elsewhere."""
    try:
        os.pwrite(fd, value, 0)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise


def _read(fd: int) -> bytes:
    """Empty when the cgroup has been removed."""
    try:
        return os.pread(fd, 4096, 0)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        return b""


def _listeners(fds: Mapping[str, int], prefix: str) -> Sequence[socket.socket]:
    return tuple(socket.socket(fileno=fd) for name, fd in fds.items() if name.startswith(prefix))


def _versioned(fds: Mapping[str, int], key: str) -> tuple[int, int] | None:
    """(cgroup version, descriptor) of a control that the launcher has sent, if it has."""
    return next(((version, fds[f"{key}{version}"]) for version in (1, 2) if f"{key}{version}" in fds), None)


def _either(fds: Mapping[str, int], key: str) -> int | None:
    """The descriptor alone, where both versions read the same."""
    found = _versioned(fds, key)
    return found[1] if found is not None else None


class NativePrepared:
    def __init__(
        self,
        how: HowStarted,
        number: int,
        channel: Channel,
        fds: Mapping[str, int],
        launcher: LauncherClient,
        sandboxes: "set[NativeSandbox | NativePrepared]",
        plugged: "asyncio.Future[Message] | None" = None,
    ) -> None:
        """`plugged` is what will be said of its way to the internet; None: it has no network yet."""
        self.how = how
        self._plugged = plugged
        self._number = number
        """By which the launcher knows it."""
        self._channel = channel
        self._fds = fds
        self._launcher = launcher
        self._sandboxes = sandboxes
        self._assigned = False
        self._stopping: asyncio.Task[None] | None = None

    def when_gone(self, action: Callable[[], None]) -> None:
        self._channel.when_gone(action)

    async def assign(self, spec: SandboxSpec) -> NativeSandbox:
        """Raises SandboxError, LauncherError, and ValueError for what the launcher was not told of."""
        if self._assigned or self._stopping is not None:
            raise RuntimeError("this sandbox was assigned or stopped before")
        self._assigned = True
        sandbox = NativeSandbox(spec, self._channel, self._fds, self._sandboxes.discard, self._number)
        self._sandboxes.discard(self)
        self._sandboxes.add(sandbox)
        try:
            limits = _limits(spec)
            order = self._launcher.assignment(
                code_dir=spec.code_dir,
                opt_dir=spec.opt_dir,
                lang_prefix=spec.lang_prefix,
                memory_mb=limits.memory_mb,
                tmp_mb=limits.tmp_mb,
                processes=limits.processes,
            )
            plugged = await self._plug(spec)
            await self._channel.ask(order, "assigned", _CREATE_TIMEOUT_S)
            if plugged is not None:
                sandbox.network_missing = await _plugged(plugged, spec, self._launcher)
        except BaseException:
            await sandbox.stop()
            raise
        return sandbox

    async def _plug(self, spec: SandboxSpec) -> "asyncio.Future[Message] | None":
        if self._plugged is None:
            return _plug(self._launcher, self._channel, self._number, spec)
        if spec.network is not None and spec.network.kind == "internet":
            return self._plugged
        async with asyncio.timeout(_CREATE_TIMEOUT_S):
            await self._plugged  # The next answer is to the next question.
        answer = self._channel.expect_plug()
        self._launcher.plug(self._number, (spec.network or _NO_NETWORK).as_json())
        return answer

    async def stop(self) -> None:
        if self._assigned:
            return
        if self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        await self._channel.end()
        for fd in self._fds.values():
            os.close(fd)
        self._sandboxes.discard(self)


def _plug(
    launcher: LauncherClient, channel: Channel, number: int, spec: SandboxSpec
) -> "asyncio.Future[Message] | None":
    """Ask for the network of a sandbox before its assignment: launcher and sandbox then work at the same time."""
    network = spec.network
    if network is None or network.kind == "none" or (network.kind == "internet" and launcher.no_egress):
        return None
    answer = channel.expect_plug()
    launcher.plug(number, network.as_json())
    return answer


class NativeDriver:
    can_prepare = True

    def __init__(self, launcher: LauncherClient) -> None:
        self.name = launcher.kind.name
        self.can_restore = launcher.kind.program is None
        # An OCI runtime makes the network after its first process.
        self._plugs_early = launcher.kind.program is None
        self._sandboxes: set[NativeSandbox | NativePrepared] = set()
        self._launcher = launcher
        self._zygotes = Zygotes(launcher)
        self.launcher_missing = launcher.missing
        """Guarantee -> why the launcher cannot give it."""
        self.guarantees: Mapping[str, bool] = {name: name not in launcher.missing for name in GUARANTEES}

    async def prepare(self, wish: Preparation) -> NativePrepared:
        """Raises SandboxError or LauncherError."""
        return await self._prepare(USUAL, wish)

    async def _prepare(
        self, limits: Limits, wish: Preparation, *, to_save: bool = False, like: int | None = None
    ) -> NativePrepared:
        how, number = (HowStarted.EXECUTED if wish.runtime is None else HowStarted.POOLED), None
        if wish.zygote_of is not None:
            how, number = HowStarted.FORKED, self._zygotes.number(wish)
        internet = wish.internet and self._plugs_early and not self._launcher.no_egress
        try:
            control = self._launcher.prepare(
                memory_mb=limits.memory_mb,
                tmp_mb=limits.tmp_mb,
                processes=limits.processes,
                runtime=wish.runtime,
                zygote=number,
                internet=internet,
                to_save=to_save,
                like=like,
            )
        except ValueError:
            raise SandboxError(NOT_AGREED) from None
        channel = Channel(control)
        plugged = channel.expect_plug() if internet else None
        try:
            message, fds = await channel.ask(None, "ready", _CREATE_TIMEOUT_S)
        except BaseException:
            await channel.end()
            raise
        prepared = NativePrepared(how, message["sandbox"], channel, fds, self._launcher, self._sandboxes, plugged)
        self._sandboxes.add(prepared)
        return prepared

    async def create(self, spec: SandboxSpec) -> NativeSandbox:
        """Raises SandboxError or LauncherError."""
        internet = spec.network is not None and spec.network.kind == "internet"
        wish = Preparation(internet=internet)
        return await (await self._prepare(_limits(spec), wish, to_save=spec.image)).assign(spec)

    @property
    def no_images(self) -> str | None:
        return self._launcher.criu_missing

    async def save(self, template: Sandbox) -> None:
        """Raises SandboxError or LauncherError."""
        assert isinstance(template, NativeSandbox)
        await revival.save(self._launcher, template.number, template.memory_mb)
        template.saved = True

    async def _revive(self, template: NativeSandbox, spec: SandboxSpec) -> NativeSandbox:
        prepared = await self._prepare(_limits(spec), Preparation(), like=template.number)
        try:
            sandbox = await prepared.assign(spec)
        finally:
            await prepared.stop()
        try:
            sandbox.take_revived(*await revival.revive(self._launcher, sandbox.number, template.number, spec.memory_mb))
        except BaseException:
            await sandbox.stop()
            raise
        sandbox.outlived_by(template)
        return sandbox

    async def restore(self, template: Sandbox, spec: SandboxSpec) -> NativeSandbox:
        """Raises SandboxError or LauncherError."""
        assert isinstance(template, NativeSandbox)
        if template.saved:
            return await self._revive(template, spec)
        limits = _limits(spec)
        control, finisher = self._launcher.restore(
            template=template.number, memory_mb=limits.memory_mb, tmp_mb=limits.tmp_mb, processes=limits.processes
        )
        template.hand_over(finisher)
        channel = Channel(control)
        try:
            message, fds = await channel.ask(None, "ready", _CREATE_TIMEOUT_S)
        except BaseException:
            await channel.end()
            raise

        def stopped(sandbox: NativeSandbox) -> None:
            self._sandboxes.discard(sandbox)
            template.forget_clone(sandbox)

        sandbox = NativeSandbox(spec, channel, fds, stopped, message["sandbox"])
        self._sandboxes.add(sandbox)
        template.clones.add(sandbox)
        try:
            plugged = _plug(self._launcher, channel, sandbox.number, spec)
            if plugged is not None:
                sandbox.network_missing = await _plugged(plugged, spec, self._launcher)
        except BaseException:
            await sandbox.stop()
            raise
        return sandbox

    @property
    def zygotes(self) -> Collection[tuple[str, str]]:
        return self._zygotes.alive

    async def start_zygote(self, account: str, runtime: RuntimeStart) -> None:
        """Raises SandboxError or LauncherError."""
        await self._zygotes.start(account, runtime)

    async def stop_zygote(self, account: str, runtime: RuntimeStart) -> None:
        await self._zygotes.stop(account, runtime)

    async def close(self) -> None:
        """End all sandboxes and the launcher."""
        await asyncio.gather(*(sandbox.stop() for sandbox in tuple(self._sandboxes)), self._zygotes.close())
        await asyncio.to_thread(self._launcher.close)


def _limits(spec: SandboxSpec) -> Limits:
    return Limits(spec.memory_mb, spec.tmp_mb, _processes(spec))


def _processes(spec: SandboxSpec) -> int:
    """AWS's 1024, fewer where so many could only run out of memory: a process costs the kernel about 0.5 MB."""
    return max(8, min(spec.max_processes, 1024, max(256, spec.memory_mb * 2)))
