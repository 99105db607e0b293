"""Peak memory of a process of the host: resident pages, never page cache."""

import ctypes
import errno
import os
import struct
import sys

from lambent.launcher import cgroups

_RUSAGE_INFO_V0 = 0
_RUSAGE_INFO_V0_BYTES = 96
_RESIDENT_OFFSET = 64
GONE = (errno.ENODEV, errno.ENOENT)


def peak_of_process(pid: int) -> int:
    """Bytes; 0 when the process is gone. On macOS the present size, since it keeps no peak for others to read."""
    if sys.platform == "darwin":
        return _resident_on_macos(pid)
    try:
        with open(f"/proc/{pid}/status", "rb") as status:
            return peak_of_status(status.read())
    except OSError:
        return 0


def peak_of_status(status: bytes) -> int:
    """VmHWM of a `/proc/<pid>/status` in bytes; 0 for a zombie, which has no memory left."""
    at = status.find(b"VmHWM:")
    return 0 if at < 0 else int(status[at + 6 : status.index(b"kB", at)]) * 1024


def file_pages_of_status(status: bytes) -> int:
    """What a process has mapped of files (its program and libraries), in bytes."""
    at = status.find(b"RssFile:")
    return 0 if at < 0 else int(status[at + 8 : status.index(b"kB", at)]) * 1024


def _resident_on_macos(pid: int) -> int:
    """`ri_resident_size` of proc_pid_rusage(3). Not tried on a Mac yet."""
    buffer = ctypes.create_string_buffer(_RUSAGE_INFO_V0_BYTES)
    if ctypes.CDLL(None).proc_pid_rusage(pid, _RUSAGE_INFO_V0, buffer) != 0:
        return 0
    return int(struct.unpack_from("=Q", buffer, _RESIDENT_OFFSET)[0])


def _text(fd: int) -> bytes:
    """A file of the cgroup; nothing once the cgroup has been removed, and the sandbox with it."""
    try:
        return os.pread(fd, 4096, 0)
    except OSError as error:
        if error.errno not in GONE:
            raise
        return b""


def processes(procs_fd: int) -> list[int]:
    """Pids in the cgroup whose cgroup.procs this is. Opened anew: v1 answers a descriptor that is read often from a
    list that is never renewed."""
    fresh = os.open(f"/proc/self/fd/{procs_fd}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return [int(pid) for pid in os.read(fresh, 1 << 16).split()]
    finally:
        os.close(fresh)


class PeakMemory:
    """Peak of what the processes of one cgroup hold.

    The peak of the runtime process comes from its status file, kept open. While there are others, the cgroup tells
    what all hold now, pages that a fork shares counted once: that is a sample, so who measures only at the end of an
    invocation does not see a child that has ended by then.
    """

    def __init__(self, *, procs_fd: int | None, count_fd: int | None, stat_fd: int | None = None) -> None:
        """`procs_fd` is cgroup.procs, `count_fd` pids.current, `stat_fd` memory.stat; None where there is none."""
        self._procs_fd = procs_fd
        self._count_fd = count_fd
        self._stat_fd = stat_fd
        self._status_fd: int | None = None
        self._peak_bytes = 0

    def restart(self, status_fd: int) -> None:
        """Measure a new runtime process; `status_fd` is its status file, now owned by this object."""
        self._forget()
        self._status_fd = status_fd
        self._peak_bytes = 0

    def measure(self) -> int:
        status = self._status()
        held = peak_of_status(status)
        if self._has_others():
            held = max(held, self._held_by_all() + file_pages_of_status(status))
        self._peak_bytes = max(self._peak_bytes, held)
        return self._peak_bytes

    def sample(self) -> None:
        """Between two measurements. What one process alone has held, the kernel will still know then."""
        if self._has_others():
            self.measure()

    def raise_to(self, peak_bytes: int) -> None:
        """Take a peak that was learnt in another way, as when the process has ended."""
        self._peak_bytes = max(self._peak_bytes, peak_bytes)

    def _status(self) -> bytes:
        if self._status_fd is None:
            return b""
        try:
            return os.pread(self._status_fd, 4096, 0)
        except ProcessLookupError:
            return b""

    def _has_others(self) -> bool:
        """Whether there are further processes. Threads are counted too, so the cheap question comes first."""
        if self._procs_fd is None or (self._count_fd is not None and int(_text(self._count_fd) or 0) < 2):
            return False
        try:
            return len(processes(self._procs_fd)) > 1
        except OSError as error:
            if error.errno not in GONE:
                raise
            return False

    def _held_by_all(self) -> int:
        return cgroups.held_bytes(_text(self._stat_fd)) if self._stat_fd is not None else 0

    def close(self) -> None:
        """No more measuring; the descriptors of the cgroup are their owner's to close."""
        self._forget()
        self._procs_fd = self._count_fd = self._stat_fd = None

    def _forget(self) -> None:
        if self._status_fd is not None:
            os.close(self._status_fd)
            self._status_fd = None
