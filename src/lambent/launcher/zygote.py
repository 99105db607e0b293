"""A zygote: the interpreter of a runtime that has imported its bootstrap and the launcher's code, and only forks.

It runs under that interpreter, in a mount namespace where its prefix is /var/lang, with the launcher's privileges and
nothing of any function: no code, no variables, no event. Each fork is the first process of a new sandbox and a child of
the launcher; a fork of that becomes the runtime without an exec. One serves one account, because its forks share the
layout of their memory and the seed of their hashes. It ends with the line of the supervisor that asked for it.
"""

import gc
import marshal
import os
import select
import socket
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from lambent.launcher import base_tree, init, mounts, request, tmp_image, wire
from lambent.launcher.execute import Stay, signals_of_python
from lambent.launcher.hierarchies import Hierarchy
from lambent.launcher.kernel import syscalls

VARIABLE = "_LAMBENT_ZYGOTE"
"""Tells the bootstrap what it is to be."""
_LAUNCHER_FD, _SUPERVISOR_FD, _SET_UP_FD = 3, 4, 5
_kept: list[Stay] = []
_MARSHAL_VERSION = 2
"""Every Python reads it."""


class SetUp(NamedTuple):
    """What all of its forks have in common."""

    number: int
    namespaces: int
    prefixes: int
    tmp_blanks: Mapping[int, tmp_image.Extents] | None
    user_namespace: bool
    filter: bytes | None
    template_filter: bytes | None
    parents: tuple[tuple[Hierarchy, str], ...]
    runtime: request.Runtime


class Places(NamedTuple):
    """Where the files are that a zygote runs."""

    prefix: str
    entries: Mapping[str, str]
    program: str


def run(set_up: SetUp, launcher: socket.socket, supervisor: socket.socket) -> None:
    """In a fork of the launcher with a mount namespace of its own: become the interpreter. Never returns."""
    try:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
        mounts.interpreter(set_up.runtime.prefix)
        data = os.memfd_create("zygote", os.MFD_CLOEXEC)
        with os.fdopen(data, "wb", closefd=False) as file:
            file.write(marshal.dumps(_plain(set_up), _MARSHAL_VERSION))
        os.lseek(data, 0, os.SEEK_SET)
        # Out of the way of the numbers that they get.
        sources = [os.dup(fd) for fd in (launcher.detach(), supervisor.detach(), data)]
        for source, target in zip(sources, (_LAUNCHER_FD, _SUPERVISOR_FD, _SET_UP_FD), strict=True):
            os.dup2(source, target)
        syscalls.close_from(_SET_UP_FD + 1)
        os.chdir("/")
        program = set_up.runtime
        # Bound at once, what its forks call of the C library is not looked up in each of them.
        variables = {**program.variables, VARIABLE: str(set_up.number), "LD_BIND_NOW": "1"}
        os.execve(program.argv[0], program.argv, variables)
    except BaseException as error:  # noqa: BLE001 - the last line of this process: tell, then end
        sys.excepthook(type(error), error, error.__traceback__)
    os._exit(127)


def _plain(value: Any) -> Any:
    """As marshal takes it."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return {key: _plain(each) for key, each in value.items()} if isinstance(value, Mapping) else value


def _set_up(data: bytes) -> SetUp:
    set_up = SetUp(*marshal.loads(data))
    return set_up._replace(
        parents=tuple((Hierarchy(*hierarchy), folder) for hierarchy, folder in set_up.parents),
        runtime=request.Runtime(*set_up.runtime),
    )


def serve() -> int:
    """Called by the bootstrap. Returns in a fork that is a runtime: the descriptor on which it is told whose."""
    with os.fdopen(_SET_UP_FD, "rb") as file:
        set_up = _set_up(file.read())
    launcher, supervisor = socket.socket(fileno=_LAUNCHER_FD), socket.socket(fileno=_SUPERVISOR_FD)
    for each in (launcher, supervisor):
        each.set_inheritable(False)
    signals_of_python()
    # What is there now is never looked at again by the collector of a fork, and so stays shared.
    gc.collect()
    gc.freeze()
    wire.send(supervisor, {"event": "ready", "number": set_up.number})
    poll = select.poll()
    poll.register(launcher, select.POLLIN)
    poll.register(supervisor, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if _SUPERVISOR_FD in ready:
            os._exit(0)  # It has nothing to say but its end.
        received = wire.receive(launcher)
        if received is None:
            os._exit(0)
        message, fds = received
        pid = syscalls.clone(set_up.namespaces | syscalls.CLONE_PARENT)
        if pid == 0:
            launcher.detach()
            supervisor.detach()
            control = socket.socket(fileno=fds["control"])
            gc.disable()
            try:
                init.run(_blueprint(set_up, message), control)
            except Stay as stay:
                # What the way here has made is kept: to free it would copy more pages than it takes.
                _kept.append(stay)
                gc.freeze()
                gc.enable()
                return wire.START_FD
        for fd in fds.values():
            os.close(fd)
        wire.send(launcher, {"pid": pid})


def _blueprint(set_up: SetUp, message: wire.Message) -> init.Blueprint:
    return init.Blueprint(
        slot=message["slot"],
        limits=request.Limits(*message["limits"]),
        prefixes=set_up.prefixes,
        tmp_blanks=set_up.tmp_blanks,
        host_id=message["host_id"],
        user_namespace=set_up.user_namespace,
        filter=set_up.filter,
        template_filter=set_up.template_filter,
        parents=set_up.parents,
        runtime=set_up.runtime,
        stay=True,
    )


def trusted(runtime: request.Runtime, places: Places | None = None) -> bool:
    """Whether nobody but us and root can change what a zygote of it would run with our privileges.

    Of the files that the interpreter, its library, the bootstrap and this program consist of: their folders, and the
    first of the files. `places` are those of the host, before the launcher has left it: a user namespace cannot tell
    root's files from other users'.
    """
    if places is None:
        entries = {name: f"/var/runtime/{name}" for name in ("bootstrap.py", "lambent_runtime")}
        places = Places(base_tree.prefix_path(runtime.prefix), entries, base_tree.PROGRAM)
    prefix = places.prefix
    executable = runtime.argv[0].removeprefix("/var/lang/")
    library = f"{prefix}/lib/{os.path.basename(executable)}"
    paths = [prefix, f"{prefix}/{executable}", os.path.dirname(f"{prefix}/{executable}"), library]
    paths += [f"{library}/os.py", f"{library}/lib-dynload", f"{library}/encodings"]
    paths += [places.entries.get(name, "") for name in ("bootstrap.py", "lambent_runtime")]
    paths += [f"{places.entries.get('lambent_runtime', '')}/main.py"]
    launcher = f"{places.program}/lambent/launcher"
    paths += [launcher, f"{launcher}/zygote.py", f"{launcher}/kernel"]
    return all(map(_is_ours, paths))


def _is_ours(path: str) -> bool:
    try:
        found = os.stat(path)
    except OSError:
        return False
    ours, others = (0, os.getuid()), found.st_mode & 0o002
    return found.st_uid in ours and not others and (found.st_gid in (0, os.getgid()) or not found.st_mode & 0o020)
