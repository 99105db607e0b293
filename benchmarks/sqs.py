"""Messages of SQS sent, received and deleted in a second, by 16 clients: `python -m benchmarks.sqs [--rounds N]`.

Over HTTP, then the broker alone in this process, then the floor: SQLite by its driver in one thread with the same rows,
as many in a commit as there are clients; taking one costs no write there, as it does not here. Bodies have 1 KB.
"""

import argparse
import asyncio
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks import lambent_server
from benchmarks.conditions import cpu_s
from benchmarks.sqs_load import QUEUE, Client
from lambent.core.clock import SystemClock
from lambent.services.sqs.broker import Broker
from lambent.services.sqs.records import Outgoing, QueueKey
from lambent.store.database import Database
from lambent.testing.running_server import Server

CLIENTS = 16
MESSAGES = 20_000
BODY = b"x" * 1000
KEY = QueueKey("000000000000", "us-east-1", QUEUE)

Rows = list[tuple[str, float, float | None]]
"""What, messages a second, and the server's CPU for each in us."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sqs", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--no-http", action="store_true", help="the broker and the floor alone")
    options = parser.parse_args()
    found: dict[str, list[tuple[float, float | None]]] = {}
    for _ in range(options.rounds):
        for what, rate, cost in _round(options.messages, http=not options.no_http):
            found.setdefault(what, []).append((rate, cost))
    for what, values in found.items():
        costs = [cost for _, cost in values if cost is not None]
        cost_text = f"  {statistics.median(costs):5.0f} us of the server's CPU for each" if costs else ""
        print(f"{what:52} {statistics.median(rate for rate, _ in values):9,.0f}/s{cost_text}")


def _round(messages: int, *, http: bool) -> Rows:
    rows: Rows = []
    with tempfile.TemporaryDirectory(prefix="lambent-bench-") as folder:
        if http:
            with lambent_server.start(Path(folder, "server"), "process") as server:
                rows += _over_http(server, messages)
        rows += asyncio.run(_alone(Path(folder, "broker.db"), messages))
        rows += _floor(Path(folder, "floor.db"), messages)
    return rows


def _over_http(server: Server, messages: int) -> Rows:
    asyncio.run(_create(server.port))
    rows: Rows = []
    for batch in (1, 10):
        for mode in ("send", "receive"):
            before = cpu_s(server.pid)
            count = messages // 4 if batch == 1 else messages
            arguments = [str(server.port), mode, str(CLIENTS), str(count), str(batch)]
            command = [sys.executable, "-m", "benchmarks.sqs_load", *arguments]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=300, check=True)
            report = json.loads(done.stdout)
            cost = (cpu_s(server.pid) - before) / report["messages"] * 1e6
            what = "sent" if mode == "send" else "received and deleted"
            rows.append((f"{what}, over HTTP, {batch} a call", report["messages"] / report["seconds"], cost))
    return rows


async def _create(port: int) -> None:
    client = Client(port, *(await asyncio.open_connection("127.0.0.1", port)))
    await client.call("CreateQueue", QueueName=QUEUE)


async def _alone(path: Path, messages: int) -> Rows:
    database = Database.open(path)
    broker = Broker(database, SystemClock())
    await broker.create(KEY, fifo=False, attributes={}, tags={})
    message = Outgoing(body=BODY, sender_id="me")
    rows: Rows = []

    async def send(numbers: Iterable[int], batch: int) -> None:
        for _ in numbers:
            await broker.send(KEY, [message] * batch)

    async def receive(batch: int) -> None:
        while received := await broker.receive(KEY, limit=batch, wait_s=0):
            await broker.delete(KEY, [each.handle for each in received])

    for batch in (1, 10):
        numbers = iter(range(messages // batch))
        begun = time.perf_counter()
        await asyncio.gather(*(send(numbers, batch) for _ in range(CLIENTS)))
        rows.append((f"sent, the broker alone, {batch} a call", messages / (time.perf_counter() - begun), None))
        begun = time.perf_counter()
        await asyncio.gather(*(receive(batch) for _ in range(CLIENTS)))
        took_s = time.perf_counter() - begun
        rows.append((f"received and deleted, the broker alone, {batch} a call", messages / took_s, None))
    await broker.close()
    await database.close()
    return rows


def _floor(path: Path, messages: int) -> Rows:
    driver = sqlite3.connect(path, isolation_level=None)
    driver.execute("PRAGMA journal_mode=WAL")
    driver.execute("PRAGMA synchronous=FULL")
    driver.execute("CREATE TABLE q (id INTEGER PRIMARY KEY AUTOINCREMENT, lane TEXT, visible_ms INTEGER, body BLOB)")
    driver.execute("CREATE INDEX q_visible ON q (lane, visible_ms)")
    rows: Rows = []
    for batch in (1, 10):
        together = CLIENTS * batch
        put = [("1", 0, BODY)] * together
        rate = _timed(messages, together, lambda _, put=put: _insert(driver, put))  # type: ignore[misc]
        rows.append((f"sent, bare SQLite, {together} in a commit", rate, None))
        ids = [number for (number,) in driver.execute("SELECT id FROM q ORDER BY id")]
        rate = _timed(len(ids), together, lambda at, n=together, ids=ids: _delete(driver, ids[at : at + n]))  # type: ignore[misc]
        rows.append((f"received and deleted, bare SQLite, {together} in a commit", rate, None))
    driver.close()
    return rows


def _insert(driver: sqlite3.Connection, rows: list[tuple[str, int, bytes]]) -> None:
    driver.execute("BEGIN IMMEDIATE")
    driver.executemany("INSERT INTO q (lane, visible_ms, body) VALUES (?, ?, ?)", rows)
    driver.execute("COMMIT")


def _delete(driver: sqlite3.Connection, ids: list[int]) -> None:
    for number in ids:
        driver.execute("SELECT body FROM q WHERE id = ?", (number,)).fetchone()
    driver.execute("BEGIN IMMEDIATE")
    driver.executemany("DELETE FROM q WHERE id = ?", [(number,) for number in ids])
    driver.execute("COMMIT")


def _timed(count: int, step: int, work: Callable[[int], None]) -> float:
    begun = time.perf_counter()
    for at in range(0, count, step):
        work(at)
    return count / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
