"""CRIU at work on one sandbox: a fork of the launcher that saves its runtime as files, or restores one in it.

CRIU runs in the namespaces and cgroups of the sandbox, sees only its files, and is the function's user, with the few
capabilities that it cannot do without. The function's process stands still all the time (`standing`); it goes on when
CRIU has ended and every wall around it was seen. The files are ours, and no sandbox has a path to them.
"""

import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple, NoReturn

from lambent.launcher import base_tree, hierarchies, init, wire
from lambent.launcher.kernel import capabilities, syscalls
from lambent.launcher.restore import inspection, standing
from lambent.launcher.wire import START_FD

FACTS = "facts.json"
_FAILED = 70
_SAID_BYTES = 4000
_REASON_CHARACTERS = 300
_ROOM_BYTES = 64 << 20
_SPARE_PIDS = 32
_MOST_PID = 1 << 14
_NEEDED = (capabilities.SETPCAP, capabilities.SYS_PTRACE, capabilities.SYS_ADMIN, capabilities.CHECKPOINT_RESTORE)
_USUAL = ("--no-default-config", "--unprivileged", "--manage-cgroups=ignore", "--tcp-close", "-v1")


class Failed(Exception):
    """The message is for the user."""


class Plan(NamedTuple):
    """What the launcher has checked and decided."""

    first: int
    """The first process of the sandbox."""
    slot: str
    parents: tuple[tuple[hierarchies.Hierarchy, str], ...]
    group_name: str
    owner: int
    proc: int
    folder: str
    """Of the files."""
    memory_mb: int
    restores: bool


def run(plan: Plan, control: socket.socket, program: int) -> NoReturn:
    """The whole life of it, from right after the fork."""
    status = _FAILED
    try:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        syscalls.close_except((0, 1, 2, control.fileno(), program, plan.proc))
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        message, fds = (_restore if plan.restores else _save)(plan, program)
        wire.send(control, message, fds)
        status = 0
    except Exception as error:  # noqa: BLE001 - the last line of this process: tell, then end
        if not isinstance(error, OSError | Failed | inspection.NotAClone):
            sys.excepthook(type(error), error, error.__traceback__)
        with suppress(OSError):
            wire.send(control, {"event": "failed", "reason": str(error)})
    finally:
        os._exit(status)


def _save(plan: Plan, program: int) -> tuple[wire.Message, dict[str, int]]:
    proc = inspection.Proc(plan.proc)
    found = standing.find(proc, plan.first)
    if found.highest > _MOST_PID:
        raise Failed("it has started too many threads")
    standing.stop(proc, found)
    found = standing.find(proc, plan.first)
    standing.check(proc, found, first=plan.first, owner=plan.owner, groups=_groups(plan))
    facts: dict[str, int | str] = {"pid": found.inside, "highest": found.highest}
    facts |= {"output": _pipe(proc, found.pid, 1), "go": _pipe(proc, found.pid, START_FD)}
    os.makedirs(plan.folder, 0o700)
    os.chown(plan.folder, plan.owner, plan.owner)
    folder = os.open(plan.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    tasks = _tasks(plan)
    _enter(plan)
    if [name for name in os.listdir("/tmp") if name != "lost+found"]:
        raise Failed("it has files in /tmp")
    _criu(plan, program, folder, tasks, ["dump", "-t", str(found.inside)], {}, found.highest)
    _take_over(folder)
    facts_file = os.open(FACTS, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    os.write(facts_file, json.dumps(facts).encode())
    return {"event": "saved"}, {}


def _take_over(folder: int) -> None:
    """From here on they are read only, for CRIU too."""
    os.fchown(folder, 0, 0)
    os.fchmod(folder, 0o755)
    for name in os.listdir(folder):
        os.chown(name, 0, 0, dir_fd=folder, follow_symlinks=False)
        os.chmod(name, 0o644, dir_fd=folder)


def _restore(plan: Plan, program: int) -> tuple[wire.Message, dict[str, int]]:
    proc = inspection.Proc(plan.proc)
    folder = os.open(plan.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with os.fdopen(os.open(FACTS, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder), encoding="utf-8") as file:
        facts = json.load(file)
    tasks = _tasks(plan)
    output_read, output_write = init.output_pipe(plan.owner)
    go_read, go_write = os.pipe2(os.O_CLOEXEC)
    os.fchown(go_read, plan.owner, plan.owner)
    _enter(plan)
    inherited = {facts["output"]: output_write, facts["go"]: go_read}
    _criu(plan, program, folder, tasks, ["restore", "-d", "--leave-stopped"], inherited, facts["highest"])
    os.close(output_write)
    os.close(go_read)
    found = standing.find(proc, plan.first)
    try:
        # Its stop is pending when CRIU lets go of it: wait until all its threads have come to it.
        standing.stop(proc, found)
        standing.check(proc, found, first=plan.first, owner=plan.owner, groups=_groups(plan))
        if found.inside != facts["pid"]:
            raise Failed("another process was restored")
        status = proc.open(f"{found.pid}/status")
    except BaseException:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(found.pidfd, signal.SIGKILL)
        raise
    return {"event": "revived", "pid": found.inside}, {"output": output_read, "go": go_write, "status": status}


def _pipe(proc: inspection.Proc, pid: int, fd: int) -> str:
    target = proc.link(f"{pid}/fd/{fd}")
    if not target.startswith("pipe:["):
        raise Failed(f"its descriptor {fd} is not what it was")
    return target


def _groups(plan: Plan) -> list[str]:
    ending = f"/{plan.group_name}/{plan.slot}"
    return [
        f"{','.join(hierarchy.controllers) if hierarchy.version == 1 else ''}:{ending}" for hierarchy, _ in plan.parents
    ]


def _tasks(plan: Plan) -> list[int]:
    return [
        os.open(f"{folder}/{plan.slot}/{'tasks' if each.version == 1 else 'cgroup.procs'}", os.O_WRONLY | os.O_CLOEXEC)
        for each, folder in plan.parents
    ]


def _enter(plan: Plan) -> None:
    """All that follows sees what the sandbox sees; our children are in its pid namespace."""
    kinds = syscalls.CLONE_NEWNET | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWPID
    first = os.pidfd_open(plan.first)
    syscalls.setns(first, kinds | syscalls.CLONE_NEWNS)
    os.close(first)
    if os.path.exists(base_tree.PACKAGES):
        raise Failed("the sandbox is nobody's yet")


def _criu(
    plan: Plan,
    program: int,
    folder: int,
    tasks: Sequence[int],
    order: list[str],
    inherited: dict[str, int],
    highest: int,
) -> None:
    """Raises Failed with what it said last."""
    _pass_pids(highest)
    heard, tell = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            _become_criu(plan, program, folder, tasks, order, inherited, tell)
        except BaseException as error:  # noqa: BLE001 - the last line of this process: tell, then end
            os.write(tell, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(_FAILED)
    os.close(tell)
    said = b""
    while data := os.read(heard, 65536):
        said = (said + data)[-_SAID_BYTES:]
    os.close(heard)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code != 0:
        errors = [line for line in said.decode(errors="replace").splitlines() if "Error" in line]
        raise Failed(f"criu {order[0]}: {'; '.join(errors[-2:])[-_REASON_CHARACTERS:] or f'status {code}'}")


def _pass_pids(highest: int) -> None:
    """The numbers of the restored threads must be free when CRIU makes them: nothing of ours may have one."""
    while True:
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            os.write(theirs, str(os.getpid()).encode())
            os._exit(0)
        os.close(theirs)
        number = int(os.read(ours, 16) or 0)
        os.close(ours)
        os.waitpid(pid, 0)
        if number > highest + _SPARE_PIDS or number == 0:
            return


def _become_criu(
    plan: Plan, program: int, folder: int, tasks: Sequence[int], order: list[str], inherited: dict[str, int], tell: int
) -> NoReturn:
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    for fd in tasks:
        os.write(fd, b"0")
    syscalls.unshare(syscalls.CLONE_NEWCGROUP)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for source, number in ((null, 0), (tell, 1), (tell, 2)):
        os.dup2(source, number)
    size = (plan.memory_mb << 20) + _ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    for fd in (program, folder, *inherited.values()):
        os.set_inheritable(fd, True)
    capabilities.drop_bounding(*_NEEDED)
    os.setgroups(())
    syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 1)
    os.setresgid(plan.owner, plan.owner, plan.owner)
    os.setresuid(plan.owner, plan.owner, plan.owner)
    capabilities.give_to_program(*_NEEDED)
    os.chdir(f"/proc/self/fd/{folder}")
    arguments = ["criu", *order, *_USUAL, "-D", f"/proc/self/fd/{folder}"]
    for name, fd in inherited.items():
        arguments += ["--inherit-fd", f"fd[{fd}]:{name}"]
    os.execve(f"/proc/self/fd/{program}", arguments, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})


def remove(folder: str) -> None:
    """What was saved of a sandbox that has ended."""
    with suppress(FileNotFoundError):
        for name in os.listdir(folder):
            os.unlink(f"{folder}/{name}")
        os.rmdir(folder)
