"""The cgroup of one sandbox, through the descriptors that came with it: freeze, share of the CPU, memory, processes.

What this machine has no cgroup for does nothing, or is empty. Once the group has been removed nothing is written or
read: the sandbox is gone then, and its end is told elsewhere.
"""

import errno
import os
from collections.abc import Mapping

from lambent.environments.sandbox.memory import GONE, PeakMemory, processes
from lambent.launcher import cgroups


class ControlGroup:
    def __init__(self, fds: Mapping[str, int]) -> None:
        """`fds` stay their owner's, who closes them after `close`."""
        self._cpu = _versioned(fds, "cpu")
        self._cpus: float | None = None
        """The limit that is set."""
        self._freezer = _versioned(fds, "freezer")
        self._frozen = False
        self._oom = _versioned(fds, "oom")
        self._procs = _either(fds, "procs")
        self.memory = PeakMemory(procs_fd=self._procs, count_fd=_either(fds, "count"), stat_fd=_either(fds, "stat"))

    def freeze(self, frozen: bool) -> None:
        if self._freezer is not None and frozen != self._frozen:
            version, fd = self._freezer
            _write(fd, cgroups.freeze(version, frozen))
            self._frozen = frozen

    def limit_cpu(self, cpus: float | None) -> None:
        # The kernel looks at all groups of the machine for each change.
        if self._cpu is not None and cpus != self._cpus:
            version, fd = self._cpu
            _write(fd, cgroups.quota(version, cpus))
            self._cpus = cpus

    def oom_kills(self) -> int:
        """How many processes the kernel has killed for want of memory."""
        return cgroups.oom_kills(_read(self._oom[1])) if self._oom is not None else 0

    def processes(self) -> list[int]:
        """Pids, as the host counts them."""
        try:
            return processes(self._procs) if self._procs is not None else []
        except OSError as error:
            if error.errno not in GONE:
                raise
            return []

    def close(self) -> None:
        """Their numbers will soon be other files."""
        self.memory.close()
        self._cpu = self._freezer = self._oom = self._procs = None


def _write(fd: int, value: bytes) -> None:
    try:
        os.pwrite(fd, value, 0)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise


def _read(fd: int) -> bytes:
    """Empty when the cgroup has been removed."""
    try:
        return os.pread(fd, 4096, 0)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        return b""


def _versioned(fds: Mapping[str, int], key: str) -> tuple[int, int] | None:
    """(cgroup version, descriptor) of a control that the launcher has sent, if it has."""
    return next(((version, fds[f"{key}{version}"]) for version in (1, 2) if f"{key}{version}" in fds), None)


def _either(fds: Mapping[str, int], key: str) -> int | None:
    """The descriptor alone, where both versions read the same."""
    found = _versioned(fds, key)
    return found[1] if found is not None else None
