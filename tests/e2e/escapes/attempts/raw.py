"""System calls by number, and an effect that stays in a child."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_X86 = {
    "acct": 163, "add_key": 248, "adjtimex": 159, "bpf": 321, "capset": 126, "chroot": 161, "clock_adjtime": 305,
    "clock_settime": 227, "clone": 56, "delete_module": 176, "fanotify_init": 300, "finit_module": 313,
    "init_module": 175, "ioperm": 173, "iopl": 172, "ioprio_set": 251, "kcmp": 312, "kexec_file_load": 320,
    "kexec_load": 246, "keyctl": 250, "mbind": 237, "modify_ldt": 154, "mount": 165, "move_pages": 279,
    "mq_open": 240, "msgget": 68, "name_to_handle_at": 303, "open_by_handle_at": 304, "perf_event_open": 298,
    "personality": 135, "pivot_root": 155, "process_vm_readv": 310, "process_vm_writev": 311, "ptrace": 101,
    "quotactl": 179, "reboot": 169, "request_key": 249, "sched_setattr": 314, "seccomp": 317, "semget": 64,
    "set_mempolicy": 238, "setdomainname": 171, "sethostname": 170, "setns": 308, "settimeofday": 164, "setxattr": 188,
    "shmget": 29, "swapoff": 168, "swapon": 167, "syslog": 103, "tgkill": 234, "umount2": 166, "unshare": 272,
    "userfaultfd": 323,
}  # fmt: skip
_ARM = {
    "acct": 89, "add_key": 217, "adjtimex": 171, "bpf": 280, "capset": 91, "chroot": 51, "clock_adjtime": 266,
    "clock_settime": 112, "clone": 220, "delete_module": 106, "fanotify_init": 262, "finit_module": 273,
    "init_module": 105, "ioprio_set": 30, "kcmp": 272, "kexec_file_load": 294, "kexec_load": 104, "keyctl": 219,
    "mbind": 235, "mount": 40, "move_pages": 239, "mq_open": 180, "msgget": 186, "name_to_handle_at": 264,
    "open_by_handle_at": 265, "perf_event_open": 241, "personality": 92, "pivot_root": 41, "process_vm_readv": 270,
    "process_vm_writev": 271, "ptrace": 117, "quotactl": 60, "reboot": 142, "request_key": 218, "sched_setattr": 274,
    "seccomp": 277, "semget": 190, "set_mempolicy": 237, "setdomainname": 162, "sethostname": 161, "setns": 268,
    "settimeofday": 170, "setxattr": 5, "shmget": 194, "swapoff": 225, "swapon": 224, "syslog": 116, "tgkill": 131,
    "umount2": 39, "unshare": 97, "userfaultfd": 282,
}  # fmt: skip
_SAME = {
    "clone3": 435, "fsopen": 430, "fspick": 433, "io_uring_enter": 426, "io_uring_register": 427,
    "io_uring_setup": 425, "listmount": 458, "memfd_secret": 447, "mount_setattr": 442, "move_mount": 429,
    "open_tree": 428, "pidfd_getfd": 438, "pidfd_open": 434, "process_madvise": 440, "unknown": 600,
}  # fmt: skip
"""Numbers from 424 on are the same on every architecture."""
_NUMBERS = _SAME | (_X86 if os.uname().machine == "x86_64" else _ARM)
_X32 = 0x4000_0000
_libc = ctypes.CDLL(None, use_errno=True)

Argument = int | bytes | ctypes.Array[ctypes.c_char]


class Masked(OSError):
    """What is there is empty, or is not what its name says."""


def call(name: str, *arguments: Argument) -> int:
    return by_number(_NUMBERS[name], *arguments)


def by_number(number: int, *arguments: Argument) -> int:
    values = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *values))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}")
    return result


def x32(name: str) -> int:
    return _NUMBERS[name] | _X32


def prctl(option: int, *values: int) -> int:
    result = int(_libc.prctl(ctypes.c_int(option), *map(ctypes.c_ulong, (*values, 0, 0, 0, 0)[:4])))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")
    return result


def reaches(complaint: int, name: str, *arguments: Argument) -> None:
    """A harmless call that is wrong in a way the kernel only finds after it has asked for privileges."""
    try:
        call(name, *arguments)
    except OSError as error:
        if error.errno != complaint:
            raise


def in_child(action: Callable[[], object]) -> None:
    """The effect stays in a child; its errno comes back."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except Masked:
            os._exit(254)
        except OSError as error:
            os._exit(error.errno or 255)
        finally:
            os._exit(255 if sys.exc_info()[0] else 0)  # Whatever it is, it must not go on as its parent.
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == 254:
        raise Masked
    if code < 0:
        raise OSError(f"killed by {signal.Signals(-code).name}")
    if code:
        raise OSError(code, "in the child")
