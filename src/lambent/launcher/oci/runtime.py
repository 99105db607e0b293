"""The command of an OCI runtime (runc, crun, runsc, kata-runtime): create, start, exec, delete. Blocking.

The runtime is trusted as we are; its containers become children of whoever is subreaper here.
"""

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from lambent.launcher.oci.tree import STATE

_VARIABLES = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


class OciError(OSError):
    """The runtime refused; the message is its own."""


class OciRuntime:
    options: Sequence[str] = ()
    """Before each of its commands."""

    def __init__(self, program: str, null: int) -> None:
        self._program = program
        self._null = null

    def create(self, name: str, bundle: str, config: Mapping[str, object], fds: Mapping[int, int]) -> int:
        """Make the container `name` and start its first process; `fds`: number inside -> ours. Returns its pid."""
        self.write(f"{bundle}/config.json", config)
        kept = len([number for number in fds if number > 2])
        pid_file = f"{bundle}/pid"
        options = ["--bundle", bundle, "--pid-file", pid_file, "--preserve-fds", str(kept)]
        self._run(bundle, ["create", *options, name], fds)
        try:
            self._run(bundle, ["start", name], {})
        except OciError:
            self.delete(name)
            raise
        return self.pid(pid_file)

    def exec(self, name: str, bundle: str, process: Mapping[str, object], output: int) -> int:
        """Start one more process in the container. Returns its pid."""
        description, pid_file = f"{bundle}/process.json", f"{bundle}/exec-pid"
        self.write(description, process)
        try:
            options = ["--detach", "--process", description, "--pid-file", pid_file]
            self._run(bundle, ["exec", *options, name], {1: output, 2: output})
        finally:
            os.unlink(description)  # It has variables in it, which are secrets.
        return self.pid(pid_file)

    def delete(self, name: str) -> None:
        """End whatever is left of it; nothing when there is nothing."""
        with suppress(OciError):
            self._run(None, ["delete", "--force", name], {})

    def _argv(self, bundle: str | None, arguments: Sequence[str]) -> list[str]:
        log = [] if bundle is None else ["--log", f"{bundle}/log", "--log-format", "json"]
        return [self._program, "--root", STATE, *self.options, *log, *arguments]

    def become(self, bundle: str, arguments: Sequence[str], fds: Mapping[int, int]) -> NoReturn:
        """In a fork: exec it, with `fds` below 3 and no others."""
        given = {0: self._null, 1: self._null, 2: self._null, **fds}
        high = {number: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for number, fd in given.items()}
        for number, fd in high.items():
            os.dup2(fd, number)
        os.execve(self._program, self._argv(bundle, arguments), _VARIABLES)

    def _run(self, bundle: str | None, arguments: Sequence[str], fds: Mapping[int, int]) -> None:
        argv = self._argv(bundle, arguments)
        given = {0: self._null, 1: self._null, 2: self._null, **fds}
        # First out of the way of each other.
        high = {number: 100 + number for number in given}
        actions: list[tuple[int, ...]] = [(os.POSIX_SPAWN_DUP2, fd, high[number]) for number, fd in given.items()]
        actions += [(os.POSIX_SPAWN_DUP2, high[number], number) for number in given]
        actions += [(os.POSIX_SPAWN_CLOSE, each) for each in high.values()]
        _, status = os.waitpid(os.posix_spawn(self._program, argv, _VARIABLES, file_actions=actions), 0)
        if status != 0:
            reason = self.last_error(bundle) if bundle is not None else ""
            name = os.path.basename(self._program)
            raise OciError(f"{name} {arguments[0]} ended with {os.waitstatus_to_exitcode(status)}: {reason}")

    @staticmethod
    def write(path: str, content: Mapping[str, object]) -> None:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(file, "w", encoding="utf-8") as text:
            json.dump(content, text)

    @staticmethod
    def pid(path: str) -> int:
        with open(path, encoding="ascii") as file:
            return int(file.read())

    @staticmethod
    def last_error(bundle: str) -> str:
        try:
            with open(f"{bundle}/log", encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
        except OSError:
            return "it said nothing"
        for line in reversed(lines):
            with suppress(ValueError):
                if (entry := json.loads(line)).get("level") in ("error", "fatal"):
                    return str(entry.get("msg", ""))
        return lines[-1] if lines else "it said nothing"
