"""How SQLite is opened: everything that is particular to it, so that the rest speaks portable SQL.

WAL with `synchronous=FULL`: a commit that has returned survives a power cut. One engine for the writer thread, whose
transactions take the write lock at BEGIN, and one for readers, which cannot write at all.
"""

import os
from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection as Driver
from typing import Any, Final

from sqlalchemy import Connection, Engine, NullPool, QueuePool, create_engine, event

from lambent.store import migrations

BUSY_TIMEOUT_MS = 5000


class SQLite:
    """A `Dialect`: the file at `path`."""

    look_s: Final = None
    # After a full disk or an error of the device its state is unknown.
    rolls_back: Final = False

    def __init__(self, path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        self._path = path
        self._busy_timeout_ms = busy_timeout_ms

    @property
    def shown(self) -> str:
        return str(self._path)

    def writer(self) -> Engine:
        _keep_to_owner(self._path)
        return writer_engine(self._path, busy_timeout_ms=self._busy_timeout_ms)

    def reader(self) -> Engine:
        return reader_engine(self._path, busy_timeout_ms=self._busy_timeout_ms)

    def begin(self, connection: Connection) -> None:
        migrations.bring_up_to_date(connection)

    def resume(self, connection: Connection) -> None:
        pass

    def check(self, connection: Connection) -> None:
        pass

    def alive(self, connection: Connection) -> bool:
        return True

    def answered(self) -> None:
        pass

    def committed(self, connection: Connection) -> bool:
        return False


# Parameters are hidden: they are what users store, and errors go to the log.
def writer_engine(path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Engine:
    engine = create_engine(
        _url(path), poolclass=NullPool, connect_args={"check_same_thread": False}, hide_parameters=True
    )
    _prepare(engine, ("journal_mode=WAL", "synchronous=FULL", *_common(busy_timeout_ms)), "BEGIN IMMEDIATE")
    return engine


def reader_engine(path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Engine:
    engine = create_engine(
        _url(path),
        poolclass=QueuePool,
        pool_size=4,
        max_overflow=0,
        connect_args={"check_same_thread": False},
        hide_parameters=True,
    )
    _prepare(engine, ("query_only=ON", *_common(busy_timeout_ms)), "BEGIN")
    return engine


def _url(path: Path) -> str:
    return f"sqlite+pysqlite:///{path}"


def _common(busy_timeout_ms: int) -> tuple[str, ...]:
    # Temporary tables in memory: the supervisor may write nowhere but in the data directory.
    return ("foreign_keys=ON", f"busy_timeout={busy_timeout_ms}", "temp_store=MEMORY")


def _prepare(engine: Engine, pragmas: tuple[str, ...], begin: str) -> None:
    def connected(driver: Driver, _record: Any) -> None:
        # The driver's own transaction handling commits behind our back before some statements; ours is explicit.
        driver.isolation_level = None
        for pragma in pragmas:
            driver.execute(f"PRAGMA {pragma}").close()

    def began(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    listeners: tuple[tuple[str, Callable[..., None]], ...] = (("connect", connected), ("begin", began))
    for name, listener in listeners:
        event.listen(engine, name, listener)


def _keep_to_owner(path: Path) -> None:
    """Nobody else reads it, wherever the data dir is; what SQLite makes beside it has the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
