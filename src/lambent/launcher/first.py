"""The loop of the first process of a sandbox: it obeys the supervisor, starts processes and reaps them.

Messages in: assign (once), start, signal, kill, connect. Out: ready or failed, assigned, started or not_started,
exited, killed, connected, refused. What is out of bounds is refused and changes nothing.
"""

import errno
import os
import select
import signal
import socket
from contextlib import suppress
from typing import NamedTuple

from lambent.launcher import capabilities, cgroups, execute, mounts, request, syscalls, template, wire
from lambent.launcher.tmp_folder import TmpFolder

_LOOPBACK = "127.0.0.1"
_KEPT = (capabilities.SYS_ADMIN, capabilities.SETUID, capabilities.SETGID, capabilities.SETPCAP, capabilities.KILL)
# For another /tmp, and for packages that belong to the supervisor's user.
_TO_ASSIGN = (capabilities.CHOWN, capabilities.MKNOD, capabilities.DAC_READ_SEARCH)


class Identity(NamedTuple):
    """Who the processes of the function are, and what the kernel lets them do."""

    host_id: int
    user_namespace: bool
    filter: bytes | None


class Outputs(NamedTuple):
    """Write ends of the pipes that are stdout and stderr."""

    runtime: int
    extensions: int


def before_assign(identity: Identity) -> None:
    """Give up the capabilities that are of no use from here on. Some go with the assignment."""
    capabilities.keep(*_kept(identity), *_TO_ASSIGN)


def _kept(identity: Identity) -> tuple[int, ...]:
    # The kernel asks for SETFCAP where the function's number is that of our own root.
    return (*_KEPT, capabilities.SETFCAP) if identity.host_id == 0 else _KEPT


def cgroup_limits(limits: request.Limits) -> cgroups.Limits:
    return cgroups.Limits(limits.memory_mb << 20, limits.processes)


class First:
    """Single-threaded: it waits for the socket and for its children."""

    def __init__(
        self,
        identity: Identity,
        group: cgroups.Group,
        control: socket.socket,
        outputs: Outputs,
        tmp: TmpFolder,
        prefixes: int,
    ) -> None:
        self._identity = identity
        self._group = group
        self._control = control
        self._outputs = outputs
        self._tmp = tmp
        self._prefixes = prefixes
        self._assigned = False
        self._null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self._running: dict[str, int] = {}
        """Name -> pid."""

    def serve(self) -> None:
        """Until the supervisor closes its end."""
        woken, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # A function may have our user number: what a first process has no handler for cannot be sent to it from inside.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(woken, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if woken in ready:
                os.read(woken, 4096)
                self._reap(os.WNOHANG)
            if self._control.fileno() in ready and not self._hear():
                self._kill_all()
                return

    def _hear(self) -> bool:
        """One message. False at the end."""
        try:
            received = wire.receive(self._control)
        except (ValueError, wire.DescriptorsLost) as error:
            self._tell({"event": "refused", "reason": str(error)})
            return True
        if received is None:
            return False
        message, fds = received
        for fd in fds.values():  # None is expected.
            os.close(fd)
        try:
            self._obey(message)
        except request.BadRequest as error:
            self._tell({"event": "refused", "reason": str(error)})
        return True

    def _obey(self, message: wire.Message) -> None:
        match message.get("do"):
            case "assign":
                self._assign(request.assign(message, self._prefixes))
            case "start":
                self._start(request.start(message, len(self._running)))
            case "signal":
                self._signal(request.process_name(message.get("name")), request.signal_number(message))
            case "kill":
                self._kill_all()
                # System V memory and message queues outlive their processes, and would still be charged to the next.
                syscalls.unshare(syscalls.CLONE_NEWIPC)
                if message.get("answer"):
                    self._tell({"event": "killed"})
            case "connect":
                self._connect(request.port(message))
            case other:
                raise request.BadRequest(f"{other!r} is not understood")

    def _tell(self, message: wire.Message, fds: dict[str, int] | None = None) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # The end follows: the next receive sees it.
            wire.send(self._control, message, fds)

    def _assign(self, wanted: request.Assign) -> None:
        """A failure ends the sandbox: half of one is nobody's."""
        if self._assigned:
            raise request.BadRequest("assigned already")
        self._assigned = True
        self._group = cgroups.change(self._group, cgroup_limits(wanted.limits))
        self._tmp.mount(wanted.limits.tmp_mb)
        mounts.code(wanted.code, wanted.opt)
        mounts.interpreter(wanted.prefix)
        mounts.forget_launcher()
        capabilities.set_to(*_kept(self._identity))
        self._tell({"event": "assigned"})

    def _start(self, wanted: request.Start) -> None:
        if not self._assigned:
            raise request.BadRequest("nothing is assigned")
        if wanted.name in self._running:
            raise request.BadRequest(f"{wanted.name} is running")
        failed, error = os.pipe2(os.O_CLOEXEC)
        go, going = os.pipe2(os.O_CLOEXEC)
        namespace, host_id = self._identity.user_namespace, self._identity.host_id
        inside = (template.USER, template.GROUP) if namespace else (host_id, host_id)
        output = self._outputs.runtime if wanted.name == request.RUNTIME else self._outputs.extensions
        pid = syscalls.clone(syscalls.CLONE_NEWUSER if namespace else 0, self._group.into)
        if pid == 0:
            program = execute.Program(wanted.argv, wanted.variables, wanted.folder, wanted.open_files)
            confinement = execute.Confinement(self._group.tasks, *inside, self._fallback(), self._identity.filter)
            execute.become(program, confinement, stdin=self._null, output=output, error=error, go=go)
        os.close(error)
        os.close(go)
        # While it is still ours: afterwards /proc hides it from us as well.
        status = os.open(f"/proc/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)
        if namespace:
            for kind, number in (("uid", inside[0]), ("gid", inside[1])):
                ids = os.open(f"/proc/{pid}/{kind}_map", os.O_WRONLY | os.O_CLOEXEC)
                os.write(ids, f"{number} {host_id} 1".encode())
                os.close(ids)
        os.write(going, b"g")
        os.close(going)
        reason = os.read(failed, 4096)
        os.close(failed)
        if reason:
            os.waitpid(pid, 0)
            self._tell({"event": "not_started", "reason": reason.decode(errors="replace")})
        else:
            self._running[wanted.name] = pid
            self._tell({"event": "started"}, {"status": status})
        os.close(status)

    def _fallback(self) -> execute.Fallback:
        """Limits of the kernel for what no control group limits here."""
        limited = {name for hierarchy, _ in self._group.folders for name in hierarchy.controllers}
        memory_mb, processes = self._group.limits.memory_bytes >> 20, self._group.limits.processes
        return execute.Fallback(
            processes=None if "pids" in limited else processes,
            data_bytes=None if "memory" in limited else execute.data_bytes(memory_mb),
        )

    def _signal(self, name: str, number: int) -> None:
        # Its number is not another's: only this loop reaps.
        if (pid := self._running.get(name)) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _connect(self, port: int) -> None:
        """The supervisor waits for the connection: who listens inside may never accept it."""
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as connection:
            code = connection.connect_ex((_LOOPBACK, port))
            begun = {"connection": connection.fileno()} if code in (0, errno.EINPROGRESS) else {}
            self._tell({"event": "connected", "errno": code}, begun)

    def _kill_all(self) -> None:
        """Every process in here but this one. The kernel signals all of them in one step, and a fork that is under way
        fails, so a fork bomb cannot outrun it."""
        while True:
            with suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
            if not self._reap(0):
                return

    def _reap(self, options: int) -> bool:
        """Take the ended children; False when there are none left at all."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, options)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            name = next((name for name, each in self._running.items() if each == pid), None)
            if name is not None:
                del self._running[name]
                code, peak_bytes = os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024
                self._tell({"event": "exited", "name": name, "code": code, "peak_bytes": peak_bytes})
