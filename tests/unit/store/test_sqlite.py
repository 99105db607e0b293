"""What only a file of SQLite does: the lock of another program, the disk that is full, modes of its files."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from lambent.aws.errors import PlatformFault
from lambent.store.database import Database
from lambent.store.messages import NewMessage
from lambent.store.queue import Queue


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database.open(tmp_path / "lambent.db", busy_timeout_ms=50)
    await database.write(lambda c: c.execute(text("CREATE TABLE things (n INTEGER PRIMARY KEY)")) and None)
    yield database
    await database.close()


def insert(connection: Connection, n: int) -> int:
    connection.execute(text("INSERT INTO things (n) VALUES (:n)"), {"n": n})
    return n


async def stored(database: Database) -> list[int]:
    return await database.read(lambda c: list(c.execute(text("SELECT n FROM things ORDER BY n")).scalars()))


async def test_a_locked_database_is_a_platform_fault_and_recovers(database: Database, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "lambent.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(PlatformFault, match="locked"):
        await database.write(lambda c: insert(c, 1))
    other.execute("ROLLBACK")
    other.close()
    assert await database.write(lambda c: insert(c, 1)) == 1


async def test_writes_that_wait_for_a_lock_are_refused_together(database: Database, tmp_path: Path) -> None:
    begun: list[str] = []
    event.listen(database._writer.engine, "before_cursor_execute", lambda *told: begun.append(told[2]))
    with closing(sqlite3.connect(tmp_path / "lambent.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writes = (database.write(partial(insert, n=n)) for n in range(200))
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert all(isinstance(each, PlatformFault) for each in results)
        assert begun.count("BEGIN IMMEDIATE") < 10, "each waits for the time-out"
    assert await stored(database) == []
    assert await database.write(lambda c: insert(c, 1)) == 1


async def test_a_put_waits_for_a_lock_and_is_there_when_it_returns(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "lambent.db", busy_timeout_ms=20_000)
    queue = Queue(database, "events")
    new = NewMessage(queue="events", lane="a", visible_ms=0, state="", body=b"1")
    with closing(sqlite3.connect(tmp_path / "lambent.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        putting: list[asyncio.Future[Any]] = [asyncio.ensure_future(queue.put(new)), queue.put_taken(new, 50)]
        done, _ = await asyncio.wait(putting, timeout=0.2)
        assert not done
        other.execute("ROLLBACK")
        await asyncio.gather(*putting)
        assert other.execute("SELECT count(*) FROM queue_messages").fetchone() == (2,)
    await database.close()


async def test_a_full_disk_fails_only_the_write_that_does_not_fit(database: Database) -> None:
    def limit(driver: sqlite3.Connection, _record: object = None) -> None:
        driver.execute("PRAGMA max_page_count = 40").close()

    event.listen(database._writer.engine, "connect", limit)
    await database.write(lambda c: limit(c.connection.driver_connection))  # type: ignore[arg-type]

    def grow(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE big (b BLOB)"))
        connection.execute(text("INSERT INTO big (b) VALUES (zeroblob(1000000))"))

    small, big, after = await asyncio.gather(
        database.write(lambda c: insert(c, 1)),
        database.write(grow),
        database.write(lambda c: insert(c, 2)),
        return_exceptions=True,
    )
    assert (small, after) == (1, 2)
    assert isinstance(big, PlatformFault)
    assert await stored(database) == [1, 2]


async def test_a_full_disk_refuses_and_recovers(database: Database) -> None:
    """What is acknowledged is there, what is refused is not, and room that is made can be used at once."""

    def limit(driver: sqlite3.Connection, _record: object = None) -> None:
        driver.execute("PRAGMA max_page_count = 120").close()

    queue = Queue(database, "events")
    event.listen(database._writer.engine, "connect", limit)
    await database.write(lambda c: limit(c.connection.driver_connection))  # type: ignore[arg-type]
    results = [
        result
        for wave in range(20)
        for result in await asyncio.gather(*(queue.put(_message(f"{wave}")) for _ in range(5)), return_exceptions=True)
    ]
    refused = [result for result in results if result is not None]
    assert refused
    assert all(isinstance(result, PlatformFault) for result in refused)
    (lane,) = await queue.lanes()
    assert lane.messages == len(results) - len(refused) > 0
    assert await queue.purge() == lane.messages
    await queue.put(_message("after"))
    assert [lane.messages for lane in await queue.lanes()] == [1]


async def test_the_files_are_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    path.touch(0o644)
    database = Database.open(path)
    await database.write(lambda c: c.execute(text("CREATE TABLE things (n INTEGER PRIMARY KEY)")) and None)
    modes = _modes(tmp_path)
    await database.close()
    assert modes == dict.fromkeys(("old.db", "old.db-wal", "old.db-shm"), 0o600)


def _modes(folder: Path) -> dict[str, int]:
    return {each.name: each.stat().st_mode & 0o777 for each in folder.iterdir()}


def _message(state: str) -> NewMessage:
    return NewMessage(queue="events", lane="a", visible_ms=0, state=state, body=b"x" * 10_000)
