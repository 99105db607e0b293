"""The pipe that is stdout and stderr of everything inside a sandbox."""

import fcntl
import os
from contextlib import suppress

_CAPACITY_BYTES = 1 << 20


def output_pipe() -> tuple[int, int]:
    """(read end, write end). The read end is non-blocking, the write end blocks, neither survives an exec."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        # A burst of log lines should not stop the function. Refused when the user's pipe pages are used up.
        with suppress(OSError):
            fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, _CAPACITY_BYTES)
    return read_end, write_end
