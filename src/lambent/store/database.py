"""The database: one writer thread that commits in groups, and a few readers.

The door to it: `write`, `read`, and where it is, a file of SQLite or a database of PostgreSQL. Transactions and their
failures are `writer`'s, what is particular to a kind of database is in `sqlite` and `postgres`. Knows no table.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from sqlalchemy.exc import DBAPIError

from lambent.aws.errors import PlatformFault
from lambent.store.datadir import DataDirError
from lambent.store.dialect import Dialect
from lambent.store.sqlite import BUSY_TIMEOUT_MS, SQLite
from lambent.store.writer import Job, Work, Writer, said

T = TypeVar("T")

READERS = 3


class Database:
    """Opened by `open`, which brings the schema up to date; closed once, by its owner."""

    def __init__(self, dialect: Dialect) -> None:
        self.shown = dialect.shown
        """Where it is, for people; without a password."""
        self._writer = Writer(dialect)
        self._reader = dialect.reader()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._closed = False

    @classmethod
    def open(cls, path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Self:
        """Open or make the SQLite file at `path`. `SchemaTooNew` when a newer Lambent wrote it."""
        return cls(SQLite(path, busy_timeout_ms=busy_timeout_ms))

    @classmethod
    def open_url(cls, url: str, *, home: str, place: str = "", lock_wait_s: float | None = None) -> Self:
        """Open the PostgreSQL database at `url`, of the data directory with the identity `home`. Raises DataDirError.

        One server has it at one time: another one is waited for `lock_wait_s`, and then refused.
        """
        # Here and not above: most servers have SQLite, and the driver need not even be installed.
        try:
            from lambent.store.postgres import LOCK_WAIT_S, PostgreSQL
        except ModuleNotFoundError as error:
            raise DataDirError(
                f"PostgreSQL needs the Python package {error.name}: pip install 'lambent[postgres]'"
            ) from error
        wait_s = LOCK_WAIT_S if lock_wait_s is None else lock_wait_s
        dialect = PostgreSQL(url, home=home, place=place, lock_wait_s=wait_s)
        try:
            return cls(dialect)
        except DBAPIError as error:
            raise DataDirError(f"The database {dialect.shown} cannot be reached: {said(error)}") from error

    @property
    def lost(self) -> DataDirError | None:
        """Why no write succeeds any more; None while that may pass."""
        return self._writer.lost

    def carry(self, **values: object) -> None:
        """What every transaction shall find in `connection.engine.get_execution_options()`: keys of its columns."""
        self._writer.engine.update_execution_options(**values)
        self._reader.update_execution_options(**values)

    def when_lost(self, call: Callable[[], None]) -> None:
        """`call`, on this event loop, when another server has taken the database: no write succeeds any more."""
        loop = asyncio.get_running_loop()

        def lost() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(call)

        self._writer.on_loss = lost

    async def write(self, work: Work[T], *, applied: Callable[[T], None] | None = None) -> T:
        """Run `work` in a transaction of the writer thread; return its result after the commit is on disk.

        What `work` raises is raised here, and nothing it did is kept. `applied(result)` runs on the event loop right
        after the commit, in the order of commits, also when the awaiting task was cancelled meanwhile. `work` may be
        run a second time when the group it shared a transaction with failed as a whole. `PlatformFault`: the store
        cannot write now (disk full, locked, closed).
        """
        loop = asyncio.get_running_loop()
        job = Job(work, applied, loop, loop.create_future())
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
            try:
                return self._transact(work)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                # The server was started anew since the last one. This took all connections of before out of the pool.
                return self._transact(work)
        except DBAPIError as error:
            raise PlatformFault(f"The store cannot be read: {said(error)}") from error

    def _transact(self, work: Work[T]) -> T:
        with self._reader.connect() as connection, connection.begin():
            return work(connection)

    async def close(self) -> None:
        """Commit what was submitted, then close. Safe to call twice."""
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """`close`, on the calling thread."""
        if self._closed:
            return
        self._closed = True
        self._writer.close()
        self._readers.shutdown(wait=True, cancel_futures=True)
        self._reader.dispose()
