"""The `native` and `rootless` drivers: sandboxes that the launcher builds. This side has no privileges, only what it
was handed.

Freezing, limits and measurements go through descriptors that came with the sandbox; starting and killing through its
control socket, whose end is the sandbox's end.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Mapping, Sequence

from lambent.environments.ports import ProcessExit, SandboxSpec
from lambent.environments.sandbox.channel import Channel, SandboxGone
from lambent.environments.sandbox.guarantees import GUARANTEES
from lambent.environments.sandbox.memory import PeakMemory, processes
from lambent.launcher import cgroups
from lambent.launcher.client import LauncherClient
from lambent.runtimes.layout import Layout

LAYOUT = Layout(
    task="/var/task",
    runtime="/var/runtime",
    lang="/var/lang",
    opt="/opt",
    tmp="/tmp",
    runtime_api="169.254.100.1:9001",
    aws_endpoint_url="http://127.0.0.1:4566",
)
_CREATE_TIMEOUT_S = 10.0
_KILL_TIMEOUT_S = 10.0


class NativeSandbox:
    layout = LAYOUT

    def __init__(
        self,
        spec: SandboxSpec,
        channel: Channel,
        fds: Mapping[str, int],
        stopped: "Callable[[NativeSandbox], None]",
    ) -> None:
        self._spec = spec
        self._stopped = stopped
        self._channel = channel
        self.runtime_api: Sequence[socket.socket] = _listeners(fds, "runtime_api.")
        self.aws_endpoint: Sequence[socket.socket] = _listeners(fds, "aws_endpoint.")
        self.output_fd = fds["output"]
        self._fds = fds
        self._cpu = _versioned(fds, "cpu")
        self._freezer = _versioned(fds, "freezer")
        self._oom = _versioned(fds, "oom")
        self._oom_kills_before = 0
        self._ran_out = False
        self._frozen = False
        self._memory = PeakMemory(
            procs_fd=_either(fds, "procs"), count_fd=_either(fds, "count"), stat_fd=_either(fds, "stat")
        )
        self._ended: asyncio.Future[ProcessExit] | None = None
        self._oom_event = fds.get("oom_event")
        if self._oom_event is not None:
            asyncio.get_running_loop().add_reader(self._oom_event, self._memory_ran_out, self._oom_event)
        channel.when_gone(self.thaw)  # What v1 has frozen cannot die.
        self._stopping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._ended is not None and not self._ended.done():
            raise RuntimeError("the runtime process of this sandbox is still running")
        command = self._spec.command(self.layout)
        self._oom_kills_before = self._oom_kills()
        self._ran_out = False
        order = {
            "do": "start",
            "argv": command.argv,
            "variables": dict(command.variables),
            "folder": self.layout.task,
            "open_files": self._spec.max_open_files,
        }
        ended = self._channel.expect_exit()
        _, fds = await self._channel.ask(order, "started", _CREATE_TIMEOUT_S)
        self._memory.restart(fds["status"])
        self._ended = ended

    async def exited(self) -> ProcessExit:
        if self._ended is None:
            raise RuntimeError("the runtime process of this sandbox was never started")
        return await asyncio.shield(self._ended)

    async def kill(self) -> bool:
        self.limit_cpu(None)  # A throttled process takes long to die.
        self.thaw()
        try:
            await self._channel.ask({"do": "kill", "answer": True}, "killed", _KILL_TIMEOUT_S)
        except SandboxGone:
            return False
        return True

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
        if self._cpu is not None:
            version, fd = self._cpu
            _write(fd, cgroups.quota(version, cpus))

    def memory_peak_bytes(self) -> int:
        if self._ended is not None and self._ended.done():
            self._memory.raise_to(self._channel.peak_bytes_at_exit)
        return self._memory.measure()

    def processes(self) -> list[int]:
        """Pids of the function's processes, as the host counts them; empty where there are no cgroups."""
        procs = _either(self._fds, "procs")
        return processes(procs) if procs is not None else []

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
        if self._oom_event is not None:
            asyncio.get_running_loop().remove_reader(self._oom_event)
        for listener in (*self.runtime_api, *self.aws_endpoint):
            listener.close()
        await self._channel.end()
        self._memory.close()
        fds, self._fds = self._fds, {}
        self._cpu = self._freezer = self._oom = None  # Their numbers will soon be other files.
        for name, fd in fds.items():
            if not name.startswith(("runtime_api.", "aws_endpoint.")):
                os.close(fd)
        self._stopped(self)


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


class NativeDriver:
    def __init__(self, launcher: LauncherClient) -> None:
        self.name = launcher.kind.name
        self._sandboxes: set[NativeSandbox] = set()
        self._launcher = launcher
        self.launcher_missing = launcher.missing
        """Guarantee -> why the launcher cannot give it."""
        self.guarantees: Mapping[str, bool] = {name: name not in launcher.missing for name in GUARANTEES}

    async def create(self, spec: SandboxSpec) -> NativeSandbox:
        """Raises SandboxError or LauncherError."""
        control = self._launcher.create(
            code_dir=spec.code_dir,
            opt_dir=spec.opt_dir,
            lang_prefix=spec.lang_prefix,
            memory_mb=spec.memory_mb,
            tmp_mb=spec.tmp_mb,
            processes=_processes(spec),
        )
        channel = Channel(control)
        try:
            _, fds = await channel.ask(None, "ready", _CREATE_TIMEOUT_S)
        except BaseException:
            await channel.end()
            raise
        sandbox = NativeSandbox(spec, channel, fds, self._sandboxes.discard)
        self._sandboxes.add(sandbox)
        return sandbox

    async def close(self) -> None:
        """End all sandboxes and the launcher."""
        await asyncio.gather(*(sandbox.stop() for sandbox in tuple(self._sandboxes)))
        await asyncio.to_thread(self._launcher.close)


def _processes(spec: SandboxSpec) -> int:
    """AWS's 1024, fewer where so many could only run out of memory: a process costs the kernel about 0.5 MB."""
    return max(8, min(spec.max_processes, 1024, max(256, spec.memory_mb * 2)))
