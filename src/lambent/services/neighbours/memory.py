"""How much moto's process may hold. What moto keeps has no bound of its own, and every function may add to it.

Looked at after each request, since nothing grows without one; a single request that wants too much at once is stopped
by the kernel's limit. The process ends rather than refuse: what it would refuse is also what could make room.
"""

import logging
import os
import resource
import threading
from typing import Final

logger = logging.getLogger(__name__)

STACK_BYTES: Final = 1_048_576
"""Of a thread. All of it counts for the kernel's limit, used or not."""
LOG_LINE: Final = "moto holds more than the %d MB that it may (moto_memory_mb): it ends, and what it kept is lost"
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class MemoryLimit:
    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes

    def impose(self, threads: int) -> None:
        """The kernel's limit: room for a large request and its copies, and for the stacks of so many threads."""
        threading.stack_size(STACK_BYTES)
        most = 2 * self._limit_bytes + threads * STACK_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))

    def check(self) -> None:
        """Ends the process when it holds too much. Linux alone tells what it holds now."""
        try:
            with open("/proc/self/statm", encoding="ascii") as file:
                pages = int(file.read().split()[1])
        except FileNotFoundError:
            return
        if pages * _PAGE_BYTES > self._limit_bytes:
            self.end()

    def end(self) -> None:
        logger.error(LOG_LINE, self._limit_bytes >> 20)
        logging.shutdown()
        os._exit(1)
