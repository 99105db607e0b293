"""The loop of the first process of a sandbox: it obeys the supervisor, starts processes and reaps them.

Messages in: assign (once), start, signal, kill, connect, restore. Out: ready or failed, assigned, started or
not_started, exited, killed, connected, snapshot, refused. What is out of bounds is refused and changes nothing.
"""

import os
import select
import signal
import socket
from contextlib import suppress
from typing import NamedTuple

from lambent.launcher import cgroups, execute, mounts, request, wire
from lambent.launcher.execute import Stay
from lambent.launcher.forks import Forks, Identity, NotStarted, Waiting, waiting
from lambent.launcher.kernel import capabilities, syscalls
from lambent.launcher.net import loopback
from lambent.launcher.restore import cloning
from lambent.launcher.tmp_folder import TmpFolder

START_VARIABLE = "_LAMBENT_START_FD"
"""Tells the bootstrap that it is to wait, and where."""
_USUAL_OPEN_FILES = 1024
_KEPT = (capabilities.SYS_ADMIN, capabilities.SETUID, capabilities.SETGID, capabilities.SETPCAP, capabilities.KILL)
# For another /tmp, and for packages that belong to the supervisor's user.
_TO_ASSIGN = (capabilities.CHOWN, capabilities.MKNOD, capabilities.DAC_READ_SEARCH)


class Outputs(NamedTuple):
    """Write ends of the pipes that are stdout and stderr."""

    runtime: int
    extensions: int


def before_assign(identity: Identity) -> None:
    """Give up the capabilities that are of no use from here on. Some go with the assignment."""
    capabilities.keep_here(*_kept(identity), *_TO_ASSIGN)


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
        self._forks = Forks(identity, group)
        self._control = control
        self._outputs = outputs
        self._tmp = tmp
        self._prefixes = prefixes
        self._prefix: int | None = None
        self._assigned = False
        self._waiting: Waiting | None = None
        self._running: dict[str, int] = {}
        """Name -> pid."""
        self._cloning: cloning.Cloning | None = None
        self._go: int | None = None

    def prepare(self, runtime: request.Runtime, *, stay: bool) -> None:
        """Start the interpreter that waits. `stay`: this process is a fork of one already, and forks it again.

        Raises NotStarted, and Stay in the fork."""
        if not stay:
            mounts.interpreter(runtime.prefix)
        self._prefix = runtime.prefix
        variables = {**runtime.variables, START_VARIABLE: str(wire.START_FD)}
        program = execute.Program(runtime.argv, variables, "/", _USUAL_OPEN_FILES)
        try:
            self._waiting = waiting(self._forks, program, self._outputs.runtime, stay=stay)
        except Stay:
            # Their numbers will be files of the function.
            self._control.detach()
            raise

    def await_ready(self) -> None:
        """Until the interpreter has imported what it can. Raises NotStarted."""
        assert self._waiting is not None
        self._waiting.await_ready()

    def serve(self) -> None:
        """Until the supervisor closes its end."""
        woken, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # A function may have our user number: what a first process has no handler for cannot be sent to it from inside.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        while True:
            clones = self._cloning.watched if self._cloning is not None else []
            poll = select.poll()
            for fd in (self._control.fileno(), woken, *clones):
                poll.register(fd, select.POLLIN)
            ready = {fd for fd, _ in poll.poll()}
            if woken in ready:
                os.read(woken, 4096)
                self._reap(os.WNOHANG)
            if self._cloning is not None:
                for fd in ready.intersection(clones):
                    self._cloning.handle(fd)
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
        finisher = fds.pop("finisher", None)
        for fd in fds.values():  # No other is expected.
            os.close(fd)
        if finisher is not None:
            self._restore(socket.socket(fileno=finisher))
            return True
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
                self._forget_ipc()
                if message.get("answer"):
                    self._tell({"event": "killed"})
            case "adopt":
                self._adopt(request.pid(message))
            case "connect":
                self._connect(request.port(message))
            case other:
                raise request.BadRequest(f"{other!r} is not understood")

    def _restore(self, finisher: socket.socket) -> None:
        if self._cloning is None:
            finisher.close()
        else:
            self._cloning.add(finisher)

    def _forget_ipc(self) -> None:
        """System V memory and message queues outlive their processes, and would still be charged to the next."""
        syscalls.unshare(syscalls.CLONE_NEWIPC)

    def _tell(self, message: wire.Message, fds: dict[str, int] | None = None) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # The end follows: the next receive sees it.
            wire.send(self._control, message, fds)

    def _assign(self, wanted: request.Assign) -> None:
        """A failure ends the sandbox: half of one is nobody's."""
        if self._assigned:
            raise request.BadRequest("assigned already")
        if self._prefix not in (None, wanted.prefix):
            raise request.BadRequest(f"prepared for prefix {self._prefix}")
        self._assigned = True
        self._forks.group = cgroups.change(self._forks.group, cgroup_limits(wanted.limits))
        self._tmp.mount(wanted.limits.tmp_mb)
        mounts.code(wanted.code, wanted.opt)
        if self._prefix is None:
            mounts.interpreter(wanted.prefix)
        mounts.forget_launcher()
        capabilities.set_to(*_kept(self._identity))
        self._tell({"event": "assigned"})

    def _start(self, wanted: request.Start) -> None:
        if not self._assigned:
            raise request.BadRequest("nothing is assigned")
        if wanted.name in self._running:
            raise request.BadRequest(f"{wanted.name} is running")
        if wanted.name == request.RUNTIME and self._release(wanted):
            return
        program = execute.Program(wanted.argv, wanted.variables, wanted.folder, wanted.open_files)
        output = self._outputs.runtime if wanted.name == request.RUNTIME else self._outputs.extensions
        made = cloning.Cloning(self._tmp.image, self._tell) if wanted.template else None
        go = self._go_pipe() if wanted.image else None
        try:
            template = made.of_template.fileno() if made is not None else None
            forked = self._forks.fork(program, output, template=template, image=go)
        except NotStarted as error:
            self._tell({"event": "not_started", "reason": str(error)})
            return
        finally:
            if go is not None:
                os.close(go)
        if made is not None:
            made.of_template.close()
            self._cloning = made
        self._started(wanted.name, forked.pid, forked.status)

    def _go_pipe(self) -> int:
        """What a runtime that is to be saved reads until it is restored. Our end stays open: it never reads an end."""
        read, self._go = os.pipe2(os.O_CLOEXEC)
        return read

    def _adopt(self, pid: int) -> None:
        """What was restored in here is our child since CRIU has ended, and is the runtime from now on."""
        if not self._assigned or request.RUNTIME in self._running:
            raise request.BadRequest("there is no room for a restored runtime")
        try:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            raise request.BadRequest("the restored runtime has ended") from None
        self._running[request.RUNTIME] = pid
        self._tell({"event": "adopted"})

    def _release(self, wanted: request.Start) -> bool:
        """Let the waiting interpreter be the runtime; False, with none left, when there is none that can."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return False
        if waiting.release(wanted, self._forks.fallback()):
            self._started(wanted.name, waiting.pid, waiting.status)
            return True
        os.kill(waiting.pid, signal.SIGKILL)
        os.waitpid(waiting.pid, 0)
        waiting.forget()
        os.close(waiting.status)
        return False

    def _started(self, name: str, pid: int, status: int) -> None:
        self._running[name] = pid
        self._tell({"event": "started"}, {"status": status})
        os.close(status)

    def _signal(self, name: str, number: int) -> None:
        # Its number is not another's: only this loop reaps. It leads a process group: a wrapper's child gets it too.
        if (pid := self._running.get(name)) is not None:
            with suppress(ProcessLookupError):
                if os.getpgid(pid) == pid:
                    os.killpg(pid, number)
                else:
                    os.kill(pid, number)

    def _connect(self, port: int) -> None:
        """The supervisor waits for the connection: who listens inside may never accept it."""
        code, connection = loopback.connect(port)
        self._tell({"event": "connected", "errno": code}, {} if connection is None else {"connection": connection})
        if connection is not None:
            os.close(connection)

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
            if self._waiting is not None and pid == self._waiting.pid:
                self._waiting.forget()
                os.close(self._waiting.status)
                self._waiting = None
                continue
            name = next((name for name, each in self._running.items() if each == pid), None)
            code, peak_bytes = os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024
            if name is None and self._cloning is not None:
                self._cloning.reaped(pid, cloning.End(code, peak_bytes))
            if name is not None:
                del self._running[name]
                self._tell_exit(name, code, peak_bytes)

    def _tell_exit(self, name: str, code: int, peak_bytes: int) -> None:
        self._tell({"event": "exited", "name": name, "code": code, "peak_bytes": peak_bytes})
