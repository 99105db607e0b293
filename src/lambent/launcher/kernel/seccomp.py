"""The system call filter of functions: an allow-list, compiled once by the system's libseccomp.

What is not listed fails with ENOSYS, so that libraries fall back as on an older kernel; what is known and refused on
purpose fails with EPERM, as under Docker's default profile; a call of a foreign architecture kills the process.
"""

import ctypes
import errno
import os
import signal
import struct
from typing import Protocol

from lambent.launcher.kernel import syscalls

_ALLOWED = """
accept accept4 access alarm arch_prctl bind brk capget capset chdir chmod chown clock_getres clock_gettime
clock_nanosleep close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl
epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64
fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fork
fremovexattr fsetxattr fstat fstatfs fsync ftruncate futex futex_requeue futex_wait futex_waitv futex_wake futimesat
get_robust_list getcpu getcwd getdents getdents64 getegid geteuid getgid getgroups getitimer getpeername getpgid
getpgrp getpid getppid getpriority getrandom getresgid getresuid getrlimit getrusage getsid getsockname getsockopt
gettid gettimeofday getuid getxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel
io_destroy io_getevents io_pgetevents io_setup io_submit ioctl ioprio_get ioprio_set kill lchown lgetxattr link
linkat listen listxattr llistxattr lremovexattr lseek lsetxattr lstat madvise membarrier memfd_create mincore mkdir
mkdirat mknod mknodat mlock mlock2 mlockall mmap mprotect mq_getsetattr mq_notify mq_open mq_timedreceive
mq_timedsend mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at
nanosleep newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free
pkey_mprotect poll ppoll prctl pread64 preadv preadv2 process_mrelease pselect6 pwrite64 pwritev pwritev2
read readahead readlink readlinkat readv recvfrom recvmmsg recvmsg remap_file_pages removexattr rename renameat
renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity
sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr
sched_setparam sched_setscheduler sched_yield select semctl semget semop semtimedop sendfile sendmmsg sendmsg sendto
set_robust_list set_tid_address setfsgid setfsuid setgid setgroups setitimer setpgid setpriority setregid setresgid
setresuid setreuid setsid setsockopt setuid setxattr shmat shmctl shmdt shmget shutdown sigaltstack
signalfd signalfd4 socketpair splice stat statfs statx symlink symlinkat sync sync_file_range syncfs sysinfo tee
tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime
timerfd_settime times tkill truncate umask uname unlink unlinkat utime utimensat utimes vfork vmsplice wait4 waitid
write writev
""".split()  # noqa: SIM905 - a table to read, in columns of words

_REFUSED = """
acct add_key adjtimex bpf chroot clock_adjtime clock_settime create_module delete_module fanotify_init
fanotify_mark finit_module fsconfig fsmount fsopen fspick get_kernel_syms get_mempolicy init_module io_uring_enter
io_uring_register io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl landlock_add_rule
landlock_create_ruleset landlock_restrict_self lookup_dcookie mbind memfd_secret migrate_pages mount mount_setattr
move_mount move_pages nfsservctl open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root
process_madvise process_vm_readv process_vm_writev ptrace query_module quotactl quotactl_fd reboot request_key
seccomp set_mempolicy set_mempolicy_home_node setdomainname sethostname setns settimeofday swapoff swapon sysfs
syslog umount umount2 unshare uselib userfaultfd ustat vhangup
""".split()  # noqa: SIM905

_NEW_NAMESPACE_FLAGS = (0x00000080, 0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
_ALL_NAMESPACE_FLAGS = sum(_NEW_NAMESPACE_FLAGS)

_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_NETLINK_ROUTE = 0
_FAMILIES_END = 46
_KIND_BITS = 0xF
_KINDS = (1, 2, 3)
"""Stream, datagram, raw (which the kernel refuses without a capability, and sets errno as programs expect)."""
_ANY_PROTOCOL = 0
_PROTOCOLS = (_ANY_PROTOCOL, 1, 6, 17, 58)
"""Any, ICMP, TCP, UDP, ICMPv6. Others (SCTP, DCCP, MPTCP...) are much code, and would make the host load modules."""
_RLIMIT_CORE, _RLIMITS = 4, 16
# Ordinary, 32-bit, x32 and the query of it, as Docker's profile allows.
_PERSONALITIES = (0x0, 0x0008, 0x20000, 0x20008, 0xFFFFFFFF)

_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NOT_EQUAL, _EQUAL, _GREATER, _MASKED_EQUAL = 1, 4, 6, 7
_ATTRIBUTE_BAD_ARCH, _ATTRIBUTE_OPTIMIZE = 2, 8
_BINARY_TREE = 2
_MODE_FILTER = 2

_ERRNO_BITS = 0xFFFF
_OCI_ACTIONS = {_ALLOW: "SCMP_ACT_ALLOW", _ERRNO: "SCMP_ACT_ERRNO"}
_OCI_OPERATORS = {
    _NOT_EQUAL: "SCMP_CMP_NE",
    _EQUAL: "SCMP_CMP_EQ",
    _GREATER: "SCMP_CMP_GT",
    _MASKED_EQUAL: "SCMP_CMP_MASKED_EQ",
}


CLONE_OF_TEMPLATE = (
    syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWPID
    | syscalls.CLONE_NEWNET
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWUTS
    | syscalls.CLONE_PARENT
    | signal.SIGCHLD
)
"""The one way in which a template may make a process that is not its own kind."""
_CLONE_NUMBERS = {"x86_64": 56, "aarch64": 220}
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_ANY, _RETURN = 0x20, 0x15, 0x45, 0x06
_AT_NUMBER, _AT_FIRST_ARGUMENT = 0, 16


class SeccompUnavailable(Exception):
    """This machine cannot filter system calls; the message says what is missing."""


class _Compare(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


class _Rules(Protocol):
    """What takes the rules of the filter, one by one."""

    def rule(self, action: int, name: str, *conditions: _Compare) -> None: ...


class _Builder:
    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        except OSError:
            raise SeccompUnavailable("libseccomp is missing (package libseccomp2)") from None
        self._library.seccomp_init.restype = ctypes.c_void_p
        context = self._library.seccomp_init(ctypes.c_uint32(_ERRNO | errno.ENOSYS))
        if not context:
            raise SeccompUnavailable("libseccomp refused to start")
        self._context = ctypes.c_void_p(context)

    def attribute(self, name: int, value: int) -> bool:
        return int(self._library.seccomp_attr_set(self._context, name, ctypes.c_uint32(value))) == 0

    def rule(self, action: int, name: str, *conditions: _Compare) -> None:
        number = int(self._library.seccomp_syscall_resolve_name(name.encode()))
        if number < 0:
            return  # Unknown to this libseccomp or not on this architecture: the default refuses it.
        array = (_Compare * len(conditions))(*conditions)
        result = self._library.seccomp_rule_add_array(
            self._context, ctypes.c_uint32(action), number, ctypes.c_uint(len(conditions)), array
        )
        if result != 0:
            raise SeccompUnavailable(f"libseccomp refused the rule for {name}: {os.strerror(-result)}")

    def export(self) -> bytes:
        fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
        try:
            result = self._library.seccomp_export_bpf(self._context, fd)
            if result != 0:
                raise SeccompUnavailable(f"libseccomp could not compile the filter: {os.strerror(-result)}")
            return os.pread(fd, os.fstat(fd).st_size, 0)
        finally:
            os.close(fd)
            self._library.seccomp_release(self._context)


def compile_filter(*, template: bool = False) -> bytes:
    """The BPF program, ready for `load`. About 10 ms; once per launcher.

    `template`: for a process that is kept to be cloned. It may also make exactly the namespaces of a restored sandbox.
    """
    builder = _Builder()
    builder.attribute(_ATTRIBUTE_BAD_ARCH, _KILL_PROCESS)
    builder.attribute(_ATTRIBUTE_OPTIMIZE, _BINARY_TREE)  # Since libseccomp 2.5; a longer way through without it.
    _fill(builder, template=template)
    return builder.export()


def _fill(builder: _Rules, *, template: bool = False) -> None:
    refused = _ERRNO | errno.EPERM
    for name in _ALLOWED:
        builder.rule(_ALLOW, name)
    for name in _REFUSED:
        builder.rule(refused, name)
    builder.rule(_ALLOW, "clone", _Compare(0, _MASKED_EQUAL, _ALL_NAMESPACE_FLAGS, 0))
    if template:
        # Other flags stay at the default: libseccomp does not order rules that overlap.
        builder.rule(_ALLOW, "clone", _Compare(0, _EQUAL, CLONE_OF_TEMPLATE, 0))
    else:
        for flag in _NEW_NAMESPACE_FLAGS:
            builder.rule(refused, "clone", _Compare(0, _MASKED_EQUAL, flag, flag))
    # clone3 stays at the default: its flags are behind a pointer, which a filter cannot follow, and on ENOSYS glibc
    # falls back to clone.
    for personality in _PERSONALITIES:
        builder.rule(_ALLOW, "personality", _Compare(0, _EQUAL, personality, 0))
    _core_limit(builder)
    _sockets(builder)


def _core_limit(builder: _Rules) -> None:
    """The limit of core files stays at what `execute` sets. A change does nothing and succeeds: programs that hold
    secrets turn core dumps off, and end when they cannot.
    """
    for resource in range(_RLIMITS):
        changed = _ALLOW if resource != _RLIMIT_CORE else _ERRNO | 0
        builder.rule(changed, "setrlimit", _Compare(0, _EQUAL, resource, 0))
        which = _Compare(1, _EQUAL, resource, 0)
        builder.rule(_ALLOW, "prlimit64", which, _Compare(2, _EQUAL, 0, 0))
        builder.rule(changed, "prlimit64", which, _Compare(2, _NOT_EQUAL, 0, 0))


def _sockets(builder: _Rules) -> None:
    unsupported = _ERRNO | errno.EAFNOSUPPORT
    builder.rule(_ALLOW, "socket", _Compare(0, _EQUAL, _AF_UNIX, 0))
    for family in (_AF_INET, _AF_INET6):
        _internet_sockets(builder, _Compare(0, _EQUAL, family, 0))
    netlink = _Compare(0, _EQUAL, _AF_NETLINK, 0)
    builder.rule(_ALLOW, "socket", netlink, _Compare(2, _EQUAL, _NETLINK_ROUTE, 0))
    builder.rule(unsupported, "socket", netlink, _Compare(2, _GREATER, _NETLINK_ROUTE, 0))
    for family in range(_FAMILIES_END):
        if family not in (_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK):
            builder.rule(unsupported, "socket", _Compare(0, _EQUAL, family, 0))


def _internet_sockets(builder: _Rules, family: _Compare) -> None:
    for protocol in range(_PROTOCOLS[-1] + 1):
        this = _Compare(2, _EQUAL, protocol, 0)
        if protocol not in _PROTOCOLS:
            builder.rule(_ERRNO | errno.EPROTONOSUPPORT, "socket", family, this)
        elif protocol != _ANY_PROTOCOL:
            builder.rule(_ALLOW, "socket", family, this)
    builder.rule(_ERRNO | errno.EPROTONOSUPPORT, "socket", family, _Compare(2, _GREATER, _PROTOCOLS[-1], 0))
    for kind in range(_KIND_BITS + 1):  # Without a protocol the kind decides what the kernel loads.
        action = _ALLOW if kind in _KINDS else _ERRNO | errno.ESOCKTNOSUPPORT
        any_of_kind = (_Compare(1, _MASKED_EQUAL, _KIND_BITS, kind), _Compare(2, _EQUAL, _ANY_PROTOCOL, 0))
        builder.rule(action, "socket", family, *any_of_kind)


def without_namespaces() -> bytes:
    """What a clone of a template puts on top of the template's filter: no new namespaces any more."""
    return b"".join(
        struct.pack("=HBBI", code, if_true, if_false, value)
        for code, if_true, if_false, value in (
            (_LOAD, 0, 0, _AT_NUMBER),
            (_JUMP_IF_EQUAL, 0, 3, _CLONE_NUMBERS[os.uname().machine]),
            (_LOAD, 0, 0, _AT_FIRST_ARGUMENT),
            (_JUMP_IF_ANY, 0, 1, _ALL_NAMESPACE_FLAGS),
            (_RETURN, 0, 0, _ERRNO | errno.EPERM),
            (_RETURN, 0, 0, _ALLOW),
        )
    )


def oci_profile() -> dict[str, object]:
    """The same filter as the `linux.seccomp` of an OCI configuration."""
    profile = _OciProfile()
    _fill(profile)
    return {"defaultAction": _OCI_ACTIONS[_ERRNO], "defaultErrnoRet": errno.ENOSYS, "syscalls": profile.rules}


class _OciProfile:
    def __init__(self) -> None:
        self.rules: list[dict[str, object]] = []

    def rule(self, action: int, name: str, *conditions: _Compare) -> None:
        made: dict[str, object] = {"names": [name], "action": _OCI_ACTIONS[action & ~_ERRNO_BITS]}
        if action & ~_ERRNO_BITS == _ERRNO:
            made["errnoRet"] = action & _ERRNO_BITS
        if conditions:
            made["args"] = [
                {"index": each.arg, "op": _OCI_OPERATORS[each.op], "value": each.a, "valueTwo": each.b}
                for each in conditions
            ]
        self.rules.append(made)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def load(program: bytes) -> None:
    """Put the calling process and all its children under the filter, for good. Needs no_new_privs."""
    argument = _Program(len(program) // 8, program)
    syscalls.prctl(syscalls.PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(argument))
