"""`/tmp` of a sandbox: an ext4 image in an unnamed file, on a loop device that frees itself with its mount.

A size limit that the kernel enforces, and pages that are not charged to the function as tmpfs pages would be. The
file has no name, so nothing is left to clean up after a crash. Images come from a blank one made once per size; only
the few pages that mke2fs wrote are kept, in memory.
"""

import errno
import fcntl
import os
import stat
import struct
from contextlib import suppress
from typing import NamedTuple

from lambent.launcher.base_tree import IMAGES, STAGING
from lambent.launcher.kernel import syscalls

_LOOP_CTL_GET_FREE, _LOOP_CONFIGURE = 0x4C82, 0x4C0A
_LO_AUTOCLEAR, _LO_DIRECT_IO = 4, 16
_LOOP_MAJOR = 7
_LOOP_CONTROL = (10, 237)
_EXT4_IOC_SHUTDOWN = 0x8004587D
_WITHOUT_LOG_FLUSH = 2
_ATTEMPTS = 50
_BLOCK_BYTES = 4096
_INODE_BYTES = "256"
"""Smaller ones keep no times after 2038, and the kernel complains of each mount."""
_MKE2FS = ("/usr/sbin/mke2fs", "/sbin/mke2fs", "/usr/bin/mke2fs")
# It complains of the missing mtab.
_QUIET = ((os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),)
_FEATURES = "^has_journal,^resize_inode,^metadata_csum,uninit_bg,sparse_super2"

TARGET = "/tmp"
_LITTLE_BYTES = 4 << 20

Extents = tuple[tuple[int, bytes], ...]


class TmpUnavailable(Exception):
    """This machine cannot give /tmp images; the message says what is missing."""


def blank(size_mb: int) -> Extents:
    """An empty file system of this size, made by mke2fs. Needs TARGET free for a moment; 5-10 ms."""
    program = next((path for path in _MKE2FS if os.path.exists(path)), None)
    if program is None:
        raise TmpUnavailable("mke2fs is missing (package e2fsprogs)")
    path = f"{IMAGES}/blank-{os.getpid()}-{size_mb}"
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(file, size_mb << 20)
        arguments = [program, "-q", "-F", "-t", "ext4", "-b", str(_BLOCK_BYTES), "-I", _INODE_BYTES]
        arguments += ["-m", "0", "-O", _FEATURES]
        arguments += ["-E", "lazy_itable_init=1,nodiscard", path]
        _, status = os.waitpid(os.posix_spawn(program, arguments, {}, file_actions=_QUIET), 0)
        if status != 0:
            raise TmpUnavailable(f"mke2fs ended with {os.waitstatus_to_exitcode(status)}")
        _empty(file)
        return _extents(file)
    finally:
        os.unlink(path)
        os.close(file)


def _empty(file: int) -> None:
    """Once for all: what each sandbox would do after its mount."""
    mounted = _mount(os.dup(file), TARGET)
    os.rmdir("lost+found", dir_fd=mounted.root)
    os.fchmod(mounted.root, 0o700)
    os.close(mounted.root)
    os.close(mounted.image)
    syscalls.umount(TARGET, 0)


def _extents(file: int) -> Extents:
    extents: list[tuple[int, bytes]] = []
    at = 0
    while True:
        try:
            start = os.lseek(file, at, os.SEEK_DATA)
        except OSError:
            return tuple(extents)
        at = os.lseek(file, start, os.SEEK_HOLE)
        extents.append((start, os.pread(file, at - start, start)))


class Mounted(NamedTuple):
    """A mounted image, by open descriptors."""

    root: int
    """Its root folder: when it was mounted that was still ours, later nobody but the function may open it."""
    image: int


def mount(size_mb: int, extents: Extents, target: str, uid: int, gid: int) -> Mounted:
    """Mount a new, empty image of `size_mb` at `target`, owned by the function."""
    image = _new(size_mb << 20)
    for offset, data in extents:
        os.pwrite(image, data, offset)
    mounted = _mount(image, target)
    os.fchown(mounted.root, uid, gid)
    return mounted


def mount_copy(source: int, target: str) -> Mounted:
    """Mount a copy of an image that nobody can write to any more."""
    size = os.fstat(source).st_size
    image = _new(size)
    start, end = 0, 0
    while end < size:
        try:
            start = os.lseek(source, end, os.SEEK_DATA)
        except OSError:
            break
        end = os.lseek(source, start, os.SEEK_HOLE)
        while start < end:
            start += os.copy_file_range(source, image, end - start, start, start)
    return _mount(image, target)


def seal(target: str) -> None:
    """Write everything to the image and allow no change any more. Raises OSError EBUSY when a file is being written."""
    flags = syscalls.MS_REMOUNT | syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount("none", target, None, flags)


def discard(target: str, mounted: Mounted) -> None:
    """Unmount. A lot that may not be written yet is dropped instead of flushed to a file that is going away; not a
    little, since the kernel announces each drop on the console, which takes longer."""
    there = os.fstatvfs(mounted.root)
    if (there.f_blocks - there.f_bfree) * there.f_frsize > _LITTLE_BYTES:
        with suppress(OSError):
            fcntl.ioctl(mounted.root, _EXT4_IOC_SHUTDOWN, struct.pack("=I", _WITHOUT_LOG_FLUSH))
    os.close(mounted.root)
    os.close(mounted.image)
    syscalls.umount(target)


def _new(size: int) -> int:
    image = os.open(IMAGES, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    os.ftruncate(image, size)
    return image


def _mount(image: int, target: str) -> Mounted:
    device, path = _attach(image)
    try:
        flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
        syscalls.mount(path, target, "ext4", flags, "noinit_itable,discard,nobarrier")
    finally:
        os.close(device)
    return Mounted(os.open(target, os.O_RDONLY | os.O_CLOEXEC), image)


def _attach(image: int) -> tuple[int, str]:
    """A loop device for `image`: its open descriptor and its path."""
    control = os.open(_node("loop-control", stat.S_IFCHR, *_LOOP_CONTROL), os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(_ATTEMPTS):
            number = fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
            path = _node(f"loop{number}", stat.S_IFBLK, _LOOP_MAJOR, number)
            device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                _configure(device, image)
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:  # Another took it between the two calls.
                    raise
            else:
                return device, path
    finally:
        os.close(control)
    raise TmpUnavailable("no free loop device")


def _configure(device: int, image: int) -> None:
    # Direct I/O keeps a second copy of each page out of the page cache; not every file system has it.
    for flags in (_LO_AUTOCLEAR | _LO_DIRECT_IO, _LO_AUTOCLEAR):
        info = struct.pack("=5Q4I64s64s32s2Q", 0, 0, 0, 0, 0, 0, 0, 0, flags, b"lambent", b"", b"", 0, 0)
        try:
            fcntl.ioctl(device, _LOOP_CONFIGURE, struct.pack("=2I", image, _BLOCK_BYTES) + info + bytes(64))
            return
        except OSError as error:
            if error.errno != errno.EINVAL or not flags & _LO_DIRECT_IO:
                raise


def _node(name: str, kind: int, major: int, minor: int) -> str:
    path = f"{STAGING}/{name}"
    with suppress(FileExistsError):
        os.mknod(path, kind | 0o600, os.makedev(major, minor))
    return path
