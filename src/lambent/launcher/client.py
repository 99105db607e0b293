"""The unprivileged side: start the launcher, ask it for sandboxes.

`start` is called while the command still has what privileges it has; everything else works without.
"""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from lambent.launcher import wire
from lambent.launcher.cgroups import SYSTEMD

_START_TIMEOUT_S = 30.0
"""A launcher needs 0.1 s; an emulated machine that compiles it first has needed more than 15."""
_STATUS_BYTES = 400
_END_TIMEOUT_S = 10.0
_OLDEST_KERNEL = (5, 12)
"""The first with mount_setattr."""
_PROGRAM = (sys.executable, "-I", "-S", str(Path(__file__).with_name("__main__.py")))
_PROGRAMS = "/usr/sbin:/usr/bin:/sbin:/bin"
_CAP_SYS_ADMIN = 21
OCI_RUNTIMES = ("runc", "crun", "runsc", "kata-runtime")
"""Looked for in this order."""


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


def kind(wanted: str, oci_runtime: str | None = None) -> Kind:
    """The launcher that this process can start; `wanted` is native, rootless, process, oci or auto.

    Raises LauncherError where there is no OCI runtime.
    """
    if wanted == "process":
        return Kind("process", "the process sandbox was asked for")
    if wanted == "oci":
        return Kind("oci", "the oci sandbox was asked for", _oci_program(oci_runtime))
    if wanted == "rootless":
        return Kind("rootless", "the rootless sandbox was asked for")
    if wanted == "native":
        return NATIVE
    if not sys.platform.startswith("linux"):
        return NATIVE  # It cannot be had, and says so.
    if os.geteuid() != 0:
        return Kind("rootless", "not started as root")
    with open("/proc/self/status", encoding="utf-8") as status:
        held = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff:"))
    return NATIVE if held >> _CAP_SYS_ADMIN & 1 else Kind("rootless", "root here is without CAP_SYS_ADMIN")


def _oci_program(name: str | None) -> str:
    for each in (name,) if name is not None else OCI_RUNTIMES:
        if (path := shutil.which(each, path=_PROGRAMS)) is not None:
            return os.path.realpath(path)
    if name is not None:
        raise LauncherError(f"the OCI runtime {name} is not there")
    raise LauncherError(f"no OCI runtime is installed ({', '.join(OCI_RUNTIMES)}); on Debian: apt-get install runc")


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
        self, *, memory_mb: int, tmp_mb: int, processes: int, runtime: Starts | None = None, zygote: int | None = None
    ) -> socket.socket:
        """Ask for a sandbox; the answers come on the socket returned, which is the sandbox's life line.

        Raises LauncherError when the launcher is gone, ValueError for a runtime that it was not told of.
        """
        request = {"do": "prepare", "memory_mb": memory_mb, "tmp_mb": tmp_mb, "processes": processes}
        if runtime is not None:
            request["runtime"] = self._runtimes.index(runtime)
        if zygote is not None:
            request["zygote"] = zygote
        return self._ask(request)

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
        return os.pread(self.network_fds["egress"], _STATUS_BYTES, 0).decode(errors="replace") or None

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


def start(
    *,
    data_dir: Path,
    packages_dir: Path,
    prefixes: Sequence[Path],
    runtime_entries: Mapping[str, Path],
    wanted: str = "native",
    through: Sequence[str] = (),
    runtimes: Sequence[Starts] = (),
    egress: Egress = NO_EGRESS,
    oci_runtime: str | None = None,
    function_users: tuple[int, int] | None = None,
) -> LauncherClient:
    """`begin`, and wait until it is ready."""
    begun = begin(
        data_dir=data_dir,
        packages_dir=packages_dir,
        prefixes=prefixes,
        runtime_entries=runtime_entries,
        wanted=wanted,
        through=through,
        runtimes=runtimes,
        egress=egress,
        oci_runtime=oci_runtime,
        function_users=function_users,
    )
    return begun.await_ready()


def begin(
    *,
    data_dir: Path,
    packages_dir: Path,
    prefixes: Sequence[Path],
    runtime_entries: Mapping[str, Path],
    wanted: str = "native",
    through: Sequence[str] = (),
    runtimes: Sequence[Starts] = (),
    egress: Egress = NO_EGRESS,
    oci_runtime: str | None = None,
    function_users: tuple[int, int] | None = None,
) -> LauncherClient:
    """Start the launcher; needs folders that exist, and root for the native kind. `await_ready` before its first use.

    Raises LauncherError when it cannot work here.

    `prefixes` are the only interpreters, and `packages_dir` the only folder of code, that sandboxes can ever have.
    `packages_dir` must stay the same folder: empty it, never replace it. `runtime_entries` appear in /var/runtime.
    `runtimes` are the only interpreters that it starts before it is known for whom; `prefixes` has theirs.
    `function_users` (first, count) are the numbers of functions in a container without namespaces; None: it chooses.
    `through` is a command that starts the one that follows it, as another user.
    """
    chosen = kind(wanted, oci_runtime)
    _check_machine(chosen)
    packages, known = packages_dir.resolve(), _known_prefixes(prefixes)
    rootless = chosen.name == "rootless"
    agreed: wire.Message = {
        "data_dir": str(data_dir.resolve()),
        # Hashed here, because OpenSSL would be a fourth of what the launcher keeps in memory.
        "mark": hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:8],
        "packages": str(packages),
        "prefixes": [str(prefix) for prefix in known],
        "runtime_entries": {name: str(path.resolve()) for name, path in runtime_entries.items()},
        "kind": chosen.name,
        "runtimes": [(known.index(each.lang_prefix.resolve()), each.argv, dict(each.variables)) for each in runtimes],
        "egress": egress.kind,
        "egress_allow": egress.allow,
        "oci": chosen.program,
        "function_users": function_users,
    }
    program = (*through, *_PROGRAM)
    if wanted == "auto" and rootless and os.geteuid() == 0:
        # Some containers have user namespaces, most have not: the other way needs what this process gives up soon.
        try:
            return _start(program, agreed | {"delegated": False}, packages, known, chosen, runtimes).await_ready()
        except LauncherError as error:
            chosen = Kind("process", f"{chosen.reason}; {error}")
            agreed["kind"] = chosen.name
    if chosen.name != "process" and (scope := _delegated_scope(rootless=rootless)):
        with suppress(LauncherError):  # Without the scope limits are missing, which the launcher then says.
            return _start(
                [*scope, *program], agreed | {"delegated": True}, packages, known, chosen, runtimes
            ).await_ready()
    return _start(program, agreed | {"delegated": False}, packages, known, chosen, runtimes)


def _start(
    command: Sequence[str],
    agreed: wire.Message,
    packages: Path,
    prefixes: list[Path],
    kind: Kind,
    runtimes: Sequence[Starts] = (),
) -> LauncherClient:
    ours, theirs = wire.pair()
    with theirs:
        process = subprocess.Popen(
            command,
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            env={"PATH": _PROGRAMS} | _session(),
            start_new_session=True,
        )
    client = LauncherClient(process, ours, packages, prefixes, kind, runtimes)
    client.no_egress = agreed.get("egress") == NO_EGRESS.kind
    with suppress(BrokenPipeError):  # It has ended already; the wait tells.
        wire.send(ours, agreed)
    return client


def _session() -> dict[str, str]:
    """Where the systemd of this user is found, for the scope that it gives."""
    if os.geteuid() == 0:
        return {}
    runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    return {"XDG_RUNTIME_DIR": runtime, "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime}/bus"}


def _check_machine(kind: Kind) -> None:
    if not sys.platform.startswith("linux"):
        raise LauncherError(f"{kind.name} sandboxes need Linux, this is {sys.platform}")
    if kind.name in ("native", "oci") and os.geteuid() != 0:
        raise LauncherError(f"{kind.name} sandboxes need root: start with sudo")
    if kind.name == "process" and os.geteuid() != 0:
        raise LauncherError("no root: functions have the server's own user")
    release = os.uname().release
    major, minor, *_ = (int("".join(filter(str.isdigit, part)) or "0") for part in release.split("."))
    if (major, minor) < _OLDEST_KERNEL:
        needed = ".".join(map(str, _OLDEST_KERNEL))
        raise LauncherError(f"{kind.name} sandboxes need Linux {needed} or newer, this is {release}")


def _known_prefixes(prefixes: Sequence[Path]) -> list[Path]:
    """Those asked for, and our own interpreter's, which the probe of the sandbox runs."""
    return list(dict.fromkeys(prefix.resolve() for prefix in (*prefixes, Path(sys.base_prefix))))


def _delegated_scope(*, rootless: bool) -> list[str]:
    """On a systemd host, the command that starts the launcher in a cgroup that systemd leaves to it."""
    if not os.path.isdir(SYSTEMD) or shutil.which("systemd-run", path=_PROGRAMS) is None:
        return []
    unit = f"lambent-{os.getpid()}-{os.urandom(4).hex()}.scope"  # A pid alone may be that of a scope not yet collected.
    whose = ["--user"] if rootless and os.geteuid() != 0 else []
    options = ["--scope", "--quiet", "--collect", f"--unit={unit}", "--property=Delegate=yes"]
    return ["systemd-run", *whose, *options, "--"]
