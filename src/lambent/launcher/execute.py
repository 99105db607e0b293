"""From a fork of the first process to the function's interpreter: give everything up, then exec or stay.

The order matters. Cgroups are joined before anything that could fail quietly; privileges end after the last step that
needs them; the system call filter is last, because it refuses most of the steps before it.
"""

import os
import resource
import signal
from collections.abc import Callable, Mapping
from typing import NamedTuple

from lambent.launcher.kernel import capabilities, seccomp, syscalls
from lambent.launcher.wire import START_FD

_ERROR_FD = 3
"""Where a waiting interpreter reads what it is to become, or a template is told to clone itself."""
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
    template: bool = False
    """It is kept to be cloned, with the one capability that this needs."""
    groups: tuple[int, ...] = ()
    walls: Callable[[], None] | None = None
    """What stands for namespaces where there are none; put up by the process itself, once it is the function's user."""


class Descriptors(NamedTuple):
    stdin: int
    output: int
    """Standard output and standard error."""
    error: int
    """What fails is written there as text."""
    go: int
    """Read once before the user changes."""
    start: int | None = None
    """Becomes START_FD of an interpreter that waits, or of a template."""


class Stay(BaseException):
    """Raised in the forked process once it is confined, so that it unwinds to who calls the bootstrap."""


def become(program: Program, confinement: Confinement, fds: Descriptors, *, stay: bool = False) -> None:
    """Never returns; raises Stay where a fork of an interpreter is the program itself (`stay`)."""
    try:
        _confine(program, confinement, fds)
        if not stay:
            _signals()
            if confinement.filter is not None:
                seccomp.load(confinement.filter)
            os.execve(program.argv[0], program.argv, dict(program.variables))
        # A change of user had taken its own files in /proc away, which an exec would have given back.
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
        if confinement.filter is not None:
            seccomp.load(confinement.filter)
        os.close(_ERROR_FD)
    except BaseException as failure:  # noqa: BLE001 - the last line of this process: report, then end
        os.write(_ERROR_FD, f"{type(failure).__name__}: {failure}".encode())
        os._exit(127)
    raise Stay


def _confine(program: Program, confinement: Confinement, fds: Descriptors) -> None:
    for fd in confinement.tasks:
        os.write(fd, b"0")
    os.setsid()
    if os.read(fds.go, 1) != b"g":
        os._exit(127)
    if confinement.walls is None:
        syscalls.unshare(syscalls.CLONE_NEWCGROUP)  # Its own cgroup is all that it can see, and has no name.
    _place(fds)
    _limits(program.open_files, confinement.fallback)
    _set_groups(confinement.groups)
    if not confinement.template:
        capabilities.lock_root_out()  # Before the change of user, which would take the right to it away.
    os.setresgid(confinement.gid, confinement.gid, confinement.gid)
    os.setresuid(confinement.uid, confinement.uid, confinement.uid)
    if confinement.template:
        capabilities.keep_over_exec(capabilities.SYS_ADMIN)
    else:
        capabilities.keep()
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    os.umask(_SHARED_UMASK)
    os.chdir(program.folder)
    if confinement.walls is not None:
        confinement.walls()


def _place(fds: Descriptors) -> None:
    # None of them is one of the numbers below START_FD: the first process has others there.
    os.dup2(fds.stdin, 0)
    os.dup2(fds.output, 1)
    os.dup2(fds.output, 2)
    os.dup2(fds.error, _ERROR_FD, inheritable=False)
    if fds.start is None:
        syscalls.close_from(START_FD)
        return
    os.dup2(fds.start, START_FD)
    os.set_inheritable(START_FD, True)
    syscalls.close_from(START_FD + 1)


def _set_groups(groups: tuple[int, ...]) -> None:
    """Where the launcher has one user number alone, the kernel lets nobody in there change groups."""
    try:
        os.setgroups(groups)
    except PermissionError:
        with open("/proc/self/setgroups", encoding="utf-8") as allowed:
            if allowed.read().strip() != "deny":
                raise


def _limits(open_files: int, fallback: Fallback) -> None:
    # 0 keeps files from being written, but where the host pipes core dumps to a program the kernel would still start
    # that, as root and outside all limits; for 1 it does not (core(5)).
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    limit(0, open_files, fallback)


def limit(pid: int, open_files: int, fallback: Fallback) -> None:
    """Of this process (0), or of one that waits in a user namespace that we have made."""
    wanted = {
        resource.RLIMIT_NOFILE: open_files,
        resource.RLIMIT_NPROC: fallback.processes,
        resource.RLIMIT_DATA: fallback.data_bytes,
    }
    for kind, value in wanted.items():
        if value is not None:
            _, most = resource.prlimit(pid, kind)
            allowed = value if most == resource.RLIM_INFINITY else min(value, most)
            resource.prlimit(pid, kind, (allowed, allowed))


def _signals() -> None:
    """As a new program expects them: what Python ignores or blocks would survive the exec."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def signals_of_python() -> None:
    """As an interpreter sets them when it starts: for a zygote, whose forks that stay have them from it."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
