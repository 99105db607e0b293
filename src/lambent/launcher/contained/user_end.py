"""The end of a function that has a user number of its own and no namespaces: its processes, and what they left.

Each step is done by a child that has the rights of that user alone, so that nothing else can be hit by it.
"""

import ctypes
import os
import signal
from collections.abc import Callable
from contextlib import suppress

from lambent.launcher.kernel import syscalls

_IPC_RMID = 0
_OWNER_COLUMN = {"shm": 7, "msg": 7, "sem": 4}
_SHARED_FOLDERS = ("/dev/shm", "/dev/mqueue")
_SHELL = "/bin/sh"
_DEAD = ("Z", "X")


def kill_processes(user: int, killer: int) -> None:
    """Kill all processes of `user`, wherever they are in the tree. They may not be gone yet.

    The kernel signals them in one step, and a fork that is under way fails. The child that asks for it is a `killer`:
    as another user it cannot be stopped by those that it ends.
    """

    def kill() -> int:
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        return 0

    _as(user, kill, real=killer)


def users() -> set[int]:
    """Who has a process that has not ended."""
    found: set[int] = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError), open(f"/proc/{name}/status", encoding="utf-8", errors="replace") as status:
            lines = dict(line.split(":", 1) for line in status if ":" in line)
            if lines["State"].split()[0] not in _DEAD:
                found.update(map(int, lines["Uid"].split()))
    return found


def remove_leftovers(user: int) -> None:
    """Shared memory, semaphores and queues, of System V and POSIX, which outlive processes."""

    def remove() -> int:
        for kind, column in _OWNER_COLUMN.items():
            for identifier in _system_v(kind, column, user):
                control = getattr(syscalls.libc, f"{kind}ctl")
                arguments = (0, _IPC_RMID, 0) if kind == "sem" else (_IPC_RMID, None)
                control(ctypes.c_int(identifier), *arguments)
        for folder in _SHARED_FOLDERS:
            for path in _owned(folder, user):
                with suppress(OSError):
                    os.unlink(path)
        return 0

    _as(user, remove)


def remove_folder(user: int, folder: str) -> None:
    """Empty and remove `folder`, however deep it is and whatever its modes. It becomes the user's for that."""
    os.chown(folder, user, -1)
    place = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def remove() -> int:
        os.fchdir(place)  # The way to it is closed to this user.
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        # Programs, since a tree can be deeper than a path may be long.
        os.execv(_SHELL, [_SHELL, "-c", "chmod -R u+rwx *; exec rm -rf *"])

    _as(user, remove)
    os.close(place)
    os.rmdir(folder)


def _system_v(kind: str, column: int, user: int) -> list[int]:
    try:
        with open(f"/proc/sysvipc/{kind}", encoding="ascii") as table:
            rows = [line.split() for line in table.readlines()[1:]]
    except OSError:
        return []
    return [int(row[1]) for row in rows if int(row[column]) == user]


def _owned(folder: str, user: int) -> list[str]:
    try:
        with os.scandir(folder) as found:
            return [each.path for each in found if each.stat(follow_symlinks=False).st_uid == user]
    except OSError:
        return []


def _as(user: int, action: Callable[[], int], *, real: int | None = None) -> int:
    """The exit status of a child that does `action` as `user`; `real` is who it is for signals sent to it."""
    child = os.fork()
    if child == 0:
        status = 127
        try:
            owner = user if real is None else real
            os.setgroups([])
            os.setresgid(owner, user, owner)
            os.setresuid(owner, user, owner)
            status = action()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)
