"""The launcher's side of its zygotes: start, ask for a fork, notice the end. The supervisor decides which there are."""

import os
import socket
from contextlib import suppress
from typing import NamedTuple

from lambent.launcher import request, wire, zygote
from lambent.launcher.kernel import syscalls

MOST = 64
_FORK_TIMEOUT_S = 5.0
_SIGKILL = 9


class _Zygote(NamedTuple):
    pid: int
    line: socket.socket
    control: socket.socket
    """A copy of what the zygote has: the news of its end go there."""
    runtime: int


class Zygotes:
    def __init__(self, trusted: frozenset[int] | None) -> None:
        """`trusted` are the numbers of runtimes that may have one; None: looked at when one is started."""
        self._trusted = trusted
        self._zygotes: dict[int, _Zygote] = {}
        self._last = 0

    def next_number(self) -> int:
        return self._last + 1

    def start(self, set_up: zygote.SetUp, runtime: int, control: socket.socket) -> None:
        """Takes `control`, where the zygote says that it is ready. Raises BadRequest, OSError."""
        if len(self._zygotes) >= MOST:
            raise request.BadRequest(f"more than {MOST} zygotes")
        if not (zygote.trusted(set_up.runtime) if self._trusted is None else runtime in self._trusted):
            raise request.BadRequest("the interpreter or Lambent belongs to somebody who may not have our privileges")
        ours, theirs = wire.pair()
        pid = syscalls.clone(syscalls.CLONE_NEWNS)
        if pid == 0:
            zygote.run(set_up, theirs, control)
        theirs.close()
        ours.settimeout(_FORK_TIMEOUT_S)
        self._last = set_up.number
        self._zygotes[set_up.number] = _Zygote(pid, ours, control, runtime)

    def fork(self, number: int, runtime: int | None, message: wire.Message, control: socket.socket) -> int:
        """The pid of a new first process, our child. Raises BadRequest, OSError; the zygote is ended then."""
        found = self._zygotes.get(number)
        if found is None or found.runtime != runtime:
            raise request.BadRequest(f"there is no zygote {number} of this runtime")
        try:
            wire.send(found.line, message, {"control": control.fileno()})
            received = wire.receive(found.line)
            if received is None:
                raise BrokenPipeError("the zygote has ended")
        except (OSError, ValueError):
            with suppress(ProcessLookupError):
                os.kill(found.pid, _SIGKILL)
            raise
        return int(received[0]["pid"])

    def ended(self, pid: int) -> bool:
        """Whether a process that has ended was one."""
        number = next((number for number, each in self._zygotes.items() if each.pid == pid), None)
        if number is None:
            return False
        gone = self._zygotes.pop(number)
        with suppress(OSError):
            wire.send(gone.control, {"event": "gone", "code": None})
        gone.control.close()
        gone.line.close()
        return True

    @property
    def pids(self) -> list[int]:
        return [each.pid for each in self._zygotes.values()]

    def end(self) -> None:
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, _SIGKILL)
