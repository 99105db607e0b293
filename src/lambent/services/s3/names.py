"""Gives files their names, and makes the names durable: one flush of a folder for all that got names meanwhile.

Folders are filled one after the other, so that those who write at one time share one. Whoever comes first gives names
to all who come until nobody is left; the others leave at once and hear of it on their event loop.
"""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lambent.store.files import sync_folder

PER_FOLDER: Final = 4096
Place = Callable[[Path], None]
"""Puts a file at a path, by a rename or as a second name. Raises `OSError`."""


class Names:
    """Below `root`. Ids are 12 hexadecimal digits: six of the folder, six of the file in it."""

    def __init__(self, root: Path, first_folder: int) -> None:
        self._root = root
        self._folder = first_folder - 1
        self._in_folder = PER_FOLDER
        self._gate = threading.Lock()
        self._wanted: list[tuple[Place, asyncio.Future[str]]] = []
        self._giving = False

    def path(self, file: str) -> Path:
        return self._root / file[:6] / file[6:]

    def give(self, place: Place, named: "asyncio.Future[str]") -> None:
        """On a thread. `named` gets the id once the name would survive a power cut, or an `OSError`; then there is no
        such file."""
        with self._gate:
            self._wanted.append((place, named))
            if self._giving:
                return
            self._giving = True
        while True:
            with self._gate:
                wanted, self._wanted = self._wanted, []
                if not wanted:
                    self._giving = False
                    return
            for loop, told in self._round(wanted).items():
                if not loop.is_closed():
                    loop.call_soon_threadsafe(_tell, told)

    def _round(self, wanted: list[tuple[Place, "asyncio.Future[str]"]]) -> "dict[asyncio.AbstractEventLoop, _Told]":
        given: list[tuple[asyncio.Future[str], str | OSError]] = []
        for place, named in wanted:
            try:
                file = self._next()
                place(self.path(file))
                given.append((named, file))
            except OSError as error:
                given.append((named, error))
        failed: dict[str, OSError] = {}
        for folder in {found[:6] for _, found in given if isinstance(found, str)}:
            try:
                sync_folder(self._root / folder)
            except OSError as error:
                failed[folder] = error
        told: dict[asyncio.AbstractEventLoop, _Told] = {}
        for named, found in given:
            if isinstance(found, str) and found[:6] in failed:
                self.path(found).unlink(missing_ok=True)
                found = failed[found[:6]]
            told.setdefault(named.get_loop(), []).append((named, found))
        return told

    def _next(self) -> str:
        if self._in_folder == PER_FOLDER:
            folder = self._folder + 1
            (self._root / f"{folder:06x}").mkdir(mode=0o700, exist_ok=True)
            sync_folder(self._root)
            self._folder, self._in_folder = folder, 0
        self._in_folder += 1
        return f"{self._folder:06x}{self._in_folder:06x}"


_Told = list[tuple["asyncio.Future[str]", str | OSError]]


def _tell(told: _Told) -> None:
    for named, found in told:
        if named.done():
            continue
        if isinstance(found, OSError):
            named.set_exception(found)
        else:
            named.set_result(found)
