"""Asynchronous invocations: how fast events are accepted, and when the last of a burst has run and is gone.

`python -m benchmarks.events` prints only these rows, on PostgreSQL with `--postgresql` or `--database URL`; `--profile`
says where the supervisor's CPU went. An event counts as done when its row has left the queue's table, which a second
connection looks at. The floor is SQLite alone with the same rows: put in groups of as many as there are clients, taken
in hundreds, deleted in groups.
"""

import argparse
import json
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import psycopg

from benchmarks import lambent_server, load, profile_invoke, report
from benchmarks import measures as m
from benchmarks.api import Api
from benchmarks.conditions import conditions, cpu_s
from benchmarks.lambent_server import must_answer
from benchmarks.plan import QUICK, Plan
from benchmarks.samples import Results
from benchmarks.store import postgresql
from lambent.testing.running_server import Server

BURST = 1000
CLIENTS = 16
TAKEN_AT_ONCE = 100
WAIT_S = 60.0
STATE = "x" * 330
"""About as long as the state of an event is."""
BODY = b'{"key":"value"}'


def measure(results: Results, plan: Plan, *, sandbox: str, database: str | None = None, clients: int = CLIENTS) -> None:
    """One round, with a fresh server. Raises ServerFailed or RuntimeError."""
    flags = () if database is None else ("--database", database)
    with (
        tempfile.TemporaryDirectory(prefix="lambent-bench-") as folder,
        lambent_server.start(Path(folder), sandbox, *flags) as server,
    ):
        _measure(results, plan, server, database, clients)


def measure_floors(results: Results) -> None:
    with tempfile.TemporaryDirectory(prefix="lambent-bench-") as folder:
        accepted_s, done_s = _bare_sqlite(Path(folder, "bare.db"), BURST, CLIENTS)
        results.add(m.EVENTS_ACCEPTED.name, m.BARE_SQLITE, accepted_s)
        results.add(m.EVENTS_DONE.name, m.BARE_SQLITE, done_s)
        accepted_s, _ = _bare_sqlite(Path(folder, "rate.db"), 5 * BURST, CLIENTS)
        results.add(m.EVENTS_RATE.name, m.BARE_SQLITE, 5 * BURST / accepted_s)


def _measure(results: Results, plan: Plan, server: Server, database: str | None = None, clients: int = CLIENTS) -> None:
    api = Api(server.port)
    api.create("events")
    api.wait_active("events")
    api.close()
    with _queue(server, database) as queue:
        # The first burst starts environments, as it does for a user; it is one of the samples.
        for _ in range(3):
            queue.begin()
            outcome = _send(server, clients, count=BURST)
            results.add(m.EVENTS_ACCEPTED.name, m.LAMBENT, outcome.elapsed_s)
            results.add(m.EVENTS_DONE.name, m.LAMBENT, queue.wait_empty())
        before = cpu_s(server.pid)
        outcome = _send(server, clients, seconds=plan.seconds)
        results.add(m.EVENTS_RATE.name, m.LAMBENT, outcome.per_s)
        queue.wait_empty()
        spent = cpu_s(server.pid) - before
        results.add(m.EVENTS_CPU.name, m.LAMBENT, spent / len(outcome.latencies_ms) * 1e6)


def _send(server: Server, clients: int, *, count: int | None = None, seconds: float = 30.0) -> load.Outcome:
    requests = [load.event("events", BODY, port=server.port)]
    plan = load.Load(port=server.port, requests=requests, connections=clients, count=count, seconds=seconds)
    outcome = load.run(plan)
    must_answer(outcome, "events")
    return outcome


_Look = sqlite3.Connection | psycopg.Connection[tuple[object, ...]]


class _Queue:
    """Events that are accepted and not done, as another connection to the database sees them."""

    def __init__(self, look: Callable[[], _Look]) -> None:
        self._open = look
        self._stop = threading.Event()
        self._watch: threading.Thread | None = None
        self._first_s: float | None = None
        self._last_s = 0.0

    def begin(self) -> None:
        """Watch from here on. The generator needs half a second to start, so the time runs from the first event."""
        self._first_s = None
        self._stop.clear()
        self._watch = threading.Thread(target=self._look)
        self._watch.start()

    def wait_empty(self) -> float:
        """Seconds from the first event that was there to none; all have been sent."""
        deadline = time.perf_counter() + WAIT_S
        with closing(self._open()) as database:
            while _any(database):
                if time.perf_counter() > deadline:
                    raise RuntimeError(f"events are still waiting after {WAIT_S:.0f} s")
                time.sleep(0.002)
        self._stop.set()
        if self._watch is not None:
            self._watch.join()
            self._watch = None
        return self._last_s - (self._first_s or self._last_s)

    def close(self) -> None:
        self._stop.set()
        if self._watch is not None:
            self._watch.join()

    def _look(self) -> None:
        with closing(self._open()) as database:
            while not self._stop.wait(0.002):
                if _any(database):
                    self._last_s = time.perf_counter()
                    if self._first_s is None:
                        self._first_s = self._last_s


def _any(database: _Look) -> bool:
    row = database.execute("SELECT EXISTS (SELECT 1 FROM queue_messages WHERE queue = 'events')").fetchone()
    return row is not None and bool(row[0])


@contextmanager
def _queue(server: Server, url: str | None) -> Iterator[_Queue]:
    file = f"file:{server.data_dir / 'lambent.db'}?mode=ro"
    queue = _Queue(lambda: sqlite3.connect(file, uri=True) if url is None else psycopg.connect(url, autocommit=True))
    try:
        yield queue
    finally:
        queue.close()


def _bare_sqlite(path: Path, count: int, group: int) -> tuple[float, float]:
    """Seconds to put `count` rows in commits of `group`, and until all were taken and deleted as well."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute(
            "CREATE TABLE queue_messages (id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT, lane TEXT, "
            "visible_ms BIGINT, takes INTEGER, taken_by TEXT, state TEXT, body BLOB, size INTEGER)"
        )
        database.execute("CREATE INDEX visible ON queue_messages (queue, lane, visible_ms)")
        columns = "queue, lane, visible_ms, takes, state, body, size"
        insert = f"INSERT INTO queue_messages ({columns}) VALUES (?, ?, ?, 0, ?, ?, ?)"
        row = ("events", "000000000000/us-east-1/events", 0, STATE, BODY, len(BODY))
        begun = time.perf_counter()
        for at in range(0, count, group):
            database.execute("BEGIN IMMEDIATE")
            database.executemany(insert, [row] * min(group, count - at))
            database.execute("COMMIT")
        accepted_s = time.perf_counter() - begun
        for at in range(0, count, TAKEN_AT_ONCE):
            ids = [(number + 1,) for number in range(at, min(at + TAKEN_AT_ONCE, count))]
            database.execute("BEGIN IMMEDIATE")
            database.executemany("UPDATE queue_messages SET visible_ms = 1, taken_by = 'me' WHERE id = ?", ids)
            database.execute("COMMIT")
            for some in range(0, len(ids), group):
                database.execute("BEGIN IMMEDIATE")
                database.executemany("DELETE FROM queue_messages WHERE id = ?", ids[some : some + group])
                database.execute("COMMIT")
        return accepted_s, time.perf_counter() - begun


def main() -> None:
    options = _options()
    before = conditions()
    results = Results()
    if options.clients != CLIENTS:
        results.remarks.append(f"{options.clients} clients")
    plan = QUICK if options.quick else Plan()
    if options.profile:
        with postgresql(options.database) if options.postgresql or options.database else nullcontext() as url:
            _profile(plan, options.lines, url, options.clients)
        return
    if options.postgresql or options.database:
        # A database stays with the data directory of its first server.
        for _ in range(1 if options.database else plan.rounds):
            with postgresql(options.database) as url:
                measure(results, plan, sandbox=options.sandbox, database=url, clients=options.clients)
    else:
        for _ in range(plan.rounds):
            measure(results, plan, sandbox=options.sandbox, clients=options.clients)
            measure_floors(results)
    if options.json:
        print(json.dumps({"conditions": before.as_dict(), **results.as_json()}, indent=1))
    else:
        report.show(results, [m.BARE_SQLITE], before)


def _profile(plan: Plan, lines: int, database: str | None, clients: int) -> None:
    with tempfile.TemporaryDirectory(prefix="lambent-profile-") as folder:
        # The data dir must exist already: it is the one place where the confined supervisor may write.
        data_dir = Path(folder, "data")
        data_dir.mkdir()
        written = data_dir / "profile.json"
        results = Results()
        command = (sys.executable, str(profile_invoke.SAMPLER))
        flags = () if database is None else ("--database", database)
        variables = {"LAMBENT_PROFILE_OUTPUT": str(written)}
        with Server.start(data_dir, *flags, command=command, variables=variables) as server:
            _measure(results, plan, server, database, clients)
        cpu_us = results.median(m.EVENTS_CPU.name, m.LAMBENT) or 0.0
        rate = results.median(m.EVENTS_RATE.name, m.LAMBENT) or 0.0
        print(f"{rate:,.0f} events accepted/s; {cpu_us:.0f} us CPU of the supervisor per event, sampling included")
        profile_invoke.show(json.loads(written.read_text()), lines, cpu_us)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events")
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--json", action="store_true", help="all samples, as JSON")
    parser.add_argument("--profile", action="store_true", help="where the supervisor spends its time")
    parser.add_argument("--lines", type=int, default=40)
    parser.add_argument("--sandbox", default="auto")
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--postgresql", action="store_true", help="on a private PostgreSQL, with its own settings")
    parser.add_argument("--database", metavar="URL", help="on this PostgreSQL, in an empty database")
    return parser.parse_args()


if __name__ == "__main__":
    main()
