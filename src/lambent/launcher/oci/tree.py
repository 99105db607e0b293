"""The tree that containers are made from, in a mount namespace of the launcher's own.

The host's tree stays where it is, for the OCI runtime, below a root of ours that has what the launcher needs beside it.
`SLOTS` is a shared mount: what is mounted there later appears in the containers that are its slaves.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

from lambent.launcher import base_tree
from lambent.launcher.base_tree import STAGING
from lambent.launcher.kernel import syscalls
from lambent.launcher.kernel.syscalls import ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID

SLOTS = f"{STAGING}/slots"
STATE = f"{STAGING}/state"
"""Of the OCI runtime."""
ROOT = f"{STAGING}/root"
"""The mount points of a container."""
_FOLDERS = ("task", "opt", "lang", "tmp", "bundle")


def enter(*, base: str, packages: str, images: str, prefixes: Sequence[str], cgroups: Sequence[str]) -> None:
    """Build it over the folder `base`, hidden only in our own mount namespace, and make it our root."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    links: dict[str, str] = {}
    host = base_tree.Trees(whole=True)
    for name in os.listdir("/"):
        if os.path.islink(f"/{name}"):
            links[name] = os.readlink(f"/{name}")
        elif os.path.isdir(f"/{name}"):
            host.add(f"/{name}", f"/{name}", 0)
    ours = base_tree.Trees(whole=False)
    ours.add(packages, base_tree.PACKAGES, base_tree.READ_ONLY)
    ours.add(images, base_tree.IMAGES, ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC)
    for index, prefix in enumerate(prefixes):
        ours.add(prefix, base_tree.prefix_path(index), base_tree.READ_ONLY)
    for index, folder in enumerate(cgroups):
        ours.add(folder, base_tree.cgroup_path(index), ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC)

    syscalls.mount("lambent", base, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0755,size=1m")
    os.umask(0o022)
    for name, target in links.items():
        os.symlink(target, f"{base}/{name}")
    host.attach(base)
    os.mkdir(f"{base}{STAGING}", 0o711)
    # Device nodes for /tmp images are made here, so this one mount honours them.
    syscalls.mount("staging", f"{base}{STAGING}", "tmpfs", syscalls.MS_NOSUID, "mode=0711,size=8m")
    ours.attach(base)
    for folder, mode in ((SLOTS, 0o711), (STATE, 0o700), (ROOT, 0o755)):
        os.mkdir(f"{base}{folder}", mode)
    os.mkdir(f"{base}{base_tree.EMPTY}", 0o755)
    syscalls.mount("slots", f"{base}{SLOTS}", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0711,size=64m")
    os.chdir(base)
    syscalls.pivot_root(".", ".")
    syscalls.umount(".")
    os.chdir("/")
    syscalls.mount("none", SLOTS, None, syscalls.MS_SHARED)


def system(runtime_entries: Mapping[str, str]) -> dict[str, str]:
    """Make the root of containers. Place inside -> folder or file of the host that is mounted there."""
    links, found = {}, {}
    for name in base_tree.SYSTEM:
        if os.path.islink(f"/{name}"):
            links[name] = os.readlink(f"/{name}")
        elif os.path.isdir(f"/{name}"):
            found[f"/{name}"] = f"/{name}"
    for name in base_tree.ETC_OF_HOST:
        if os.path.exists(f"/etc/{name}"):
            found[f"/etc/{name}"] = os.path.realpath(f"/etc/{name}")
    found |= {f"/var/runtime/{name}": os.path.realpath(path) for name, path in runtime_entries.items()}
    base_tree.skeleton(ROOT, links)
    os.mkdir(f"{ROOT}/sys")
    for place, source in found.items():
        _mount_point(f"{ROOT}{place}", folder=os.path.isdir(source))
    if os.path.isdir("/usr/local"):
        # Over what came with /usr.
        found["/usr/local"] = base_tree.EMPTY
    return found


def _mount_point(path: str, *, folder: bool) -> None:
    os.makedirs(path if folder else os.path.dirname(path), exist_ok=True)
    if not folder:
        os.close(os.open(path, os.O_CREAT | os.O_RDONLY | os.O_CLOEXEC, 0o644))


def make_slot(slot: str) -> str:
    folder = f"{SLOTS}/{slot}"
    for name in _FOLDERS:
        os.makedirs(f"{folder}/{name}", 0o711 if name != "bundle" else 0o700)
    return folder


def clear_slot(slot: str) -> None:
    """Unmount and remove; what is not there is not missed."""
    folder = f"{SLOTS}/{slot}"
    for name in _FOLDERS:
        with suppress(OSError):
            while True:  # Until it is no mount point any more.
                syscalls.umount(f"{folder}/{name}")
    for path, _, files in os.walk(folder, topdown=False):
        for name in files:
            os.unlink(f"{path}/{name}")
        os.rmdir(path)
