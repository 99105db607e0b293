"""Mounts, roots and namespaces."""

import errno
import os
import signal
import struct

from attempts.raw import call, in_child, reaches  # type: ignore[import-not-found]

_BIND, _REMOUNT = 0x1000, 0x20
_INTO_CGROUP = 0x2_0000_0000


def mount(target: str) -> None:
    call("mount", b"none", target.encode(), b"tmpfs", 0, 0)
    call("umount2", target.encode(), 2)


def bind(source: str, target: str) -> None:
    call("mount", source.encode(), target.encode(), 0, _BIND, 0)
    call("umount2", target.encode(), 2)


def make_writable(target: str) -> None:
    call("mount", b"none", target.encode(), 0, _BIND | _REMOUNT, 0)


def unmount(target: str) -> None:
    """Nothing is mounted there outside, which the kernel says after it has asked for the right."""
    reaches(errno.EINVAL, "umount2", target.encode(), 0)


def open_tree(path: str) -> None:
    os.close(call("open_tree", -100, path.encode(), 1))


def move_mount() -> None:
    reaches(errno.ENOENT, "move_mount", -1, b"", -1, b"", 0)


def new_file_system() -> None:
    os.close(call("fsopen", b"tmpfs", 0))


def reconfigure_file_system(path: str) -> None:
    os.close(call("fspick", -100, path.encode(), 0))


def mount_attributes(path: str) -> None:
    reaches(errno.EINVAL, "mount_setattr", -100, path.encode(), 0, bytes(32), 32)


def list_mounts() -> None:
    """Of this namespace, by the number of its root: the call that tells paths without /proc."""
    request = struct.pack("=IIQQQ", 32, 0, 0xFFFF_FFFF_FFFF_FFFF, 0, 0)
    call("listmount", request, bytes(80), 10, 0)


def pivot_root() -> None:
    reaches(errno.EBUSY, "pivot_root", b"/", b"/")


def chroot() -> None:
    in_child(lambda: call("chroot", b"/"))


def unshare(flags: str) -> None:
    in_child(lambda: call("unshare", int(flags, 16)))


def clone(flags: str) -> None:
    def forked() -> None:
        if (pid := call("clone", int(flags, 16) | signal.SIGCHLD, 0, 0, 0, 0)) == 0:
            os._exit(0)
        os.waitpid(pid, 0)

    in_child(forked)


def clone3(flags: str) -> None:
    _clone3(int(flags, 16), 0)


def clone3_into_group(path: str) -> None:
    _clone3(_INTO_CGROUP, os.open(path, os.O_RDONLY | os.O_DIRECTORY))


def _clone3(flags: int, group: int) -> None:
    def forked() -> None:
        arguments = struct.pack("=11Q", flags, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, group)
        if (pid := call("clone3", arguments, len(arguments))) == 0:
            os._exit(0)
        os.waitpid(pid, 0)

    in_child(forked)


def setns(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    in_child(lambda: call("setns", fd, 0))


def setns_of_process() -> None:
    fd = call("pidfd_open", os.getpid(), 0)
    in_child(lambda: call("setns", fd, 0x4000000))


def map_users() -> None:
    """A second mapping is refused by the kernel to everybody: a process that is in no new namespace has one."""
    fd = os.open("/proc/self/uid_map", os.O_WRONLY)
    try:
        os.write(fd, b"0 0 1")
    finally:
        os.close(fd)
