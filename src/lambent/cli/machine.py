"""The facts of this machine that decide what Lambent can do on it. Reads only; judges nothing (see diagnosis)."""

import ctypes
import os
import platform
import pwd
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from lambent.launcher import hierarchies
from lambent.launcher.hierarchies import SYSTEMD
from lambent.launcher.kernel import landlock
from lambent.launcher.user_namespace import REFUSING, has_subordinate_ids

SYSTEM_FOLDERS = "/usr/sbin:/sbin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    system: str
    """`Linux`, `Darwin`, ..."""
    kernel: str
    architecture: str
    python: str
    root: bool
    cgroup: str | None
    """`v1`, `v2`, `hybrid`; None: no cgroup file system is mounted."""
    controllers: frozenset[str]
    """Those of cpu, memory, pids and freezer that some mounted hierarchy offers."""
    user_namespaces: bool
    refusing: str | None
    """The setting of the kernel that refuses user namespaces to ordinary users, as `kernel.x`; None: none does."""
    newuidmap: bool
    subordinate_ids: bool
    """The user has a range of numbers in /etc/subuid and /etc/subgid."""
    delegated: frozenset[str]
    """Controllers that a launcher of this user can use; root can use all."""
    systemd: bool
    loop_devices: bool
    landlock: int
    """ABI of Landlock; 0: the kernel has none."""
    libseccomp: bool
    mke2fs: bool
    apt: bool
    memory_mb: int
    cpus: int
    command: str
    """How this command is called from here."""
    executable: str
    """The interpreter's own file, behind all links."""
    user: str


def examine() -> Machine:
    kind, controllers = _cgroups(Path("/sys/fs/cgroup"), Path("/proc/self/mountinfo"))
    return Machine(
        system=platform.system(),
        kernel=platform.release(),
        architecture=platform.machine(),
        python=f"{platform.python_version()} ({sys.executable})",
        root=os.geteuid() == 0,
        cgroup=kind,
        controllers=controllers,
        user_namespaces=Path("/proc/self/ns/user").exists() and _refusing() is None,
        refusing=_refusing(),
        newuidmap=shutil.which("newuidmap", path=SYSTEM_FOLDERS) is not None,
        subordinate_ids=has_subordinate_ids(os.geteuid()),
        delegated=_delegated(controllers),
        systemd=Path(SYSTEMD).is_dir(),
        loop_devices=Path("/dev/loop-control").exists(),
        landlock=landlock.abi(),
        libseccomp=_loads("libseccomp.so.2"),
        mke2fs=shutil.which("mke2fs", path=SYSTEM_FOLDERS) is not None,
        apt=shutil.which("apt-get") is not None,
        memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        command=command(),
        executable=os.path.realpath(sys.executable),
        user=_user(),
        cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
    )


def command() -> str:
    """How to call `lambent` from the current folder: by name where PATH has it, else by its path."""
    script = Path(sys.executable).parent / "lambent"
    found = shutil.which("lambent")
    return "lambent" if found and Path(found) == script else os.path.relpath(script)


def _cgroups(root: Path, mountinfo: Path) -> tuple[str | None, frozenset[str]]:
    """Which hierarchies are mounted, and the controllers that they offer."""
    wanted = {"cpu", "memory", "pids", "freezer"}
    kinds: set[str] = set()
    controllers: set[str] = set()
    try:
        lines = mountinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None, frozenset()
    for line in lines:
        mount, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ", 2)
        if kind == "cgroup":
            kinds.add("v1")
            controllers |= wanted & set(options.replace(" ", ",").split(","))
        elif kind == "cgroup2":
            kinds.add("v2")
            offered = _text(Path(mount.split()[4]) / "cgroup.controllers").split()
            # Freezing is part of every v2 cgroup, no controller.
            controllers |= (wanted & set(offered)) | {"freezer"}
    name = "hybrid" if len(kinds) == 2 else next(iter(kinds), None)
    return name, frozenset(controllers)


def _refusing() -> str | None:
    """The setting that refuses user namespaces, as far as settings tell."""
    for name, value, _ in REFUSING:
        if _text(Path("/proc/sys", name)).strip() == value:
            return name.replace("/", ".")
    return None


def _delegated(controllers: frozenset[str]) -> frozenset[str]:
    if os.geteuid() == 0:
        return controllers
    if not sys.platform.startswith("linux"):
        return frozenset()
    if Path(SYSTEMD).is_dir():  # The scope of a launcher will be below the user's own service manager.
        uid = os.getuid()
        own = Path(f"/sys/fs/cgroup/user.slice/user-{uid}.slice/user@{uid}.service/cgroup.controllers")
        return frozenset(_text(own).split()) & controllers
    try:
        return frozenset(name for each in hierarchies.writable(hierarchies.discover()) for name in each.controllers)
    except OSError:
        return frozenset()


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def why_not_listen(host: str, port: int) -> OSError | None:
    """Why a server could not listen there now; None when it could. Port 0 always is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            return error
    return None
