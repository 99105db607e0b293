"""Acknowledged writes on SQLite and on PostgreSQL: `python -m benchmarks.store [--database URL]`.

Each is on disk when it counts. Without a URL PostgreSQL is a private cluster with its own settings, fsync on, in the
same folder for temporary files as SQLite. Numbers of one after the other are latencies: the median of single commits.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, text
from tests.postgres import HOME, Cluster

from lambent.store.database import Database
from lambent.store.messages import NewMessage
from lambent.store.queue import Queue

SECONDS = 3.0
BODY = b"x" * 300

Step = Callable[[], Awaitable[object]]


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        _measure("SQLite", Database.open(Path(folder) / "lambent.db"), options.seconds)
    with postgresql(options.database) as url:
        _measure("PostgreSQL", Database.open_url(url, home=HOME), options.seconds)


def _measure(name: str, database: Database, seconds: float) -> None:
    print(name)
    asyncio.run(_all(database, seconds))
    database.close_now()


async def _all(database: Database, seconds: float) -> None:
    queue = Queue(database, "benchmark")
    await database.write(_create)

    async def write() -> None:
        await database.write(_insert)

    async def put() -> None:
        await queue.put(NewMessage(queue="benchmark", lane="f", visible_ms=0, state="{}", body=BODY))

    async def read() -> None:
        await database.read(_one)

    for what, step in (("writes", write), ("events put", put), ("reads", read)):
        took = await _one_after_the_other(step, seconds)
        print(
            f"  {what + ', one after the other':36} {1 / statistics.fmean(took):8,.0f}/s  median "
            f"{statistics.median(took) * 1e3:.2f} ms"
        )
    for writers in (8, 64, 512):
        for what, step in (("writes", write), ("events put", put)):
            print(f"  {f'{what} by {writers} at once':36} {await _at_once(step, writers, seconds):8,.0f}/s")
    await database.write(lambda connection: connection.execute(text("DROP TABLE benchmark")) and None)
    await queue.purge()


async def _one_after_the_other(step: Step, seconds: float) -> list[float]:
    took = []
    end = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < end:
        await step()
        took.append(time.perf_counter() - begun)
    return took


async def _at_once(step: Step, writers: int, seconds: float) -> float:
    """Steps in a second."""
    done = 0
    end = time.perf_counter() + seconds

    async def work() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await step()
            done += 1

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(writers)))
    return done / (time.perf_counter() - begun)


def _create(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE benchmark (body TEXT NOT NULL)"))


def _insert(connection: Connection) -> None:
    connection.execute(text("INSERT INTO benchmark (body) VALUES (:body)"), {"body": "x" * 300})


def _one(connection: Connection) -> None:
    connection.execute(text("SELECT body FROM benchmark LIMIT 1")).scalar()


@contextmanager
def postgresql(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    cluster = Cluster(durable=True)
    try:
        yield cluster.create()
    finally:
        cluster.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=__doc__)
    parser.add_argument("--database", metavar="URL", help="an empty database; default: a private cluster")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each measurement [%(default)s]")
    return parser.parse_args()


if __name__ == "__main__":
    main()
