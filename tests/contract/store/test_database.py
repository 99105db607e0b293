"""The writer thread: groups, savepoints, failures of the disk, and what follows a commit."""

import asyncio
import contextlib
import time
import traceback

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import IntegrityError

from lambent.aws.errors import PlatformFault
from lambent.store.database import Database


@pytest.fixture(autouse=True)
async def things(database: Database) -> None:
    await database.write(lambda c: c.execute(text("CREATE TABLE things (n INTEGER PRIMARY KEY)")) and None)


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

    event.listen(database._writer.engine, "commit", count)
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


async def test_close_commits_what_was_submitted_and_refuses_the_rest(database: Database) -> None:
    pending = asyncio.ensure_future(database.write(lambda c: insert(c, 3)))
    await asyncio.sleep(0)
    await database.close()
    assert await pending == 3
    with pytest.raises(PlatformFault, match="closed"):
        await database.write(lambda c: insert(c, 4))
    with pytest.raises(PlatformFault, match="closed"):
        await database.read(lambda c: None)


async def test_a_failing_write_alone_undoes_itself(database: Database) -> None:
    def failing(connection: Connection) -> None:
        insert(connection, 100)
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(failing)
    assert await stored(database) == []
    assert await database.write(lambda c: insert(c, 100)) == 100


async def test_a_write_that_the_database_refuses_fails_alone(database: Database) -> None:
    await database.write(lambda c: insert(c, 1))
    opening = asyncio.ensure_future(database.write(lambda c: time.sleep(0.05)))
    outcomes = await asyncio.gather(
        database.write(lambda c: insert(c, 2)),
        database.write(lambda c: insert(c, 1)),
        database.write(lambda c: c.execute(text("SELECT n FROM nothing")) and None),
        database.write(lambda c: insert(c, 3)),
        return_exceptions=True,
    )
    await opening
    assert (outcomes[0], outcomes[3]) == (2, 3)
    assert isinstance(outcomes[1], IntegrityError)
    assert isinstance(outcomes[2], PlatformFault)
    assert await stored(database) == [1, 2, 3]


async def test_a_write_that_passes_over_a_failed_statement_keeps_all_or_is_refused(database: Database) -> None:
    """PostgreSQL answers the COMMIT of a transaction that failed with a ROLLBACK, and no error."""

    def careless(connection: Connection) -> None:
        insert(connection, 1)
        with contextlib.suppress(IntegrityError):
            insert(connection, 1)

    kept = (await asyncio.gather(database.write(careless), return_exceptions=True))[0] is None
    assert await stored(database) == ([1] if kept else [])


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(PlatformFault, match=r"read-?only"):
        await database.read(lambda c: insert(c, 1))


async def test_a_read_sees_one_moment(database: Database) -> None:
    loop = asyncio.get_running_loop()

    def count(connection: Connection) -> int:
        return int(connection.execute(text("SELECT count(*) FROM things")).scalar_one())

    def twice(connection: Connection) -> tuple[int, int]:
        first = count(connection)
        asyncio.run_coroutine_threadsafe(database.write(lambda c: insert(c, 1)), loop).result(10)
        return first, count(connection)

    assert await database.read(twice) == (0, 0)
    assert await database.read(count) == 1


async def test_what_users_store_is_in_no_error(database: Database) -> None:
    statement, secret = text("INSERT INTO things (n, nothing) VALUES (7, :secret)"), str(10**9 + 7)
    with pytest.raises(PlatformFault) as refused:
        await database.write(lambda c: c.execute(statement, {"secret": secret}) and None)
    assert secret not in "".join(traceback.format_exception(refused.value))


async def test_in_a_large_group_each_failure_undoes_itself_alone(database: Database) -> None:
    """Savepoints are nested and released many at a time: no failure may take what came before or after."""
    failing = {0, 1, 15, 16, 17, 31, 32, 40, 63, 64, 99}

    def work(connection: Connection, n: int) -> int:
        insert(connection, n)
        if n in failing:
            raise LookupError(n)
        return n

    opening = asyncio.ensure_future(database.write(lambda c: time.sleep(0.05)))
    await asyncio.sleep(0)
    outcomes = await asyncio.gather(
        *(database.write(lambda c, n=n: work(c, n)) for n in range(100)),  # type: ignore[misc]
        return_exceptions=True,
    )
    await opening
    assert {n for n, outcome in enumerate(outcomes) if isinstance(outcome, LookupError)} == failing
    assert await stored(database) == [n for n in range(100) if n not in failing]
