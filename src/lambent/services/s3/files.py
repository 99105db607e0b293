"""The bytes of objects: one file each, which never changes once it has its name.

A file is written aside, flushed, renamed, and its folder flushed (`names`); only then may a row name it. It is deleted
after the commit that took its row away. A crash in between leaves a file without a row, which `sweep` removes after the
next start, and never a row without a file.
"""

import asyncio
import errno
import logging
import os
import time
from collections import Counter
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from lambent.aws.errors import PlatformFault
from lambent.aws.streams import IN_A_THREAD_BYTES
from lambent.core.tasks import detach
from lambent.services.s3.names import Names, Place
from lambent.store.files import scratch_name

logger = logging.getLogger(__name__)

T = TypeVar("T")

THREADS: Final = 8
"""That write and flush: those who wait for the disk at one time share its flushes."""
BATCH_BYTES: Final = 1024 * 1024
"""Of a body, for one call of a thread; twice as much of each body is in memory."""
DOUBT_S: Final = 15.0
"""After a COMMIT without an answer its end is known by then."""
_SCRATCH: Final = "new"
_MOST_AT_ONCE: Final = 512


class Files:
    """Below `root`, which is made."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._scratch = root / _SCRATCH
        self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._scratch.iterdir():
            left.unlink()
        self.first_folder = 1 + max((int(name, 16) for name in self._folders()), default=0)
        self._names = Names(root, self.first_folder)
        self._freed: list[str] = []
        self._freeing = False
        self._doubtful: dict[str, float] = {}
        self._held: Counter[str] = Counter()
        self._doomed: set[str] = set()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="s3-file")

    def path(self, file: str) -> Path:
        return self._names.path(file)

    async def run(self, work: Callable[[], T]) -> T:
        """On a thread of those that wait for the disk."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def write(self, chunks: AsyncIterable[bytes], length: int | None = None) -> str | None:
        """Store what comes, and return its id once it would survive a power cut; None when nothing came.

        `length`: of all of it, where that is known: then the file is flushed while `chunks` find out whether their end
        is as it should be. Raises `PlatformFault` when the disk is full, and what `chunks` raises; then nothing is
        left.
        """
        scratch = _Scratch(self._scratch / scratch_name())
        batch: list[bytes] = []
        size = total = 0
        writing: asyncio.Future[None] | None = None
        loop = asyncio.get_running_loop()
        try:
            async for chunk in chunks:
                batch.append(chunk)
                size += len(chunk)
                total += len(chunk)
                last = total == length
                if size >= BATCH_BYTES or (last and size >= IN_A_THREAD_BYTES):
                    # The next batch comes in while this one is written.
                    if writing is not None:
                        await writing
                    writing = loop.run_in_executor(self._threads, scratch.write, batch, last)
                    batch, size = [], 0
            if writing is not None:
                await writing
            elif not batch:
                return None
            return await self._named(lambda: scratch.write(batch, flush=True), scratch.rename)
        except OSError as error:
            raise _fault(error) from error
        finally:
            if writing is not None:
                await asyncio.wait([writing])
                writing.exception()
            if not scratch.renamed:
                await asyncio.shield(self.run(scratch.discard))

    async def link(self, file: str) -> str | None:
        """A second name for the bytes of `file`, which is as durable. None: the file is gone, or has too many."""
        try:
            return await self._named(lambda: None, lambda path: os.link(self.path(file), path))
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EMLINK:
                return None
            raise _fault(error) from error

    def hold(self, files: Iterable[str]) -> None:
        """Somebody reads them: who deletes them waits for `release`. Look afterwards whether they are still there."""
        self._held.update(files)

    def release(self, files: Iterable[str]) -> None:
        free: list[str] = []
        for file in files:
            self._held[file] -= 1
            if not self._held[file]:
                del self._held[file]
                if file in self._doomed:
                    self._doomed.discard(file)
                    free.append(file)
        self.free(free)

    def free(self, files: Iterable[str]) -> None:
        """`delete` them soon, together with others."""
        self._freed.extend(files)
        if self._freed and not self._freeing:
            self._freeing = True
            detach("deletion of S3's files", self._delete_freed())

    async def _delete_freed(self) -> None:
        try:
            while self._freed:
                some, self._freed = self._freed, []
                await self.delete(some)
        finally:
            self._freeing = False

    async def delete(self, files: Sequence[str]) -> None:
        """After the commit. One that cannot be deleted is left to the sweep."""
        for start in range(0, len(files), _MOST_AT_ONCE):
            some = files[start : start + _MOST_AT_ONCE]
            if self._held:
                held = {file for file in some if file in self._held}
                self._doomed |= held
                some = [file for file in some if file not in held]
            await self.run(lambda some=some: self._delete(some))  # type: ignore[misc]

    def doubt(self, file: str) -> None:
        """Nobody knows whether a row names it: `settle` finds out."""
        self._doubtful[file] = time.monotonic()

    async def settle(self, unknown: Callable[[list[str]], Awaitable[set[str]]]) -> None:
        """Delete the doubtful files of a while ago that no row names."""
        old = [file for file, since in self._doubtful.items() if time.monotonic() - since >= DOUBT_S]
        if old:
            orphans = await unknown(old)
            for file in old:
                self._doubtful.pop(file, None)
            await self.delete(sorted(orphans))

    async def sweep(self, unknown: Callable[[list[str]], Awaitable[set[str]]]) -> int:
        """Delete the files from before this start that no row names; `unknown` says which of some those are."""
        swept = 0
        for folder in await self.run(lambda: sorted(self._folders())):
            if int(folder, 16) >= self.first_folder:
                continue
            names = await self.run(lambda folder=folder: sorted(os.listdir(self._root / folder)))  # type: ignore[misc]
            for start in range(0, len(names), _MOST_AT_ONCE):
                orphans = await unknown([folder + name for name in names[start : start + _MOST_AT_ONCE]])
                swept += len(orphans)
                await self.delete(sorted(orphans))
            await self.run(lambda folder=folder: self._remove_if_empty(folder))  # type: ignore[misc]
        return swept

    def close(self) -> None:
        self._threads.shutdown(wait=True)

    async def _named(self, prepare: Callable[[], None], place: Place) -> str:
        """Raises `OSError`."""
        named: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def work() -> None:
            prepare()
            self._names.give(place, named)

        self._threads.submit(work).add_done_callback(partial(_tell_failure, named))
        try:
            return await asyncio.shield(named)
        except asyncio.CancelledError:
            # No row will ever name it.
            await asyncio.wait([named])
            if named.exception() is None:
                await self.delete([named.result()])
            raise

    def _delete(self, files: Iterable[str]) -> None:
        for file in files:
            try:
                self.path(file).unlink(missing_ok=True)
            except OSError as error:
                logger.warning("A file of S3 cannot be deleted now: %s", error)

    def _folders(self) -> Iterator[str]:
        return (item.name for item in self._root.iterdir() if item.name != _SCRATCH)

    def _remove_if_empty(self, folder: str) -> None:
        path = self._root / folder
        if not any(path.iterdir()):
            path.rmdir()


class _Scratch:
    """A file on its way. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._flushed = False
        self.renamed = False

    def write(self, chunks: Sequence[bytes], flush: bool = False) -> None:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        # All at once, without putting them together before.
        for start in range(0, len(chunks), 512):
            some = chunks[start : start + 512]
            left = sum(map(len, some)) - os.writev(self._descriptor, some)
            if left:
                # The disk took a part of it: the rest shows why.
                rest = memoryview(b"".join(some))[-left:]
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
        if chunks:
            self._flushed = False
        if flush and not self._flushed:
            os.fsync(self._descriptor)
            self._flushed = True

    def rename(self, path: Path) -> None:
        os.rename(self._path, path)
        self.renamed = True
        self._close()

    def discard(self) -> None:
        if self._descriptor is not None:
            self._close()
            self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _tell_failure(named: "asyncio.Future[str]", done: "Future[None]") -> None:
    error, loop = done.exception(), named.get_loop()
    if error is not None and not loop.is_closed():
        loop.call_soon_threadsafe(_fail, named, error)


def _fail(named: "asyncio.Future[str]", error: BaseException) -> None:
    if not named.done():
        named.set_exception(error)


def _fault(error: OSError) -> PlatformFault:
    return PlatformFault(f"The object cannot be stored: {error.strerror or error}")
