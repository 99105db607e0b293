"""Whether the CPUs of this machine have more to do than they can, at this moment."""

import os
from typing import Final

BUSY_PER_CPU: Final = 3
_LOADAVG: Final = "/proc/loadavg"


def cpus_are_taken(path: str = _LOADAVG, cpus: int | None = None) -> bool:
    """More than `BUSY_PER_CPU` threads for each CPU want one; False where the kernel does not say."""
    try:
        with open(path, encoding="ascii") as file:
            wanting = int(file.read().split()[3].partition("/")[0])
    except (OSError, IndexError, ValueError):
        return False
    return wanting > BUSY_PER_CPU * (cpus or os.cpu_count() or 1)
