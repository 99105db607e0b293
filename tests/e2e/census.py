"""What a server has left on this host: processes, mounts, control groups, loop devices.

Orphans of a killed server become children of this process (it makes itself their subreaper), so none can hide. What
belongs to other servers on the same machine is left out.
"""

import ctypes
import fcntl
import operator
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")

_PR_SET_CHILD_SUBREAPER = 36
_SIOCGSKNS = 0x894C
_INTERESTING_MOUNTS = ("lambent", "nsfs", "/dev/loop")


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    parent: int
    started: int
    """Clock ticks since boot: with the pid, an identity."""
    state: str
    command: str


@dataclass(slots=True)
class Census:
    """Compares with what there was when it began."""

    _processes: frozenset[tuple[int, int]]
    _mounts: frozenset[str]
    _loops: frozenset[str]
    _seen: set[tuple[int, int]]

    def processes(self) -> list[Process]:
        """Living processes of servers that this test started, orphans included. Reaps the dead ones."""
        found = [each for each in _family() if (each.pid, each.started) not in self._processes]
        living = []
        for each in found:
            self._seen.add((each.pid, each.started))
            if each.state == "Z":
                _reap(each)
            else:
                living.append(each)
        return living

    def mounts(self) -> list[str]:
        """Mounts in the host's own namespace that are new and could be ours."""
        return [line for line in _mounts() - self._mounts if any(word in line for word in _INTERESTING_MOUNTS)]

    def loop_devices(self) -> list[str]:
        """Loop devices in use since, which no living process has mounted."""
        new = _loops() - self._loops
        return sorted(new - {source for pid in _pids() for source in _loop_mounts(pid)}) if new else []

    def cgroups(self) -> list[str]:
        """Control groups named after a process that this test has seen and that is dead."""
        marks = {f"-{pid}-{started}" for pid, started in self._seen - {(each.pid, each.started) for each in _family()}}
        return sorted(folder for folder in _cgroups() if any(folder.endswith(mark) for mark in marks))

    def networks(self) -> set[str]:
        """Network namespaces that this process or one of this test holds: lives in, has open, has a socket of, or has
        mounted. Nothing else keeps one, and no other program has these."""
        own = f"net:[{os.stat('/proc/self/ns/net').st_ino}]"
        held = {name for each in self.processes() for name in _networks(each.pid)}
        return (held | _networks(os.getpid()) | _networks_of_sockets()) - {own}

    def sandbox_cgroups(self) -> int:
        """Number of control groups, over all hierarchies, that living servers of this test have for sandboxes."""
        marks = tuple(f"-{each.pid}-{each.started}" for each in self.processes())
        return sum(len(list(Path(folder).rglob("*/"))) for folder in _cgroups() if folder.endswith(marks))

    def left(self, server: int | None = None) -> dict[str, object]:
        """All that is there but does not belong to the running supervisor `server`; empty when nothing is."""
        below = {server}
        strays = []
        for each in self.processes():
            if each.pid == server or each.parent in below:
                below.add(each.pid)
            else:
                strays.append(each)
        everything: dict[str, object] = {
            "processes": strays,
            "mounts": self.mounts(),
            "cgroups": self.cgroups(),
            "loop devices": self.loop_devices(),
        }
        return {kind: found for kind, found in everything.items() if found}


@contextmanager
def census() -> Iterator[Census]:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    try:
        yield Census(
            _processes=frozenset((each.pid, each.started) for each in _family()),
            _mounts=frozenset(_mounts()),
            _loops=frozenset(_loops()),
            _seen=set(),
        )
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def eventually(ask: Callable[[], Found], *, timeout_s: float, until: Callable[[Found], bool] = operator.not_) -> Found:
    """Ask until the answer is as wished (by default: empty) or the time is over; returns the last answer."""
    deadline = time.monotonic() + timeout_s
    while not until(answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return answer


def resources(pid: int) -> dict[str, int]:
    """What one process holds: threads, descriptors, resident KB, and mounts in its namespace."""
    root = Path("/proc", str(pid))
    status = dict(line.split(":", 1) for line in (root / "status").read_text().splitlines() if ":" in line)
    return {
        "threads": int(status["Threads"]),
        "descriptors": len(list((root / "fd").iterdir())),
        "resident_kb": int(status["VmRSS"].split()[0]),
        "mounts": len((root / "mountinfo").read_text().splitlines()),
    }


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _process(pid: int) -> Process | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return None
    name, _, rest = stat.partition("(")[2].rpartition(")")
    fields = rest.split()
    return Process(pid, int(fields[1]), int(fields[19]), fields[0], command or f"[{name}]")


def _family() -> list[Process]:
    """All descendants of this process."""
    everyone = [each for pid in _pids() if (each := _process(pid)) is not None]
    children: dict[int, list[Process]] = {}
    for each in everyone:
        children.setdefault(each.parent, []).append(each)
    found = list(children.get(os.getpid(), ()))
    for each in found:
        found.extend(children.get(each.pid, ()))
    return found


def _reap(process: Process) -> None:
    """Take the status of an orphan. A server's own status is left to the one who started it, who has already waited."""
    if process.parent == os.getpid():
        try:
            os.waitpid(process.pid, os.WNOHANG)
        except ChildProcessError:
            pass


def _mounts() -> set[str]:
    return set(Path("/proc/self/mountinfo").read_text().splitlines())


def _networks(pid: int) -> set[str]:
    root = Path(f"/proc/{pid}")
    found = set()
    for folder in ("ns", "fd"):
        with suppress(OSError):
            for link in (root / folder).iterdir():
                with suppress(OSError):
                    found.add(os.readlink(link))
    with suppress(OSError):
        found |= {line.split()[3] for line in (root / "mountinfo").read_text().splitlines() if " nsfs " in line}
    return {name for name in found if name.startswith("net:[")}


def _networks_of_sockets() -> set[str]:
    """A listener inside a sandbox is a descriptor of the supervisor, and keeps the sandbox's network."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if os.readlink(link).startswith("socket:"):
                namespace = fcntl.ioctl(int(link.name), _SIOCGSKNS)
                found.add(f"net:[{os.fstat(namespace).st_ino}]")
                os.close(namespace)
    return found


def _loops() -> set[str]:
    return {f"/dev/{path.parent.parent.name}" for path in Path("/sys/block").glob("loop*/loop/backing_file")}


def _loop_mounts(pid: int) -> set[str]:
    try:
        lines = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    except OSError:
        return set()
    # The device may not be there under its name inside a sandbox: its number always is. Loop devices have major 7.
    numbers = {line.split()[2] for line in lines}
    return {f"/dev/loop{number[2:]}" for number in numbers if number.startswith("7:")}


def _cgroups() -> set[str]:
    return {folder for folder, _, _ in os.walk("/sys/fs/cgroup") if "lambent" in folder.rpartition("/")[2]}
