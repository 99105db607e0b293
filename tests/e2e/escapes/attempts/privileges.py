"""Users, groups, capabilities, priorities and limits."""

import fcntl
import os
import resource
import signal
import struct
import termios
from pathlib import Path

from attempts.raw import Masked, call, in_child, prctl  # type: ignore[import-not-found]

_SET_SECUREBITS, _NO_NEW_PRIVS, _AMBIENT, _RAISE = 28, 38, 47, 2
_SYS_ADMIN, _NET_RAW = 21, 13
_DEADLINE = 6
_VERSION_3 = 0x20080522


def become(uid: str) -> None:
    in_child(lambda: os.setresuid(int(uid), int(uid), int(uid)))


def become_group(gid: str) -> None:
    in_child(lambda: os.setresgid(int(gid), int(gid), int(gid)))


def join_groups(gid: str) -> None:
    in_child(lambda: os.setgroups([int(gid)]))


def gain_capability() -> None:
    """Outside it is there already; inside it is in no set."""
    mask = 1 << _SYS_ADMIN
    header = struct.pack("=Ii", _VERSION_3, 0)
    in_child(lambda: call("capset", header, struct.pack("=6I", mask, mask, mask, 0, 0, 0)))


def ambient_capability() -> None:
    def both() -> None:
        mask = 1 << _NET_RAW
        call("capset", struct.pack("=Ii", _VERSION_3, 0), struct.pack("=6I", mask, mask, mask, 0, 0, 0))
        prctl(_AMBIENT, _RAISE, _NET_RAW)

    in_child(both)


def secure_bits() -> None:
    in_child(lambda: prctl(_SET_SECUREBITS, 0))


def priority(value: str) -> None:
    in_child(lambda: os.setpriority(os.PRIO_PROCESS, 0, int(value)))


def real_time() -> None:
    in_child(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))


def deadline_scheduling() -> None:
    attributes = struct.pack("=IIQiIQQQ", 48, _DEADLINE, 0, 0, 0, 10_000_000, 30_000_000, 30_000_000)
    in_child(lambda: call("sched_setattr", 0, attributes, 0))


def real_time_disk() -> None:
    in_child(lambda: call("ioprio_set", 1, 0, 1 << 13 | 4))


def spared_by_memory_killer() -> None:
    Path("/proc/self/oom_score_adj").write_text("-1")


def more_files() -> None:
    def raise_it() -> None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most + 1, most + 1))
        except ValueError as error:  # Python's words for EPERM.
            raise PermissionError(1, str(error)) from None

    in_child(raise_it)


def core_dumps() -> None:
    """With a limit of 0, where the host pipes them to a program: that would be started as root."""

    def allow_pipe() -> None:
        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, most))
        if resource.getrlimit(resource.RLIMIT_CORE)[0] != 0:
            raise Masked

    in_child(allow_pipe)


def type_into_terminal() -> None:
    """TIOCSTI into a terminal that was made for it."""

    def typed() -> None:
        master, terminal = os.openpty()
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # At the end of the terminal.
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        fcntl.ioctl(terminal, termios.TIOCSTI, b"x")
        os.close(master)

    in_child(typed)


def gain_by_exec() -> None:
    """no_new_privs is one-way; outside it is not set."""
    if prctl(39) == 1:
        prctl(_NO_NEW_PRIVS, 0)
