"""The first process of a sandbox without namespaces: trusted, root as far as the container has one.

Processes of the function are its children or become so when their parents end, whatever sessions they make. It obeys as
any first process does, and ends with its control socket or its launcher, after the function and all that it left.
"""

import os
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import NamedTuple, NoReturn

from lambent.launcher import cgroups, first, init, request, wire
from lambent.launcher.contained import user_end, view
from lambent.launcher.forks import Identity
from lambent.launcher.kernel import capabilities, landlock, syscalls
from lambent.launcher.tmp_folder import TmpFolder

_CONTROL_FD = 3
_ATTEMPTS = 200
_PAUSE_S = 0.005
_LOOPBACK = "127.0.0.1"
_BACKLOG = 64
_WEB = (53, 80, 443)
_KEPT = (
    capabilities.CHOWN,
    capabilities.KILL,
    capabilities.SETGID,
    capabilities.SETUID,
    capabilities.SETPCAP,
)


class Place(NamedTuple):
    """Where one sandbox is, and whose."""

    number: int
    user: int
    group: int
    """Of all functions, for the way through the data dir."""
    base: str
    packages: str
    prefixes: tuple[str, ...]
    readable: tuple[str, ...]
    web: bool
    """TCP to the internet's usual ports is allowed."""


def run(place: Place, limits: request.Limits, filter: bytes | None, control: socket.socket) -> NoReturn:
    """The whole life of the first process, from right after the fork."""
    status = 70
    try:
        # Not a kill: the function would outlive it. The loop wakes up and sees that its parent is another.
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGTERM)
        signal.set_wakeup_fd(-1)  # The launcher's: its number will be another file.
        os.dup2(control.detach(), _CONTROL_FD, inheritable=False)
        syscalls.close_from(_CONTROL_FD + 1)
        control = socket.socket(fileno=_CONTROL_FD)
        status = _live(place, limits, filter, control)
    except Exception as error:  # noqa: BLE001 - the last line of this process: tell, then end
        if not isinstance(error, OSError):
            sys.excepthook(type(error), error, error.__traceback__)
        with suppress(OSError):
            wire.send(control, {"event": "failed", "reason": str(error)})
    finally:
        os._exit(status)


def _live(place: Place, limits: request.Limits, filter: bytes | None, control: socket.socket) -> int:
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
    home = f"{place.base}/{place.user}-{os.urandom(4).hex()}"
    os.mkdir(home, 0o755)
    os.chmod(home, 0o755)
    os.mkdir(f"{home}/opt", 0o755)
    os.mkdir(f"{home}/tmp", 0o700)
    os.chown(f"{home}/tmp", place.user, place.user)
    api, endpoint = _listener(), _listener()
    output_read, output_write = init.output_pipe(place.user)
    extensions_read, extensions_write = init.output_pipe(place.user)
    capabilities.keep(*_KEPT)
    ports = (api.getsockname()[1], endpoint.getsockname()[1])
    fds = {"runtime_api.0": api.fileno(), "aws_endpoint.0": endpoint.fileno()}
    fds |= {"output": output_read, "extension_output": extensions_read}
    wire.send(control, {"event": "ready", "home": home, "user": place.user, "sandbox": place.number}, fds)
    for each in (api, endpoint):
        each.close()
    for fd in (output_read, extensions_read):
        os.close(fd)
    outputs = first.Outputs(output_write, extensions_write)
    group = cgroups.create((), "", first.cgroup_limits(limits))
    identity = Identity(place.user, user_namespace=False, filter=filter, template_filter=None)
    tmp = TmpFolder(None, place.user)
    ContainedFirst(identity, group, control, outputs, tmp, place, home, ports).serve()
    remove_home(home)
    return 0


def _listener() -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    listener.bind((_LOOPBACK, 0))
    listener.listen(_BACKLOG)
    return listener


class ContainedFirst(first.First):
    def __init__(
        self,
        identity: Identity,
        group: cgroups.Group,
        control: socket.socket,
        outputs: first.Outputs,
        tmp: TmpFolder,
        place: Place,
        home: str,
        ports: tuple[int, ...],
    ) -> None:
        confined = identity._replace(groups=(place.group,), walls=self._walls)
        super().__init__(confined, group, control, outputs, tmp, len(place.prefixes))
        self._place = place
        self._home = home
        self._ports = ports
        self._own: tuple[str, ...] = ()
        self._parent = os.getppid()
        signal.signal(signal.SIGTERM, self._launcher_ended)

    def _launcher_ended(self, *_: object) -> None:
        if os.getppid() != self._parent:
            self._kill_all()
            remove_home(self._home)
            os._exit(0)

    def _assign(self, wanted: request.Assign) -> None:
        if self._assigned:
            raise request.BadRequest("assigned already")
        self._assigned = True
        self._forks.group = cgroups.change(self._forks.group, first.cgroup_limits(wanted.limits))
        packages = os.open(self._place.packages, os.O_PATH | os.O_CLOEXEC)
        code, *opt = [each for each in (wanted.code, wanted.opt) if each is not None]
        for each in (code, *opt):
            os.close(syscalls.open_beneath(packages, each))
        os.close(packages)
        own = [f"{self._place.packages}/{each}" for each in (code, *opt)]
        self._own = (*own, f"{self._home}/opt", self._place.prefixes[wanted.prefix])
        self._tell({"event": "assigned"})

    def _walls(self) -> None:
        """Called in the process that becomes the runtime or an extension."""
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        rules = [(path, landlock.READ) for path in (*view.readable(), *self._place.readable, *self._own)]
        rules += [(path, landlock.READ | landlock.WRITE) for path in (f"{self._home}/tmp", *view.writable())]
        landlock.restrict(
            handled=landlock.READ | landlock.WRITE,
            rules=rules,
            scope=landlock.SCOPE_ABSTRACT_UNIX | landlock.SCOPE_SIGNAL,
            connect=(*self._ports, *(_WEB if self._place.web else ())),
        )

    def _kill_all(self) -> None:
        """All are children of this process by the time that their parents have ended."""
        user_end.kill_processes(self._place.user, self._place.user + 1)
        self._reap(0)

    def _forget_ipc(self) -> None:
        user_end.remove_leftovers(self._place.user)


def end_user(user: int) -> None:
    """The processes and leftovers of a function whose first process is gone."""
    user_end.kill_processes(user, user + 1)
    for _ in range(_ATTEMPTS):
        if user not in user_end.users():
            break
        time.sleep(_PAUSE_S)
    user_end.remove_leftovers(user)


def remove_home(home: str) -> None:
    """`home` itself is ours; what the function wrote is removed with its own rights."""
    with suppress(OSError):
        owner = os.lstat(f"{home}/tmp").st_uid
        user_end.remove_leftovers(owner)
        user_end.remove_folder(owner, home)
