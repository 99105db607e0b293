"""The base tree that every sandbox starts from, built once, before the launcher leaves the host's tree for it.

Read-only system folders of the host, a synthetic /etc, a bare /dev, and mount points. What only the launcher and the
first process of a sandbox may see is below `STAGING`, and detached in each sandbox before anything of a function runs.
Nothing of the host is mounted that is not named here or in the launcher's start message.
"""

import os
import stat
from collections.abc import Mapping
from contextlib import suppress

from lambent.launcher.kernel import syscalls
from lambent.launcher.kernel.syscalls import ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID, ATTR_RDONLY

STAGING = "/.lambent"
PACKAGES = f"{STAGING}/packages"
EMPTY = f"{STAGING}/empty"
PROGRAM = f"{STAGING}/program"
"""Where zygotes find the launcher's own code."""
IMAGES = f"{STAGING}/images"

TUN = f"{STAGING}/tun"
"""The device of the host that makes interfaces, where there is one."""

USER, GROUP = 993, 990
"""Of a function, as seen from inside (AWS calls it sbx_user1051)."""

SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
ETC_OF_HOST = (
    "ld.so.cache",
    "alternatives",
    "ssl/certs",
    "ssl/openssl.cnf",
    "pki/tls",
    "pki/ca-trust",
    "ca-certificates",
)
_ETC = {
    "passwd": f"root:x:0:0:root:/root:/sbin/nologin\nsbx_user1051:x:{USER}:{GROUP}::/home/sbx_user1051:/sbin/nologin\n",
    "group": f"root:x:0:\nsbx_user1051:x:{GROUP}:\n",
    "hosts": "127.0.0.1 localhost sandbox sandbox.localdomain\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    # Without a network the address cannot be reached, and a look-up fails at once.
    "resolv.conf": "nameserver 169.254.64.1\noptions timeout:2 attempts:2\n",
    "hostname": "sandbox\n",
}
_FOLDERS = ("etc", "dev", "proc", "tmp", "opt", "var", "var/task", "var/runtime", "var/lang", "home", "root", "run")
# An interpreter that waits has looked for its libraries: the dynamic linker never looks again where no folder was.
_SEARCHED = ("var/task/lib", "opt/lib")
_SEARCHED_BELOW = ("", "/glibc-hwcaps/x86-64-v2", "/glibc-hwcaps/x86-64-v3", "/glibc-hwcaps/x86-64-v4")
READ_ONLY = ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV


def prefix_path(index: int) -> str:
    """Where the launcher finds the interpreter prefix of this number."""
    return f"{STAGING}/prefixes/{index}"


def cgroup_path(index: int) -> str:
    return f"{STAGING}/cgroups/{index}"


def enter(
    *,
    base: str,
    packages: str,
    images: str,
    prefixes: list[str],
    runtime_entries: Mapping[str, str],
    cgroups: list[str],
    rootless: bool,
) -> None:
    """Build the tree over the folder `base` (hidden only in our own mount namespace) and make it our root."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    trees = Trees(whole=rootless)
    links: dict[str, str] = {}
    for name in SYSTEM:
        if os.path.islink(f"/{name}"):
            links[name] = os.readlink(f"/{name}")
        elif os.path.isdir(f"/{name}"):
            trees.add(f"/{name}", f"/{name}", READ_ONLY)
    for name in ETC_OF_HOST:
        if os.path.exists(f"/etc/{name}"):
            trees.add(os.path.realpath(f"/etc/{name}"), f"/etc/{name}", READ_ONLY)
    for name in _DEVICES:
        trees.add(f"/dev/{name}", f"/dev/{name}", ATTR_NOSUID | ATTR_NOEXEC)
    for name, path in runtime_entries.items():
        trees.add(os.path.realpath(path), f"/var/runtime/{name}", READ_ONLY)
    trees.add(packages, PACKAGES, READ_ONLY)
    trees.add(os.path.dirname(os.path.realpath(__file__)), f"{PROGRAM}/lambent/launcher", READ_ONLY)
    trees.add(images, IMAGES, ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC)
    if rootless:
        # The kernel lets a user namespace mount /proc only where one can be seen in full already.
        trees.add("/proc", f"{STAGING}/proc", 0)
    if os.path.exists("/dev/net/tun"):
        trees.add("/dev/net/tun", TUN, ATTR_NOSUID | ATTR_NOEXEC)
    for index, prefix in enumerate(prefixes):
        trees.add(prefix, prefix_path(index), READ_ONLY)
    for index, folder in enumerate(cgroups):
        trees.add(folder, cgroup_path(index), ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC)

    syscalls.mount("lambent", base, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0755,size=1m")
    os.umask(0o022)
    skeleton(base, links)
    for name, target in _LINKS.items():
        os.symlink(target, f"{base}/dev/{name}")
    os.mkdir(f"{base}{STAGING}", 0o700)
    # Device nodes for /tmp images are made here, so this one mount honours them.
    syscalls.mount("staging", f"{base}{STAGING}", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NOEXEC, "mode=0700,size=1m")
    os.mkdir(f"{base}{EMPTY}", 0o755)
    trees.attach(base)
    if os.path.isdir(f"{base}/usr/local"):
        syscalls.mount("empty", f"{base}/usr/local", "tmpfs", syscalls.MS_RDONLY | syscalls.MS_NOSUID, "size=4k")

    os.chdir(base)
    syscalls.pivot_root(".", ".")
    syscalls.umount(".")
    os.chdir("/")
    root = os.open("/", os.O_PATH | os.O_CLOEXEC)
    syscalls.set_mount_attributes(root, READ_ONLY, recursive=False)
    os.close(root)


def skeleton(base: str, links: Mapping[str, str]) -> None:
    """Mount points, the synthetic /etc and `links` (name below `base` -> target)."""
    for folder in _FOLDERS:
        os.mkdir(f"{base}/{folder}")
    for folder in _SEARCHED:
        for below in _SEARCHED_BELOW:
            os.makedirs(f"{base}/{folder}{below}", exist_ok=True)
    for name, target in links.items():
        os.symlink(target, f"{base}/{name}")
    for name, text in _ETC.items():
        _write(f"{base}/etc/{name}", text)
    os.symlink("/usr/share/zoneinfo/UTC", f"{base}/etc/localtime")


class Trees:
    """Detached copies of host folders and files, each with the place in the new tree that it goes to."""

    def __init__(self, *, whole: bool) -> None:
        self._trees: list[tuple[int, str, bool]] = []
        self._whole = whole
        """With the mounts below: a user namespace may not look under those that it has not made itself."""

    def add(self, source: str, target: str, attributes: int) -> None:
        tree = syscalls.open_tree(source, recursive=self._whole)
        syscalls.set_mount_attributes(tree, attributes)
        self._trees.append((tree, target, stat.S_ISDIR(os.fstat(tree).st_mode)))

    def attach(self, base: str) -> None:
        for tree, target, is_folder in self._trees:
            place = f"{base}{target}"
            os.makedirs(os.path.dirname(place), exist_ok=True)
            if is_folder:
                with suppress(FileExistsError):
                    os.mkdir(place)
            else:
                _write(place, "")
            syscalls.move_mount(tree, place)
            os.close(tree)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
