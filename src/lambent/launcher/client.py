"""The supervisor's side of the launcher: ask it for sandboxes. Needs no privileges; `starting` starts one."""

import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from lambent.launcher import wire

_START_TIMEOUT_S = 30.0
"""A launcher needs 0.1 s; an emulated machine that compiles it first has needed more than 15."""
_STATUS_BYTES = 400
_END_TIMEOUT_S = 10.0


NO_CRIU = "CRIU is not used: --criu"
"""Why, where nobody asked for it."""


class LauncherError(Exception):
    """The launcher could not be started or is gone. The message is for the user."""


class Kind(NamedTuple):
    """Where a launcher has its privileges."""

    name: str
    """`native`: on the host; `rootless`: in a user namespace of its own alone; `process`: it has few, see contained;
    `oci`: on the host, by `program`."""
    reason: str | None
    """Why it is not native."""
    program: str | None = None
    """The OCI runtime."""
    gvisor: bool = False
    """It is gVisor's: nothing of it waits prepared."""


class Egress(NamedTuple):
    """What sandboxes may reach beside themselves."""

    kind: str
    """One of `core.settings.EGRESS`."""
    allow: tuple[str, ...] = ()
    """Private networks, as 10.0.0.0/8."""


NATIVE = Kind("native", None)
NO_EGRESS = Egress("none")


class Starts(Protocol):
    """How an interpreter is started before it is known for whom."""

    @property
    def lang_prefix(self) -> Path: ...
    @property
    def argv(self) -> tuple[str, ...]: ...
    @property
    def variables(self) -> Mapping[str, str]: ...


class LauncherClient:
    """Talks to one launcher. Its sandboxes end with it."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        channel: socket.socket,
        packages: Path,
        prefixes: Sequence[Path],
        kind: Kind = NATIVE,
        runtimes: Sequence[Starts] = (),
    ) -> None:
        self.kind = kind
        self._process = process
        self._channel = channel
        self._packages = packages
        self._prefixes = list(prefixes)
        self._runtimes = list(runtimes)
        self._ready = False
        self.missing: Mapping[str, str] = {}
        """Guarantee -> why this machine cannot give it."""
        self.egress_missing: str | None = None
        """Why there is no way to the internet; None: there is, or will be as soon as `egress` of `network_fds` says."""
        self.vpcs_missing: str | None = None
        """Why there are no VPCs."""
        self.criu_missing: str | None = NO_CRIU
        """Why no process is saved by CRIU; None: it is tried."""
        self.no_egress = True
        """It was switched off, and nobody need be told."""
        self.network_fds: Mapping[str, int] = {}
        """What the supervisor serves and reads of the internet's router; see `launcher.net.networks`."""

    def await_ready(self) -> Self:
        """Before the first sandbox. Raises LauncherError, and has ended it then, when it cannot work here."""
        if self._ready:
            return self
        try:
            self._hear_that_it_is_ready()
        except LauncherError:
            self.close()
            raise
        self._ready = True
        return self

    def _hear_that_it_is_ready(self) -> None:
        self._channel.settimeout(_START_TIMEOUT_S)
        try:
            received = wire.receive(self._channel)
        except TimeoutError:
            raise LauncherError(f"the launcher gave no sign of life in {_START_TIMEOUT_S:.0f} s") from None
        except ConnectionResetError:  # It ended before it had read what was agreed.
            received = None
        if received is None:
            raise LauncherError(f"the launcher ended at once, with status {self._process.wait(_END_TIMEOUT_S)}")
        message, self.network_fds = received
        if message["event"] != "ready":
            raise LauncherError(message["reason"])
        self.missing = message["missing"]
        self.egress_missing = message["egress"]
        self.vpcs_missing = message["vpcs"]
        self._channel.settimeout(None)

    def prepare(
        self,
        *,
        memory_mb: int,
        tmp_mb: int,
        processes: int,
        runtime: Starts | None = None,
        zygote: int | None = None,
        internet: bool = False,
        to_save: bool = False,
        like: int | None = None,
    ) -> socket.socket:
        """Ask for a sandbox; the answers come on the socket returned, which is the sandbox's life line. With `internet`
        one of them is that of `plug`.

        `to_save`: its runtime is for CRIU to save; `like`: it gets the saved one of that sandbox.
        Raises LauncherError when the launcher is gone, ValueError for a runtime that it was not told of.
        """
        request = {"do": "prepare", "memory_mb": memory_mb, "tmp_mb": tmp_mb, "processes": processes}
        if runtime is not None:
            request["runtime"] = self._runtimes.index(runtime)
        if zygote is not None:
            request["zygote"] = zygote
        if internet:
            request["internet"] = True
        if to_save:
            request["to_save"] = True
        if like is not None:
            request["like"] = like
        return self._ask(request)

    def save_or_restore(self, *, sandbox: int, like: int, memory_mb: int) -> socket.socket:
        """Let CRIU save the runtime of `sandbox`, where `like` is the same, or restore in it that of `like`."""
        return self._ask({"do": "criu", "sandbox": sandbox, "like": like, "memory_mb": memory_mb})

    def start_zygote(self, runtime: Starts) -> socket.socket:
        """Ask for a zygote; it answers on the socket returned, and ends with it. Raises as `prepare`."""
        return self._ask({"do": "zygote", "runtime": self._runtimes.index(runtime)})

    def _ask(self, request: wire.Message) -> socket.socket:
        ours, theirs = wire.pair()
        try:
            wire.send(self._channel, request, {"control": theirs.fileno()})
        except OSError as error:
            ours.close()
            raise LauncherError(f"the launcher is gone: {error}") from None
        finally:
            theirs.close()
        return ours

    def egress_problem(self) -> str | None:
        """Why sandboxes do not reach the internet now; None: they do."""
        if self.egress_missing is not None or "egress" not in self.network_fds:
            return self.egress_missing
        problem = os.pread(self.network_fds["egress"], _STATUS_BYTES, 0).decode(errors="replace") or None
        return None if problem == wire.EGRESS_WAITS else problem

    def want_egress(self) -> None:
        """Start the way to the internet now, not with the first sandbox that is connected. Raises LauncherError."""
        try:
            wire.send(self._channel, {"do": "egress"})
        except OSError as error:
            raise LauncherError(f"the launcher is gone: {error}") from None

    def plug(self, sandbox: int, network: Mapping[str, object]) -> None:
        """Connect a sandbox with a network; the answer comes on its own socket. Raises LauncherError."""
        try:
            wire.send(self._channel, {"do": "plug", "sandbox": sandbox, "network": network})
        except OSError as error:
            raise LauncherError(f"the launcher is gone: {error}") from None

    def restore(
        self, *, template: int, memory_mb: int, tmp_mb: int, processes: int
    ) -> tuple[socket.socket, socket.socket]:
        """Ask for a sandbox around a clone of the runtime of `template`. The second socket is for that one's sandbox.

        Raises LauncherError when the launcher is gone.
        """
        request = {
            "do": "restore",
            "template": template,
            "memory_mb": memory_mb,
            "tmp_mb": tmp_mb,
            "processes": processes,
        }
        ours, theirs = wire.pair()
        finisher, link = wire.pair()
        finisher.setsockopt(
            socket.SOL_SOCKET, socket.SO_PASSCRED, 1
        )  # It believes that template's first process alone.
        try:
            wire.send(self._channel, request, {"control": theirs.fileno(), "template": finisher.fileno()})
        except OSError as error:
            ours.close()
            link.close()
            raise LauncherError(f"the launcher is gone: {error}") from None
        finally:
            theirs.close()
            finisher.close()
        return ours, link

    def vpc(self, rules: Mapping[str, object]) -> socket.socket:
        """Make or change a VPC; the answer, with its new listeners, comes on the socket returned."""
        return self._ask({"do": "vpc", **rules})

    def assignment(
        self,
        *,
        code_dir: Path,
        opt_dir: Path | None,
        lang_prefix: Path,
        memory_mb: int,
        tmp_mb: int,
        processes: int,
    ) -> wire.Message:
        """What makes a prepared sandbox one function's, to be sent on the sandbox's own socket.

        Raises ValueError for a folder or interpreter that the launcher was not told of.
        """
        return {
            "do": "assign",
            "code": self._package(code_dir),
            "opt": None if opt_dir is None else self._package(opt_dir),
            "prefix": self._prefix(lang_prefix),
            "memory_mb": memory_mb,
            "tmp_mb": tmp_mb,
            "processes": processes,
        }

    def _package(self, folder: Path) -> str:
        """Below the folder of all packages. The launcher follows no link on the way there."""
        if not folder.is_relative_to(self._packages) or ".." in folder.parts:
            folder = folder.resolve()
        return str(folder.relative_to(self._packages))

    def _prefix(self, folder: Path) -> int:
        return self._prefixes.index(folder if folder in self._prefixes else folder.resolve())

    def fileno(self) -> int:
        """Readable once the launcher has ended: after its start it says nothing."""
        return self._channel.fileno()

    @property
    def gone(self) -> bool:
        try:
            self._channel.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        """End the launcher and all its sandboxes; wait until they are gone."""
        self._channel.close()
        try:
            self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            with suppress(PermissionError):  # It is root's, and we are not any more.
                self._process.kill()
                self._process.wait(_END_TIMEOUT_S)
