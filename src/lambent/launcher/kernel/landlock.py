"""Landlock: a process takes rights to paths away from itself and from all that it will start. Needs no privileges.

Only rights named in `handled` are restricted; what no rule allows is then refused. Source: kernel
Documentation/userspace-api/landlock.rst. Returns False where the kernel has no Landlock instead of raising: the
caller decides whether that is a missing guarantee.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from stat import S_ISDIR

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # The same on every architecture.
_RULE_PATH_BENEATH, _RULE_NET_PORT = 1, 2
_CONNECT_TCP = 1 << 1
_PR_SET_NO_NEW_PRIVS = 38

EXECUTE = 1 << 0
WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
_REFER = 1 << 13
_TRUNCATE = 1 << 14
_MAKE_AND_REMOVE = sum(1 << bit for bit in range(4, 13))

READ = EXECUTE | READ_FILE | READ_DIR
WRITE = WRITE_FILE | _MAKE_AND_REMOVE | _REFER | _TRUNCATE
_FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | _TRUNCATE

SCOPE_ABSTRACT_UNIX = 1 << 0
SCOPE_SIGNAL = 1 << 1


def _syscall(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result = int(libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def abi() -> int:
    """Version of the kernel's Landlock; 0 where there is none."""
    if not sys.platform.startswith("linux"):
        return 0
    try:
        return _syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    except OSError:
        return 0


def _known_rights(version: int) -> int:
    known = (1 << 13) - 1
    if version >= 2:
        known |= _REFER
    if version >= 3:
        known |= _TRUNCATE
    return known


def restrict(
    *, handled: int, rules: Iterable[tuple[str, int]], scope: int = 0, connect: Iterable[int] | None = None
) -> bool:
    """Allow of the `handled` rights only what `rules` (path, rights below it) say; paths that do not exist are skipped.

    Also sets no_new_privs, which Landlock demands. `scope` names what else may not cross the new domain's border
    (signals, abstract sockets), `connect` the only ports that TCP connections may go to; older kernels ignore both.
    """
    version = abi()
    if not version:
        return False
    handled &= _known_rights(version)
    ports = list(connect) if connect is not None and version >= 4 else None
    attributes = struct.pack("=QQQ", handled, _CONNECT_TCP if ports is not None else 0, scope)
    # An older kernel knows the shorter structure.
    attributes = attributes[: 24 if version >= 6 else 16 if version >= 4 else 8]
    ruleset = _syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    try:
        for path, rights in rules:
            _allow(ruleset, path, rights & handled)
        for port in ports or ():
            rule = struct.pack("=QQ", _CONNECT_TCP, port)
            _syscall(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_RULE_NET_PORT), rule, ctypes.c_uint32(0))
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return True


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return
    try:
        if not S_ISDIR(os.fstat(fd).st_mode):
            rights &= _FILE_RIGHTS
        if rights:
            rule = struct.pack("=Qi", rights, fd)
            _syscall(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_RULE_PATH_BENEATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(fd)
