"""The one thread that writes: whatever waits when a commit ends forms the next group.

Owns transactions, their grouping, and what happens when the disk is full, the file is locked or the database server
goes away: a `PlatformFault` for the callers of that moment, and a fresh connection for the next ones. A write is never
done twice and never forgotten: where the answer to a COMMIT is lost, the database is asked what became of it.
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection, RootTransaction
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from lambent.aws.errors import PlatformFault
from lambent.store.datadir import DataDirError
from lambent.store.dialect import DatabaseLost, Dialect

logger = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[Connection], T]

MAX_GROUP: Final = 512
DEEPEST: Final = 16
"""Savepoints in each other."""
DOUBT_S: Final = 5.0
"""So long the callers of a COMMIT without an answer wait for the server to come back and tell."""
RETRY_S: Final = 0.1


class Job(Generic[T]):
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

    def leave(self, fault: PlatformFault) -> None:
        """The caller waits no longer; `applied` may still be called."""
        if not self.future.done():
            self.future.set_exception(fault)


Group = Sequence[Job[Any]]


class _Unreachable(Exception):
    """No connection, or no transaction: nothing of the group was done."""


class _Undecided(Exception):
    """The connection was lost with the answer to a COMMIT."""


class _Aborted(Exception):
    """The COMMIT without an answer was none."""


class Writer:
    """The thread."""

    def __init__(self, dialect: Dialect) -> None:
        """Raises what `Dialect.begin` raises, and SQLAlchemyError."""
        self._dialect = dialect
        self.engine = dialect.writer()
        self._jobs: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._closing = False
        self._undecided: Group = ()
        self._away = False
        self.lost: DatabaseLost | None = None
        """Why no write succeeds any more."""
        self.on_loss: Callable[[], None] = lambda: None
        """Called on the thread when somebody else has the database now."""
        self._connection: Connection | None = None
        try:
            self._connection = self.engine.connect()
            dialect.begin(self._connection)
        except BaseException:
            self._disconnect()
            raise
        self._thread = threading.Thread(target=self._run, name="store-write", daemon=True)
        self._thread.start()

    def submit(self, job: Job[Any]) -> None:
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
        self._disconnect()
        self.engine.dispose()

    def _next_group(self) -> tuple[Group, bool]:
        try:
            job = self._jobs.get(timeout=RETRY_S if self._undecided else self._dialect.look_s)
        except queue.Empty:
            self._look()
            return (), True
        group: list[Job[Any]] = []
        while job is not None:
            group.append(job)
            if len(group) == MAX_GROUP:
                return group, True
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return group, True
        return group, False

    def _commit(self, group: Group, *, again: bool = True) -> None:
        try:
            self._transact(group)
        except _Undecided as undecided:
            self._learn(group, undecided)
            return
        except _Unreachable as unreachable:
            # No traceback for each of the many callers of an outage: the first line says it.
            _fail(group, unreachable.__cause__, traced=False)
        except SQLAlchemyError as error:
            lost = isinstance(error, DBAPIError) and error.connection_invalidated
            if lost or not self._dialect.rolls_back:
                self._disconnect()
            if lost and again:
                # The server was started anew since the last group: nothing was done on the old connection.
                self._commit(group, again=False)
                return
            if len(group) > 1 and not lost:
                # One full disk or one huge row must not fail its neighbours: each alone shows whose fault it was.
                for job in group:
                    self._commit((job,))
                return
            _fail(group, error)
        except DatabaseLost as error:
            self._give_up(error)
            _fail(group, error)
        _resolve(group)

    def _transact(self, group: Group) -> None:
        with self._begun(self._connected()) as transaction:
            connection = transaction.connection
            if len(group) == 1:
                if not _alone(group[0], connection):
                    transaction.rollback()
                    return
            else:
                _together(group, connection)
            self._dialect.check(connection)
            try:
                transaction.commit()
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                self._disconnect()
                raise _Undecided from error
            self._dialect.answered()

    def _begun(self, connection: Connection) -> RootTransaction:
        """Raises `_Unreachable`: another program has locked it, and each of the group would wait as long again."""
        try:
            return connection.begin()
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            self._disconnect()
            raise _Unreachable from error

    def _connected(self) -> Connection:
        """Raises `_Unreachable`."""
        if self.lost is not None:
            raise _Unreachable from self.lost
        if self._connection is None:
            connection = None
            try:
                connection = self.engine.connect()
                self._dialect.resume(connection)
                committed = bool(self._undecided) and self._dialect.committed(connection)
            except (SQLAlchemyError, DataDirError) as error:
                if connection is not None:
                    _drop(connection)
                if isinstance(error, DatabaseLost):
                    self._give_up(error)
                raise _Unreachable from error
            undecided, self._undecided = self._undecided, ()
            self._connection = connection
            if committed:
                _resolve(undecided)
            else:
                for job in undecided:
                    job.error = _Aborted()
        return self._connection

    def _give_up(self, error: DatabaseLost) -> None:
        self._disconnect()
        self._undecided = ()
        if self.lost is None:
            self.lost = error
            logger.error("%s Nothing can be written any more.", error)
            self.on_loss()

    def _learn(self, group: Group, undecided: _Undecided) -> None:
        """What became of a COMMIT: done, or to be done again, or nobody can tell yet."""
        self._undecided = group
        give_up = time.monotonic() + DOUBT_S
        while True:
            try:
                self._connected()
            except _Unreachable:
                if time.monotonic() < give_up:
                    time.sleep(RETRY_S)
                    continue
                fault = _fault(undecided.__cause__)
                for loop, jobs in _by_loop(group):
                    loop.call_soon_threadsafe(_leave_all, jobs, fault)
                return
            if isinstance(group[0].error, _Aborted):
                self._commit(group)
            return

    def _look(self) -> None:
        """Idle: see whether the server is still there, and come back where it was away."""
        if self._connection is not None and not self._dialect.alive(self._connection):
            self._disconnect()
        try:
            self._connected()
        except _Unreachable as unreachable:
            if not self._away:
                logger.warning("The database is away: %s", said(unreachable.__cause__))
            self._away = True
        else:
            self._away = False

    def _disconnect(self) -> None:
        """Drop a connection of unknown state. The next group opens another: recovery needs no restart."""
        connection, self._connection = self._connection, None
        if connection is not None:
            _drop(connection)


def _drop(connection: Connection) -> None:
    connection.invalidate()
    connection.close()


def _alone(job: Job[Any], connection: Connection) -> bool:
    """Without a savepoint: there is no neighbour to protect. False: what it did is to be undone."""
    job.run(connection)
    if job.error is not None and job.broke_the_store():
        raise job.error
    return job.error is None


def _together(group: Group, connection: Connection) -> None:
    """Each in a savepoint. They are nested and released many at a time, for each statement is a round trip."""
    for number, job in enumerate(group):
        depth = number % DEEPEST
        connection.exec_driver_sql(f"SAVEPOINT job_{depth}").close()
        job.run(connection)
        if job.error is not None:
            if job.broke_the_store():
                raise job.error
            connection.exec_driver_sql(f"ROLLBACK TO SAVEPOINT job_{depth}").close()
        if depth == DEEPEST - 1:
            connection.exec_driver_sql("RELEASE SAVEPOINT job_0").close()


def _fail(group: Group, error: BaseException | None, *, traced: bool = True) -> None:
    for job in group:
        job.error = _fault(error)
        job.error.__cause__ = error if traced else None


def _fault(error: BaseException | None) -> PlatformFault:
    return PlatformFault(f"The store cannot write: {said(error)}")


def said(error: BaseException | None) -> str:
    """The first line: servers add hints, and the addresses they were tried at."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return (str(cause).strip() or repr(cause)).splitlines()[0]


def _resolve(group: Group) -> None:
    """Hand the results over, one call per event loop, in the order of the commits."""
    for loop, jobs in _by_loop(group):
        loop.call_soon_threadsafe(_resolve_all, jobs)


def _by_loop(group: Group) -> list[tuple[asyncio.AbstractEventLoop, Group]]:
    loops = {id(job.loop): job.loop for job in group}
    return [(loop, [job for job in group if job.loop is loop]) for loop in loops.values() if not loop.is_closed()]


def _resolve_all(group: Group) -> None:
    for job in group:
        job.resolve()


def _leave_all(group: Group, fault: PlatformFault) -> None:
    for job in group:
        job.leave(fault)
