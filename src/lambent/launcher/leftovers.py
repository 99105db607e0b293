"""Cgroups that a launcher left because it was killed: the only trace of a sandbox that does not vanish by itself.

Groups carry the mark of their owner in their name. What v1 has frozen cannot die, so it is thawed first.
"""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress

_DEAD = ("Z", "X")
_REMOVE_ATTEMPTS, _REMOVE_PAUSE_S = 100, 0.01


def thaw(folder: str) -> None:
    """Let what v1 has frozen there run, so that it can die. Nothing to do on v2."""
    with suppress(OSError):
        fd = os.open(f"{folder}/freezer.state", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, b"THAWED")
        finally:
            os.close(fd)


def kill(folder: str) -> None:
    """End what is still in the group of a sandbox that has ended."""
    thaw(folder)
    for pid in _processes(folder):
        with suppress(OSError):
            handle = os.pidfd_open(pid)
            try:
                if pid in _processes(folder):  # Its number was not another's before we had the handle.
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            finally:
                os.close(handle)


def _processes(folder: str) -> list[int]:
    try:
        with open(f"{folder}/cgroup.procs", encoding="utf-8") as file:
            return list(map(int, file.read().split()))
    except OSError:
        return []


def sweep(parents: Iterable[str], prefix: str) -> None:
    """Remove what launchers that are gone have left in these cgroup folders: groups named `prefix`PID-STARTED."""
    for parent in parents:
        if not os.path.exists(f"{parent}/cgroup.procs"):
            continue  # Gone with its session, or no cgroup at all.
        for name in os.listdir(parent):
            if name.startswith(prefix) and not _alive(name[len(prefix) :]):
                for folder, _, _ in os.walk(f"{parent}/{name}", topdown=False):
                    thaw(folder)
                    _remove_soon(folder)


def _remove_soon(folder: str) -> None:
    """Once its processes have died, which they do without our help, but perhaps not yet."""
    for _ in range(_REMOVE_ATTEMPTS):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(_REMOVE_PAUSE_S)
        else:
            return


def owner_mark(pid: int) -> str:
    """PID-STARTED of a running process: start time in clock ticks, so that a reused pid is another owner."""
    return f"{pid}-{_stat(pid)[19]}"


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def _alive(mark: str) -> bool:
    try:
        pid = int(mark.partition("-")[0])
        return owner_mark(pid) == mark and _stat(pid)[0] not in _DEAD
    except (OSError, ValueError):
        return False


def recorded(record: str) -> list[str]:
    """Cgroup folders that earlier launchers worked in: the last one may have run in another session than this."""
    try:
        with open(record, encoding="utf-8") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def write_record(record: str, folders: Iterable[str]) -> None:
    with open(record, "w", encoding="utf-8") as file:
        file.write("\n".join(folders))
