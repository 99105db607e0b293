"""How many environments this machine can hold, and when idle ones must go: decisions of memory and descriptors."""

import os
import resource
from pathlib import Path

SMALLEST_FUNCTION_MB = 128
FILES_PER_ENVIRONMENT = 24
"""Listeners, connections, the pipe, the control socket, and what the endpoint holds."""
LOW_MEMORY = 0.10
"""Below this share of available memory idle environments are given up."""

_MEMINFO = Path("/proc/meminfo")


def machine_memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def open_files_limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def max_environments(memory_bytes: int, open_files: int) -> int:
    """As many as the smallest functions fit in memory and the descriptors allow; 4 at least."""
    by_memory = memory_bytes // (SMALLEST_FUNCTION_MB * 1024 * 1024)
    by_files = (open_files - 256) // FILES_PER_ENVIRONMENT
    return max(4, min(by_memory, by_files))


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
