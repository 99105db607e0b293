"""What a sandbox may promise, by name. A driver states each as True or False; the probe checks them from inside."""

from collections.abc import Mapping

GUARANTEES: dict[str, str] = {
    "filesystem": "the host's files, the data dir and other functions' code cannot be read; only /tmp can be written",
    "processes": "other processes cannot be seen or signalled",
    "end": "all processes of a function end with its environment, whatever sessions they make",
    "network": "its own network: no host loopback",
    "apis": "its Runtime API and its AWS endpoint answer no other environment",
    "memory": "memory limit of the function, enforced by the kernel",
    "cpu": "share of CPU in proportion to memory",
    "pids": "limit of processes and threads",
    "tmp": "/tmp has its own size limit and is not charged to the function's memory",
    "user": "a user of its own, without capabilities in any namespace of the host",
    "syscalls": "allow-list of system calls",
}


def nothing() -> dict[str, bool]:
    return dict.fromkeys(GUARANTEES, False)


def by_reason(missing: Mapping[str, str]) -> dict[str, list[str]]:
    """Why -> the guarantees that are not given for that reason."""
    reasons: dict[str, list[str]] = {}
    for guarantee, why in missing.items():
        reasons.setdefault(why, []).append(guarantee)
    return reasons
