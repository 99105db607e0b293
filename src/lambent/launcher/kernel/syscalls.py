"""System calls that Python does not have. Thin: numbers, structures and errno, no decisions.

Numbers from 424 on are the same on every architecture; the one older call has a table.
"""

import ctypes
import os
import struct
from collections.abc import Iterable
from typing import Any

libc = ctypes.CDLL(None, use_errno=True)
# Keeps the interpreter lock: after a raw clone the child goes on in the interpreter.
_python = ctypes.PyDLL(None, use_errno=True)

# What is looked up for the first time in a fork is looked up in each fork, and that copies a hundred pages.
for _name in ("syscall", "prctl", "unshare", "setns", "mount", "umount2", "capset"):
    getattr(libc, _name)
for _name in ("syscall", "PyOS_BeforeFork", "PyOS_AfterFork_Parent", "PyOS_AfterFork_Child"):
    getattr(_python, _name)

_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_OPEN_TREE, _MOVE_MOUNT, _CLONE3, _CLOSE_RANGE, _OPENAT2, _MOUNT_SETATTR = 428, 429, 435, 436, 437, 442

CLONE_PARENT = 0x00008000
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_INTO_CGROUP = 0x200000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE, MS_SHARED = 4096, 16384, 1 << 18, 1 << 20
MNT_DETACH = 2

ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, ATTR_NOEXEC = 1, 2, 4, 8
RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH = 2, 4, 8

_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4
_SIGCHLD = 17

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_SECUREBITS = 28
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def _call(number: int, what: str, *arguments: Any) -> int:
    return _checked(int(libc.syscall(ctypes.c_long(number), *arguments)), what)


libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)


def prctl(option: int, *arguments: int) -> int:
    first, second, third, fourth = (*arguments, 0, 0, 0, 0)[:4]
    result = libc.prctl(option, first, second, third, fourth)
    return int(result) if result >= 0 else _checked(result, f"prctl {option}")


def unshare(flags: int) -> None:
    _checked(int(libc.unshare(ctypes.c_int(flags))), "unshare")


def setns(fd: int, kind: int) -> None:
    """Into the namespace of this kind that `fd` is, or that the process of the pidfd is in."""
    _checked(int(libc.setns(ctypes.c_int(fd), ctypes.c_int(kind))), "setns")


def clone(flags: int, cgroup_fd: int | None = None) -> int:
    """Fork with `flags`, optionally into a v2 cgroup; 0 in the child. Only where the process has one thread."""
    if not flags and cgroup_fd is None:
        return os.fork()  # The filters of containers refuse clone3.
    if cgroup_fd is not None:
        flags |= CLONE_INTO_CGROUP
    # A sibling ends with the signal of its maker.
    end = 0 if flags & CLONE_PARENT else _SIGCHLD
    arguments = struct.pack("=11Q", flags, 0, 0, 0, end, 0, 0, 0, 0, 0, cgroup_fd or 0)
    _python.PyOS_BeforeFork()
    pid = int(_python.syscall(ctypes.c_long(_CLONE3), arguments, ctypes.c_size_t(len(arguments))))
    if pid == 0:
        _python.PyOS_AfterFork_Child()
        return 0
    code = ctypes.get_errno()
    _python.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(code, f"clone3: {os.strerror(code)}")
    return pid


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    result = libc.mount(
        source.encode(),
        target.encode(),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        options.encode() if options else None,
    )
    _checked(int(result), f"mount {kind or source} on {target}")


def umount(target: str, flags: int = MNT_DETACH) -> None:
    _checked(int(libc.umount2(target.encode(), ctypes.c_int(flags))), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    _call(_PIVOT_ROOT[os.uname().machine], "pivot_root", new.encode(), old.encode())


def open_tree(path: str, *, dir_fd: int = _AT_FDCWD, recursive: bool = False) -> int:
    """A detached copy of the mount at `path`; an empty path is `dir_fd` itself."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | (_AT_RECURSIVE if recursive else 0) | (0 if path else _AT_EMPTY_PATH)
    return _call(_OPEN_TREE, f"open_tree {path}", ctypes.c_int(dir_fd), path.encode(), ctypes.c_uint(flags))


def move_mount(tree_fd: int, target: str) -> None:
    _call(
        _MOVE_MOUNT,
        f"move_mount to {target}",
        ctypes.c_int(tree_fd),
        b"",
        ctypes.c_int(_AT_FDCWD),
        target.encode(),
        ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH),
    )


def set_mount_attributes(tree_fd: int, attributes: int, *, recursive: bool = True) -> None:
    request = struct.pack("=4Q", attributes, 0, MS_PRIVATE, 0)
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    _call(
        _MOUNT_SETATTR,
        "mount_setattr",
        ctypes.c_int(tree_fd),
        b"",
        ctypes.c_uint(flags),
        request,
        ctypes.c_size_t(len(request)),
    )


def open_beneath(directory_fd: int, path: str) -> int:
    """An O_PATH fd of a directory below `directory_fd`; no symbolic link and no `..` may lead out of it."""
    resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
    how = struct.pack("=3Q", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, 0, resolve)
    return _call(_OPENAT2, f"open {path}", ctypes.c_int(directory_fd), path.encode(), how, ctypes.c_size_t(len(how)))


def close_from(first: int) -> None:
    _close_range(first, 0xFFFFFFFF)


def close_except(kept: Iterable[int]) -> None:
    """All descriptors but these."""
    first = 0
    for fd in sorted(kept):
        if fd > first:
            _close_range(first, fd - 1)
        first = fd + 1
    close_from(first)


def _close_range(first: int, last: int) -> None:
    _call(_CLOSE_RANGE, "close_range", ctypes.c_uint(first), ctypes.c_uint(last), ctypes.c_uint(0))
