"""Run a command as in a plain Docker container: `python plain_container.py [--user UID] [--show PATH] -- COMMAND...`.

Root with the capabilities that Docker leaves, behind a filter that refuses what Docker's default profile refuses of
namespaces and mounts (its own list is longer); with --user, that user without any. Files are those of the host.
"""

import argparse
import ctypes
import errno
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from lambent.launcher.kernel import capabilities, seccomp, syscalls
from tests.e2e.ordinary_user import show

DOCKER = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)
"""chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, net_raw, sys_chroot, mknod,
audit_write, setfcap."""
REFUSED = """unshare setns mount umount2 pivot_root move_mount open_tree fsopen fsmount mount_setattr bpf
perf_event_open keyctl add_key request_key userfaultfd io_uring_setup kexec_load init_module""".split()  # noqa: SIM905
NAMESPACES = 0x7E020000
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_MASKED_EQUAL = 7


class Compare(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--user", type=int)
    parser.add_argument("--show", action="append", default=[])
    parser.add_argument("command", nargs="+")
    wanted = parser.parse_args()
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    show(wanted.show)
    program = docker_filter()
    if wanted.user is None:
        capabilities.keep(*DOCKER)
    else:
        capabilities.drop_bounding()
        os.setgroups([])
        os.setresgid(wanted.user, wanted.user, wanted.user)
        os.setresuid(wanted.user, wanted.user, wanted.user)
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)  # To load the filter; an exec as root keeps its capabilities.
    seccomp.load(program)
    os.execvp(wanted.command[0], wanted.command)


def docker_filter() -> bytes:
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ALLOW)))
    refused = ctypes.c_uint32(_ERRNO | errno.EPERM)
    for name in REFUSED:
        number = library.seccomp_syscall_resolve_name(name.encode())
        library.seccomp_rule_add_array(context, refused, number, ctypes.c_uint(0), None)
    clone = library.seccomp_syscall_resolve_name(b"clone")
    for bit in range(32):
        if NAMESPACES >> bit & 1:
            condition = (Compare * 1)(Compare(0, _MASKED_EQUAL, 1 << bit, 1 << bit))
            library.seccomp_rule_add_array(context, refused, clone, ctypes.c_uint(1), condition)
    number = library.seccomp_syscall_resolve_name(b"clone3")
    missing = ctypes.c_uint32(_ERRNO | errno.ENOSYS)
    library.seccomp_rule_add_array(context, missing, number, ctypes.c_uint(0), None)
    fd = os.memfd_create("seccomp")
    library.seccomp_export_bpf(context, fd)
    return os.pread(fd, os.fstat(fd).st_size, 0)


if __name__ == "__main__":
    main()
