"""The loop of a finisher, once its sandbox is made: the clone runs, and the supervisor decides.

It obeys as the first process of another sandbox does, but a restored runtime starts once: `kill` ends the sandbox.
"""

import os
import select
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from lambent.launcher import request, wire
from lambent.launcher.net import loopback
from lambent.launcher.restore import inspection

GO = b"go"
_JOIN_WITHIN_MS = 5
"""A clone that is not told to go on by then waits for a restore, and there is time for what takes long."""


class Finisher:
    """`join_later`: cgroup.procs of v2 groups that the clone is not in yet."""

    def __init__(
        self,
        clone: inspection.Clone,
        proc: inspection.Proc,
        identity: socket.socket,
        control: socket.socket,
        template: socket.socket,
        join_later: list[int],
    ) -> None:
        self._clone = clone
        self._proc = proc
        self._identity: socket.socket | None = identity
        self._control = control
        self._template = template
        self._join_later = join_later
        self._ended = False

    def serve(self) -> None:
        """Until the supervisor closes its end, or tells to kill."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._template, select.POLLIN)
        killed = False
        while not killed:
            ready = {fd for fd, _ in poll.poll(_JOIN_WITHIN_MS if self._join_later else None)}
            if not ready:
                self._join()
            if self._template.fileno() in ready:
                self._hear_of_end()
                poll.unregister(self._template)
            if self._control.fileno() in ready:
                killed = not self._hear()
        self._kill()

    def _hear(self) -> bool:
        try:
            received = wire.receive(self._control)
        except (ValueError, wire.DescriptorsLost) as error:
            self._tell({"event": "refused", "reason": str(error)})
            return True
        if received is None:
            return False
        message, fds = received
        for fd in fds.values():
            os.close(fd)
        try:
            return self._obey(message)
        except request.BadRequest as error:
            self._tell({"event": "refused", "reason": str(error)})
            return True

    def _obey(self, message: wire.Message) -> bool:
        match message.get("do"):
            case "start":
                self._start(request.variables(message))
            case "signal":
                self._signal(request.signal_number(message))
            case "connect":
                self._connect(request.port(message))
            case "kill":
                return False
            case other:
                raise request.BadRequest(f"{other!r} is not understood of a restored sandbox")
        return True

    def _tell(self, message: wire.Message, fds: Mapping[str, int] | None = None) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            wire.send(self._control, message, dict(fds) if fds else None)

    def _start(self, variables: Mapping[str, str]) -> None:
        if self._identity is None:
            raise request.BadRequest("a restored runtime starts once")
        status = self._proc.open(f"{self._clone.pid}/status")
        text = "\0".join(f"{name}={value}" for name, value in variables.items())
        with suppress(OSError):  # It has ended: that is told elsewhere.
            self._identity.send(GO + text.encode("utf-8", "surrogateescape"))
        self._identity.close()
        self._identity = None
        self._tell({"event": "started"}, {"status": status})
        os.close(status)
        self._join()

    def _join(self) -> None:
        for procs in self._join_later:
            with suppress(ProcessLookupError):
                os.write(procs, str(self._clone.pid).encode())
            os.close(procs)
        self._join_later.clear()

    def _connect(self, port: int) -> None:
        code, connection = loopback.connect(port)
        self._tell({"event": "connected", "errno": code}, {} if connection is None else {"connection": connection})
        if connection is not None:
            os.close(connection)

    def _signal(self, number: int) -> None:
        """What the clone does not catch would be ignored, since it is the first of its namespace: then it is killed."""
        with suppress(OSError, KeyError, ValueError):
            caught = int(self._proc.status(self._clone.pid)["SigCgt"], 16)
            ignored = int(self._proc.status(self._clone.pid)["SigIgn"], 16)
            if not (caught | ignored) >> (number - 1) & 1:
                number = signal.SIGKILL
            signal.pidfd_send_signal(self._clone.pidfd, number)

    def _kill(self) -> None:
        if self._ended:
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._clone.pidfd, signal.SIGKILL)
        self._template.settimeout(None)
        self._hear_of_end()

    def _hear_of_end(self) -> None:
        """From the first process of the template, whose child the clone is; that one's end ends all clones."""
        end: dict[str, Any] = {"code": -signal.SIGKILL, "peak_bytes": 0}
        with suppress(ValueError, OSError):
            if (received := wire.receive(self._template)) is not None:
                end |= received[0]
        self._ended = True
        self._tell({"event": "exited", "name": request.RUNTIME, "code": end["code"], "peak_bytes": end["peak_bytes"]})
