"""The data directory: its layout, its version, and the lock that lets only one server use it.

    VERSION      number of the layout; a newer one is refused
    lock         held with flock while a server runs; names its process
    lambent.db   the database, with -wal and -shm beside it
    blobs/       content-addressed files, one folder per kind
    packages/    unpacked code packages; a cache that can be made again from blobs/
    s3/          the bytes of objects, one file each; rows name them
    secrets/     keys and tokens, one file each
    DATABASE     where the state is when it is not in lambent.db
    clock        milliseconds that the time of events is ahead, once it was advanced

Refuses a folder that holds other things: a mistaken `--data-dir` must not become 0700 or be filled with our files.
"""

import fcntl
import os
import secrets
from pathlib import Path
from typing import Self

from lambent.store.files import write_durably

VERSION = 1
_OWN_NAMES = frozenset(
    {"VERSION", "lock", "lambent.db", "DATABASE", "blobs", "packages", "s3", "secrets", "run", "logs", "clock"}
)


class DataDirError(Exception):
    """The data directory cannot be used; the message is one line for the user."""


class DataDirInUse(DataDirError):
    """Another server holds the lock."""


class DataDirTooNew(DataDirError):
    """A newer Lambent wrote it."""


class DataDir:
    """An opened and locked data directory. `close` releases the lock; so does the end of the process."""

    def __init__(self, root: Path, lock: int) -> None:
        self.root = root
        self._lock: int | None = lock

    @classmethod
    def open(cls, root: Path) -> Self:
        """Make `root` when it is missing, check its version, take its lock. `DataDirError` says what is wrong."""
        root = root.absolute()
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            _refuse_a_strange_folder(root)
            lock = _take_lock(root)
        except OSError as error:
            raise DataDirError(f"The data directory {root} cannot be used: {error.strerror or error}.") from error
        try:
            _check_version(root)
            root.chmod(0o700)
            for name in ("blobs", "packages", "secrets"):
                (root / name).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            os.close(lock)
            raise DataDirError(f"The data directory {root} cannot be used: {error.strerror or error}.") from error
        except DataDirError:
            os.close(lock)
            raise
        return cls(root, lock)

    @property
    def database(self) -> Path:
        return self.root / "lambent.db"

    @property
    def elsewhere(self) -> str | None:
        """The database, outside of this directory, that its blobs and keys belong to."""
        try:
            return (self.root / "DATABASE").read_text().strip()
        except FileNotFoundError:
            return None

    def belongs_to(self, database: str) -> None:
        """From now on `elsewhere`."""
        if self.elsewhere != database:
            write_durably(self.root / "DATABASE", f"{database}\n".encode())

    @property
    def packages(self) -> Path:
        return self.root / "packages"

    def blobs(self, kind: str) -> Path:
        return self.root / "blobs" / kind

    def secret(self, name: str) -> bytes:
        """32 random bytes, as hex digits, that stay the same for this data directory; made at the first call."""
        path = self.root / "secrets" / name
        try:
            return path.read_bytes()
        except FileNotFoundError:
            write_durably(path, secrets.token_hex(32).encode())
            return path.read_bytes()

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def check(root: Path) -> None:
    """Raise DataDirError where the existing folder `root` cannot be used as one; changes nothing, takes no lock."""
    root = root.absolute()
    _refuse_a_strange_folder(root)
    if (root / "VERSION").exists():
        _check_version(root)


def _refuse_a_strange_folder(root: Path) -> None:
    if (root / "VERSION").exists():
        return
    strange = sorted(item.name for item in root.iterdir() if item.name not in _OWN_NAMES and item.name[0] != ".")
    if strange:
        raise DataDirError(
            f"{root} is not a data directory of Lambent: it holds {strange[0]}. Name an empty or a new folder."
        )


def _take_lock(root: Path) -> int:
    lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
        os.close(lock)
        who = f" (process {holder})" if holder.isdigit() else ""
        raise DataDirInUse(
            f"The data directory {root} is in use by another Lambent{who}. Stop it or choose another --data-dir."
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _check_version(root: Path) -> None:
    path = root / "VERSION"
    try:
        found = path.read_text().strip()
    except FileNotFoundError:
        write_durably(path, f"{VERSION}\n".encode())
        return
    if not found.isdigit():
        raise DataDirError(f"The data directory {root} has an unreadable VERSION file.")
    if int(found) > VERSION:
        raise DataDirTooNew(
            f"The data directory {root} has version {found}, written by a newer Lambent; this one knows {VERSION}."
            " Upgrade Lambent or choose another --data-dir."
        )
