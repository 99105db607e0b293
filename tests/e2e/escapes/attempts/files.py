"""Files, devices and file systems."""

import ctypes
import fcntl
import os
import stat
import struct
from pathlib import Path

from attempts.raw import Masked, call, in_child  # type: ignore[import-not-found]

_FIFREEZE = 0xC0045877
_GET_FLAGS, _SET_FLAGS, _IMMUTABLE = 0x80086601, 0x40086602, 0x10
_NULL = os.makedev(1, 3)
_NOBODY = 65534
_char = ctypes.c_char


def read(path: str) -> None:
    with open(path, "rb") as file:
        if not file.read(16):
            raise Masked


def find(path: str) -> None:
    os.stat(path)


def read_or_open(path: str) -> None:
    """Of a file that may be empty, or whose reading waits."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    _unless_null(fd)
    os.close(fd)


def listdir(path: str) -> None:
    if not os.listdir(path):
        raise Masked


def listdir_of_links(path: str) -> None:
    """A folder of /proc whose links are followed."""
    for name in os.listdir(path):
        os.readlink(f"{path}/{name}")


def open_for_writing(path: str) -> None:
    """Nothing is written: opening is what needs the right."""
    fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    _unless_null(fd)
    os.close(fd)


def _unless_null(fd: int) -> None:
    if stat.S_ISCHR(os.fstat(fd).st_mode) and os.fstat(fd).st_rdev == _NULL:
        os.close(fd)
        raise Masked


def create(folder: str) -> None:
    path = Path(folder, f"made-{os.getpid()}")
    path.touch()
    path.unlink()


def through_link(folder: str, target: str) -> None:
    """By a symbolic link that a function may make where it can write."""
    link = Path(folder, f"link-{os.getpid()}")
    link.symlink_to(target)
    try:
        link.read_bytes()
    finally:
        link.unlink()


def hard_link(folder: str, target: str) -> None:
    link = f"{folder}/hard-{os.getpid()}"
    os.link(target, link)
    os.unlink(link)


def change_mode(path: str) -> None:
    os.chmod(path, stat.S_IMODE(os.stat(path).st_mode))


def rename_away(path: str) -> None:
    os.rename(path, f"{path}-away")
    os.rename(f"{path}-away", path)


def give_away(folder: str) -> None:
    path = Path(folder, f"given-{os.getpid()}")
    path.touch()
    try:
        os.chown(path, 4711, 4711)
    finally:
        path.unlink()


def device(folder: str, kind: str, major: str, minor: str) -> None:
    path = f"{folder}/device-{os.getpid()}"
    os.mknod(path, 0o600 | (stat.S_IFBLK if kind == "block" else stat.S_IFCHR), os.makedev(int(major), int(minor)))
    os.unlink(path)


def disk_below(folder: str) -> None:
    """The block device that holds `folder`, opened by its number."""
    number = os.stat(folder).st_dev
    path = f"{folder}/disk-{os.getpid()}"
    os.mknod(path, 0o600 | stat.S_IFBLK, number)
    os.unlink(path)


def handle(path: str) -> None:
    """Open a file by its handle, the classic way out of a container."""
    buffer = bytearray(struct.pack("=Ii", 128, 0) + bytes(128))
    view = (_char * len(buffer)).from_buffer(buffer)
    call("name_to_handle_at", -100, path.encode(), view, (_char * 8)(), 0)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    os.close(call("open_by_handle_at", folder, view, os.O_RDONLY))


def freeze_file_system(folder: str) -> None:
    """tmpfs cannot be frozen, which the kernel says after it has asked for the right."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, _FIFREEZE, 0)
    except OSError as error:
        if error.errno != 95:
            raise
    finally:
        os.close(fd)


def immutable(folder: str) -> None:
    path = f"{folder}/immutable-{os.getpid()}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        before = struct.unpack("=l", fcntl.ioctl(fd, _GET_FLAGS, struct.pack("=l", 0)))[0]
        fcntl.ioctl(fd, _SET_FLAGS, struct.pack("=l", before | _IMMUTABLE))
        fcntl.ioctl(fd, _SET_FLAGS, struct.pack("=l", before))
    finally:
        os.close(fd)
        os.unlink(path)


def file_capabilities(folder: str) -> None:
    path = f"{folder}/capable-{os.getpid()}"
    Path(path).touch()
    try:
        value = struct.pack("=I4I", 0x02000001, 1 << 21, 0, 0, 0)
        call("setxattr", path.encode(), b"security.capability", value, len(value), 0)
    finally:
        os.unlink(path)


def setuid_file(path: str) -> None:
    """A program of root's with the setuid bit, started by somebody who is not root: does it run as root?"""
    _runs_as_root(os.open(path, os.O_RDONLY))


def setuid_memory(path: str) -> None:
    """The same in a file that is in no folder."""
    fd = os.memfd_create("setuid")
    os.write(fd, Path(path).read_bytes())
    os.fchmod(fd, 0o4755)
    again = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
    os.close(fd)
    _runs_as_root(again)


def _runs_as_root(program: int) -> None:
    come, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        if os.geteuid() == 0:
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        os.dup2(go, 1)
        os.execve(program, ["id", "-u"], {})
    os.close(go)
    with os.fdopen(come) as said:
        user = said.read().strip()
    os.waitpid(pid, 0)
    if user != "0":
        raise PermissionError(1, f"it ran as {user}")


def name_of_group(path: str) -> None:
    """Where a process is in the host's tree of control groups."""
    if not any(line.split(":", 2)[2].strip("/ \n") for line in Path(path).read_text().splitlines()):
        raise Masked


def move_to_group() -> None:
    """Into the control group that it is in, as the host sees it: a harmless move."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        for root in (f"/sys/fs/cgroup/{names.split(',')[0]}", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
            for folder in (f"{root}{path}", root):
                if os.path.exists(f"{folder}/cgroup.procs"):
                    Path(folder, "cgroup.procs").write_text("0")
                    return
    os.listdir("/sys/fs/cgroup")
    raise FileNotFoundError(2, "no control group")


def watch_everything() -> None:
    os.close(call("fanotify_init", 0, os.O_RDONLY))


def in_child_chroot(folder: str) -> None:
    in_child(lambda: call("chroot", folder.encode()))
