"""The making of a container and of all that it has, by a process outside of it: a fork of the launcher, one for each.

It has the launcher's privileges. The container is there, waiting for its command, before it is assigned; then `first`
obeys the supervisor. It ends with its control socket.
"""

import fcntl
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import NoReturn

from lambent.launcher import base_tree, cgroups, mounts, wire
from lambent.launcher.first import Outputs, cgroup_limits
from lambent.launcher.kernel import syscalls
from lambent.launcher.net import loopback
from lambent.launcher.oci import tree as oci_tree
from lambent.launcher.oci.first import Blueprint, OciFirst
from lambent.launcher.oci.gvisor import GvisorFirst
from lambent.launcher.tmp_folder import TmpFolder

_OUTPUT_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031
_CONTROL_FD = 3
_SET_UP_FAILED = 70


def run(blueprint: Blueprint, control: socket.socket) -> NoReturn:
    """The whole life of this process, from right after the fork."""
    status = _SET_UP_FAILED
    try:
        signal.set_wakeup_fd(-1)  # The launcher's, which goes with its other descriptors.
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGTERM)
        syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
        os.dup2(control.detach(), _CONTROL_FD, inheritable=False)
        syscalls.close_from(_CONTROL_FD + 1)
        control = socket.socket(fileno=_CONTROL_FD)
        _live(blueprint, control)
        status = 0
    except Exception as error:  # noqa: BLE001 - the last line of this process: tell, then end
        if not isinstance(error, OSError):
            sys.excepthook(type(error), error, error.__traceback__)
        with suppress(OSError):
            wire.send(control, {"event": "failed", "reason": str(error)})
    finally:
        os._exit(status)


def _live(blueprint: Blueprint, control: socket.socket) -> None:
    group = cgroups.create(blueprint.parents, blueprint.slot, cgroup_limits(blueprint.limits))
    syscalls.unshare(syscalls.CLONE_NEWNET)
    loopback.bring_up()
    apis = [loopback.listen(address) for address in loopback.RUNTIME_API]
    endpoints = [loopback.listen(address) for address in loopback.AWS_ENDPOINT]
    slot = oci_tree.make_slot(blueprint.slot)
    prefix = blueprint.own_prefix if blueprint.runtime is None else blueprint.runtime.prefix
    mounts.attach(syscalls.open_tree(base_tree.prefix_path(prefix)), f"{slot}/lang")
    tmp = TmpFolder(blueprint.tmp_blanks, blueprint.host_id, f"{slot}/tmp")
    output_read, output_write = _pipe(blueprint.host_id)
    extensions_read, extensions_write = _pipe(blueprint.host_id)
    outputs = Outputs(output_write, extensions_write)
    outside = (GvisorFirst if blueprint.gvisor else OciFirst)(blueprint, group, control, outputs, tmp)
    signal.signal(signal.SIGTERM, lambda *_: control.shutdown(socket.SHUT_RDWR))  # As if the supervisor had gone.
    try:
        outside.make()
        tmp.mount(blueprint.limits.tmp_mb)  # Only what comes after the container can be replaced in it.
        fds = {f"runtime_api.{number}": each.fileno() for number, each in enumerate(apis)}
        fds |= {f"aws_endpoint.{number}": each.fileno() for number, each in enumerate(endpoints)}
        control_fds = outside.control()
        fds |= {"output": output_read, "extension_output": extensions_read, **control_fds}
        wire.send(control, {"event": "ready", "sandbox": int(blueprint.slot)}, fds)
        for each in (*apis, *endpoints):
            each.close()
        for fd in (output_read, extensions_read, *control_fds.values()):
            os.close(fd)
        outside.serve()
    finally:
        outside.end()
        oci_tree.clear_slot(blueprint.slot)


def _pipe(owner: int) -> tuple[int, int]:
    read, write = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(read, False)
    with suppress(OSError):  # The user's pipe pages are used up.
        fcntl.fcntl(write, _F_SETPIPE_SZ, _OUTPUT_BYTES)
    os.fchown(write, owner, owner)
    return read, write
