"""From a fork of the first process to the function's interpreter: give everything up, then exec.

The order matters. Cgroups are joined before anything that could fail quietly; privileges end after the last step that
needs them; the system call filter is last, because it refuses most of the steps before it.
"""

import os
import resource
import signal
from collections.abc import Mapping
from typing import NamedTuple

from lambent.launcher import capabilities, seccomp, syscalls

_ERROR_FD = 3
_SHARED_UMASK = 0o022


class Program(NamedTuple):
    argv: tuple[str, ...]
    variables: Mapping[str, str]
    folder: str
    open_files: int

    def __repr__(self) -> str:
        """Without the variables, which are secrets."""
        return f"Program({self.argv!r})"


class Fallback(NamedTuple):
    """Limits of each process, for what no control group limits; None: one does."""

    processes: int | None
    """Counted by the kernel for the function's user in its user namespace, so for this environment alone."""
    data_bytes: int | None


def data_bytes(memory_mb: int) -> int:
    """Generous, because what is asked for and never touched counts too, as the stacks of threads."""
    return (2 * memory_mb + 256) << 20


class Confinement(NamedTuple):
    tasks: tuple[int, ...]
    """Descriptors of v1 cgroups to join."""
    uid: int
    gid: int
    """As seen in the user namespace this process is already in, or of the host when there is none."""
    fallback: Fallback
    filter: bytes | None


def become(program: Program, confinement: Confinement, *, stdin: int, output: int, error: int, go: int) -> None:
    """Never returns. `go` is read once before the user changes; what fails is written to `error` as text."""
    try:
        for fd in confinement.tasks:
            os.write(fd, b"0")
        os.setsid()
        if os.read(go, 1) != b"g":
            os._exit(127)
        syscalls.unshare(syscalls.CLONE_NEWCGROUP)  # Its own cgroup is all that it can see, and has no name.
        _descriptors(stdin, output, error)
        _limits(program.open_files, confinement.fallback)
        _leave_groups()
        os.setresgid(confinement.gid, confinement.gid, confinement.gid)
        os.setresuid(confinement.uid, confinement.uid, confinement.uid)
        capabilities.lock_root_out()
        capabilities.keep()
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        os.umask(_SHARED_UMASK)
        _signals()
        os.chdir(program.folder)
        if confinement.filter is not None:
            seccomp.load(confinement.filter)
        os.execve(program.argv[0], program.argv, dict(program.variables))
    except BaseException as failure:  # noqa: BLE001 - the last line of this process: report, then end
        os.write(_ERROR_FD, f"{type(failure).__name__}: {failure}".encode())
    finally:
        os._exit(127)


def _descriptors(stdin: int, output: int, error: int) -> None:
    os.dup2(error, _ERROR_FD, inheritable=False)
    os.dup2(stdin, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    syscalls.close_from(_ERROR_FD + 1)


def _leave_groups() -> None:
    """Where the launcher has one user number alone, the kernel lets nobody in there change groups."""
    try:
        os.setgroups([])
    except PermissionError:
        with open("/proc/self/setgroups", encoding="utf-8") as allowed:
            if allowed.read().strip() != "deny":
                raise


def _limits(open_files: int, fallback: Fallback) -> None:
    # 0 keeps files from being written, but where the host pipes core dumps to a program the kernel would still start
    # that, as root and outside all limits; for 1 it does not (core(5)).
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = open_files if most == resource.RLIM_INFINITY else min(open_files, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))
    for kind, value in ((resource.RLIMIT_NPROC, fallback.processes), (resource.RLIMIT_DATA, fallback.data_bytes)):
        if value is not None:
            _, most = resource.getrlimit(kind)
            value = value if most == resource.RLIM_INFINITY else min(value, most)
            resource.setrlimit(kind, (value, value))


def _signals() -> None:
    """As a new program expects them: what Python ignores or blocks would survive the exec."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
