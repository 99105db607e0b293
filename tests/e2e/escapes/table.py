# ruff: noqa: E501 - a table, a case in a line
"""Every attempt of the suite, with the guarantee that it tries and how it must end inside a sandbox.

`{...}` in an attempt is replaced by what the host has: see `suite`.
"""

from dataclasses import dataclass

GUARANTEES = {
    "filesystem": "reads or writes no file of the host and of others",
    "processes": "sees, signals, traces and shares with no process but its own",
    "namespaces": "changes no mount, root or namespace",
    "network": "reaches no service of the host and no other network; makes only sockets of TCP, UDP, Unix and netlink route",
    "kernel": "uses no part of the kernel that it has no business with",
    "privileges": "gains no user, capability, priority or limit",
}


@dataclass(frozen=True, slots=True)
class Case:
    guarantee: str
    name: str
    attempt: str
    expected: str
    """Errno, or several with a bar between."""
    outside: str | None = None
    """Where the same attempt needs other words outside; None: the same."""
    needs: int | None = None
    """Capability without which it fails outside too: not every machine's root has all."""


def _files(name: str, attempt: str, expected: str, outside: str | None = None, needs: int | None = None) -> Case:
    return Case("filesystem", name, attempt, expected, outside, needs)


def _processes(name: str, attempt: str, expected: str, outside: str | None = None) -> Case:
    return Case("processes", name, attempt, expected, outside)


def _namespaces(name: str, attempt: str, expected: str = "EPERM", outside: str | None = None) -> Case:
    return Case("namespaces", name, attempt, expected, outside)


def _network(name: str, attempt: str, expected: str, outside: str | None = None) -> Case:
    return Case("network", name, attempt, expected, outside)


def _kernel(name: str, attempt: str, expected: str = "EPERM", outside: str | None = None) -> Case:
    return Case("kernel", name, attempt, expected, outside)


def _privileges(name: str, attempt: str, expected: str, outside: str | None = None, needs: int | None = None) -> Case:
    return Case("privileges", name, attempt, expected, outside, needs)


SYS_RESOURCE = 24
_NAMESPACE_FLAGS = {
    "mount": 0x20000, "control group": 0x2000000, "host name": 0x4000000, "IPC": 0x8000000, "user": 0x10000000,
    "process": 0x20000000, "network": 0x40000000,
}  # fmt: skip
_TIME_FLAG = 0x80
"""Only by unshare: in the flags of clone it is part of the signal."""
_FAMILIES = {
    "a packet socket": (17, 3, 0), "a key socket": (15, 3, 2), "a TIPC socket": (30, 5, 0), "an RDS socket": (21, 5, 0),
    "a CAN socket": (29, 3, 1), "an AF_ALG socket": (38, 5, 0), "a vsock": (40, 1, 0), "an XDP socket": (44, 3, 0),
    "a Bluetooth socket": (31, 3, 1), "an SMC socket": (43, 1, 0), "a PPPoX socket": (24, 1, 0),
    "an SCTP socket": (2, 1, 132), "a DCCP socket": (2, 6, 33), "an MPTCP socket": (2, 1, 262),
    "an SCTP socket of any protocol": (2, 5, 0), "a DCCP socket of any protocol": (10, 6, 0),
    "a UDP-Lite socket": (2, 2, 136), "netlink: sockets of others": (16, 3, 4), "netlink: IPsec": (16, 3, 6),
    "netlink: audit": (16, 3, 9), "netlink: connector": (16, 3, 11), "netlink: netfilter": (16, 3, 12),
    "netlink: kernel events": (16, 3, 15), "netlink: generic": (16, 3, 16), "netlink: crypto": (16, 3, 21),
}  # fmt: skip
_UNSUPPORTED = "EAFNOSUPPORT|EPROTONOSUPPORT|ESOCKTNOSUPPORT"

CASES = [
    _files("the host's password file", "read /etc/shadow", "ENOENT"),
    _files("the data dir", "listdir {home}", "ENOENT"),
    _files("the database of the server", "read {home}/secret", "ENOENT"),
    _files("the code of another function", "read {other_code}/main.py", "ENOENT"),
    _files("/tmp of another environment", "read /tmp/secret", "ENOENT", "read /proc/{other_pid}/root/tmp/secret"),
    _files("the first process's root", "read /proc/1/root/etc/passwd", "ENOENT", "read /proc/{other_pid}/root/etc/passwd"),
    _files("the first process's folder", "listdir /proc/1/cwd", "ENOENT", "listdir /proc/{other_pid}/cwd"),
    _files("the first process's open files", "listdir_of_links /proc/1/fd", "ENOENT", "listdir_of_links /proc/{other_pid}/fd"),
    _files("`..` above the root", "read /tmp/../../../..{home}/secret", "ENOENT", "read /usr/../..{home}/secret"),
    _files("a symbolic link to the host", "through_link /tmp {home}/secret", "ENOENT", "through_link {home} {home}/secret"),
    _files("a hard link to its code", "hard_link /tmp /var/task/main.py", "EXDEV|EPERM", "hard_link {home} {home}/secret"),
    _files("the launcher's folders", "listdir /.lambent", "EACCES", "listdir {home}/packages"),
    _files("the host's /var", "listdir /var/lib", "ENOENT"),
    _files("the host's /run", "listdir /run", "masked"),
    _files("the host's /home and /root", "listdir /root", "masked", "listdir {home}"),
    _files("the host's /sys", "listdir /sys/kernel", "ENOENT"),
    _files("the host's /dev/shm", "create /dev/shm", "ENOENT"),
    _files("the tree of control groups", "listdir /sys/fs/cgroup", "ENOENT"),
    _files("the name of its control group", "name_of_group /proc/self/cgroup", "masked", "name_of_group /proc/{other_pid}/cgroup"),
    _files("moving between control groups", "move_to_group", "ENOENT"),
    _files("a file by its handle", "handle /var/task/main.py", "EPERM", "handle {other_code}/main.py"),
    _files("writing to the root", "create /", "EROFS", "create {home}"),
    _files("writing to its code", "create /var/task", "EROFS", "create {other_code}"),
    _files("changing the mode of its code", "change_mode /var/task/main.py", "EROFS", "change_mode {other_code}/main.py"),
    _files("renaming its code", "rename_away /var/task/main.py", "EROFS", "rename_away {home}/secret"),
    _files("writing to its layers", "create /opt", "EROFS", "create {home}"),
    _files("writing to the system", "create /usr", "EROFS", "create {home}"),
    _files("writing to /etc", "create /etc", "EROFS", "create {home}"),
    _files("writing to /dev", "create /dev", "EROFS", "create {home}"),
    _files("writing to the interpreter", "open_for_writing /var/lang/{python}", "EROFS|EACCES", "open_for_writing {home}/secret"),
    _files("adding to the interpreter", "create /var/lang", "EROFS", "create {home}"),
    _files("writing to the bootstrap", "create /var/runtime", "EROFS", "create {home}"),
    _files("giving a file away", "give_away /tmp", "EPERM|EINVAL", "give_away {home}"),
    _files("a file that nobody can change", "immutable /tmp", "EPERM", "immutable {home}"),
    _files("freezing a file system", "freeze_file_system /tmp", "EPERM", "freeze_file_system /dev/shm"),
    _files("a disk", "find /dev/{disk}", "ENOENT"),
    _files("the disk image below /tmp", "disk_below /tmp", "EPERM", "disk_below {home}"),
    _files("a device node: memory", "device /tmp char 1 1", "EPERM", "device {home} char 1 1"),
    _files("a device node: a loop device", "device /tmp block 7 0", "EPERM", "device {home} block 7 0"),
    _files("/dev/mem", "read_or_open /dev/mem", "ENOENT"),
    _files("/dev/kmsg", "read_or_open /dev/kmsg", "ENOENT"),
    _files("/dev/kvm", "read_or_open /dev/kvm", "ENOENT"),
    _files("/dev/fuse", "read_or_open /dev/fuse", "ENOENT"),
    _files("/dev/loop-control", "read_or_open /dev/loop-control", "ENOENT"),
    _files("/dev/ptmx", "read_or_open /dev/ptmx", "ENOENT"),
    _files("watching every file", "watch_everything", "EPERM"),
    _processes("a process of the host", "see_process {pid}", "ENOENT"),
    _processes("a process of another environment", "see_process {other_pid}", "ENOENT"),
    _processes("the list of processes", "count_processes /proc", "masked"),
    _processes("variables of the first process", "read /proc/1/environ", "ENOENT", "read /proc/{other_pid}/environ"),
    _processes("a secret in anybody's variables", "variables_of_others {mark}", "masked"),
    _processes("memory of the first process", "memory_file 1", "ENOENT", "memory_file {other_pid}"),
    _processes("memory of a process of the host", "memory_file {pid}", "ENOENT"),
    _processes("a signal to a process of the host", "send_signal {pid}", "ESRCH"),
    _processes("a signal to another environment", "send_signal {other_pid}", "ESRCH"),
    _processes("a signal to the first process", "send_signal 1", "EPERM"),
    _processes("a signal to its thread", "send_signal_to_thread 1", "EPERM"),
    _processes("a handle of a process of the host", "handle_of_process {pid}", "ESRCH"),
    _processes("descriptors of a process", "take_descriptor", "EPERM"),
    _processes("tracing its child", "ptrace", "EPERM"),
    _processes("reading the memory of a process", "read_memory", "EPERM"),
    _processes("writing the memory of a process", "write_memory", "EPERM"),
    _processes("advice about the memory of a process", "advise_process", "EPERM"),
    _processes("comparing processes", "compare_processes", "EPERM"),
    _processes("moving the pages of a process", "move_pages", "EPERM"),
    _processes("the priority of a process of the host", "slow_down {pid}", "ESRCH"),
    _processes("the limits of a process of the host", "limit_process {pid}", "ESRCH|EPERM"),
    _processes("the CPUs of a process of the host", "pin_process {pid}", "ESRCH"),
    _processes("shared memory of another environment", "shared_memory_of_other", "ENOENT", "within ipc {other_pid} shared_memory_of_other"),
    _processes("a message queue of another environment", "messages_of_other", "ENOENT", "within ipc {other_pid} messages_of_other"),
    _processes("semaphores of another environment", "semaphores_of_other", "ENOENT", "within ipc {other_pid} semaphores_of_other"),
    _processes("a POSIX queue of another environment", "queue_of_other", "ENOENT", "within ipc {other_pid} queue_of_other"),
    _processes("a descriptor left open", "inherited", "masked"),
    _namespaces("mount", "mount /tmp", outside="mount {home}/empty"),
    _namespaces("a bind mount", "bind /usr /tmp", outside="bind /usr {home}/empty"),
    _namespaces("making its root writable", "make_writable /"),
    _namespaces("unmounting", "unmount /tmp", outside="unmount {home}/empty"),
    _namespaces("open_tree", "open_tree /"),
    _namespaces("move_mount", "move_mount"),
    _namespaces("fsopen", "new_file_system"),
    _namespaces("fspick", "reconfigure_file_system /"),
    _namespaces("mount_setattr", "mount_attributes /"),
    _namespaces("listmount", "list_mounts", "ENOSYS"),
    _namespaces("pivot_root", "pivot_root"),
    _namespaces("chroot", "chroot"),
    *(_namespaces(f"unshare: {name}", f"unshare {flag:#x}") for name, flag in _NAMESPACE_FLAGS.items()),
    _namespaces("unshare: time", f"unshare {_TIME_FLAG:#x}"),
    *(_namespaces(f"clone: {name}", f"clone {flag:#x}") for name, flag in _NAMESPACE_FLAGS.items()),
    _namespaces("clone3, whose flags no filter sees", "clone3 0x10000000", "ENOSYS"),
    _namespaces("clone3 into a control group", "clone3_into_group /tmp", "ENOSYS", "clone3_into_group {group}"),
    _namespaces("setns", "setns /proc/self/ns/uts"),
    _namespaces("setns by a process", "setns_of_process"),
    _namespaces("a mapping of users", "map_users", "EPERM|EACCES", "open_for_writing /proc/self/uid_map"),
    _network("a listener on the host's loopback", "tcp 127.0.0.1 {port}", "ECONNREFUSED"),
    _network("the same by IPv6", "tcp ::1 {port6}", "ECONNREFUSED|EADDRNOTAVAIL|ENETUNREACH"),
    _network("the metadata service", "tcp 169.254.169.254 80", "ENETUNREACH", "within net {pid} tcp 169.254.169.254 80"),
    _network("the metadata service by IPv6", "tcp fd00:ec2::254 80", "ENETUNREACH", "within net {pid} tcp fd00:ec2::254 80"),
    _network("the internet", "tcp 192.0.2.1 80", "ENETUNREACH", "within net {pid} tcp 192.0.2.1 80"),
    _network("an abstract socket of the host", "unix @{abstract}", "ECONNREFUSED"),
    _network("a socket file of the host", "unix {home}/socket", "ENOENT"),
    _network("a raw socket", "socket_of 2 3 1", "EPERM"),
    _network("a raw socket by IPv6", "socket_of 10 3 58", "EPERM"),
    *(_network(name, "socket_of {} {} {}".format(*numbers), _UNSUPPORTED) for name, numbers in _FAMILIES.items()),
    _network("changing an interface", "change_interface", "EPERM"),
    _network("adding an address", "add_address", "EPERM"),
    _network("speaking for other addresses", "transparent", "EPERM"),
    _network("the firewall", "firewall", "EPERM|ENOPROTOOPT"),
    _network("buffers beyond the limit", "force_buffer", "EPERM"),
    _kernel("bpf", "bpf"),
    _kernel("perf_event_open", "perf"),
    _kernel("io_uring_setup", "io_uring"),
    _kernel("io_uring_enter", "io_uring_enter"),
    _kernel("io_uring_register", "io_uring_register"),
    _kernel("userfaultfd", "userfaultfd"),
    _kernel("the session's keys", "keyring"),
    _kernel("add_key", "add_key"),
    _kernel("request_key", "request_key"),
    _kernel("kexec_load", "kexec"),
    _kernel("kexec_file_load", "kexec_file"),
    _kernel("init_module", "load_module"),
    _kernel("finit_module", "load_module_file"),
    _kernel("delete_module", "unload_module"),
    _kernel("swapon", "swap_on"),
    _kernel("swapoff", "swap_off"),
    _kernel("reboot", "reboot"),
    _kernel("settimeofday", "set_time"),
    _kernel("clock_settime", "set_clock"),
    _kernel("adjtimex", "tune_clock"),
    _kernel("clock_adjtime", "tune_one_clock"),
    _kernel("sethostname", "host_name"),
    _kernel("setdomainname", "domain_name"),
    _kernel("quotactl", "quota"),
    _kernel("acct", "accounting"),
    _kernel("ioperm", "ports", "EPERM|ENOSYS"),
    _kernel("iopl", "port_level", "EPERM|ENOSYS"),
    _kernel("personality without randomisation", "no_randomisation", "EPERM|ENOSYS"),
    _kernel("syslog", "kernel_log"),
    _kernel("modify_ldt", "segments", "ENOSYS"),
    _kernel("memfd_secret", "secret_memory"),
    _kernel("seccomp", "another_filter"),
    _kernel("mbind", "allocate_elsewhere"),
    _kernel("set_mempolicy", "memory_policy"),
    _kernel("system calls of 32-bit x86", "foreign_architecture", "killed by SIGSYS|EPERM"),
    _kernel("system calls of x32", "foreign_numbers", "ENOSYS|EPERM|killed by SIGSYS"),
    _kernel("/proc/kcore", "read /proc/kcore", "masked|ENOENT"),
    _kernel("/proc/kallsyms", "symbols", "masked"),
    _kernel("/proc/keys", "keys", "masked"),
    _kernel("/proc/timer_list", "read /proc/timer_list", "masked|EACCES"),
    _kernel("/proc/kmsg", "read_or_open /proc/kmsg", "masked"),
    _kernel("/proc/iomem", "memory_map", "masked"),
    _kernel("/proc/slabinfo", "read /proc/slabinfo", "EACCES"),
    _kernel("/proc/vmallocinfo", "read /proc/vmallocinfo", "EACCES"),
    _kernel("/proc/kpagecount", "read /proc/kpagecount", "EACCES"),
    _kernel("/proc/self/pagemap", "physical_pages", "masked|EPERM"),
    _kernel("/proc/sysrq-trigger", "open_for_writing /proc/sysrq-trigger", "masked|EACCES|ENOENT"),
    _kernel("the program for core dumps", "open_for_writing /proc/sys/kernel/core_pattern", "EROFS|EACCES"),
    _kernel("the program that loads modules", "open_for_writing /proc/sys/kernel/modprobe", "EROFS|EACCES|ENOENT"),
    _kernel("dropping caches", "open_for_writing /proc/sys/vm/drop_caches", "EROFS|EACCES"),
    _kernel("the host name in /proc/sys", "open_for_writing /proc/sys/kernel/hostname", "EROFS|EACCES"),
    _kernel("interrupts", "open_for_writing /proc/irq/default_smp_affinity", "EROFS|EACCES"),
    _privileges("root", "become 0", "EINVAL|EPERM"),
    _privileges("the host's users", "become 4711", "EINVAL|EPERM"),
    _privileges("root's group", "become_group 0", "EINVAL|EPERM"),
    _privileges("further groups", "join_groups 4711", "EINVAL|EPERM"),
    _privileges("a capability", "gain_capability", "EPERM"),
    _privileges("an ambient capability", "ambient_capability", "EPERM"),
    _privileges("secure bits", "secure_bits", "EPERM"),
    _privileges("no_new_privs off", "gain_by_exec", "EINVAL"),
    _privileges("a program with the setuid bit", "setuid_file /var/task/id", "EPERM", "setuid_file {other_code}/id"),
    _privileges("capabilities of a file", "file_capabilities /tmp", "EPERM", "file_capabilities {home}"),
    _privileges("a better priority", "priority -5", "EACCES|EPERM"),
    _privileges("real time", "real_time", "EPERM"),
    _privileges("a deadline of the scheduler", "deadline_scheduling", "EPERM"),
    _privileges("real time for the disk", "real_time_disk", "EPERM"),
    _privileges("to be spared when memory runs out", "spared_by_memory_killer", "EACCES|EPERM", needs=SYS_RESOURCE),
    _privileges("more open files", "more_files", "EPERM", needs=SYS_RESOURCE),
    _privileges("core dumps", "core_dumps", "masked"),
    _privileges("typing into a terminal", "type_into_terminal", "ENOENT"),
]  # fmt: skip

ALLOWED = [
    "create /tmp", "socket_of 16 3 0", "socket_of 2 1 0", "socket_of 2 1 6", "socket_of 2 2 17", "socket_of 10 1 0",
    "socket_of 10 2 17", "socket_of 1 1 0", "read /proc/self/status", "read /proc/meminfo", "read /proc/cpuinfo",
    "read /proc/stat", "read /proc/sys/kernel/random/boot_id", "clone 0x0",
]  # fmt: skip
"""What functions need, and the filter must not take away."""

IN_CONTAINERS = {
    "the first process's root": "ok",
    "the first process's folder": "ok",
    "variables of the first process": "ok",
    "memory of the first process": "ok",
    "a signal to the first process": "ok",
    "a signal to its thread": "ok",
    "the launcher's folders": "ENOENT",
    "writing to /dev": "EACCES",
}
"""What is told instead where an OCI runtime makes the sandbox: its first process is the function's own, nobody else's.
"""

_OF_FIRST_PROCESS = (
    "the first process's root",
    "the first process's folder",
    "the first process's open files",
    "variables of the first process",
    "memory of the first process",
    "a signal to the first process",
    "a signal to its thread",
)
IN_CLONES = dict.fromkeys((*_OF_FIRST_PROCESS, "the name of its control group"), "ok")
"""The same where a clone is the first process itself: the attempts are made by its child. Its group has a number as its
name, because it came there from its template's."""

WITH_INTERNET = {
    "the internet": "ok",
    "the metadata service": "ECONNREFUSED",
}
"""What is told instead where a sandbox is connected with the router."""
