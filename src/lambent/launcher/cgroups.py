"""Control groups of the sandboxes, on v1, v2 and machines with both.

Folders are made in the `hierarchies` that the machine has. Only below our own cgroup: on a systemd host the launcher is
started inside a delegated scope. Joining is by writing 0 to v1 `tasks` or by a
clone into a v2 group, because moving another process waits 5-13 ms for the kernel.
"""

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from lambent.launcher.hierarchies import LEAF, Hierarchy
from lambent.launcher.kernel import files

CPU_PERIOD_US = 20_000
"""Short, so that a function with a small share waits little for its first slice."""
_SOCKETS_SHARE = 4
"""On v1, what the buffers of TCP and UDP sockets may take beside the memory of the function: this part of it."""
_MIN_QUOTA_US = 1_000
_MOVES = 20
_UNLIMITED_V1 = "-1"


def prepare(hierarchies: tuple[Hierarchy, ...], name: str) -> list[str]:
    """Make the folder `name` for our sandboxes in each hierarchy and return them in the same order."""
    folders = []
    for each in hierarchies:
        folder = f"{each.folder}/{name}"
        if each.version == 2:
            _delegate(each, folder)
        else:
            os.mkdir(folder, 0o755)
        folders.append(folder)
    return folders


def _delegate(hierarchy: Hierarchy, folder: str) -> None:
    """v2 allows controllers in children only where no process is in the group itself: ours move to a leaf first."""
    wanted = " ".join(f"+{name}" for name in hierarchy.controllers if name != "freezer")
    if wanted:
        _enable(hierarchy.folder, wanted)
    os.mkdir(folder, 0o755)
    if wanted:
        files.write(f"{folder}/cgroup.subtree_control", wanted)


def _enable(folder: str, wanted: str) -> None:
    for attempt in range(_MOVES):
        if os.path.exists(f"{folder}/cgroup.type"):  # The root of all groups has none, and may keep its processes.
            _move_processes(folder, f"{folder}/{LEAF}")
        try:
            files.write(f"{folder}/cgroup.subtree_control", wanted)
        except OSError as error:  # A process forked between the reading of its group and the move.
            if error.errno != errno.EBUSY or attempt == _MOVES - 1:
                raise
        else:
            return


def _move_processes(group: str, leaf: str) -> None:
    with suppress(FileExistsError):
        os.mkdir(leaf, 0o755)
    for pid in files.read(f"{group}/cgroup.procs").split():
        with suppress(ProcessLookupError):  # It has ended meanwhile.
            files.write(f"{leaf}/cgroup.procs", pid)


class Limits(NamedTuple):
    memory_bytes: int
    processes: int


class Group(NamedTuple):
    """One sandbox's cgroup, and open descriptors of it. Those in `control` go to the supervisor, which then needs no
    privileges and no message to freeze, thaw, limit or measure."""

    folders: tuple[tuple[Hierarchy, str], ...]
    limits: Limits
    tasks: tuple[int, ...]
    """v1: the new process writes 0 to each."""
    into: int | None
    """v2: the group to clone into."""
    control: Mapping[str, int]


def create(parents: tuple[tuple[Hierarchy, str], ...], name: str, limits: Limits) -> Group:
    """Make the cgroup `name` below each of `parents` (hierarchy, folder of ours in it) and set its limits."""
    tasks, into, control = [], None, {}
    for hierarchy, parent in parents:
        folder = f"{parent}/{name}"
        os.mkdir(folder, 0o755)
        wanted, kept = settings(hierarchy.version, limits), _CONTROL_V2 if hierarchy.version == 2 else _CONTROL_V1
        for controller in hierarchy.controllers:
            for file, value in wanted[controller]:
                _write_if_there(f"{folder}/{file}", value)
            for key, file, mode in kept[controller]:
                control[f"{key}{hierarchy.version}"] = os.open(f"{folder}/{file}", mode | os.O_CLOEXEC)
        if hierarchy.version == 2:
            into = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        else:
            tasks.append(os.open(f"{folder}/tasks", os.O_WRONLY | os.O_CLOEXEC))
            if "memory" in hierarchy.controllers:
                control |= _oom_event(folder, control["oom1"])
    folders = tuple((hierarchy, f"{parent}/{name}") for hierarchy, parent in parents)
    return Group(folders, limits, tuple(tasks), into, control)


def change(group: Group, limits: Limits) -> Group:
    """Set other limits, by path."""
    if limits == group.limits:
        return group
    for hierarchy, folder in group.folders:
        for file, value in changes(hierarchy, group.limits, limits):
            _write_if_there(f"{folder}/{file}", value)
    return group._replace(limits=limits)


def changes(hierarchy: Hierarchy, before: Limits, after: Limits) -> list[tuple[str, str]]:
    """(file, value) to write, in this order, where only what differs is written."""
    old = {pair for pairs in settings(hierarchy.version, before).values() for pair in pairs}
    new = settings(hierarchy.version, after)
    found = [pair for name in hierarchy.controllers for pair in new[name] if pair not in old]
    if after.memory_bytes > before.memory_bytes:
        # On v1 memory with swap may at no moment be less than memory without.
        found.sort(key=lambda pair: pair[0] == "memory.limit_in_bytes")
    return found


def limit_sockets(group: Group, inner: str) -> None:
    """In a group below: unlike the others, this limit of v1 does not hold there by itself."""
    for hierarchy, folder in group.folders:
        if hierarchy.version == 1 and "memory" in hierarchy.controllers:
            name, value = _socket_buffers(group.limits)
            _write_if_there(f"{folder}/{inner}/{name}", value)


def _socket_buffers(limits: Limits) -> tuple[str, str]:
    return "memory.kmem.tcp.limit_in_bytes", str(limits.memory_bytes // _SOCKETS_SHARE)


def _oom_event(folder: str, oom_control: int) -> dict[str, int]:
    """v1 kills one process where v2 kills the group: an eventfd tells the supervisor, which kills the rest."""
    event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    try:
        files.write(f"{folder}/cgroup.event_control", f"{event} {oom_control}")
    except OSError:  # A kernel without it; the supervisor then learns of the kill when the runtime ends.
        os.close(event)
        return {}
    return {"oom_event": event}


def remove(folders: list[str], name: str) -> bool:
    """Remove the cgroup `name` everywhere; False when a process is still in one."""
    gone = True
    for parent in folders:
        try:
            os.rmdir(f"{parent}/{name}")
        except FileNotFoundError:
            continue
        except OSError:
            gone = False
    return gone


_READ, _CHANGE = os.O_RDONLY, os.O_RDWR
_CONTROL_V1 = {
    "memory": (("oom", "memory.oom_control", _READ), ("procs", "cgroup.procs", _READ), ("stat", "memory.stat", _READ)),
    "cpu": (("cpu", "cpu.cfs_quota_us", _CHANGE),),
    "pids": (("count", "pids.current", _READ),),
    "freezer": (("freezer", "freezer.state", _CHANGE),),
}
_CONTROL_V2 = {
    "memory": (("oom", "memory.events", _READ), ("procs", "cgroup.procs", _READ), ("stat", "memory.stat", _READ)),
    "cpu": (("cpu", "cpu.max", _CHANGE),),
    "pids": (("count", "pids.current", _READ),),
    "freezer": (("freezer", "cgroup.freeze", _CHANGE),),
}


def settings(version: int, limits: Limits) -> dict[str, tuple[tuple[str, str], ...]]:
    """(file, value) to write, in this order, by controller. A kernel may lack some of the files."""
    return _settings_v2(limits) if version == 2 else _settings_v1(limits)


def _settings_v1(limits: Limits) -> dict[str, tuple[tuple[str, str], ...]]:
    memory = str(limits.memory_bytes)
    return {
        # Swap is limited after memory: the sum may not be below it.
        "memory": (
            ("memory.limit_in_bytes", memory),
            ("memory.memsw.limit_in_bytes", memory),
            ("memory.swappiness", "0"),
            # Buffers of sockets are counted apart, and not at all without a limit.
            _socket_buffers(limits),
        ),
        "cpu": (("cpu.cfs_period_us", str(CPU_PERIOD_US)),),
        "pids": (("pids.max", str(limits.processes)),),
        "freezer": (),
    }


def _settings_v2(limits: Limits) -> dict[str, tuple[tuple[str, str], ...]]:
    return {
        "memory": (
            ("memory.max", str(limits.memory_bytes)),
            ("memory.swap.max", "0"),
            ("memory.oom.group", "1"),
        ),
        "cpu": (("cpu.max", f"max {CPU_PERIOD_US}"),),
        "pids": (("pids.max", str(limits.processes)),),
        "freezer": (),
    }


def quota(version: int, cpus: float | None) -> bytes:
    """What to write to the `cpu` descriptor for a share of `cpus` CPUs; None lifts the limit."""
    if cpus is None:
        return _UNLIMITED_V1.encode() if version == 1 else f"max {CPU_PERIOD_US}".encode()
    share = max(_MIN_QUOTA_US, round(cpus * CPU_PERIOD_US))
    return str(share).encode() if version == 1 else f"{share} {CPU_PERIOD_US}".encode()


def freeze(version: int, frozen: bool) -> bytes:
    """What to write to the `freezer` descriptor."""
    if version == 1:
        return b"FROZEN" if frozen else b"THAWED"
    return b"1" if frozen else b"0"


def held_bytes(text: bytes) -> int:
    """What no file backs, of memory.stat (v1, v2): anonymous and shared memory, each page once, no page cache."""
    stat = dict(line.split(b" ", 1) for line in text.splitlines())
    names = (b"total_rss", b"total_shmem") if b"total_rss" in stat else (b"anon", b"shmem")
    return sum(int(stat.get(name, 0)) for name in names)


def oom_kills(text: bytes) -> int:
    """Number of processes killed, of memory.oom_control (v1) or memory.events (v2)."""
    for line in text.splitlines():
        key, _, value = line.partition(b" ")
        if key == b"oom_kill":
            return int(value)
    return 0


def _write_if_there(path: str, text: str) -> None:
    """A kernel may lack some of the files."""
    with suppress(FileNotFoundError):
        files.write(path, text)
