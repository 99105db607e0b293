"""The `config.json` of a sandbox that an OCI runtime builds: the same walls as those of the native sandbox.

Pure. Its first process is a few lines of Python that wait for their command and then exec it, as the function's user,
so that a container can be there before it is known what it will run. OCI runtime specification 1.0.2.
"""

from collections.abc import Mapping
from typing import NamedTuple

from lambent.launcher import cgroups, mounts

WAITING = """
import json, os, resource, signal, sys
line = os.dup(int(sys.argv[1]))
os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
os.closerange(3, line)
os.write(line, b"+")
text = b""
while part := os.read(line, 65536):
    text += part
if not text:
    os._exit(0)
wanted = json.loads(text)
try:
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted["open_files"],) * 2)
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.umask(0o022)
    os.chdir(wanted["folder"])
    if not os.access(wanted["argv"][0], os.X_OK):
        os.stat(wanted["argv"][0])
        raise PermissionError(13, "Permission denied", wanted["argv"][0])
    os.write(line, b"+")
    os.execve(wanted["argv"][0], wanted["argv"], wanted["variables"])
except OSError as error:
    os.write(line, f"{type(error).__name__}: {error}".encode())
    os._exit(127)
"""
"""Its argument is the number of a socket. Says there that it is up and needs no file of its interpreter any more, reads
its command to the end, and says that it becomes that, or why not."""
STARTED = b"+"

_VERSION = "1.0.2"
_SAFE = ("nosuid", "nodev")
OPEN_FILES = 1024


class Container(NamedTuple):
    argv: tuple[str, ...]
    """Of its first process, which waits."""
    variables: Mapping[str, str]
    root: str
    """The folder with the mount points."""
    slot: str
    """The folder whose mounts appear in the container, also later ones: task, opt, lang, tmp."""
    system: Mapping[str, str]
    """Read-only: place in the container -> folder or file of the host."""
    user: int
    network: str | None
    """Path of the network namespace; empty: a new one; None: that of who makes the container."""
    groups: str | None
    """Path of its control groups below each hierarchy."""
    seccomp: Mapping[str, object] | None


def config(container: Container) -> dict[str, object]:
    process = _process(container.argv, container.variables, "/", container.user)
    return {
        "ociVersion": _VERSION,
        "process": process,
        "root": {"path": container.root, "readonly": True},
        "hostname": "sandbox",
        "mounts": _mounts(container),
        "linux": _linux(container),
    }


def extension(argv: tuple[str, ...], variables: Mapping[str, str], folder: str, user: int) -> dict[str, object]:
    """The process.json of `exec`, for a further process in a container."""
    return _process(argv, variables, folder, user)


def _process(argv: tuple[str, ...], variables: Mapping[str, str], folder: str, user: int) -> dict[str, object]:
    return {
        "terminal": False,
        "user": {"uid": user, "gid": user},
        "args": list(argv),
        "env": [f"{name}={value}" for name, value in variables.items()],
        "cwd": folder,
        "capabilities": {name: [] for name in ("bounding", "effective", "permitted", "inheritable", "ambient")},
        "noNewPrivileges": True,
        "rlimits": [_rlimit("RLIMIT_NOFILE", OPEN_FILES), _rlimit("RLIMIT_CORE", 1)],
    }


def _rlimit(kind: str, value: int) -> dict[str, object]:
    return {"type": kind, "hard": value, "soft": value}


def _mounts(container: Container) -> list[dict[str, object]]:
    found = [
        _mount("/proc", "proc", "proc", *_SAFE, "noexec"),
        # Without pts, shm and mqueue; the runtime itself adds null, zero, full, random, urandom and tty.
        _mount("/dev", "tmpfs", "tmpfs", "nosuid", "noexec", "mode=755", "size=64k"),
    ]
    found += [_mount(place, "bind", source, "bind", "ro", *_SAFE) for place, source in container.system.items()]
    found += [
        # Slaves of the launcher's mounts: code appears in a container that is up.
        _mount(place, "bind", f"{container.slot}/{name}", "rbind", "rslave", *_SAFE, *more)
        for place, name, more in (
            ("/var/task", "task", ("ro",)),
            ("/opt", "opt", ("ro",)),
            ("/var/lang", "lang", ("ro",)),
            ("/tmp", "tmp", ()),
        )
    ]
    return found


def _mount(place: str, kind: str, source: str, *options: str) -> dict[str, object]:
    return {"destination": place, "type": kind, "source": source, "options": list(options)}


def _linux(container: Container) -> dict[str, object]:
    kinds = ["pid", "ipc", "uts", "mount", "cgroup"]
    namespaces = [{"type": kind} for kind in kinds]
    if container.network is not None:
        namespaces.append({"type": "network"} | ({"path": container.network} if container.network else {}))
    linux: dict[str, object] = {
        "rootfsPropagation": "rslave",
        "namespaces": namespaces,
        "resources": {"cpu": {"period": cgroups.CPU_PERIOD_US}},
        "maskedPaths": [f"/proc/{name}" for name in (*mounts.PROC_EMPTY, *mounts.PROC_HIDDEN)],
        "readonlyPaths": [f"/proc/{name}" for name in mounts.PROC_READ_ONLY],
    }
    if container.groups is not None:
        linux["cgroupsPath"] = container.groups  # The limits are those of the group above, which can change.
    if container.seccomp is not None:
        linux["seccomp"] = container.seccomp
    return linux
