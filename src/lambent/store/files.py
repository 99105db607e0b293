"""Files that are whole after a crash: written aside, flushed to the disk, renamed, and their folder flushed too."""

import mmap
import os
import secrets
from pathlib import Path

SCRATCH_PREFIX = ".new-"
"""What begins with this in a folder of ours is unfinished; a start removes it."""


def write_durably(path: Path, data: bytes | mmap.mmap, *, mode: int = 0o600) -> None:
    """Put `data` at `path`, replacing what is there. `OSError` leaves the old file as it was, and nothing else."""
    scratch = path.with_name(scratch_name())
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
            os.fsync(file.fileno())
        scratch.rename(path)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def scratch_name() -> str:
    return SCRATCH_PREFIX + secrets.token_hex(8)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
