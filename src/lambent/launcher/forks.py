"""Processes of the function, as forks of the first process: in their user namespace and cgroup, then confined.

A waiting interpreter is one of them that was started before it was known for whom. It has dropped everything that the
function may not have, runs our bootstrap alone, and reads from a socket what it is to become.
"""

import os
import socket
from collections.abc import Callable
from typing import NamedTuple

from lambent.launcher import base_tree as base
from lambent.launcher import cgroups, execute, request
from lambent.launcher.kernel import syscalls

_READY_TIMEOUT_S = 10.0


class Identity(NamedTuple):
    """Who the processes of the function are, and what the kernel lets them do."""

    host_id: int
    user_namespace: bool
    filter: bytes | None
    template_filter: bytes | None
    """Of a runtime that is kept to be cloned."""
    groups: tuple[int, ...] = ()
    walls: Callable[[], None] | None = None
    """As of execute.Confinement."""


class NotStarted(Exception):
    """The message is what the program, or the way to it, said."""


class Forked(NamedTuple):
    pid: int
    status: int
    """An open descriptor of its status: afterwards /proc hides it from the first process as well."""


class Forks:
    def __init__(self, identity: Identity, group: cgroups.Group) -> None:
        self._identity = identity
        self.group = group
        self._null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)

    def fork(
        self,
        program: execute.Program,
        output: int,
        *,
        start: int | None = None,
        template: int | None = None,
        image: int | None = None,
        stay: bool = False,
    ) -> Forked:
        """Raises NotStarted; and execute.Stay in the child, when that stays. `start` or `template` is the socket of a
        program that waits, or is to be cloned; `image` the pipe of one that is to be saved by CRIU."""
        if template is not None and not (self._identity.user_namespace and self._identity.template_filter):
            raise NotStarted("what is to be cloned needs a user namespace and a filter of system calls")
        failed, error = os.pipe2(os.O_CLOEXEC)
        go, going = os.pipe2(os.O_CLOEXEC)
        namespace, host_id = self._identity.user_namespace, self._identity.host_id
        inside = (base.USER, base.GROUP) if namespace else (host_id, host_id)
        pid = syscalls.clone(syscalls.CLONE_NEWUSER if namespace else 0, self.group.into)
        if pid == 0:
            # What waits gets its limits when it is assigned: they could not be raised then.
            fallback = self.fallback() if start is None else execute.Fallback(None, None)
            confinement = execute.Confinement(
                self.group.tasks,
                *inside,
                fallback,
                self._identity.filter,
                groups=self._identity.groups,
                walls=self._identity.walls,
            )
            if image is not None:
                start = image
            if template is not None:
                start = template
                confinement = confinement._replace(filter=self._identity.template_filter, template=True)
            fds = execute.Descriptors(self._null, output, error, go, start)
            execute.become(program, confinement, fds, stay=stay)
        os.close(error)
        os.close(go)
        status = os.open(f"/proc/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)
        if namespace:
            for kind, number in (("uid", inside[0]), ("gid", inside[1])):
                ids = os.open(f"/proc/{pid}/{kind}_map", os.O_WRONLY | os.O_CLOEXEC)
                os.write(ids, f"{number} {host_id} 1".encode())
                os.close(ids)
        os.write(going, b"g")
        os.close(going)
        if stay:
            # It is confined while we go on, and cannot be told to start before.
            os.close(failed)
            return Forked(pid, status)
        reason = os.read(failed, 4096)
        os.close(failed)
        if reason:
            os.waitpid(pid, 0)
            os.close(status)
            raise NotStarted(reason.decode(errors="replace"))
        return Forked(pid, status)

    def fallback(self) -> execute.Fallback:
        """Limits of the kernel for what no control group limits here."""
        limited = {name for hierarchy, _ in self.group.folders for name in hierarchy.controllers}
        memory_mb, processes = self.group.limits.memory_bytes >> 20, self.group.limits.processes
        return execute.Fallback(
            processes=None if "pids" in limited else processes,
            data_bytes=None if "memory" in limited else execute.data_bytes(memory_mb),
        )


class Waiting:
    """An interpreter that waits for `release`."""

    def __init__(self, forked: Forked, line: socket.socket, program: execute.Program) -> None:
        self.pid = forked.pid
        self.status = forked.status
        self._line = line
        self._program = program

    def await_ready(self) -> None:
        """Until it has imported what it can. Raises NotStarted."""
        self._line.settimeout(_READY_TIMEOUT_S)
        try:
            if self._line.recv(1) == b"w":
                return
        except OSError as error:
            raise NotStarted(f"the interpreter does not wait: {error}") from None
        raise NotStarted("the interpreter ended instead of waiting")

    def release(self, wanted: request.Start, fallback: execute.Fallback) -> bool:
        """Let it become `wanted`. False when it cannot."""
        if wanted.must_exec or wanted.argv != self._program.argv:
            return False
        try:
            if fallback != execute.Fallback(None, None) or wanted.open_files != self._program.open_files:
                execute.limit(self.pid, wanted.open_files, fallback)
            fields = [wanted.folder, *(f"{name}={value}" for name, value in wanted.variables.items())]
            self._line.sendall(b"\0".join(map(os.fsencode, fields)))
            self._line.close()
        except OSError:
            return False
        return True

    def forget(self) -> None:
        """It has ended, or is the runtime now."""
        self._line.close()


def waiting(forks: Forks, program: execute.Program, output: int, *, stay: bool = False) -> Waiting:
    """Start one. Raises NotStarted, and as `Forks.fork`."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        forked = forks.fork(program, output, start=theirs.fileno(), stay=stay)
    except execute.Stay:
        # Closed already, and their numbers may soon be the function's.
        ours.detach()
        theirs.detach()
        raise
    except BaseException:
        ours.close()
        theirs.close()
        raise
    theirs.close()
    return Waiting(forked, ours, program)
