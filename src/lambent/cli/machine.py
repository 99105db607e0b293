"""The facts of this machine that decide what Lambent can do on it. Reads only; judges nothing (see diagnosis)."""

import ctypes
import os
import platform
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from lambent.launcher import landlock

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
        user_namespaces=_user_namespaces(),
        loop_devices=Path("/dev/loop-control").exists(),
        landlock=landlock.abi(),
        libseccomp=_loads("libseccomp.so.2"),
        mke2fs=shutil.which("mke2fs", path=SYSTEM_FOLDERS) is not None,
        apt=shutil.which("apt-get") is not None,
        memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        command=command(),
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


def _user_namespaces() -> bool:
    """Whether an unprivileged process may make one, as far as the sysctls tell."""
    if not Path("/proc/self/ns/user").exists():
        return False
    refusing = (
        ("/proc/sys/user/max_user_namespaces", "0"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
    )
    return not any(_text(Path(path)).strip() == value for path, value in refusing)


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
