"""The `process` driver: a plain process of the host, for development where the native sandbox cannot work.

Works on macOS and without root. It takes what the system gives: Landlock, a filter of system calls, limits of the
process, a process group to kill. Which of the guarantees that makes true, the probe says; until then none is. Listeners
are on the host's loopback.
"""

import asyncio
import base64
import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from lambent.core.ids import uuid4
from lambent.environments.events import HowStarted
from lambent.environments.sandbox.guarantees import nothing
from lambent.environments.sandbox.memory import peak_of_process
from lambent.environments.sandbox.output import output_pipe
from lambent.environments.sandbox.ports import Preparation, ProcessExit, Sandbox, SandboxError, SandboxSpec
from lambent.launcher.kernel import seccomp
from lambent.runtimes.layout import Command, Layout, RenderCommand, RuntimeStart

_CONFINE = Path(__file__).with_name("confine.py")
_LISTEN_BACKLOG = 64
_CONNECT_TIMEOUT_S = 5.0


def _listener() -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setblocking(False)
    listener.bind(("127.0.0.1", 0))
    listener.listen(_LISTEN_BACKLOG)
    return listener


NO_CLONES = "without isolation no process can be cloned into a sandbox of its own"


class ProcessSandbox:
    def __init__(
        self,
        spec: SandboxSpec,
        home: Path,
        runtime_dir: Path,
        readable: tuple[str, ...],
        filter: str | None,
        stopped: "Callable[[ProcessSandbox], None]",
    ) -> None:
        self._filter = filter
        self._spec = spec
        self._closed = stopped
        self._home = home
        self._readable = readable
        self._running: _Running | None = None
        self._extensions: dict[str, _Running] = {}
        self._stopped = False
        (home / "tmp").mkdir(parents=True, mode=0o700)
        if spec.opt_dir is None:
            (home / "opt").mkdir(mode=0o700)
        self.runtime_api: Sequence[socket.socket] = (_listener(),)
        self.aws_endpoint: Sequence[socket.socket] = (_listener(),)
        self.output_fd, self._output_write_fd = output_pipe()
        # It has the network of the host.
        self.network_missing: str | None = None
        self.extension_output_fd, self._extension_output_write_fd = output_pipe()
        api_host, api_port = self.runtime_api[0].getsockname()
        endpoint_host, endpoint_port = self.aws_endpoint[0].getsockname()
        self.layout = Layout(
            task=str(spec.code_dir.resolve()),
            runtime=str(runtime_dir),
            lang=str(spec.lang_prefix),
            opt=str(spec.opt_dir.resolve() if spec.opt_dir is not None else home / "opt"),
            tmp=str(home / "tmp"),
            runtime_api=f"{api_host}:{api_port}",
            aws_endpoint_url=f"http://{endpoint_host}:{endpoint_port}",
        )

    async def start(self) -> None:
        """Start the runtime, on the event loop's own thread: it dies with the thread that forked it."""
        if self._running is not None and not self._running.ended.done():
            raise RuntimeError("the runtime process of this sandbox is still running")
        self._running = self._start(self._spec.command(self.layout), self.layout.task, self._output_write_fd)

    def _start(self, command: Command, folder: str, output: int) -> "_Running":
        wish = {
            "argv": command.argv,
            "variables": dict(command.variables),
            "cwd": folder,
            "parent": os.getpid(),
            "max_open_files": self._spec.max_open_files,
            "readable": self._readable,
            "writable": (self.layout.tmp,),
            "filter": self._filter,
        }
        # A file and not a pipe: the child reads it whenever it is ready, and variables never show in a process list.
        with tempfile.TemporaryFile(dir=self._home) as stdin:
            stdin.write(json.dumps(wish).encode())
            stdin.seek(0)
            process = subprocess.Popen(
                (sys.executable, "-I", "-S", str(_CONFINE)),
                stdin=stdin,
                stdout=output,
                stderr=output,
                env={},
                start_new_session=True,
            )
        return _Running(process)

    async def exited(self) -> ProcessExit:
        if self._running is None:
            raise RuntimeError("the runtime process of this sandbox was never started")
        return await asyncio.shield(self._running.ended)

    async def start_extension(self, name: str, command: RenderCommand) -> None:
        running = self._extensions.get(name)
        if running is not None and not running.ended.done():
            raise RuntimeError(f"the extension {name} of this sandbox is still running")
        program = command(self.layout).argv[0]
        if not os.access(program, os.X_OK):
            # The program that confines it would find out, and could only end.
            raise SandboxError(str(PermissionError(errno.EACCES, os.strerror(errno.EACCES), program)))
        self._extensions[name] = self._start(command(self.layout), self.layout.opt, self._extension_output_write_fd)

    async def extension_exited(self, name: str) -> ProcessExit:
        return await asyncio.shield(self._extensions[name].ended)

    def terminate(self, name: str | None = None, *, force: bool = False) -> None:
        target = self._running if name is None else self._extensions.get(name)
        if target is not None:
            target.signal(signal.SIGKILL if force else signal.SIGTERM)

    def end_runtime(self) -> None:
        if self._running is not None:
            self._running.signal(signal.SIGKILL)

    async def snapshot(self) -> str | None:
        return NO_CLONES

    async def connect(self, port: int) -> socket.socket:
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        except BaseException:
            connection.close()
            raise
        return connection

    def _processes(self) -> "list[_Running]":
        return [*self._extensions.values(), *([self._running] if self._running is not None else [])]

    async def kill(self) -> bool:
        for each in self._processes():
            each.signal(signal.SIGKILL)
        for each in self._processes():
            await asyncio.shield(each.ended)
        return True

    def freeze(self) -> None:
        for each in self._processes():
            each.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        for each in self._processes():
            each.signal(signal.SIGCONT)

    def limit_cpu(self, cpus: float | None) -> None:
        """A plain process has no quota; `guarantees["cpu"]` says so."""

    def memory_peak_bytes(self) -> int:
        return self._running.memory_peak_bytes() if self._running is not None else 0

    def sample_memory(self) -> None:
        self.memory_peak_bytes()

    def out_of_memory(self) -> bool:
        return False

    async def stop(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        await self.kill()
        for listener in (*self.runtime_api, *self.aws_endpoint):
            listener.close()
        for fd in (self.output_fd, self._output_write_fd, self.extension_output_fd, self._extension_output_write_fd):
            os.close(fd)
        await asyncio.to_thread(shutil.rmtree, self._home, ignore_errors=True)
        self._closed(self)


class _Running:
    """One runtime process and everything in its group."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._peak_bytes = 0
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[ProcessExit] = self._loop.create_future()
        if hasattr(os, "pidfd_open"):
            pidfd = os.pidfd_open(process.pid)
            self._loop.add_reader(pidfd, self._exited, pidfd)
        else:
            self._waiting = self._loop.create_task(self._wait_in_thread())

    def signal(self, number: signal.Signals) -> None:
        """To the whole group. Not once the leader is reaped: its number may then be another's."""
        if self.ended.done():
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def memory_peak_bytes(self) -> int:
        self._peak_bytes = max(self._peak_bytes, peak_of_process(self._process.pid))
        return self._peak_bytes

    def _exited(self, pidfd: int) -> None:
        self._loop.remove_reader(pidfd)
        os.close(pidfd)
        self.signal(signal.SIGKILL)
        self._end(self._process.wait())

    async def _wait_in_thread(self) -> None:
        code = await asyncio.to_thread(self._process.wait)
        self.signal(signal.SIGKILL)
        self._end(code)

    def _end(self, code: int) -> None:
        self.ended.set_result(ProcessExit(code, None) if code >= 0 else ProcessExit(None, -code))


class ProcessPrepared:
    """Nothing is made before it is known for whom."""

    how = HowStarted.EXECUTED

    def __init__(self, driver: "ProcessDriver") -> None:
        self._driver = driver

    def when_gone(self, action: Callable[[], None]) -> None:
        """There is nothing that could end."""

    async def assign(self, spec: SandboxSpec) -> ProcessSandbox:
        return await self._driver.create(spec)

    async def stop(self) -> None:
        """Nothing to end."""


MISSING = {
    "processes": "a plain process of the host",
    "end": "a session of its own escapes the group that is killed",
    "network": "the network of the host",
    "apis": "other processes of the host reach its ports",
    "memory": "no control groups",
    "cpu": "no control groups",
    "pids": "it would count the user's own processes",
    "tmp": "/tmp is a folder of the data dir",
    "user": "the server's own user",
}
"""Of the process sandbox, wherever it is: guarantee -> why. The others depend on Landlock and libseccomp."""


def _filter() -> str | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return base64.b64encode(seccomp.compile_filter()).decode()
    except seccomp.SeccompUnavailable:
        return None


class ProcessDriver:
    """`scratch` is a folder of the data dir that belongs to this driver alone; what it holds is deleted at start.

    `runtime_entries` are the files and folders that appear in `layout.runtime`, by name.
    """

    name = "process"
    guarantees: Mapping[str, bool] = MappingProxyType(nothing())
    launcher_missing: Mapping[str, str] = MappingProxyType(MISSING)
    can_prepare = False
    can_restore = False
    no_images = "its sandboxes have no use for CRIU"

    def __init__(self, *, scratch: Path, runtime_entries: Mapping[str, Path]) -> None:
        shutil.rmtree(scratch, ignore_errors=True)
        self._sandboxes: set[ProcessSandbox] = set()
        self._filter = _filter()
        self._scratch = scratch.resolve()
        self._runtime_dir = self._scratch / "runtime"
        self._runtime_dir.mkdir(parents=True)
        self._readable = tuple(str(path.resolve()) for path in runtime_entries.values())
        for entry, path in runtime_entries.items():
            (self._runtime_dir / entry).symlink_to(path.resolve())

    async def prepare(self, wish: Preparation) -> ProcessPrepared:
        return ProcessPrepared(self)

    async def save(self, template: Sandbox) -> None:
        raise SandboxError(self.no_images)

    async def restore(self, template: Sandbox, spec: SandboxSpec) -> ProcessSandbox:
        raise SandboxError(NO_CLONES)

    async def create(self, spec: SandboxSpec) -> ProcessSandbox:
        home = self._scratch / uuid4()
        code, lang = str(spec.code_dir.resolve()), str(spec.lang_prefix.resolve())
        opt = str((spec.opt_dir or home / "opt").resolve())
        readable = (*self._readable, str(self._runtime_dir), code, lang, opt)
        sandbox = ProcessSandbox(spec, home, self._runtime_dir, readable, self._filter, self._sandboxes.discard)
        self._sandboxes.add(sandbox)
        return sandbox

    @property
    def zygotes(self) -> Collection[tuple[str, str]]:
        return ()

    async def start_zygote(self, account: str, runtime: RuntimeStart) -> None:
        raise SandboxError("a plain process has no zygote")

    async def stop_zygote(self, account: str, runtime: RuntimeStart) -> None:
        """There is none."""

    async def close(self) -> None:
        await asyncio.gather(*(sandbox.stop() for sandbox in tuple(self._sandboxes)))
        await asyncio.to_thread(shutil.rmtree, self._scratch, ignore_errors=True)
