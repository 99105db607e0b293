"""Content-addressed files: a blob is named by the SHA-256 of its bytes, never changes, and is there or not.

`put` returns when the blob would survive a power cut; the row that names it is committed after that. Which blobs are
still wanted only their owner knows. All methods block on the disk: call them from a thread, small ones excepted.
"""

import hashlib
import mmap
import re
from collections.abc import Iterator
from pathlib import Path

from lambent.store.files import SCRATCH_PREFIX, sync_folder, write_durably

_DIGEST = re.compile("[0-9a-f]{64}")


class Blobs:
    """Files below `root`, in 256 folders. Opening it removes what a crash left half-written."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in root.iterdir():
            for item in folder.glob(SCRATCH_PREFIX + "*"):
                item.unlink()

    def put(self, data: bytes | mmap.mmap, *, digest: str | None = None) -> str:
        """Store `data`; return its hex digest, which a caller that already knows it may pass in."""
        digest = digest or hashlib.sha256(data).hexdigest()
        path = self.path(digest)
        if not path.exists():
            if not path.parent.is_dir():
                path.parent.mkdir(mode=0o700, exist_ok=True)
                sync_folder(self._root)
            write_durably(path, data)
        return digest

    def path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise ValueError("a blob is named by 64 hex digits")
        return self._root / digest[:2] / digest

    def get(self, digest: str) -> bytes:
        """`FileNotFoundError` when it is not there."""
        return self.path(digest).read_bytes()

    def mapped(self, digest: str) -> mmap.mmap:
        """`get` for what is large: it stays on the disk, also when it is deleted meanwhile. Not of an empty one."""
        with self.path(digest).open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def delete(self, digest: str) -> None:
        """Remove it; nothing happens when it is not there."""
        self.path(digest).unlink(missing_ok=True)

    def list(self) -> Iterator[str]:
        for folder in self._root.iterdir():
            for item in folder.iterdir():
                if _DIGEST.fullmatch(item.name):
                    yield item.name
