"""How SQLite is opened: everything that is particular to it, so that the rest speaks portable SQL.

WAL with `synchronous=FULL`: a commit that has returned survives a power cut. One engine for the writer thread, whose
transactions take the write lock at BEGIN, and one for readers, which cannot write at all.
"""

from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection as Driver
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, QueuePool, create_engine, event

BUSY_TIMEOUT_MS = 5000


def writer_engine(path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Engine:
    engine = create_engine(_url(path), poolclass=NullPool, connect_args={"check_same_thread": False})
    _prepare(engine, ("journal_mode=WAL", "synchronous=FULL", *_common(busy_timeout_ms)), "BEGIN IMMEDIATE")
    return engine


def reader_engine(path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Engine:
    engine = create_engine(
        _url(path), poolclass=QueuePool, pool_size=4, max_overflow=0, connect_args={"check_same_thread": False}
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
