"""The clones of a template, as the trusted first process of its sandbox sees them: its children.

The template is told to clone itself on a socket of its own, one socket more for each clone. What the template says
is believed in one thing only, whether its runtime can be cloned at all, because that harms nobody else. Clones are
killed with their finisher, and their ends are told to it.
"""

import errno
import os
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from lambent.launcher import tmp_image, wire

READY, CANNOT, CLONE = b"ready", b"cannot ", b"clone"
_REASON_BYTES = 1000
_KEPT_ENDS = 256
_NO_IMAGES = "it has files in /tmp, and this machine has no images for that"
_NOT_WRITABLE = "a file in /tmp is open for writing"


class End(NamedTuple):
    code: int
    peak_bytes: int


class Cloning:
    """Of one template. `watched` are the descriptors to poll, `handle` what to do with one."""

    def __init__(self, image: int | None, tell: Callable[[wire.Message], None]) -> None:
        """`image` is that of /tmp."""
        # Who gets it may not write what is mounted.
        self._image = None if image is None else os.open(f"/proc/self/fd/{image}", os.O_RDONLY | os.O_CLOEXEC)
        self._tell = tell
        self._template, self.of_template = wire.pair()
        """The second is for the runtime process, and closed here once that has it."""
        self._template.setblocking(False)
        self._heard = False
        self._finishers: dict[int, socket.socket] = {}
        """By descriptor."""
        self._pids: dict[int, int] = {}
        """Pid of a clone -> descriptor of its finisher."""
        self._ends: dict[int, End] = {}
        """Of children that no finisher has asked for yet."""

    @property
    def watched(self) -> list[int]:
        return [*self._finishers] if self._heard else [self._template.fileno(), *self._finishers]

    def add(self, finisher: socket.socket) -> None:
        """One that the launcher has made for a new clone."""
        finisher.setblocking(False)
        self._finishers[finisher.fileno()] = finisher
        with suppress(OSError):
            wire.send(finisher, {"event": "cloning"}, {} if self._image is None else {"tmp": self._image})

    def handle(self, fd: int) -> None:
        if fd == self._template.fileno():
            self._hear_template()
        elif (finisher := self._finishers.get(fd)) is not None:
            self._hear_finisher(finisher)

    def _hear_template(self) -> None:
        try:
            said = self._template.recv(_REASON_BYTES)
        except BlockingIOError:
            return
        except ConnectionResetError:
            said = b""
        # It has one thing to say. What it says beyond that would keep us busy outside of its limits.
        self._heard = True
        if not said:
            self._template.close()
            return
        reason = said.removeprefix(CANNOT).decode(errors="replace") if said != READY else self._seal()
        self._tell({"event": "snapshot", "reason": reason})

    def _seal(self) -> str | None:
        """From now on /tmp is as each clone will find it."""
        if self._image is None:
            # A tmpfs, which cannot be copied; whoever sees its files is the function alone, but anybody their number.
            files = os.statvfs("/tmp")
            return _NO_IMAGES if files.f_files - files.f_ffree > 1 else None
        try:
            tmp_image.seal("/tmp")
        except OSError as error:
            return _NOT_WRITABLE if error.errno == errno.EBUSY else str(error)
        return None

    def _hear_finisher(self, finisher: socket.socket) -> None:
        try:
            received = wire.receive(finisher)
        except (ValueError, ConnectionResetError, wire.DescriptorsLost):
            received = None
        if received is None:
            self._forget(finisher)
            return
        message, fds = received
        try:
            self._obey(finisher, message, fds)
        finally:
            for fd in fds.values():
                os.close(fd)

    def _obey(self, finisher: socket.socket, message: wire.Message, fds: Mapping[str, int]) -> None:
        if message["do"] == "clone":
            try:
                socket.send_fds(self._template, [CLONE], [fds["child"]])
            except OSError:  # It does not read, or has ended.
                self._forget(finisher)
        elif message["do"] == "watch":
            self._watch(finisher, message["pid"])

    def _watch(self, finisher: socket.socket, pid: int) -> None:
        try:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            _tell_end(finisher, self._ends.pop(pid, End(-signal.SIGKILL, 0)))
        else:
            self._pids[pid] = finisher.fileno()

    def _forget(self, finisher: socket.socket) -> None:
        fd = finisher.fileno()
        for pid in [pid for pid, each in self._pids.items() if each == fd]:
            del self._pids[pid]
            # Its number is not another's: it is our child and was not reaped.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        del self._finishers[fd]
        finisher.close()

    def reaped(self, pid: int, end: End) -> None:
        """Some child of ours has ended that we did not start ourselves."""
        fd = self._pids.pop(pid, None)
        if fd is not None:
            _tell_end(self._finishers[fd], end)
            return
        while len(self._ends) >= _KEPT_ENDS:
            del self._ends[next(iter(self._ends))]
        self._ends[pid] = end


def _tell_end(finisher: socket.socket, end: End) -> None:
    with suppress(OSError):
        wire.send(finisher, {"event": "exited", "code": end.code, "peak_bytes": end.peak_bytes})
