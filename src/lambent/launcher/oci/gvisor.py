"""gVisor: the command of runsc, and the process outside of a container that has a kernel of its own.

runsc hands on no descriptor but the first three, and what is mounted later does not appear inside. So a container is
made when its runtime or first extension starts, with the network and the control group of this process, and none waits.
Each process inside has one of runsc's outside that ends as it did. `runsc` of 2022 (Debian) and newer.
"""

import os
import select
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from lambent.launcher import cgroups, request
from lambent.launcher.kernel import syscalls
from lambent.launcher.oci import config as oci_config
from lambent.launcher.oci.first import OciFirst
from lambent.launcher.oci.runtime import OciError, OciRuntime

INTERPRETER_PLACE: Final = "/.lambent/lang"
"""Of our own interpreter, in which a container waits for its command: no mount can come later."""
MEMORY_MB, PROCESSES = 64, 256
"""Of gVisor itself, beside what the function may have."""
_UP_LIMIT_S, _LOOK_EVERY_S = 10.0, 0.002
_SIGNALLED: Final = 128
_ENDS_WITHIN_MS = 500


class Gvisor(OciRuntime):
    options = ("--network=host", "--oci-seccomp")
    """That of the process which runs it; gVisor's own would not meet our listeners."""

    def run(
        self, name: str, bundle: str, config: Mapping[str, object], fds: Mapping[int, int], group: cgroups.Group
    ) -> tuple[int, int]:
        """Make the container and start its first process, in `group`. Returns the pid of what ends as that does, and of
        the kernel. Raises OciError, OSError."""
        self.write(f"{bundle}/config.json", config)
        pid_file = f"{bundle}/pid"
        with suppress(FileNotFoundError):
            os.unlink(pid_file)
        argv = ["--ignore-cgroups", "run", "--bundle", bundle, "--pid-file", pid_file, name]
        pid = syscalls.clone(0, group.into)
        if pid == 0:
            try:
                for fd in group.tasks:
                    os.write(fd, b"0")
                self.become(bundle, argv, fds)
            finally:
                os._exit(127)
        deadline = time.monotonic() + _UP_LIMIT_S
        while (kernel := self._kernel(pid_file)) is None:
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) or time.monotonic() > deadline:
                raise OciError(f"runsc did not start: {self.last_error(bundle)}")
            time.sleep(_LOOK_EVERY_S)
        return pid, kernel

    def _kernel(self, pid_file: str) -> int | None:
        try:
            return self.pid(pid_file)
        except (FileNotFoundError, ValueError):  # Not there yet, or not written.
            return None

    def exec(self, name: str, bundle: str, process: Mapping[str, object], output: int) -> int:
        """Start one more process in the container. Returns the pid of what ends as it does."""
        description = f"{bundle}/process.json"
        inside = self.inside_file(bundle)
        self.write(description, process)
        argv = ["exec", "--process", description, "--internal-pid-file", inside, name]
        pid = os.fork()
        if pid == 0:
            try:
                self.become(bundle, argv, {1: output, 2: output})
            finally:
                os._exit(127)
        deadline = time.monotonic() + _UP_LIMIT_S
        try:
            while self._kernel(inside) is None:
                if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                    break
                if time.monotonic() > deadline:
                    raise OciError("runsc exec did not start")
                time.sleep(_LOOK_EVERY_S)
        finally:
            os.unlink(description)  # It has variables in it, which are secrets.
        with suppress(FileNotFoundError):  # It has ended at once.
            os.rename(inside, f"{inside}.{pid}")
        return pid

    def kill(self, name: str, bundle: str, pid: int, number: int) -> None:
        """A signal for one process: the first, or that for which `exec` has returned `pid`."""
        inside = self._kernel(f"{self.inside_file(bundle)}.{pid}")
        which = [] if inside is None else ["--pid", str(inside)]
        with suppress(OciError):  # It has ended meanwhile.
            self._run(bundle, ["kill", *which, name, str(number)], {})

    @staticmethod
    def inside_file(bundle: str) -> str:
        return f"{bundle}/inside"


class GvisorFirst(OciFirst):
    _line_fd = 0
    _oci: Gvisor
    _kernel = 0
    _told_to_end: frozenset[str] = frozenset()

    def _runtime(self, program: str, null: int) -> OciRuntime:
        return Gvisor(program, null)

    def make(self) -> None:
        if self._blueprint.runtime is not None:
            raise OciError("no interpreter waits in a container of gVisor")

    def control(self) -> dict[str, int]:
        return dict(self._forks.group.control)

    def _create(self, argv: tuple[str, ...], variables: Mapping[str, str], fds: Mapping[int, int]) -> int:
        outputs = {1: self._outputs.runtime, 2: self._outputs.runtime}
        description = oci_config.config(self._described(argv, variables)._replace(network=None, groups=None))
        pid, kernel = self._oci.run(
            self._blueprint.name, f"{self._slot}/bundle", description, {**outputs, **fds}, self._forks.group
        )
        self._kernel = kernel
        self._container = pid, os.pidfd_open(kernel)
        self._ended, self._ended_by = False, None
        return pid

    def _assign(self, wanted: request.Assign) -> None:
        limits = wanted.limits
        more = limits._replace(memory_mb=limits.memory_mb + MEMORY_MB, processes=limits.processes + PROCESSES)
        super()._assign(wanted._replace(limits=more))

    def _wait_again(self) -> None:
        self._end_container()
        self._wait_for_command()

    def _refusal(self, line: socket.socket) -> str:
        """runsc holds the other end as long as the container is there, so its first word counts."""
        said = line.recv(4096)
        return "" if said == oci_config.STARTED else said.decode(errors="replace")

    def _status(self, pid: int) -> int:
        return super()._status(self._kernel)

    def _signal(self, name: str, number: int) -> None:
        if (pid := self._running.get(name)) is None:
            return
        if number == signal.SIGKILL:
            self._told_to_end |= {name}
        if name == request.RUNTIME and number == signal.SIGKILL and self._container is not None:
            signal.pidfd_send_signal(self._container[1], number)
            return
        self._oci.kill(self._blueprint.name, f"{self._slot}/bundle", pid, number)

    def _tell_exit(self, name: str, code: int, peak_bytes: int) -> None:
        code = _SIGNALLED - code if code > _SIGNALLED else code
        told, self._told_to_end = name in self._told_to_end, self._told_to_end - {name}
        if name != request.RUNTIME and not told and request.RUNTIME in self._running and self._kernel_ends():
            self._with_it.append((name, code, peak_bytes))
            return
        super()._tell_exit(name, code, peak_bytes)

    def _kernel_ends(self) -> bool:
        """With the first process inside all others are killed, and only then the kernel ends."""
        if self._container is None:
            return True
        poll = select.poll()
        poll.register(self._container[1], select.POLLIN)
        return bool(poll.poll(_ENDS_WITHIN_MS))

    def _kill_group(self) -> None:
        """The kernel ends, and all that runs on it."""
