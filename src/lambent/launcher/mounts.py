"""What is mounted in one sandbox over the launcher's base tree, in its own mount namespace.

First /proc with its dangerous parts masked, later the code, the layers and the interpreter of the function. With the
last step the folder of the launcher goes out of reach.
"""

import os

from lambent.launcher import base_tree
from lambent.launcher.kernel import syscalls

PROC_EMPTY = ("kcore", "keys", "kallsyms", "timer_list", "latency_stats", "sched_debug", "sysrq-trigger", "kmsg")
PROC_HIDDEN = ("acpi", "scsi", "asound")
PROC_READ_ONLY = ("bus", "fs", "irq", "sys")


def proc() -> None:
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    # Other users' processes, the first one among them, cannot even be seen.
    syscalls.mount("proc", "/proc", "proc", flags, "hidepid=invisible")
    for name in PROC_EMPTY:
        if os.path.exists(f"/proc/{name}"):
            syscalls.mount("/dev/null", f"/proc/{name}", None, syscalls.MS_BIND)
    for name in PROC_HIDDEN:
        if os.path.isdir(f"/proc/{name}"):
            syscalls.mount("empty", f"/proc/{name}", "tmpfs", flags | syscalls.MS_RDONLY, "size=4k")
    for name in PROC_READ_ONLY:
        if os.path.isdir(f"/proc/{name}"):
            syscalls.mount(f"/proc/{name}", f"/proc/{name}", None, syscalls.MS_BIND)
            remount = syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY
            syscalls.mount("none", f"/proc/{name}", None, flags | remount)


def interpreter(prefix: int) -> None:
    # With what is mounted below it: in a user namespace, as of the rootless sandbox, the kernel copies no mount
    # without those that lie on it.
    attach(syscalls.open_tree(base_tree.prefix_path(prefix), recursive=True), "/var/lang")


def code(path: str, opt: str | None, *, task_at: str = "/var/task", opt_at: str = "/opt") -> None:
    packages = os.open(base_tree.PACKAGES, os.O_PATH | os.O_CLOEXEC)
    try:
        _attach_package(packages, path, task_at)
        if opt is not None:
            _attach_package(packages, opt, opt_at)
        else:
            empty = syscalls.open_tree(base_tree.EMPTY)
            syscalls.set_mount_attributes(empty, base_tree.READ_ONLY, recursive=False)
            attach(empty, opt_at)
    finally:
        os.close(packages)


def forget_launcher() -> None:
    syscalls.umount(base_tree.STAGING)


def _attach_package(packages: int, path: str, target: str) -> None:
    folder = syscalls.open_beneath(packages, path)
    try:
        attach(syscalls.open_tree("", dir_fd=folder), target)
    finally:
        os.close(folder)


def attach(tree: int, target: str) -> None:
    try:
        syscalls.move_mount(tree, target)
    finally:
        os.close(tree)
