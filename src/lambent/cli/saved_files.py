"""Waits until files of a folder have been saved, by inotify, or by looking where there is none.

The kernel's own call through ctypes rather than a library: what counts here is the moment a file is *closed*, at
once, and libraries for many systems gather events for tens of milliseconds first and do not tell closing from writing.
"""

import ctypes
import errno
import os
import select
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, Self

from lambent.cli.failure import USAGE, Failure
from lambent.packaging.folder import PackagingError, Rules, files, folders

QUIET_S: Final = 0.004
"""So long nothing more must happen before a change counts as ended: an editor renames, a checkout writes many files."""
LONGEST_S: Final = 0.05
LOOK_S: Final = 0.1

_ATTRIB, _CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x4, 0x8, 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _OVERFLOW, _ONLYDIR, _IS_FOLDER = 0x400, 0x800, 0x4000, 0x0100_0000, 0x4000_0000
_MASK: Final = (
    _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF | _ONLYDIR
)
_EVENT: Final = struct.Struct("iIII")


class SavedFiles(Protocol):
    def wait(self, timeout_s: float) -> frozenset[str]:
        """Paths that changed, from the folder; none after `timeout_s`. Raises `Failure` when the folder is gone."""
        ...

    def close(self) -> None: ...


def saved_files(folder: Path) -> SavedFiles:
    """The best that this system has."""
    return Inotify.open(folder) if sys.platform == "linux" else Looking(folder)


class Inotify:
    def __init__(self, folder: Path, descriptor: int, libc: ctypes.CDLL) -> None:
        self._folder = folder.resolve()
        self._descriptor = descriptor
        self._libc = libc
        self._watched: dict[int, str] = {}
        """Folder by watch; "" is the root."""
        self._rules = Rules.of(self._folder)
        self._incomplete = False
        """Whether folders are there that could not be listed. What is wrong with them is said by the deployment."""

    @classmethod
    def open(cls, folder: Path) -> Self:
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if descriptor < 0:
            raise _limit(ctypes.get_errno())
        watcher = cls(folder, descriptor, libc)
        try:
            watcher._watch_all()
        except BaseException:
            watcher.close()
            raise
        return watcher

    def wait(self, timeout_s: float) -> frozenset[str]:
        changed: set[str] = set()
        deadline = time.monotonic() + timeout_s
        while True:
            pause = QUIET_S if changed else max(0.0, deadline - time.monotonic())
            if not select.select([self._descriptor], [], [], pause)[0]:
                return frozenset(changed)
            if new := self._read():
                if not changed:
                    deadline = time.monotonic() + LONGEST_S
                changed |= new
            if time.monotonic() >= deadline:
                return frozenset(changed)

    def close(self) -> None:
        os.close(self._descriptor)

    def _read(self) -> set[str]:
        data = os.read(self._descriptor, 65536)
        with suppress(PackagingError):
            self._rules = Rules.of(self._folder)
        rules = self._rules
        changed: set[str] = set()
        at = 0
        if self._incomplete:
            self._watch_again()
        while at < len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, at)
            name = os.fsdecode(data[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0"))
            at += _EVENT.size + length
            if mask & _OVERFLOW:
                self._watch_again()
                changed.add("")
                continue
            below = self._watched.get(watch)
            if below is None:
                continue
            if mask & (_DELETE_SELF | _MOVE_SELF):
                if not below:
                    raise Failure(f"{self._folder} is gone", USAGE)
                self._watched.pop(watch, None)
                continue
            path = f"{below}/{name}" if below else name
            if name == ".lambentignore" or not rules.leave_out(path):
                changed |= self._changed_by(path, mask)
        return changed

    def _changed_by(self, path: str, mask: int) -> set[str]:
        if mask & _IS_FOLDER:
            if mask & (_CREATE | _MOVED_TO):
                # Files may have been written in it before it was watched.
                self._watch_again()
            return set() if mask & _ATTRIB else {path}
        # A new file counts when it has been written; a link is never written.
        if mask & _CREATE and not (self._folder / path).is_symlink():
            return set()
        return {path}

    def _watch_again(self) -> None:
        self._incomplete = False
        try:
            self._watch_all()
        except PackagingError:
            self._incomplete = True

    def _watch_all(self) -> None:
        # A folder that is watched already keeps its number.
        for path in folders(self._folder):
            watch = self._libc.inotify_add_watch(self._descriptor, os.fsencode(self._folder / path), _MASK)
            if watch >= 0:
                self._watched[watch] = path
            elif (number := ctypes.get_errno()) not in (errno.ENOENT, errno.ENOTDIR):
                raise _limit(number)


class Looking:
    """Compares sizes and times, where the system tells nothing by itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[str, tuple[int, int, int]] = {}
        self._seen = self._look()

    def wait(self, timeout_s: float) -> frozenset[str]:
        deadline = time.monotonic() + timeout_s
        while True:
            now = self._look()
            changed = {path for path, _ in now.items() ^ self._seen.items()}
            self._seen = now
            if changed or time.monotonic() >= deadline:
                return frozenset(changed)
            time.sleep(LOOK_S)

    def close(self) -> None: ...

    def _look(self) -> dict[str, tuple[int, int, int]]:
        try:
            paths = files(self._folder)
        except PackagingError as error:
            if not self._folder.is_dir():
                raise Failure(str(error), USAGE) from error
            # The deployment says what is wrong with it; here nothing is known until it is mended.
            return {**self._seen, "": (0, 0, 0)}
        found = {}
        for path in paths:
            try:
                state = (self._folder / path).lstat()
            except OSError:
                continue
            found[path] = (state.st_mtime_ns, state.st_size, state.st_mode)
        return found


def _limit(number: int) -> Failure:
    text = f"the folder cannot be watched: {os.strerror(number)}"
    if number in (errno.ENOSPC, errno.EMFILE):
        text += "; give more with: sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512"
    return Failure(text, USAGE)
