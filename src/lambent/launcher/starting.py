"""Start a launcher: of which kind, by which command, agreed on what. While the command still has its privileges."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from lambent.launcher import wire
from lambent.launcher.client import NATIVE, NO_CRIU, NO_EGRESS, Egress, Kind, LauncherClient, LauncherError, Starts
from lambent.launcher.hierarchies import SYSTEMD
from lambent.launcher.kernel import capabilities

_VERSION_S = 10.0
_OLDEST_KERNEL = (5, 12)
"""The first with mount_setattr."""
_PROGRAM = (sys.executable, "-I", "-S", str(Path(__file__).with_name("__main__.py")))
_PROGRAMS = "/usr/sbin:/usr/bin:/sbin:/bin"
OCI_RUNTIMES = ("runc", "crun", "runsc")
"""Looked for in this order."""


def kind(wanted: str, oci_runtime: str | None = None) -> Kind:
    """The launcher that this process can start; `wanted` is native, rootless, process, oci or auto.

    Raises LauncherError where there is no OCI runtime.
    """
    if wanted == "process":
        return Kind("process", "the process sandbox was asked for")
    if wanted == "oci":
        program = _oci_program(oci_runtime)
        return Kind("oci", "the oci sandbox was asked for", program, gvisor=_is_gvisor(program))
    if wanted == "rootless":
        return Kind("rootless", "the rootless sandbox was asked for")
    if wanted == "native":
        return NATIVE
    if not sys.platform.startswith("linux"):
        return NATIVE  # It cannot be had, and says so.
    if os.geteuid() != 0:
        return Kind("rootless", "not started as root")
    held = capabilities.held()
    return NATIVE if held >> capabilities.SYS_ADMIN & 1 else Kind("rootless", "root here is without CAP_SYS_ADMIN")


def _oci_program(name: str | None) -> str:
    for each in (name,) if name is not None else OCI_RUNTIMES:
        if (path := shutil.which(each, path=_PROGRAMS)) is not None:
            return os.path.realpath(path)
    if name is not None:
        raise LauncherError(f"the OCI runtime {name} is not there")
    raise LauncherError(f"no OCI runtime is installed ({', '.join(OCI_RUNTIMES)}); on Debian: apt-get install runc")


def _is_gvisor(program: str) -> bool:
    """Raises LauncherError for a program that has no command line of an OCI runtime."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=_VERSION_S).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LauncherError(f"{program} --version: {error}") from None
    if said.startswith("kata-runtime"):
        raise LauncherError(f"{program} takes no commands of an OCI runtime since Kata 2.0, but of containerd alone")
    return said.startswith("runsc")


def _criu(wanted: str | None, chosen: Kind) -> tuple[str | None, str | None]:
    """The program, or why there is none. Raises LauncherError when the one that was named is not there."""
    if wanted is None:
        return None, NO_CRIU
    path = shutil.which("criu" if wanted == "auto" else wanted, path=_PROGRAMS)
    if path is None and wanted != "auto":
        raise LauncherError(f"CRIU is not there: {wanted}")
    if path is None:
        return None, "CRIU is not installed"
    if chosen != NATIVE:
        return None, f"the sandbox {chosen.name} has no use for CRIU"
    return os.path.realpath(path), None


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
    criu: str | None = None,
) -> LauncherClient:
    """Start the launcher; needs folders that exist, and root for the native kind. `await_ready` before its first use.

    Raises LauncherError when it cannot work here.

    `prefixes` are the only interpreters, and `packages_dir` the only folder of code, that sandboxes can ever have.
    `packages_dir` must stay the same folder: empty it, never replace it. `runtime_entries` appear in /var/runtime.
    `runtimes` are the only interpreters that it starts before it is known for whom.
    `function_users` (first, count) are the numbers of functions in a container without namespaces; None: it chooses.
    `criu` (a path, `auto`, or None for none) saves processes that cannot be cloned; `criu_missing` of the client says
    why it does not.
    `through` is a command that starts the one that follows it, as another user.
    """
    chosen = kind(wanted, oci_runtime)
    _check_machine(chosen)
    packages = packages_dir.resolve()
    known = _known_prefixes([*prefixes, *(each.lang_prefix for each in runtimes)])
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
        "gvisor": chosen.gvisor,
        "function_users": function_users,
    }
    agreed["criu"], agreed["criu_missing"] = _criu(criu, chosen)
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
    client.criu_missing = agreed.get("criu_missing")
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
