"""PostgreSQL can go away at any moment, with the answer to a COMMIT: nothing is forgotten, nothing is done twice."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, event, text

from lambent.aws.errors import ApiError, PlatformFault
from lambent.store import writer
from lambent.store.database import Database
from lambent.store.datadir import DataDirError
from tests.places import Place
from tests.postgres import HOME, Cluster
from tests.unit.environments.kit import until
from tests.unit.store.crashes import acknowledged_writes_survive


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(durable=True)
    yield cluster
    cluster.close()


@pytest.fixture
def url(cluster: Cluster) -> str:
    return cluster.create()


def opened(url: str, home: str = HOME) -> Database:
    return Database.open_url(url, home=home, place="/srv/lambent", lock_wait_s=0)


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = opened(url)
    await database.write(lambda c: c.execute(text("CREATE TABLE things (n INTEGER NOT NULL)")) and None)
    yield database
    await database.close()


def insert(connection: Connection, n: int) -> int:
    connection.execute(text("INSERT INTO things (n) VALUES (:n)"), {"n": n})
    return n


async def stored(database: Database) -> list[int]:
    return await database.read(lambda c: list(c.execute(text("SELECT n FROM things ORDER BY n")).scalars()))


def at_next_commit(database: Database, do: Callable[[Connection], None]) -> None:
    event.listen(database._writer.engine, "commit", do, once=True)


def lose(connection: Connection) -> None:
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.close()


def commit_and_lose(connection: Connection) -> None:
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.commit()
    driver.close()


def read_only(cluster: Cluster, url: str, on: bool) -> None:
    """For all sessions from now on."""
    name = url.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {on}")
    terminate(cluster)


def terminate(cluster: Cluster) -> None:
    """All sessions but this one."""
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )


async def test_acknowledged_writes_survive_kill_9(url: str, tmp_path: Path) -> None:
    await acknowledged_writes_survive(Place(tmp_path / "unused", url), rounds=2)


async def test_a_restart_between_two_writes_is_not_noticed(database: Database, cluster: Cluster) -> None:
    assert await database.write(lambda c: insert(c, 1)) == 1
    assert await stored(database) == [1]
    cluster.stop()
    cluster.start()
    assert await database.write(lambda c: insert(c, 2)) == 2
    assert await stored(database) == [1, 2]


@pytest.mark.parametrize("answer", [lose, commit_and_lose])
async def test_a_commit_whose_answer_is_lost_is_looked_up(
    database: Database, answer: Callable[[Connection], None]
) -> None:
    applied: list[int] = []
    at_next_commit(database, answer)
    assert await database.write(lambda c: insert(c, 1), applied=applied.append) == 1
    assert (applied, await stored(database)) == ([1], [1])
    at_next_commit(database, answer)
    writes = (database.write(lambda c, n=n: insert(c, n), applied=applied.append) for n in range(2, 20))  # type: ignore[misc]
    assert await asyncio.gather(*writes) == list(range(2, 20))
    assert applied == await stored(database) == list(range(1, 20))


@pytest.mark.parametrize("answer", [lose, commit_and_lose])
async def test_what_nobody_can_tell_yet_is_refused_and_learnt_later(
    database: Database,
    cluster: Cluster,
    answer: Callable[[Connection], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer, "DOUBT_S", 0.2)
    applied: list[int] = []

    def crash(connection: Connection) -> None:
        answer(connection)
        cluster.crash()

    at_next_commit(database, crash)
    with pytest.raises(PlatformFault):
        await database.write(lambda c: insert(c, 1), applied=applied.append)
    with pytest.raises(PlatformFault, match="cannot write: connection"):
        await database.write(lambda c: insert(c, 2), applied=applied.append)
    with pytest.raises(PlatformFault, match="cannot be read"):
        await stored(database)
    assert applied == []
    cluster.start()
    expected = [1] if answer is commit_and_lose else []
    # By itself: nobody has to write for that.
    await until(lambda: applied == expected and not database._writer._undecided, seconds=10)
    assert await database.write(lambda c: insert(c, 3), applied=applied.append) == 3
    assert applied == await stored(database) == [*expected, 3]


async def test_memory_and_database_agree_after_crashes_amid_writes(database: Database, cluster: Cluster) -> None:
    acknowledged: set[int] = set()
    applied: list[int] = []
    numbers = iter(range(1_000_000))
    stopped = False

    async def write() -> None:
        while not stopped:
            n = next(numbers)
            with contextlib.suppress(PlatformFault):
                await database.write(lambda c, n=n: insert(c, n), applied=applied.append)  # type: ignore[misc]
                acknowledged.add(n)
            await asyncio.sleep(0)

    writers = [asyncio.ensure_future(write()) for _ in range(8)]
    for _ in range(2):
        before = len(acknowledged)
        await until(lambda before=before: len(acknowledged) > before + 100, seconds=20)  # type: ignore[misc]
        await asyncio.to_thread(cluster.crash)
        await asyncio.to_thread(cluster.start)
    before = len(acknowledged)
    await until(lambda: len(acknowledged) > before + 20, seconds=20)
    stopped = True
    await asyncio.gather(*writers)
    rows = await stored(database)
    assert len(rows) == len(set(rows)), "done twice"
    assert acknowledged <= set(rows), "forgotten"
    assert sorted(applied) == rows, "memory says something else"


async def test_a_second_server_is_refused_and_told_who_has_the_database(url: str) -> None:
    first = opened(url)
    with pytest.raises(DataDirError, match=r"is in use by another Lambent \(lambent \d+ on .*\)\. Stop it"):
        opened(url)
    await first.close()
    await opened(url).close()


async def test_a_server_that_was_replaced_writes_nothing_any_more(
    database: Database, url: str, cluster: Cluster
) -> None:
    lost = asyncio.Event()
    database.when_lost(lost.set)
    terminate(cluster)
    other = opened(url)
    with pytest.raises(PlatformFault, match=r"Another Lambent has taken the database .*/srv/lambent"):
        await database.write(lambda c: insert(c, 1))
    await other.close()
    with pytest.raises(PlatformFault, match="Another Lambent has taken"):
        await database.write(lambda c: insert(c, 1))
    await asyncio.wait_for(lost.wait(), 10)
    assert database.lost is not None


async def test_writes_that_were_undone_are_not_missed_in_the_next_session(database: Database, cluster: Cluster) -> None:
    """Each has a number that the database never learns."""

    def refused(_connection: Connection) -> None:
        raise ApiError("ResourceConflictException", "as told")

    await database.write(lambda c: insert(c, 1))
    for _ in range(3):
        with pytest.raises(ApiError):
            await database.write(refused)
    terminate(cluster)
    await database.write(lambda c: insert(c, 2))
    assert await stored(database) == [1, 2]


async def test_a_server_that_was_read_only_for_a_time_is_written_to_again(
    database: Database, cluster: Cluster, url: str
) -> None:
    """As some are when their disk is full, and standbys until they are promoted."""
    await database.write(lambda c: insert(c, 1))
    read_only(cluster, url, True)
    for n in range(3):
        with pytest.raises(PlatformFault, match="read-only"):
            await database.write(lambda c, n=n: insert(c, 10 + n))  # type: ignore[misc]
    assert await stored(database) == [1]
    read_only(cluster, url, False)
    await database.write(lambda c: insert(c, 2))
    assert await stored(database) == [1, 2]


async def test_a_database_that_went_back_in_time_is_not_written_to(
    database: Database, url: str, cluster: Cluster
) -> None:
    for n in range(3):
        await database.write(lambda c, n=n: insert(c, n))  # type: ignore[misc]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE lambent_server SET commits = commits - 2")
    terminate(cluster)
    with pytest.raises(PlatformFault, match="is older than what was committed to it"):
        await database.write(lambda c: insert(c, 4))


async def test_a_database_stays_with_its_data_directory(url: str) -> None:
    await opened(url).close()
    with pytest.raises(DataDirError, match="belongs to another data directory, /srv/lambent"):
        opened(url, home="another")
    await opened(url).close()


def test_a_database_with_other_tables_is_refused_and_left_alone(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE customers (id integer)")
        with pytest.raises(DataDirError, match="holds a table customers"):
            opened(url)
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert tables == [("customers",)]


def test_a_database_that_is_not_utf8_is_refused(cluster: Cluster) -> None:
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(DataDirError, match="has the encoding LATIN1"):
        opened(cluster.url("latin"))


def test_a_wrong_password_is_not_repeated(cluster: Cluster) -> None:
    with pytest.raises(DataDirError, match="password authentication failed") as refused:
        opened(cluster.url().replace(cluster.password, "gu3ss%40"))
    assert "gu3ss" not in str(refused.value)
    with pytest.raises(DataDirError, match="%25") as refused:
        opened(cluster.url().replace(cluster.password, "gu3ss%"))
    assert "gu3ss" not in str(refused.value)


async def test_text_is_sorted_by_its_bytes_in_every_language(cluster: Cluster) -> None:
    from lambent.services.logs.names import Scope
    from lambent.services.logs.store.groups import put_group, scan_groups

    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute(
            "CREATE DATABASE english ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US' TEMPLATE template0"
        )
    database = opened(cluster.url("english"))
    names = ["a", "B", "_c", "A", "b", "/d", "Z-1", "ä"]
    scope = Scope("000000000000", "us-east-1")

    def work(connection: Connection) -> list[str]:
        for name in names:
            put_group(connection, scope, name, 0, {})
        return [group.name for group in scan_groups(connection, scope, "", "")]

    assert await database.write(work) == sorted(names)
    await database.close()
