"""The start of the launcher process: hear what is agreed, become the launcher of that kind, say what is missing.

Standard library and core alone are imported here; who makes sandboxes otherwise is imported where it is wanted.
"""

import gc
import os
import resource
import socket

from lambent.launcher import agreed as agreement
from lambent.launcher import user_namespace, wire, zygote
from lambent.launcher.agreed import Agreed
from lambent.launcher.machine import Machine
from lambent.launcher.net import loopback
from lambent.launcher.server import Launcher
from lambent.launcher.user_namespace import Ids, NoUserNamespace

SOCKET_FD = 0
"""Standard input, because it also survives `systemd-run --scope`."""
_FIRST_ID = 0x7000_0000
_IDS_PER_DATA_DIR = 0x1_0000
_DATA_DIRS = 0xFFF
_NO_NETWORKS = "the process sandbox has no network of its own"


def main() -> None:
    supervisor = socket.socket(fileno=os.dup(SOCKET_FD))
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, SOCKET_FD)
    os.dup2(null, 1)
    received = wire.receive(supervisor)
    if received is None:
        return
    if received[0]["kind"] == "process":
        _contained(received[0], supervisor)
        return
    agreed = agreement.read(received[0])
    _raise_file_limit()
    try:
        if agreed.rootless:
            agreed = agreed._replace(trusted=_trusted(agreed))
        launcher = _launcher(agreed, _ids(agreed), supervisor)
    except (NoUserNamespace, OSError) as error:
        wire.send(supervisor, {"event": "failed", "reason": str(error)})
        return
    addresses = {"runtime_api": loopback.RUNTIME_API, "aws_endpoint": loopback.AWS_ENDPOINT}
    fds = launcher.networks.handed_over()
    ready: wire.Message = {"event": "ready", "missing": launcher.machine.missing, **addresses}
    ready |= {"egress": launcher.networks.missing, "vpcs": launcher.networks.no_vpcs}
    wire.send(supervisor, ready, fds)
    for fd in fds.values():
        os.close(fd)
    # What exists now is shared with every sandbox's first process, page by page: collections would unshare it.
    gc.disable()
    gc.freeze()
    launcher.serve()


def _launcher(agreed: Agreed, ids: Ids, supervisor: socket.socket) -> Launcher:
    if agreed.oci is None:
        return Launcher(Machine(agreed, ids), supervisor)
    from lambent.launcher.oci.machine import OciMachine
    from lambent.launcher.oci.server import OciLauncher

    return OciLauncher(OciMachine(agreed, ids), agreed.oci, supervisor)


def _contained(agreed: wire.Message, supervisor: socket.socket) -> None:
    # The others, who share each page with their sandboxes, do not need it.
    from lambent.launcher.contained.server import ContainedLauncher

    names = ("data_dir", "mark", "packages", "runtime_entries")
    try:
        launcher = ContainedLauncher(
            **{name: agreed[name] for name in names},
            prefixes=tuple(agreed["prefixes"]),
            web=agreed["egress"] != "none",
            users=agreed["function_users"],
            supervisor=supervisor,
        )
    except OSError as error:
        wire.send(supervisor, {"event": "failed", "reason": str(error)})
        return
    wire.send(supervisor, {"event": "ready", "missing": launcher.missing, "egress": None, "vpcs": _NO_NETWORKS})
    launcher.serve()


def _trusted(agreed: Agreed) -> frozenset[int]:
    """Before the launcher enters a user namespace."""
    program = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    return frozenset(
        number
        for number, runtime in enumerate(agreed.runtimes)
        if zygote.trusted(runtime, zygote.Places(agreed.prefixes[runtime.prefix], agreed.runtime_entries, program))
    )


def _ids(agreed: Agreed) -> Ids:
    """The numbers of functions, and the way into the namespace where they are ours."""
    if agreed.rootless:
        return user_namespace.enter(agreed.mark)
    return Ids(_FIRST_ID + int(agreed.mark, 16) % _DATA_DIRS * _IDS_PER_DATA_DIR, _IDS_PER_DATA_DIR, None)


def _raise_file_limit() -> None:
    """One socket is kept for each sandbox."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
