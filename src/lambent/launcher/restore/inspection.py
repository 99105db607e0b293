"""What a clone of a template really is, looked at from outside while it stands still.

Neither the template nor its clone is believed: their code is the function's. A clone must be the first process of a
pid namespace of its own below its template's, alone there, with one thread, in a session of its own, without
capabilities, in its cgroups, and must hold nothing through which it could reach its template or another clone.
"""

import os
import select
import signal
import stat
import time
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

_STOP_LIMIT_S = 2.0
_PAUSE_S = 0.0001
_LOOKS = 5
_LEVELS = 3
"""Pid namespaces that know a clone: the launcher's, its template's, its own."""


class NotAClone(Exception):
    """The message says what is wrong with it."""


class Clone(NamedTuple):
    pid: int
    pidfd: int
    pid_in_template: int


class Proc:
    """The /proc of the launcher, by a descriptor: its own mount namespace has none."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def open(self, path: str, flags: int = os.O_RDONLY) -> int:
        return os.open(path, flags | os.O_CLOEXEC, dir_fd=self._fd)

    def read(self, path: str) -> str:
        with os.fdopen(self.open(path), encoding="utf-8", errors="replace") as file:
            return file.read()

    def stat(self, path: str) -> os.stat_result:
        return os.stat(path, dir_fd=self._fd)

    def link(self, path: str) -> str:
        return os.readlink(path, dir_fd=self._fd)

    def names(self, path: str) -> list[str]:
        folder = self.open(path, os.O_DIRECTORY)
        try:
            return os.listdir(folder)
        finally:
            os.close(folder)

    def status(self, pid: int) -> dict[str, str]:
        lines = (line.partition(":") for line in self.read(f"{pid}/status").splitlines())
        return {name: value.strip() for name, _, value in lines}


def identify(proc: Proc, pid: int, template_first: int) -> Clone:
    """`pid` as the kernel gave it, `template_first` the first process of the template's sandbox. Raises NotAClone."""
    try:
        pidfd = os.pidfd_open(pid)
        status = proc.status(pid)
        levels = [int(number) for number in status["NSpid"].split()]
    except (OSError, KeyError, ValueError) as error:
        raise NotAClone(f"process {pid} cannot be looked at: {error}") from None
    if _ended(pidfd):
        raise NotAClone(f"process {pid} has ended")
    if int(status["PPid"]) != template_first:
        raise NotAClone(f"process {pid} is not a child of the template's sandbox")
    if len(levels) < _LEVELS or levels[-1] != 1 or levels[0] != pid:
        raise NotAClone(f"process {pid} is not the first of a namespace of its own")
    return Clone(pid, pidfd, levels[-2])


def _stop(proc: Proc, clone: Clone) -> int:
    """Let it stand still until SIGCONT; how often it has given up a CPU. Raises NotAClone."""
    signal.pidfd_send_signal(clone.pidfd, signal.SIGSTOP)
    deadline = time.monotonic() + _STOP_LIMIT_S
    while (switches := _switches_at_rest(proc, clone)) is None:
        if time.monotonic() > deadline or _ended(clone.pidfd):
            raise NotAClone("it does not stand still")
        time.sleep(_PAUSE_S)
    return switches


def _switches_at_rest(proc: Proc, clone: Clone) -> int | None:
    """None while it runs: it can do nothing without changing this number or that."""
    status = proc.status(clone.pid)
    if not status["State"].startswith("T"):
        return None
    return int(status["voluntary_ctxt_switches"]) + int(status["nonvoluntary_ctxt_switches"])


def check(
    proc: Proc,
    clone: Clone,
    *,
    template_first: int,
    groups: Sequence[str],
    others: Sequence[int],
    sockets: frozenset[int],
    pipes: frozenset[int],
    devices: frozenset[int],
) -> None:
    """Stop it and look at it; it stays stopped. Raises NotAClone.

    `template_first`: as for `identify`. `groups`: as each line of its /proc/PID/cgroup must end for one of our
    hierarchies. `others`: the processes left in the template's cgroup. `sockets` and `pipes`: the inodes that it may
    hold. `devices`: file systems of the template (its /proc, its /tmp) that it may hold nothing of.
    """
    try:
        for _ in range(_LOOKS):
            switches = _stop(proc, clone)
            _check_status(proc.status(clone.pid))
            _check_groups(proc.read(f"{clone.pid}/cgroup"), groups)
            _check_alone(proc, clone, others)
            _check_files(proc, clone, template_first, sockets, pipes, devices)
            _check_memory(proc.read(f"{clone.pid}/maps"))
            # Its template, whose user it has, can wake it.
            if _switches_at_rest(proc, clone) == switches:
                return
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise NotAClone(f"it cannot be looked at: {error}") from None
    raise NotAClone("it does not stand still")


def check_any(cgroup: str, groups: Sequence[str], maps: str) -> None:
    """What holds of a process that CRIU restores as well, of the texts in its /proc. Raises NotAClone."""
    _check_groups(cgroup, groups)
    _check_memory(maps)


def _check_status(status: dict[str, str]) -> None:
    # The bounding set keeps the template's: with no_new_privs no exec takes anything from it.
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        if int(status[name], 16) != 0:
            raise NotAClone(f"it has kept a capability ({name} {status[name]})")
    if status["NoNewPrivs"] != "1" or status["Seccomp"] != "2":
        raise NotAClone("it is not confined")
    if status["NSsid"].split()[-1] != "1" or status["NSpgid"].split()[-1] != "1":
        raise NotAClone("it is in the session of its template")
    if int(status["Threads"]) != 1:
        raise NotAClone("it has more than one thread")


def _check_groups(text: str, groups: Sequence[str]) -> None:
    paths = [line.split(":", 2) for line in text.splitlines()]
    for wanted in groups:
        controllers, _, ending = wanted.partition(":")
        names = set(controllers.split(",")) - {""}
        found = [path for _, own, path in paths if (names & set(own.split(","))) or own == controllers == ""]
        if not found or not all(path.endswith(ending) for path in found):
            raise NotAClone(f"it is not in its cgroup of {controllers or 'v2'}")


def _check_alone(proc: Proc, clone: Clone, others: Sequence[int]) -> None:
    """What it forked before it came into its cgroups has stayed in its template's."""
    own = proc.stat(f"{clone.pid}/ns/pid").st_ino
    for pid in others:
        try:
            namespace = proc.stat(f"{pid}/ns/pid").st_ino
        except OSError:
            continue  # Ended meanwhile.
        if pid != clone.pid and namespace == own:
            raise NotAClone("it has started another process")


def _check_files(
    proc: Proc,
    clone: Clone,
    template_first: int,
    sockets: frozenset[int],
    pipes: frozenset[int],
    devices: frozenset[int],
) -> None:
    for name in ("cwd", "root"):
        if proc.stat(f"{clone.pid}/{name}").st_dev in devices:
            raise NotAClone(f"its {name} is of the template")
    # Files that its template has opened keep the numbers of mounts that they had there.
    trees = (proc.read(f"{pid}/mountinfo") for pid in (template_first, clone.pid))
    mounts = {line.split(None, 1)[0] for tree in trees for line in tree.splitlines()}
    for name in proc.names(f"{clone.pid}/fd"):
        found = proc.stat(f"{clone.pid}/fd/{name}")
        info = dict(line.split(None, 1) for line in proc.read(f"{clone.pid}/fdinfo/{name}").splitlines())
        if not _may_hold(found, info, sockets, pipes, devices, mounts):
            raise NotAClone(f"it holds what is not its own: descriptor {name}, mode {found.st_mode:o}")


def _may_hold(
    found: os.stat_result,
    info: Mapping[str, str],
    sockets: frozenset[int],
    pipes: frozenset[int],
    devices: frozenset[int],
    mounts: Collection[str],
) -> bool:
    """`mounts`: of its tree and its template's. What is in none, as memory, can be opened again for writing."""
    match stat.S_IFMT(found.st_mode):
        case stat.S_IFCHR:
            return True
        case stat.S_IFSOCK:
            return found.st_ino in sockets
        case stat.S_IFIFO:
            return found.st_ino in pipes
        case stat.S_IFREG:
            reads = int(info["flags:"], 8) & os.O_ACCMODE == os.O_RDONLY
            return reads and found.st_dev not in devices and info["mnt_id:"] in mounts
    return False


def _check_memory(maps: str) -> None:
    """Also what is mapped for reading can be shared: one mapping may be made another, and who has it may write."""
    for line in maps.splitlines():
        _, permissions, _, _, _, *name = line.split(None, 5)
        path = name[0] if name else ""
        shared = permissions[3] == "s" and (permissions[1] == "w" or path.endswith(" (deleted)"))
        if shared or path.startswith("/memfd:"):
            raise NotAClone(f"it shares memory ({path})")


def _ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))
