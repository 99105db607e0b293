"""What a process sees of the machine that has no root of its own: paths for Landlock, for reading and for writing.

Programs and libraries of the system, what of /etc they need to work, and of /proc what tells of the machine and of
the process itself. Not the rest of /etc, and nothing of other processes.
"""

import os

_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/opt", "/sys/devices/system/cpu", "/sys/fs/cgroup")
_ETC = (
    *("passwd", "group", "hosts", "nsswitch.conf", "resolv.conf", "host.conf", "gai.conf", "services", "protocols"),
    *("localtime", "timezone", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "ssl", "pki"),
    *("ca-certificates", "ca-certificates.conf", "mime.types", "os-release"),
)
_PROC = ("cpuinfo", "meminfo", "stat", "uptime", "loadavg", "version", "filesystems", "sys", "sysvipc")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_RESOLVED = "/run/systemd/resolve"
"""Where resolv.conf often is."""


def readable() -> list[str]:
    """For the calling process: its own entries of /proc are among them."""
    found = [*_SYSTEM, _RESOLVED, f"/proc/{os.getpid()}"]
    return found + [f"/etc/{name}" for name in _ETC] + [f"/proc/{name}" for name in _PROC]


def writable() -> list[str]:
    return [f"/dev/{name}" for name in _DEVICES]
