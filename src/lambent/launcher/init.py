"""The first process of a sandbox: a fork of the launcher, trusted and small.

It finishes the sandbox from inside (network, /proc, /tmp, code), starts the runtime when told, reaps, and ends with
its control socket: when the supervisor is gone, so is everything in here. Nothing may be imported late: the standard
library stayed behind. Messages in: start, kill. Out: ready or failed, started or not_started, exited, killed.
"""

import fcntl
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import NamedTuple, NoReturn

from lambent.launcher import capabilities, cgroups, execute, network, syscalls, template, tmp_image, wire

_CONTROL_FD = 3
_OUTPUT_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031
_SET_UP_FAILED = 70

_PROC_EMPTY = ("kcore", "keys", "kallsyms", "timer_list", "latency_stats", "sched_debug", "sysrq-trigger", "kmsg")
_PROC_HIDDEN = ("acpi", "scsi", "asound")
_PROC_READ_ONLY = ("bus", "fs", "irq", "sys")


class Blueprint(NamedTuple):
    """What the launcher has checked and decided about one sandbox."""

    slot: str
    code: str
    """Path below the packages folder."""
    opt: str | None
    """Path below the packages folder; None: /opt stays empty."""
    prefix: int
    tmp_mb: int
    tmp_blank: tmp_image.Extents | None
    """None: this machine has no /tmp images, it is a tmpfs."""
    limits: cgroups.Limits
    host_id: int
    """User and group number of the function on the host."""
    user_namespace: bool
    fallback: execute.Fallback
    filter: bytes | None
    parents: tuple[tuple[cgroups.Hierarchy, str], ...]


def run(blueprint: Blueprint, control: socket.socket) -> NoReturn:
    """The whole life of the first process, from right after the clone."""
    status = _SET_UP_FAILED
    try:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        os.dup2(control.detach(), _CONTROL_FD, inheritable=False)
        syscalls.close_from(_CONTROL_FD + 1)
        control = socket.socket(fileno=_CONTROL_FD)
        status = _live(blueprint, control)
    except Exception as error:  # noqa: BLE001 - the last line of this process: tell, then end
        if not isinstance(error, OSError):
            sys.excepthook(type(error), error, error.__traceback__)
        with suppress(OSError):
            wire.send(control, {"event": "failed", "reason": str(error)})
    finally:
        os._exit(status)


def _live(blueprint: Blueprint, control: socket.socket) -> int:
    group = cgroups.create(blueprint.parents, blueprint.slot, blueprint.limits)
    network.bring_up()
    apis = [network.listen(address) for address in network.RUNTIME_API]
    endpoints = [network.listen(address) for address in network.AWS_ENDPOINT]
    socket.sethostname("sandbox")
    output_read, output_write = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(output_read, False)
    _enlarge(output_write)
    _mounts(blueprint)
    # So that /dev/stdout can be opened by the function.
    os.fchown(output_write, blueprint.host_id, blueprint.host_id)
    kept = [capabilities.SYS_ADMIN, capabilities.SETUID, capabilities.SETGID, capabilities.SETPCAP, capabilities.KILL]
    if blueprint.host_id == 0:
        kept.append(capabilities.SETFCAP)  # The kernel asks for it where the function's number is that of our own root.
    capabilities.keep(*kept)
    fds = {f"runtime_api.{number}": each.fileno() for number, each in enumerate(apis)}
    fds |= {f"aws_endpoint.{number}": each.fileno() for number, each in enumerate(endpoints)}
    fds |= {"output": output_read, **group.control}
    wire.send(control, {"event": "ready"}, fds)
    for each in (*apis, *endpoints):
        each.close()
    for fd in (output_read, *group.control.values()):
        os.close(fd)
    First(blueprint, group, control, output_write).serve()
    with suppress(OSError):
        tmp_image.discard("/tmp")
    return 0


def _enlarge(pipe: int) -> None:
    # A burst of log lines should not stop the function. Refused when the user's pipe pages are used up.
    with suppress(OSError):
        fcntl.fcntl(pipe, _F_SETPIPE_SZ, _OUTPUT_BYTES)


def _mounts(blueprint: Blueprint) -> None:
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    # Other users' processes, this one among them, cannot even be seen.
    syscalls.mount("proc", "/proc", "proc", flags, "hidepid=invisible")
    for name in _PROC_EMPTY:
        if os.path.exists(f"/proc/{name}"):
            syscalls.mount("/dev/null", f"/proc/{name}", None, syscalls.MS_BIND)
    for name in _PROC_HIDDEN:
        if os.path.isdir(f"/proc/{name}"):
            syscalls.mount("empty", f"/proc/{name}", "tmpfs", flags | syscalls.MS_RDONLY, "size=4k")
    for name in _PROC_READ_ONLY:
        if os.path.isdir(f"/proc/{name}"):
            syscalls.mount(f"/proc/{name}", f"/proc/{name}", None, syscalls.MS_BIND)
            remount = syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY
            syscalls.mount("none", f"/proc/{name}", None, flags | remount)
    _tmp(blueprint)
    packages = os.open(template.PACKAGES, os.O_PATH | os.O_CLOEXEC)
    _attach_package(packages, blueprint.code, "/var/task")
    if blueprint.opt is not None:
        _attach_package(packages, blueprint.opt, "/opt")
    os.close(packages)
    _attach(syscalls.open_tree(template.prefix_path(blueprint.prefix)), "/var/lang")
    syscalls.umount(template.STAGING)


def _attach_package(packages: int, path: str, target: str) -> None:
    folder = syscalls.open_beneath(packages, path)
    _attach(syscalls.open_tree("", dir_fd=folder), target)
    os.close(folder)


def _attach(tree: int, target: str) -> None:
    syscalls.move_mount(tree, target)
    os.close(tree)


def _tmp(blueprint: Blueprint) -> None:
    if blueprint.tmp_blank is not None:
        tmp_image.mount(blueprint.tmp_mb, blueprint.tmp_blank, "/tmp", blueprint.host_id, blueprint.host_id)
        return
    options = f"size={blueprint.tmp_mb}m,mode=0700,uid={blueprint.host_id},gid={blueprint.host_id}"
    syscalls.mount("tmp", "/tmp", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, options)


class First:
    """The loop of the first process. Single-threaded: it waits for the socket and for its children."""

    def __init__(self, blueprint: Blueprint, group: cgroups.Group, control: socket.socket, output: int) -> None:
        self._blueprint = blueprint
        self._group = group
        self._control = control
        self._output = output
        self._null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self._runtime: int | None = None

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
            if self._control.fileno() in ready:
                received = wire.receive(self._control)
                if received is None:
                    self._kill_all()
                    return
                self._obey(received[0])

    def _obey(self, message: wire.Message) -> None:
        if message["do"] == "start":
            program = execute.Program(
                tuple(message["argv"]), message["variables"], message["folder"], message["open_files"]
            )
            self._start(program)
        elif message["do"] == "kill":
            self._kill_all()
            # System V memory and message queues outlive their processes, and would still be charged to the next.
            syscalls.unshare(syscalls.CLONE_NEWIPC)
            if message["answer"]:
                self._tell({"event": "killed"})

    def _tell(self, message: wire.Message, fds: dict[str, int] | None = None) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # The end follows: the next receive sees it.
            wire.send(self._control, message, fds)

    def _start(self, program: execute.Program) -> None:
        failed, error = os.pipe2(os.O_CLOEXEC)
        go, going = os.pipe2(os.O_CLOEXEC)
        namespace = self._blueprint.user_namespace
        inside = (template.USER, template.GROUP) if namespace else (self._blueprint.host_id, self._blueprint.host_id)
        pid = syscalls.clone(syscalls.CLONE_NEWUSER if namespace else 0, self._group.into)
        if pid == 0:
            confinement = execute.Confinement(
                self._group.tasks, *inside, self._blueprint.fallback, self._blueprint.filter
            )
            execute.become(program, confinement, stdin=self._null, output=self._output, error=error, go=go)
        os.close(error)
        os.close(go)
        # While it is still ours: afterwards /proc hides it from us as well.
        status = os.open(f"/proc/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)
        if namespace:
            for kind, number in (("uid", inside[0]), ("gid", inside[1])):
                ids = os.open(f"/proc/{pid}/{kind}_map", os.O_WRONLY | os.O_CLOEXEC)
                os.write(ids, f"{number} {self._blueprint.host_id} 1".encode())
                os.close(ids)
        os.write(going, b"g")
        os.close(going)
        reason = os.read(failed, 4096)
        os.close(failed)
        if reason:
            os.waitpid(pid, 0)
            self._tell({"event": "not_started", "reason": reason.decode(errors="replace")})
        else:
            self._runtime = pid
            self._tell({"event": "started"}, {"status": status})
        os.close(status)

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
            if pid == self._runtime:
                self._runtime = None
                code = os.waitstatus_to_exitcode(status)
                self._tell({"event": "exited", "code": code, "peak_bytes": usage.ru_maxrss * 1024})
