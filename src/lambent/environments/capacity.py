"""How many environments this machine can hold, and when idle ones must go: decisions of memory and descriptors."""

import ctypes
import os
import resource
import sys
from pathlib import Path

SMALLEST_FUNCTION_MB = 128
FILES_PER_ENVIRONMENT = 16
"""Listeners, pipes, the control socket and files of the cgroup, and one connection: 15. What functions open beyond that
is seen as it comes."""
KEPT_FILES = 2_048
"""For clients, the store and logs; a quarter where there are few in all."""
LOW_MEMORY = 0.10
"""Below this share of available memory idle environments are given up."""

_OPEN_FILES = "/dev/fd" if sys.platform == "darwin" else "/proc/self/fd"
_MEMINFO = Path("/proc/meminfo")


def give_back_memory() -> None:
    """What was used to start and is free now, to the system: 1.3 MB in 0.4 ms, where the C library can (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def machine_memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def open_files_limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def raise_open_files_limit() -> None:
    """To what the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def max_environments(memory_bytes: int, open_files: int) -> int:
    """As many as the smallest functions fit in memory and the descriptors allow; 4 at least."""
    by_memory = memory_bytes // (SMALLEST_FUNCTION_MB * 1024 * 1024)
    return max(4, min(by_memory, files_for(open_files, 0, 0)))


def open_files() -> int:
    """How many descriptors this process holds now."""
    # Linux tells their number as the size of the folder since 6.2.
    try:
        return os.stat(_OPEN_FILES).st_size or len(os.listdir(_OPEN_FILES))
    except OSError:
        return 0


def files_for(limit: int, used: int, starting: int) -> int:
    """For how many more environments there are descriptors, while `starting` have not opened theirs."""
    free = limit - min(KEPT_FILES, limit // 4) - used
    return max(0, free // FILES_PER_ENVIRONMENT - starting)


def available_memory() -> float:
    """Share of the machine's memory that can be had without swapping, 0 to 1; 1 where the kernel does not say."""
    try:
        text = _MEMINFO.read_text()
    except OSError:
        return 1.0
    sizes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in text.splitlines())}
    return sizes.get("MemAvailable", sizes["MemTotal"]) / sizes["MemTotal"]


def idle_to_evict(idle: int, available: float) -> int:
    """How many of `idle` environments to stop now: a quarter at a time while memory is low."""
    return 0 if available >= LOW_MEMORY or not idle else max(1, idle // 4)
