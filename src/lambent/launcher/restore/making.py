"""The making of a restored sandbox, from outside: what an empty clone of a template gets before it has an identity.

Network, /proc, /tmp and cgroups are made in the clone's own namespaces, while the clone does its part; then it is
stopped and looked at (`inspection`), and only what it should be goes on. Nothing that it says is believed.
"""

import os
import signal
import socket
import struct
from typing import NamedTuple

from lambent.launcher import cgroups, first, init, mounts, request, wire
from lambent.launcher.hierarchies import Hierarchy
from lambent.launcher.kernel import seccomp, syscalls
from lambent.launcher.net import loopback
from lambent.launcher.restore import inspection
from lambent.launcher.tmp_folder import TmpFolder

BORN, JOIN, JOINED = b"born", b"join", b"joined"
_PROC_FAILED = 70
_STEP_LIMIT_S = 5.0
_SAID_BYTES = 1000
_CREDENTIALS = struct.Struct("=3i")


class Blueprint(NamedTuple):
    """What the launcher has checked and decided about one restored sandbox."""

    slot: str
    limits: request.Limits
    parents: tuple[tuple[Hierarchy, str], ...]
    group_name: str
    template_slot: str
    template_first: int
    """Pid of the first process of the template's sandbox."""
    owner: int
    """The function's user on the host: the template's."""
    proc: int
    """A descriptor of /proc."""


class Failed(Exception):
    """The message is for the supervisor."""


class Making:
    def __init__(self, blueprint: Blueprint, template: socket.socket) -> None:
        self._blueprint = blueprint
        self._template = template
        self.proc = inspection.Proc(blueprint.proc)
        self.fds: dict[str, int] = {}
        self.tmp = TmpFolder(None, blueprint.owner)
        self.join_later: list[int] = []
        """v2 groups without limits, which a process can only join with a long wait."""
        self.identity, theirs = wire.pair()
        self._their_inode = os.fstat(theirs.fileno()).st_ino
        self.identity.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.identity.settimeout(_STEP_LIMIT_S)
        template.settimeout(_STEP_LIMIT_S)
        wire.send(template, {"do": "clone"}, {"child": theirs.fileno()})
        theirs.close()

    def finish(self) -> inspection.Clone:
        """While the template clones itself, what needs no clone is made."""
        blueprint = self._blueprint
        group = cgroups.create(blueprint.parents, blueprint.slot, first.cgroup_limits(blueprint.limits))
        output_read, output_write = init.output_pipe(blueprint.owner)
        extensions_read, extensions_write = init.output_pipe(blueprint.owner)
        os.close(extensions_write)
        dead = _dead_socket()
        syscalls.unshare(syscalls.CLONE_NEWNS)
        self._mount_tmp()
        template_group = self._open_template_group()

        clone = inspection.identify(self.proc, self._born(), blueprint.template_first)
        wire.send(self._template, {"do": "watch", "pid": clone.pid_in_template})
        joined = {"output": output_write, "dead": dead}
        joined |= {f"tasks.{number}": fd for number, fd in enumerate(group.tasks)}
        socket.send_fds(self.identity, [JOIN + seccomp.without_namespaces()], list(joined.values()))
        try:
            listeners = self._network(clone)
            devices = self._attach_mounts(clone)
        except FileNotFoundError:
            self._said(JOINED)  # It has ended, and may have told why.
            raise
        self._join_v2(clone, group)
        self._said(JOINED)
        inspection.check(
            self.proc,
            clone,
            template_first=blueprint.template_first,
            groups=self._groups(),
            others=_pids(template_group),
            sockets=frozenset((self._their_inode, os.fstat(dead).st_ino)),
            pipes=frozenset((os.fstat(output_write).st_ino,)),
            devices=devices,
        )
        signal.pidfd_send_signal(clone.pidfd, signal.SIGCONT)
        os.close(output_write)
        os.close(dead)
        for fd in group.tasks:
            os.close(fd)
        self.fds = {**listeners, "output": output_read, "extension_output": extensions_read, **group.control}
        return clone

    def _mount_tmp(self) -> None:
        """A copy of the template's. The kernel mounts nothing that the supervisor could have made."""
        received = wire.receive_from(self._template)
        if received is None:
            raise Failed("the template has ended")
        _, fds, sender = received
        if sender != self._blueprint.template_first:
            raise Failed("the first process of the template has not answered")
        self._template.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        image = fds.get("tmp")
        if image is None:
            self.tmp.mount(self._blueprint.limits.tmp_mb)
        else:
            self.tmp.mount_copy(image)
            os.close(image)

    def _open_template_group(self) -> int | None:
        for _, folder in self._blueprint.parents:
            return os.open(f"{folder}/{self._blueprint.template_slot}/cgroup.procs", os.O_RDONLY | os.O_CLOEXEC)
        return None

    def _born(self) -> int:
        """Wait for the clone; its pid, from the kernel."""
        try:
            data, ancillary, _, _ = self.identity.recvmsg(_SAID_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size))
        except TimeoutError:
            raise Failed("the template did not clone itself") from None
        if not data.startswith(BORN):
            raise Failed(f"the template did not clone itself: {data.decode(errors='replace')}")
        for level, kind, held in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                return int(_CREDENTIALS.unpack_from(held)[0])
        raise Failed("the kernel does not say who the clone is")

    def _said(self, wanted: bytes) -> None:
        try:
            data = self.identity.recv(_SAID_BYTES)
        except TimeoutError:
            raise Failed("the clone gave no sign of life") from None
        if data != wanted:
            raise Failed(f"the clone failed: {data.decode(errors='replace') or 'it has ended'}")

    def _network(self, clone: inspection.Clone) -> dict[str, int]:
        """Only this once can it be brought up: a clone that is claimed twice fails here."""
        self._enter(clone, "net", syscalls.CLONE_NEWNET)
        loopback.bring_up()
        listeners = {f"runtime_api.{number}": each for number, each in enumerate(loopback.runtime_api())}
        endpoints = map(loopback.listen, loopback.AWS_ENDPOINT)
        listeners |= {f"aws_endpoint.{number}": each for number, each in enumerate(endpoints)}
        return {name: each.detach() for name, each in listeners.items()}

    def _attach_mounts(self, clone: inspection.Clone) -> frozenset[int]:
        """Over those of the template, whose devices are returned: what was mounted there is locked for the clone."""
        self._enter(clone, "pid", syscalls.CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:  # Only a process of the new namespace can mount its /proc.
            try:
                mounts.proc()
                os._exit(0)
            finally:
                os._exit(_PROC_FAILED)
        if os.waitpid(pid, 0)[1] != 0:
            raise Failed("/proc could not be mounted")
        proc, tmp = syscalls.open_tree("/proc", recursive=True), syscalls.open_tree("/tmp")
        self._enter(clone, "mnt", syscalls.CLONE_NEWNS)
        devices = frozenset((os.stat("/proc").st_dev, os.stat("/tmp").st_dev))
        for tree, target in ((proc, "/proc"), (tmp, "/tmp")):
            syscalls.move_mount(tree, target)
            os.close(tree)
        return devices

    def _enter(self, clone: inspection.Clone, name: str, kind: int) -> None:
        namespace = self.proc.open(f"{clone.pid}/ns/{name}")
        try:
            syscalls.setns(namespace, kind)
        finally:
            os.close(namespace)

    def _join_v2(self, clone: inspection.Clone, group: cgroups.Group) -> None:
        if group.into is None:
            return
        procs = os.open("cgroup.procs", os.O_WRONLY | os.O_CLOEXEC, dir_fd=group.into)
        os.close(group.into)
        if any(each.version == 2 and each.controllers != ("freezer",) for each, _ in self._blueprint.parents):
            os.write(procs, str(clone.pid).encode())
            os.close(procs)
        else:
            self.join_later.append(procs)

    def _groups(self) -> list[str]:
        ending = f"/{self._blueprint.group_name}/{self._blueprint.slot}"
        found = []
        for hierarchy, _ in self._blueprint.parents:
            if hierarchy.version == 1:
                found.append(f"{','.join(hierarchy.controllers)}:{ending}")
            elif not self.join_later:
                found.append(f":{ending}")
        return found


def _dead_socket() -> int:
    """What the connections that a template had look like to its clones: closed by the other side."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    theirs.close()
    return ours.detach()


def _pids(procs: int | None) -> list[int]:
    if procs is None:
        return []
    try:
        return [int(pid) for pid in os.pread(procs, 1 << 16, 0).split()]
    finally:
        os.close(procs)
