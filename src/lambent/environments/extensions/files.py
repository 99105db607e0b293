"""Which extensions the layers of a function bring: the files directly in `extensions` of what becomes /opt.

It reads names and nothing else. A layer is a stranger's archive: neither a folder that is a link nor the target of
one is followed on the host; inside the sandbox, links lead nowhere else either.
"""

import os
from pathlib import Path

DISABLED = "disable-extensions-jwigqn8j"
"""A file of this name in /opt turns extensions off, API included. AWS's own name for it."""


def find(opt_dir: Path | None) -> tuple[str, ...] | None:
    """Sorted, as they are started; empty without any. None when they are turned off."""
    if opt_dir is None:
        return ()
    if os.path.lexists(opt_dir / DISABLED):
        return None
    try:
        folder = os.open(opt_dir / "extensions", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ()
    try:
        with os.scandir(folder) as entries:
            return tuple(sorted(entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)))
    finally:
        os.close(folder)
