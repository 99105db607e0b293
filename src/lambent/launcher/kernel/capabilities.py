"""Capabilities of the calling process: keep a few or none."""

import ctypes
import errno
import struct

from lambent.launcher.kernel import syscalls
from lambent.launcher.kernel.files import read
from lambent.launcher.kernel.syscalls import PR_CAP_AMBIENT, PR_CAPBSET_DROP, PR_SET_SECUREBITS, prctl

CHOWN, DAC_READ_SEARCH, KILL, SETGID, SETUID, SETPCAP, SYS_ADMIN, MKNOD, SETFCAP = 0, 2, 5, 6, 7, 8, 21, 27, 31
SYS_PTRACE, CHECKPOINT_RESTORE = 19, 40

_VERSION_3 = 0x20080522
_AMBIENT_RAISE, _AMBIENT_CLEAR_ALL = 2, 4
# NOROOT, NO_SETUID_FIXUP, NO_CAP_AMBIENT_RAISE, each with its lock: uid 0 means nothing, and stays so.
_SECUREBITS = 0b1100_1111
_HIGHEST = 63
# Made once: each making of such a buffer makes its type, too.
_HEADER = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION_3, 0))


def held() -> int:
    """The effective ones, as bits."""
    return next(
        int(line.split()[1], 16) for line in read("/proc/self/status").splitlines() if line.startswith("CapEff:")
    )


def keep(*capabilities: int) -> None:
    """Give up all capabilities but these, in every set, for good."""
    drop_bounding(*capabilities)
    prctl(PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    set_to(*capabilities)


def keep_here(*capabilities: int) -> None:
    """Give up all but these, for a process that forks and never becomes another program: an exec gives none. Quicker
    than `keep`, which makes sure of each capability by itself."""
    prctl(PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    lock_root_out()
    set_to(*capabilities)


def keep_over_exec(capability: int) -> None:
    """Give up all but this one, which programs that are exec'd get as well, for good. Needs SETPCAP."""
    drop_bounding(capability)
    prctl(PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    set_to(capability, SETPCAP, inheritable=(capability,))
    prctl(PR_CAP_AMBIENT, _AMBIENT_RAISE, capability)
    lock_root_out()
    set_to(capability, inheritable=(capability,))


def give_to_program(*capabilities: int) -> None:
    """Give up all but these, which the program that is exec'd next gets although it is not root's. The bounding set is
    to be dropped before the change of user."""
    set_to(*capabilities, inheritable=capabilities)
    for number in capabilities:
        prctl(PR_CAP_AMBIENT, _AMBIENT_RAISE, number)


def drop_bounding(*capabilities: int) -> None:
    """No exec can ever give more than `capabilities`. Needs SETPCAP."""
    # Called directly, because it is called forty times for each sandbox.
    drop = syscalls.libc.prctl
    for number in range(_HIGHEST + 1):
        if number not in capabilities and drop(PR_CAPBSET_DROP, number, 0, 0, 0) != 0:
            if ctypes.get_errno() != errno.EINVAL:
                raise OSError(ctypes.get_errno(), "prctl PR_CAPBSET_DROP")
            break  # The kernel knows no higher one.


def lock_root_out() -> None:
    """From now on a change to uid 0 or an exec as uid 0 gives nothing. Needs SETPCAP."""
    prctl(PR_SET_SECUREBITS, _SECUREBITS)


def set_to(*capabilities: int, inheritable: tuple[int, ...] = ()) -> None:
    low, high = _mask(capabilities)
    low_inherited, high_inherited = _mask(inheritable)
    data = struct.pack("=6I", low, low, low_inherited, high, high, high_inherited)
    if syscalls.libc.capset(_HEADER, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _mask(capabilities: tuple[int, ...]) -> tuple[int, int]:
    mask = sum(1 << number for number in capabilities)
    return mask & 0xFFFFFFFF, mask >> 32
