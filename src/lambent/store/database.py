"""The database: one writer thread that commits in groups, and a few readers.

Owns transactions, their grouping and what happens when the disk is full or the file is locked: a `PlatformFault` for
the callers of that moment, and a fresh connection for the next ones. Knows no table.
"""

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from lambent.aws.errors import PlatformFault
from lambent.store import migrations
from lambent.store.sqlite import BUSY_TIMEOUT_MS, reader_engine, writer_engine

T = TypeVar("T")
Work = Callable[[Connection], T]

MAX_GROUP = 512
READERS = 3


class Database:
    """Opened by `open`, which brings the schema up to date; closed once, by its owner."""

    def __init__(self, writer: Engine, reader: Engine) -> None:
        self._writer = _Writer(writer)
        self._reader = reader
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._closed = False

    @classmethod
    def open(cls, path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Self:
        """Open or make the SQLite file at `path`. `SchemaTooNew` when a newer Lambent wrote it."""
        _keep_to_owner(path)
        writer = writer_engine(path, busy_timeout_ms=busy_timeout_ms)
        migrations.bring_up_to_date(writer)
        return cls(writer, reader_engine(path, busy_timeout_ms=busy_timeout_ms))

    def carry(self, **values: object) -> None:
        """What every transaction shall find in `connection.engine.get_execution_options()`: keys of its columns."""
        self._writer.carry(values)
        self._reader.update_execution_options(**values)

    async def write(self, work: Work[T], *, applied: Callable[[T], None] | None = None) -> T:
        """Run `work` in a transaction of the writer thread; return its result after the commit is on disk.

        What `work` raises is raised here, and nothing it did is kept. `applied(result)` runs on the event loop right
        after the commit, in the order of commits, also when the awaiting task was cancelled meanwhile. `work` may be
        run a second time when the group it shared a transaction with failed as a whole. `PlatformFault`: the store
        cannot write now (disk full, locked, closed).
        """
        loop = asyncio.get_running_loop()
        job = _Job(work, applied, loop, loop.create_future())
        self._writer.submit(job)
        result: T = await job.future
        return result

    async def read(self, work: Work[T]) -> T:
        """Run `work` on a reader's thread, in a transaction that sees one moment and cannot write."""
        if self._closed:
            raise PlatformFault("The store is closed.")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    def read_now(self, work: Work[T]) -> T:
        """`read` for start-up: on the calling thread."""
        return self._read(work)

    def _read(self, work: Work[T]) -> T:
        try:
            with self._reader.connect() as connection, connection.begin():
                return work(connection)
        except DBAPIError as error:
            raise PlatformFault(f"The store cannot be read: {error.orig}") from error

    async def close(self) -> None:
        """Commit what was submitted, then close. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._writer.close)
        self._readers.shutdown(wait=True, cancel_futures=True)
        self._reader.dispose()


class _Job(Generic[T]):
    """One `work` on its way through the writer thread."""

    __slots__ = ("_result", "applied", "error", "future", "loop", "work")
    _result: T

    def __init__(
        self,
        work: Work[T],
        applied: Callable[[T], None] | None,
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[T],
    ) -> None:
        self.work = work
        self.applied = applied
        self.loop = loop
        self.future = future
        self.error: BaseException | None = None

    def __enter__(self) -> None:
        self.error = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Carry any failure to the coroutine that waits, instead of ending the thread or the group."""
        self.error = error
        return isinstance(error, Exception)

    def run(self, connection: Connection) -> None:
        with self:
            self._result = self.work(connection)

    def broke_the_store(self) -> bool:
        """Whether the failure may have ended the whole transaction, as SQLite does when the disk is full."""
        return isinstance(self.error, DBAPIError) and not isinstance(self.error, IntegrityError)

    def resolve(self) -> None:
        if self.error is None and self.applied is not None:
            with self:
                self.applied(self._result)
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self._result)


class _Writer:
    """The thread. Whatever waits when a commit ends forms the next group."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._closing = False
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="store-write", daemon=True)
        self._thread.start()

    def carry(self, values: Mapping[str, object]) -> None:
        self._engine.update_execution_options(**values)

    def submit(self, job: _Job[Any]) -> None:
        with self._gate:
            if self._closing:
                raise PlatformFault("The store is closed.")
            self._jobs.put(job)

    def close(self) -> None:
        with self._gate:
            self._closing = True
            self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        more = True
        while more:
            group, more = self._next_group()
            if group:
                self._commit(group)
                _resolve(group)
        self._disconnect()
        self._engine.dispose()

    def _next_group(self) -> tuple[list[_Job[Any]], bool]:
        job = self._jobs.get()
        group: list[_Job[Any]] = []
        while job is not None:
            group.append(job)
            if len(group) == MAX_GROUP:
                return group, True
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return group, True
        return group, False

    def _commit(self, group: Sequence[_Job[Any]]) -> None:
        try:
            self._transact(group)
        except SQLAlchemyError as error:
            self._disconnect()
            if len(group) > 1:
                # One full disk or one huge row must not fail its neighbours: each alone shows whose fault it was.
                for job in group:
                    self._commit((job,))
            else:
                cause = error.orig if isinstance(error, DBAPIError) else error
                group[0].error = PlatformFault(f"The store cannot write: {cause}")
                group[0].error.__cause__ = error

    def _transact(self, group: Sequence[_Job[Any]]) -> None:
        if self._connection is None:
            self._connection = self._engine.connect()
        connection = self._connection
        with connection.begin():
            for job in group:
                savepoint = connection.begin_nested()
                job.run(connection)
                if job.error is None:
                    savepoint.commit()
                elif job.broke_the_store():
                    raise job.error
                else:
                    savepoint.rollback()

    def _disconnect(self) -> None:
        """Drop a connection of unknown state. The next group opens another: recovery needs no restart."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def _resolve(group: Sequence[_Job[Any]]) -> None:
    """Hand the results over, one call per event loop, in the order of the commits."""
    loops = {id(job.loop): job.loop for job in group}
    for key, loop in loops.items():
        done = [job for job in group if id(job.loop) == key]
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve_all, done)


def _resolve_all(group: Sequence[_Job[Any]]) -> None:
    for job in group:
        job.resolve()


def _keep_to_owner(path: Path) -> None:
    """Nobody else reads it, wherever the data dir is; what SQLite makes beside it has the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
