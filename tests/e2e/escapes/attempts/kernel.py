"""Parts of the kernel that functions have no business with, and its secrets in /proc."""

import ctypes
import errno
import mmap
import os
import struct
from pathlib import Path

from attempts.raw import Masked, by_number, call, in_child, reaches, x32  # type: ignore[import-not-found]

_SESSION, _PROCESS = -3, -2


def bpf() -> None:
    os.close(call("bpf", 0, struct.pack("=4I", 2, 4, 4, 1) + bytes(100), 100))  # BPF_MAP_CREATE of an array


def perf() -> None:
    attributes = struct.pack("=IIQ", 1, 112, 0) + bytes(96)  # Software, CPU clock.
    os.close(call("perf_event_open", attributes, 0, -1, -1, 0))


def io_uring() -> None:
    os.close(call("io_uring_setup", 1, bytes(120)))


def io_uring_enter() -> None:
    reaches(errno.EBADF, "io_uring_enter", -1, 0, 0, 0, 0, 0)


def io_uring_register() -> None:
    try:
        reaches(errno.EINVAL, "io_uring_register", -1, 0, 0, 0)
    except OSError as error:
        if error.errno != errno.EBADF:  # Older kernels look at the descriptor first.
            raise


def userfaultfd() -> None:
    os.close(call("userfaultfd", os.O_CLOEXEC | 1))


def keyring() -> None:
    call("keyctl", 0, _SESSION, 1)  # Id of the session keyring.


def add_key() -> None:
    call("add_key", b"user", b"lambent-probe", b"x", 1, _PROCESS)


def request_key() -> None:
    reaches(errno.ENOKEY, "request_key", b"user", b"lambent-no-such-key", 0, 0)


def kexec() -> None:
    reaches(errno.EINVAL, "kexec_load", 0, 17, 0, 0)


def kexec_file() -> None:
    reaches(errno.EINVAL, "kexec_file_load", -1, -1, 0, 0, 0xFFFF)


def load_module() -> None:
    try:
        reaches(errno.ENOEXEC, "init_module", bytes(64), 64, b"")
    except OSError as error:
        if error.errno not in (errno.EFAULT, errno.EINVAL, errno.EBADMSG):
            raise


def load_module_file() -> None:
    reaches(errno.EBADF, "finit_module", -1, b"", 0)


def unload_module() -> None:
    reaches(errno.ENOENT, "delete_module", b"lambent_no_such_module", 0)


def swap_on() -> None:
    reaches(errno.ENOENT, "swapon", b"/lambent-no-such-file", 0)


def swap_off() -> None:
    reaches(errno.ENOENT, "swapoff", b"/lambent-no-such-file")


def reboot() -> None:
    """With numbers that are not those of reboot."""
    reaches(errno.EINVAL, "reboot", 0, 0, 0, 0)


def set_time() -> None:
    reaches(errno.EINVAL, "settimeofday", struct.pack("=qq", -1, -1), 0)


def set_clock() -> None:
    """To a nanosecond that no clock has: found first, so the right is shown by the call before the clock's end."""
    reaches(errno.EINVAL, "clock_settime", 0, struct.pack("=qq", 0, 1 << 62))


def tune_clock() -> None:
    reaches(errno.EINVAL, "adjtimex", struct.pack("=I", 0x8000) + bytes(300))


def tune_one_clock() -> None:
    reaches(errno.EINVAL, "clock_adjtime", 0, struct.pack("=I", 0x8000) + bytes(300))


def host_name() -> None:
    name = os.uname().nodename.encode()
    call("sethostname", name, len(name))


def domain_name() -> None:
    call("setdomainname", b"(none)", 6)


def quota() -> None:
    reaches(errno.ENOENT, "quotactl", 0x800003 << 8, b"/lambent-no-such-disk", 0, 0)


def accounting() -> None:
    reaches(errno.ENOENT, "acct", b"/lambent-no-such-file")


def ports() -> None:
    in_child(lambda: call("ioperm", 0x80, 1, 1))


def port_level() -> None:
    in_child(lambda: call("iopl", 3))


def no_randomisation() -> None:
    in_child(lambda: call("personality", 0x0040000))


def kernel_log() -> None:
    call("syslog", 10, 0, 0)


def segments() -> None:
    call("modify_ldt", 0, bytes(16), 16)


def secret_memory() -> None:
    os.close(call("memfd_secret", 0))


def another_filter() -> None:
    """seccomp's listener can hold up system calls of others."""
    call("seccomp", 2, 0, struct.pack("=I", 0x7FFF0000))


def memory_policy() -> None:
    in_child(lambda: call("set_mempolicy", 0, 0, 0))


def unknown_call() -> None:
    """ENOSYS everywhere; kept so that a hole in the filter's default would show as another answer."""
    reaches(errno.ENOSYS, "unknown")


def foreign_architecture() -> None:
    """getpid of 32-bit x86; a filter for one architecture only would let it through."""
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(bytes.fromhex("b814000000cd80c3"))
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    in_child(lambda: ctypes.CFUNCTYPE(ctypes.c_int)(address)())


def foreign_numbers() -> None:
    """unshare by its x32 number, which a filter of 64-bit numbers could overlook."""
    in_child(lambda: by_number(x32("unshare"), 0x20000))


def symbols() -> None:
    with open("/proc/kallsyms") as file:
        lines = [file.readline() for _ in range(50)]
    if not any(line and int(line.split()[0], 16) for line in lines):
        raise Masked


def keys() -> None:
    try:
        add_key()
    except OSError:
        pass  # Then there is none of ours, but perhaps others.
    if not Path("/proc/keys").read_bytes():
        raise Masked


def physical_pages() -> None:
    """The frame behind a page of ours, which attacks on the memory itself begin with."""
    with open("/proc/self/pagemap", "rb") as file:
        page = ctypes.create_string_buffer(b"x" * 8192)
        file.seek((ctypes.addressof(page) + 4096) // 4096 * 8)
        (entry,) = struct.unpack("=Q", file.read(8))
    if not entry & ((1 << 55) - 1):
        raise Masked


def memory_map() -> None:
    """Physical addresses are zeros for who may not see them."""
    lines = Path("/proc/iomem").read_text().splitlines()
    if not any(int(line.strip().split("-")[0], 16) for line in lines):
        raise Masked
