"""The writer thread: groups, savepoints, failures of the disk, and what follows a commit."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text

from lambent.aws.errors import PlatformFault
from lambent.store.database import Database


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


async def test_a_write_returns_the_result_of_its_work(database: Database) -> None:
    assert await database.write(lambda c: insert(c, 7)) == 7
    assert await stored(database) == [7]


async def test_a_failing_write_undoes_itself_and_not_its_group(database: Database) -> None:
    class Refused(Exception):
        pass

    def failing(connection: Connection) -> None:
        insert(connection, 100)
        raise Refused

    outcomes = await asyncio.gather(
        *(database.write(lambda c, n=n: insert(c, n)) for n in range(5)),  # type: ignore[misc]
        database.write(failing),
        *(database.write(lambda c, n=n: insert(c, n)) for n in range(5, 10)),  # type: ignore[misc]
        return_exceptions=True,
    )
    assert isinstance(outcomes[5], Refused)
    assert await stored(database) == list(range(10))


async def test_concurrent_writes_share_commits(database: Database) -> None:
    commits = 0
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def first(_connection: Connection) -> None:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(timeout=10)

    def count(_connection: Connection) -> None:
        nonlocal commits
        commits += 1

    event.listen(database._writer._engine, "commit", count)
    opening = asyncio.ensure_future(database.write(first))
    rest = [asyncio.ensure_future(database.write(lambda c, n=n: insert(c, n))) for n in range(100)]  # type: ignore[misc]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(opening, *rest)
    assert commits <= 3


async def test_applied_runs_in_commit_order_even_when_the_caller_has_gone(database: Database) -> None:
    applied: list[int] = []
    tasks = [
        asyncio.ensure_future(database.write(lambda c, n=n: insert(c, n), applied=applied.append))  # type: ignore[misc]
        for n in range(20)
    ]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await database.write(lambda c: None)
    assert applied == list(range(20))


async def test_a_locked_database_is_a_platform_fault_and_recovers(database: Database, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "lambent.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(PlatformFault, match="locked"):
        await database.write(lambda c: insert(c, 1))
    other.execute("ROLLBACK")
    other.close()
    assert await database.write(lambda c: insert(c, 1)) == 1


async def test_a_full_disk_fails_only_the_write_that_does_not_fit(database: Database) -> None:
    def limit(driver: sqlite3.Connection, _record: object = None) -> None:
        driver.execute("PRAGMA max_page_count = 40").close()

    event.listen(database._writer._engine, "connect", limit)
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


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(PlatformFault, match="readonly"):
        await database.read(lambda c: insert(c, 1))


async def test_close_commits_what_was_submitted_and_refuses_the_rest(database: Database) -> None:
    pending = asyncio.ensure_future(database.write(lambda c: insert(c, 3)))
    await asyncio.sleep(0)
    await database.close()
    assert await pending == 3
    with pytest.raises(PlatformFault, match="closed"):
        await database.write(lambda c: insert(c, 4))
    with pytest.raises(PlatformFault, match="closed"):
        await database.read(lambda c: None)


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
