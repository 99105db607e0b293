"""Code packages on disk: the archive as a blob, and its unpacked, read-only folder named by the same digest.

The archive is what must not be lost. The folder can be made again from it, and is: after a crash in the middle, and
after a reboot, since its files are not flushed one by one. A package is kept while a version names it or somebody
holds it (an upload, a running environment), and removed by `collect` afterwards. The merged packages of several layers
are a folder like them, without an archive of its own.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import TypeVar

from lambent.aws.errors import PlatformFault
from lambent.functions.archive import BadPackage, Content, open_archive, plan
from lambent.functions.opt import merge, opt_digest
from lambent.functions.quotas import Quotas
from lambent.functions.records import CodePackage
from lambent.functions.reuse import Unpacked
from lambent.functions.unpack import measure, remove, unpack
from lambent.store.blobs import Blobs
from lambent.store.files import SCRATCH_PREFIX, scratch_name

T = TypeVar("T")

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_STAMP = ".boot"
_WORKERS = 2


class Packages:
    """Opened on the folder of unpacked packages and the blobs of archives."""

    def __init__(self, folder: Path, blobs: Blobs, quotas: Quotas) -> None:
        self._folder = folder
        self._blobs = blobs
        self._quotas = quotas
        self._held: Counter[str] = Counter()
        self.on_released: Callable[[str], None] = lambda _sha256: None
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="package")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._distrust_after_reboot()
        self._rubbish = [item for item in folder.iterdir() if item.name.startswith(SCRATCH_PREFIX)]

    def path(self, sha256: str) -> Path:
        """The unpacked folder; `ready` makes sure that it is there."""
        return self._folder / sha256

    def archive(self, sha256: str) -> Path:
        return self._blobs.path(sha256)

    @asynccontextmanager
    async def accept(self, data: Content, like: str | None = None) -> AsyncIterator[CodePackage]:
        """Check, unpack and store an archive; it stays at least as long as the context.

        `like` names a package that this one may have much in common with, such as the function's present one.
        `BadPackage`: it is refused and nothing of it is left. `PlatformFault`: the disk is full.
        """
        with self.hold(like) if like else nullcontext():
            sha256 = await self._work(lambda: hashlib.sha256(data).hexdigest())
            with self.hold(sha256):
                unpacked_bytes = await self._work(lambda: self._unpack(sha256, data, like))
                await self._work(lambda: self._blobs.put(data, digest=sha256))
                yield CodePackage(sha256, len(data), unpacked_bytes)

    async def check(self, data: Content) -> CodePackage:
        """`accept` for a dry run: reads the whole archive and keeps nothing."""
        return await self._work(lambda: self._check(data))

    async def ready(self, code: CodePackage) -> Path:
        """The unpacked folder, made again from the archive when it is missing. Hold the package meanwhile."""
        if not self.path(code.sha256).is_dir():  # Seldom: each environment asks.
            await self._work(lambda: self._unpack_again(code.sha256))
        return self.path(code.sha256)

    async def ready_opt(self, layers: Sequence[CodePackage]) -> Path | None:
        """The folder for /opt, made when it is missing; None without layers. Hold the packages and `opt_digest`."""
        digest = opt_digest(layers)
        if digest is None:
            return None
        if not self.path(digest).is_dir():
            await self._work(lambda: self._merge(digest, layers))
        return self.path(digest)

    @contextmanager
    def hold_opt(self, layers: Sequence[CodePackage]) -> Iterator[None]:
        """Keep the packages of layers and what they are merged to."""
        digest = opt_digest(layers)
        with ExitStack() as stack:
            for name in {digest, *(layer.sha256 for layer in layers)} - {None}:
                stack.enter_context(self.hold(str(name)))
            yield

    @contextmanager
    def hold(self, sha256: str) -> Iterator[Path]:
        """Keep a package while it is in use, whatever happens to the versions that name it."""
        self._held[sha256] += 1
        try:
            yield self.path(sha256)
        finally:
            self._held[sha256] -= 1
            if not self._held[sha256]:
                del self._held[sha256]
                self.on_released(sha256)

    async def collect(self, referenced: Callable[[], Iterable[str]]) -> int:
        """Remove packages that no version and no holder needs; return how many.

        `referenced` is asked on the event loop, and what goes is renamed before anything else can run: a package
        that is accepted at the same time is either kept or stored anew.
        """
        on_disk = await self._work(self._on_disk)
        unused = on_disk - {*referenced(), *self._held}
        for sha256 in unused:
            self._set_aside(self.path(sha256))
            self._blobs.delete(sha256)
        rubbish, self._rubbish = self._rubbish, []
        await self._work(lambda: _remove_all(rubbish))
        return len(unused)

    def close(self) -> None:
        self._workers.shutdown(wait=True, cancel_futures=True)

    def _unpack(self, sha256: str, data: Content, like: str | None = None) -> int:
        final = self.path(sha256)
        with open_archive(data, self._quotas) as archive:
            planned = plan(archive, self._quotas)
            if final.is_dir():
                # It was counted when it was unpacked, and its headers told the truth then.
                return sum(entry.info.file_size for entry in planned.files)
            scratch = self._folder / scratch_name()
            scratch.mkdir(0o700)
            try:
                with self._unpacked(like) as other:
                    total = unpack(archive, planned, scratch, self._quotas, other.linking(data) if other else None)
                scratch.rename(final)
            except (BadPackage, OSError) as error:
                remove(scratch)
                # Somebody else may have been faster with the same archive.
                if isinstance(error, BadPackage) or not final.is_dir():
                    raise
                total = sum(entry.info.file_size for entry in planned.files)
        return total

    @contextmanager
    def _unpacked(self, like: str | None) -> Iterator[Unpacked | None]:
        """None where there is nothing to link to."""
        if not like or not self.path(like).is_dir() or not self.archive(like).exists():
            yield None
            return
        data = self._blobs.mapped(like)
        with open_archive(data, self._quotas) as archive:
            yield Unpacked(data, archive, self.path(like))

    def _unpack_again(self, sha256: str) -> None:
        if not self.path(sha256).is_dir():
            self._unpack(sha256, self._blobs.mapped(sha256))

    def _merge(self, digest: str, layers: Sequence[CodePackage]) -> None:
        for layer in layers:
            self._unpack_again(layer.sha256)
        final = self.path(digest)
        if final.is_dir():
            return
        scratch = self._folder / scratch_name()
        scratch.mkdir(0o700)
        try:
            merge([self.path(layer.sha256) for layer in layers], scratch)
            scratch.rename(final)
        except OSError:
            remove(scratch)
            # Somebody else may have been faster with the same layers.
            if not final.is_dir():
                raise

    def _check(self, data: Content) -> CodePackage:
        with open_archive(data, self._quotas) as archive:
            total = measure(archive, plan(archive, self._quotas), self._quotas)
        return CodePackage(hashlib.sha256(data).hexdigest(), len(data), total)

    async def _work(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, work)
        except OSError as error:
            raise PlatformFault(f"The package cannot be stored: {error.strerror or error}") from error

    def _on_disk(self) -> set[str]:
        unpacked = {item.name for item in self._folder.iterdir() if not item.name.startswith(".")}
        return unpacked | set(self._blobs.list())

    def _set_aside(self, folder: Path) -> None:
        if folder.is_dir():
            self._rubbish.append(folder.rename(self._folder / scratch_name()))

    def _distrust_after_reboot(self) -> None:
        """A machine that went down may have lost file contents, though not names: unpack everything again."""
        boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
        stamp = self._folder / _STAMP
        if boot and stamp.exists() and stamp.read_text() == boot:
            return
        for item in self._folder.iterdir():
            if not item.name.startswith("."):
                item.rename(self._folder / scratch_name())
        stamp.write_text(boot)


def _remove_all(folders: Iterable[Path]) -> None:
    for folder in folders:
        remove(folder)
