"""The making of a sandbox from inside, by its first process: a fork of the launcher, trusted and small.

Network, /proc, /tmp and cgroup: what every sandbox has, before it is known whose it will be. Then `first` obeys the
supervisor. The sandbox ends with its control socket: when the supervisor is gone, so is everything in here. Nothing
may be imported late: the standard library stayed behind.
"""

import fcntl
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple, NoReturn

from lambent.launcher import cgroups, first, mounts, request, tmp_image, wire
from lambent.launcher.execute import Stay
from lambent.launcher.forks import Identity, NotStarted
from lambent.launcher.hierarchies import Hierarchy
from lambent.launcher.kernel import syscalls
from lambent.launcher.net import loopback
from lambent.launcher.tmp_folder import TmpFolder

_CONTROL_FD = 3
_OUTPUT_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031
_SET_UP_FAILED = 70


class Blueprint(NamedTuple):
    """What the launcher has checked and decided about one sandbox."""

    slot: str
    limits: request.Limits
    prefixes: int
    """How many interpreter prefixes there are."""
    tmp_blanks: Mapping[int, tmp_image.Extents] | None
    """By size; None: this machine has no /tmp images, it is a tmpfs."""
    host_id: int
    """User and group number of the function on the host."""
    user_namespace: bool
    filter: bytes | None
    template_filter: bytes | None
    parents: tuple[tuple[Hierarchy, str], ...]
    runtime: request.Runtime | None = None
    """Whose interpreter waits in it."""
    stay: bool = False
    """This process is a fork of that interpreter, and a fork of this process will be the runtime."""


def run(blueprint: Blueprint, control: socket.socket) -> NoReturn:
    """The whole life of the first process, from right after the clone. Raises Stay in a fork that is the runtime."""
    status = _SET_UP_FAILED
    try:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)  # The launcher's: its number will be another file.
        os.dup2(control.detach(), _CONTROL_FD, inheritable=False)
        syscalls.close_from(_CONTROL_FD + 1)
        control = socket.socket(fileno=_CONTROL_FD)
        status = _live(blueprint, control)
    except Stay:
        raise
    except BaseException as error:  # noqa: BLE001 - the last line of this process: tell, then end
        if not isinstance(error, (OSError, NotStarted)):
            sys.excepthook(type(error), error, error.__traceback__)
        with suppress(OSError):
            wire.send(control, {"event": "failed", "reason": str(error)})
    os._exit(status)


def _live(blueprint: Blueprint, control: socket.socket) -> int:
    limits = blueprint.limits
    group = cgroups.create(blueprint.parents, blueprint.slot, first.cgroup_limits(limits))
    mounts.proc()
    output_read, output_write = output_pipe(blueprint.host_id)
    extensions_read, extensions_write = output_pipe(blueprint.host_id)
    identity = Identity(blueprint.host_id, blueprint.user_namespace, blueprint.filter, blueprint.template_filter)
    outputs = first.Outputs(output_write, extensions_write)
    tmp = TmpFolder(blueprint.tmp_blanks, blueprint.host_id)
    loop = first.First(identity, group, control, outputs, tmp, blueprint.prefixes)
    if blueprint.runtime is not None:
        # Before the rest: it works on another CPU meanwhile, and what this process writes to from now on is copied for
        # this process alone.
        loop.prepare(blueprint.runtime, stay=blueprint.stay)
    loopback.bring_up()
    apis = loopback.runtime_api()
    endpoints = [loopback.listen(address) for address in loopback.AWS_ENDPOINT]
    socket.sethostname("sandbox")
    tmp.mount(limits.tmp_mb)
    first.before_assign(identity)
    if blueprint.runtime is not None and not blueprint.stay:
        loop.await_ready()
    fds = {f"runtime_api.{number}": each.fileno() for number, each in enumerate(apis)}
    fds |= {f"aws_endpoint.{number}": each.fileno() for number, each in enumerate(endpoints)}
    fds |= {"output": output_read, "extension_output": extensions_read, **group.control}
    wire.send(control, {"event": "ready", "sandbox": int(blueprint.slot)}, fds)
    for each in (*apis, *endpoints):
        each.close()
    for fd in (output_read, extensions_read, *group.control.values()):
        os.close(fd)
    loop.serve()
    with suppress(OSError):
        tmp.discard()
    return 0


def output_pipe(owner: int) -> tuple[int, int]:
    read, write = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(read, False)
    # A burst of log lines should not stop the function. Refused when the user's pipe pages are used up.
    with suppress(OSError):
        fcntl.fcntl(write, _F_SETPIPE_SZ, _OUTPUT_BYTES)
    # So that /dev/stdout can be opened by the function.
    os.fchown(write, owner, owner)
    return read, write
