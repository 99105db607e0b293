"""A server whose data dir is on a small disk of its own, which tests fill. Needs root."""

from contextlib import AbstractContextManager
from pathlib import Path

from lambent.testing.running_server import COMMAND, Server

_MOUNTED = 'mount -t tmpfs -o size="$0" small "$1" && shift && exec "$@"'


def server_on_small_disk(folder: Path, size_mb: int) -> AbstractContextManager[Server]:
    """The disk is seen by the server alone: others reach it through /proc."""
    small = folder / "small"
    command = ("unshare", "--mount", "sh", "-c", _MOUNTED, f"{size_mb}m", str(small), str(COMMAND))
    return Server.start(small / "data", command=command)


def fill_disk(path: Path) -> None:
    """Write a file at `path` until not another 4 KB find room."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass
