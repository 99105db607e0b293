"""The launcher of a container that may make no namespaces but has CAP_SETUID, as Docker's default is.

Each sandbox is a user number, a folder, two ports and Landlock. What such a number has left (processes, files, System V
memory) is removed at its end, and by the next start where this one was killed. Refuses to work without Landlock: only
that keeps functions from files that everybody may read.
"""

import os
import select
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from lambent.launcher import request, user_namespace, wire
from lambent.launcher.contained import first as contained_first
from lambent.launcher.contained import user_end
from lambent.launcher.kernel import capabilities, landlock, seccomp, syscalls

_NEEDED = {"CAP_CHOWN": 0, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_SETPCAP": 8}
_END_TIMEOUT_S = 5.0
_NUMBERS_PER_SANDBOX = 2
"""The function's, and that of the one who kills its processes."""
MISSING = {
    "processes": "no pid namespace: that other processes are there can be seen, but they cannot be read or signalled",
    "network": "no network namespace: other ports of this container can be reached",
    "memory": "no control groups: each process alone is limited, to twice the memory and 256 MB",
    "cpu": "no control groups",
    "tmp": "/tmp is a folder on the disk of the data dir, without a limit",
}


class Folders(NamedTuple):
    """Of the data dir, for sandboxes."""

    base: str
    packages: str
    runtime: str


class _Running(NamedTuple):
    slot: int
    control: socket.socket


class ContainedLauncher:
    """Single-threaded: it forks sandboxes and ends what they leave. Raises OSError when it cannot work here."""

    def __init__(
        self,
        *,
        data_dir: str,
        mark: str,
        packages: str,
        prefixes: tuple[str, ...],
        runtime_entries: Mapping[str, str],
        web: bool,
        users: tuple[int, int] | None,
        supervisor: socket.socket,
    ) -> None:
        """`web`: functions may reach the ports of the internet that they need. `users`: first and count of their
        numbers, None for what is far from those of users here."""
        _require()
        self._supervisor = supervisor
        self._prefixes = prefixes
        self._web = web
        ids = user_namespace.own_range(mark) if users is None else user_namespace.Ids(*users, None)
        self._first = ids.first
        self._slots = (ids.size - 1) // _NUMBERS_PER_SANDBOX
        self._group = ids.first + ids.size - 1
        """Of all functions: it may walk through the data dir, and nothing more."""
        self._running: dict[int, _Running] = {}
        self._free = list(range(self._slots - 1, -1, -1))
        self.missing = dict(MISSING)
        if landlock.abi() < 4:
            self.missing["network"] += "; and the kernel's Landlock has no rules for ports"
        try:
            self._filter: bytes | None = seccomp.compile_filter()
        except seccomp.SeccompUnavailable as error:
            self.missing["syscalls"], self._filter = str(error), None
        base = f"{data_dir}/contained"
        self._folders = Folders(base, packages, f"{base}/runtime")
        self._sweep(base)
        self._make_folders(data_dir, runtime_entries)
        self._check_reach()

    def _user(self, slot: int) -> int:
        return self._first + slot * _NUMBERS_PER_SANDBOX

    def _sweep(self, base: str) -> None:
        """What a launcher of this data dir left because it was killed."""
        last = self._first + self._slots * _NUMBERS_PER_SANDBOX
        owners = user_end.users()
        with suppress(FileNotFoundError):
            for name in os.listdir(base):
                if name != "runtime":
                    owners.add(os.lstat(f"{base}/{name}/tmp").st_uid)
        for user in sorted(owner for owner in owners if self._first <= owner < last):
            contained_first.end_user(user)
        with suppress(FileNotFoundError):
            for name in os.listdir(base):
                if name != "runtime":
                    contained_first.remove_home(f"{base}/{name}")

    def _make_folders(self, data_dir: str, runtime_entries: Mapping[str, str]) -> None:
        os.makedirs(self._folders.runtime, 0o755, exist_ok=True)
        os.chmod(self._folders.runtime, 0o755)
        for folder in (data_dir, self._folders.packages, self._folders.base):
            os.chown(folder, -1, self._group)
            os.chmod(folder, 0o710)
        for name in os.listdir(self._folders.runtime):
            os.unlink(f"{self._folders.runtime}/{name}")
        for name, path in runtime_entries.items():
            os.symlink(path, f"{self._folders.runtime}/{name}")
        self._readable = (self._folders.runtime, *map(os.path.realpath, runtime_entries.values()))

    def _check_reach(self) -> None:
        """A function is another user: it must be able to enter the folders above its code and its interpreter."""
        wanted = (self._folders.packages, *self._readable, self._prefixes[-1])
        heard, tell = os.pipe2(os.O_CLOEXEC)
        child = os.fork()
        if child == 0:
            os.setgroups([self._group])
            os.setresgid(self._first, self._first, self._first)
            os.setresuid(self._first, self._first, self._first)
            for path in wanted:
                above = os.path.dirname(path)
                while above != "/":
                    if not os.access(above, os.X_OK):
                        os.write(tell, f"{above}\n".encode())
                    above = os.path.dirname(above)
            os._exit(0)
        os.close(tell)
        with open(heard, encoding="utf-8", errors="replace") as closed:
            folders = closed.read().split("\n")
        os.waitpid(child, 0)
        if folders[0]:
            text = f"{min(filter(None, folders), key=len)} cannot be entered by other users, which functions are here"
            raise OSError(f"{text}: put Python and the data dir (--data-dir) elsewhere")

    def serve(self) -> None:
        """Until the supervisor closes its end; then end all sandboxes and leave nothing."""
        woken, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._supervisor, select.POLLIN)
        poll.register(woken, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if woken in ready:
                os.read(woken, 4096)
                self._reap()
            if self._supervisor.fileno() in ready:
                try:
                    received = wire.receive(self._supervisor)
                except (wire.DescriptorsLost, ValueError):
                    continue
                if received is None:
                    break
                message, fds = received
                if (control := fds.pop("control", None)) is not None:
                    self._prepare(message, socket.socket(fileno=control))
                for fd in fds.values():
                    os.close(fd)
        self._end()

    def _prepare(self, message: dict[str, Any], control: socket.socket) -> None:
        try:
            wanted = request.prepare(message, 0)
            if not self._free:
                raise request.BadRequest(f"more than {self._slots} sandboxes")
            slot = self._free.pop()
            pid = os.fork()
        except (request.BadRequest, OSError) as error:
            with suppress(OSError):
                wire.send(control, {"event": "failed", "reason": str(error)})
            control.close()
            return
        if pid == 0:
            place = contained_first.Place(
                slot,
                self._user(slot),
                self._group,
                self._folders.base,
                self._folders.packages,
                self._prefixes,
                self._readable,
                self._web,
            )
            contained_first.run(place, wanted.limits, self._filter, control)
        self._running[pid] = _Running(slot, control)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if (ended := self._running.pop(pid, None)) is not None:
                self._clean(ended, os.waitstatus_to_exitcode(status))

    def _clean(self, ended: _Running, code: int) -> None:
        """Its first process has cleaned up, unless it was killed."""
        user = self._user(ended.slot)
        if code != 0:
            contained_first.end_user(user)
            for name in os.listdir(self._folders.base):
                if name.startswith(f"{user}-"):
                    contained_first.remove_home(f"{self._folders.base}/{name}")
        self._free.append(ended.slot)
        with suppress(OSError):
            wire.send(ended.control, {"event": "gone", "code": code})
        ended.control.close()

    def _end(self) -> None:
        # Each sandbox has seen the end of its own socket, and cleans up.
        deadline = time.monotonic() + _END_TIMEOUT_S
        while self._running and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.001)
        for pid in self._running:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for each in self._running.values():
            contained_first.end_user(self._user(each.slot))


def _require() -> None:
    if not landlock.abi():
        raise OSError("this kernel has no Landlock, or the container's system call filter refuses it")
    held = capabilities.held()
    if lacking := [name for name, number in _NEEDED.items() if not held >> number & 1]:
        raise OSError(f"root here is without {', '.join(lacking)}")
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
