"""A runtime process that stands still, looked at from outside: before CRIU may save it, and before it goes on restored.

CRIU has privileges, and what it reads of a process is as its function made it. So it sees only one process, alone in
its sandbox, stopped, under every wall, that holds no kind of file that could lead it elsewhere.
"""

import os
import signal
import stat
import time
from collections.abc import Iterable
from typing import NamedTuple

from lambent.launcher.restore.inspection import NotAClone, Proc, check_any

_STOP_LIMIT_S = 2.0
_PAUSE_S = 0.001
_ANONYMOUS = ("anon_inode:[eventfd]", "anon_inode:[eventpoll]", "anon_inode:[timerfd]")
_FILES = ("/var/", "/opt/", "/usr/", "/etc/", "/lib", "/bin/", "/sbin/")
_NAMESPACES = ("mnt", "pid", "net", "ipc", "uts", "user")
_LEVELS = 2
"""Pid namespaces that know it: the launcher's and its sandbox's."""


class Runtime(NamedTuple):
    pid: int
    pidfd: int
    inside: int
    """Its pid in the sandbox."""
    highest: int
    """Of the numbers of its threads in there."""


def find(proc: Proc, first: int) -> Runtime:
    """The only process beside the first one of a sandbox. Raises NotAClone."""
    try:
        found = [int(pid) for pid in proc.read(f"{first}/task/{first}/children").split()]
    except OSError as error:
        raise NotAClone(f"its processes cannot be looked at: {error}") from None
    if len(found) != 1:
        raise NotAClone("the function has started other processes" if found else "it has ended")
    try:
        pidfd = os.pidfd_open(found[0])
        own = _levels(proc, f"{found[0]}")
        if proc.read(f"{found[0]}/task/{found[0]}/children").split() or _children_of_threads(proc, found[0]):
            raise NotAClone("the function has started other processes")
        highest = max(_levels(proc, f"{found[0]}/task/{name}")[-1] for name in proc.names(f"{found[0]}/task"))
    except (OSError, KeyError, ValueError) as error:
        raise NotAClone(f"it cannot be looked at: {error}") from None
    if len(own) != _LEVELS or own[0] != found[0]:
        raise NotAClone("it is in another pid namespace")
    return Runtime(found[0], pidfd, own[-1], highest)


def _levels(proc: Proc, path: str) -> list[int]:
    lines = (line.partition(":") for line in proc.read(f"{path}/status").splitlines())
    return next([int(number) for number in value.split()] for name, _, value in lines if name == "NSpid")


def _children_of_threads(proc: Proc, pid: int) -> bool:
    return any(proc.read(f"{pid}/task/{name}/children").split() for name in proc.names(f"{pid}/task"))


def stop(proc: Proc, runtime: Runtime) -> None:
    """All its threads, until SIGCONT. Raises NotAClone."""
    signal.pidfd_send_signal(runtime.pidfd, signal.SIGSTOP)
    deadline = time.monotonic() + _STOP_LIMIT_S
    while not stands(proc, runtime.pid):
        if time.monotonic() > deadline:
            raise NotAClone("it does not stand still")
        time.sleep(_PAUSE_S)


def stands(proc: Proc, pid: int) -> bool:
    try:
        return all(
            proc.read(f"{pid}/task/{name}/stat").rpartition(")")[2].split()[0] == "T"
            for name in proc.names(f"{pid}/task")
        )
    except (OSError, IndexError) as error:
        raise NotAClone(f"it cannot be looked at: {error}") from None


def check(proc: Proc, runtime: Runtime, *, first: int, owner: int, groups: Iterable[str]) -> None:
    """Of one that stands still. Raises NotAClone."""
    try:
        if not stands(proc, runtime.pid):
            raise NotAClone("it does not stand still")
        for name in _NAMESPACES:
            if proc.stat(f"{runtime.pid}/ns/{name}").st_ino != proc.stat(f"{first}/ns/{name}").st_ino:
                raise NotAClone(f"it is in another namespace ({name})")
        # Nothing else would wake it: it is alone, and no descriptor of it sends signals.
        if proc.read(f"{runtime.pid}/timers").strip():
            raise NotAClone("it has timers that send signals")
        wanted, maps = list(groups), proc.read(f"{runtime.pid}/maps")
        for name in proc.names(f"{runtime.pid}/task"):
            _check_thread(proc, f"{runtime.pid}/task/{name}", owner)
            check_any(proc.read(f"{runtime.pid}/task/{name}/cgroup"), wanted, maps)
        for name in proc.names(f"{runtime.pid}/fd"):
            _check_descriptor(proc, f"{runtime.pid}", name)
        if not stands(proc, runtime.pid):
            raise NotAClone("it does not stand still")
    except (OSError, KeyError, ValueError, IndexError, StopIteration) as error:
        raise NotAClone(f"it cannot be looked at: {error}") from None


def _check_thread(proc: Proc, path: str, owner: int) -> None:
    """Walls are each thread's own."""
    lines = (line.partition(":") for line in proc.read(f"{path}/status").splitlines())
    status = {name: value.strip() for name, _, value in lines}
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        if int(status[name], 16) != 0:
            raise NotAClone(f"it has a capability ({name} {status[name]})")
    if status["NoNewPrivs"] != "1" or status["Seccomp"] != "2" or int(status["Seccomp_filters"]) < 1:
        raise NotAClone("it is not confined")
    if status["TracerPid"] != "0":
        raise NotAClone("it is traced")
    for name in ("Uid", "Gid"):
        if {int(number) for number in status[name].split()} != {owner}:
            raise NotAClone("it is another user")
    if status["Groups"].split():
        raise NotAClone("it is in groups")


def _check_descriptor(proc: Proc, pid: str, name: str) -> None:
    found = proc.stat(f"{pid}/fd/{name}")
    target = proc.link(f"{pid}/fd/{name}")
    kind = stat.S_IFMT(found.st_mode)
    lines = (line.partition(":") for line in proc.read(f"{pid}/fdinfo/{name}").splitlines())
    info = {key: value.strip() for key, _, value in lines}
    flags = int(info["flags"], 8)
    if info.get("scm_fds", "0") != "0":
        raise NotAClone(f"descriptor {name} is a socket with descriptors on their way")
    if flags & os.O_ASYNC:
        raise NotAClone(f"descriptor {name} sends signals")
    if kind == stat.S_IFCHR and target.startswith("/dev/"):
        return
    if kind == stat.S_IFIFO and target.startswith("pipe:["):
        return
    if kind == stat.S_IFSOCK or target in _ANONYMOUS:
        return
    # Not of /proc, which may be another process's when it is opened again, and no queue of messages.
    plain = kind == stat.S_IFREG and flags & os.O_ACCMODE == os.O_RDONLY and found.st_nlink > 0
    if plain and target.startswith(_FILES):
        return
    raise NotAClone(f"descriptor {name} is open ({target})")
