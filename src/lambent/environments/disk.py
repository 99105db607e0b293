"""Whether the disk has room for another environment.

The /tmp of environments are sparse images in the data dir: together they may promise more than there is, as most
functions write little. So none is started once the disk is nearly full; what the database writes needs the rest.
"""

import logging
import os
from pathlib import Path

logger = logging.getLogger(__name__)

KEPT_BYTES = 1024**3
KEPT_SHARE = 20
"""On a small disk this part of it is kept instead."""


def kept_bytes(disk_bytes: int) -> int:
    return min(KEPT_BYTES, disk_bytes // KEPT_SHARE)


class Disk:
    """The one that holds `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._was_low = False

    def is_low(self) -> bool:
        found = os.statvfs(self._folder)
        kept = kept_bytes(found.f_blocks * found.f_frsize)
        low = found.f_bavail * found.f_frsize < kept
        if low and not self._was_low:
            logger.warning(
                "less than %d MB are free in %s: no environment is started until there is more",
                kept >> 20,
                self._folder,
            )
        self._was_low = low
        return low
