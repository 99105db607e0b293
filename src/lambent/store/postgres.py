"""How PostgreSQL is used: everything that is particular to it, so that the rest speaks portable SQL.

One server of ours at a time: the session that writes holds an advisory lock, so whoever has lost the session cannot
write. The one row of `lambent_server` says which run of which data directory has the database, and counts commits: by
it a COMMIT is known that nobody answered. The password of the URL is shown nowhere.
"""

import os
import socket
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, NullPool, QueuePool, create_engine, event
from sqlalchemy.exc import InvalidRequestError, SQLAlchemyError

from lambent.core.ids import uuid4
from lambent.store import migrations
from lambent.store.datadir import DataDirError
from lambent.store.dialect import DatabaseLost
from lambent.store.messages import IS_RECORDED, RECORDED
from lambent.store.writer import said

SCHEMES: Final = ("postgresql://", "postgres://")
OLDEST_VERSION: Final = 130000
LOCK_CLASS: Final = 0x4C414D42
LOCK_WAIT_S: Final = 3.0
"""How long a start waits for the session of a server that was killed to end."""
RESUME_WAIT_S: Final = 1.0
READERS: Final = 4

# What the URL says comes first. A host that has gone without a word is noticed by both sides.
_CONNECTION: Final[Mapping[str, Any]] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "client_encoding": "UTF8",
}
_SESSION: Final = (
    "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;"
    " SET lock_timeout = '5s'; SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = 0"
)
_SERVER: Final = """
CREATE TABLE IF NOT EXISTS lambent_server (
    one integer PRIMARY KEY CHECK (one = 1),
    home text NOT NULL,
    place text NOT NULL,
    run text NOT NULL,
    commits bigint NOT NULL
) WITH (fillfactor = 10)
"""
_HOLDER: Final = f"""
SELECT application_name FROM pg_stat_activity JOIN pg_locks USING (pid)
WHERE locktype = 'advisory' AND granted AND classid = {LOCK_CLASS}
    AND objid::bigint = hashtext(current_schema())::bigint & 4294967295
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
RECORDED.dialect_kwargs["postgresql_where"] = IS_RECORDED


class DatabaseUnusable(DataDirError):
    """It cannot be reached, or is none that this server may use; the message is one line for the user."""


class DatabaseInUse(DatabaseUnusable):
    """Another server holds the lock."""


class PostgreSQL:
    """A `Dialect`: the database at `url`, of the data directory with the identity `home` at `place`."""

    look_s: Final = 5.0
    rolls_back: Final = True

    def __init__(self, url: str, *, home: str, place: str = "", lock_wait_s: float = LOCK_WAIT_S) -> None:
        self._parameters = parameters(url)
        self._shown = shown(self._parameters)
        self._home = home
        self._place = place
        self._lock_wait_s = lock_wait_s
        self._run = uuid4()
        self._begun = 0
        self._done = 0
        self._answered = 0
        """The last one that was acknowledged; those after it were rolled back, refused, or are in doubt."""
        self._counting = False

    @property
    def shown(self) -> str:
        return self._shown

    def writer(self) -> Engine:
        engine = create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            poolclass=NullPool,
            use_native_hstore=False,
            # They are what users store, and errors go to the log.
            hide_parameters=True,
        )
        event.listen(engine, "begin", self._begin)
        return engine

    def reader(self) -> Engine:
        engine = create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            poolclass=QueuePool,
            pool_size=READERS,
            max_overflow=0,
            use_native_hstore=False,
            hide_parameters=True,
        )
        event.listen(engine, "begin", _begin_reading)
        return engine

    def begin(self, connection: Connection) -> None:
        driver = driver_of(connection)
        try:
            _check_server(driver, self.shown)
            self._lock(driver, self._lock_wait_s)
            # However long a migration takes.
            driver.execute("SET statement_timeout = 0")
            migrations.bring_up_to_date(connection)
            driver.execute(_SESSION, prepare=False)
            self._take(driver)
        except (psycopg.Error, SQLAlchemyError) as error:
            raise DatabaseUnusable(f"The database {self.shown} cannot be used: {said(error)}") from error
        self._counting = True

    def resume(self, connection: Connection) -> None:
        driver = driver_of(connection)
        try:
            row = driver.execute("SELECT run, commits, place FROM lambent_server").fetchone()
            if row is None or row[0] != self._run:
                raise DatabaseLost(f"Another Lambent has taken the database {self.shown}{_by(row and row[2])}.")
            # The session that was dropped may take a moment to end.
            self._lock(driver, RESUME_WAIT_S)
            # Again under the lock: between the two somebody may have come and gone.
            row = driver.execute("SELECT run, commits FROM lambent_server").fetchone()
            if row is None or row[0] != self._run:
                raise DatabaseLost(f"Another Lambent has taken the database {self.shown}.")
            if row[1] < self._answered:
                raise DatabaseLost(f"The database {self.shown} is older than what was committed to it.")
            self._done = self._answered = int(row[1])
        except psycopg.Error as error:
            raise DatabaseUnusable(f"The database {self.shown} cannot be used: {said(error)}") from error

    def answered(self) -> None:
        self._answered = self._begun

    def committed(self, connection: Connection) -> bool:
        return self._done == self._begun

    def check(self, connection: Connection) -> None:
        if driver_of(connection).info.transaction_status != TransactionStatus.INTRANS:
            raise InvalidRequestError("a failed statement was passed over in silence")

    def alive(self, connection: Connection) -> bool:
        try:
            driver_of(connection).execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def _connect(self) -> psycopg.Connection[Any]:
        name = f"lambent {os.getpid()} on {socket.gethostname()}"
        driver = psycopg.connect(**{**_CONNECTION, "application_name": name, **self._parameters}, autocommit=True)
        driver.execute(_SESSION, prepare=False)
        # An acknowledged write is on disk, whatever the server's default is.
        driver.execute(
            "SELECT set_config('synchronous_commit', 'on', false) FROM pg_settings"
            " WHERE name = 'synchronous_commit' AND setting = 'off'"
        )
        return driver

    def _begin(self, connection: Connection) -> None:
        if not self._counting:
            connection.exec_driver_sql("BEGIN")
            return
        self._begun += 1
        # Both in one round trip. The number is the mark by which `committed` knows this transaction.
        mark = f"UPDATE lambent_server SET commits = {self._begun} WHERE run = '{self._run}'"
        connection.exec_driver_sql(f"BEGIN; {mark}").close()

    def _lock(self, driver: "psycopg.Connection[Any]", wait_s: float) -> None:
        give_up = time.monotonic() + wait_s
        while not _scalar(driver, f"SELECT pg_try_advisory_lock({LOCK_CLASS}, hashtext(current_schema()))"):
            if time.monotonic() >= give_up:
                who = _by(_scalar(driver, _HOLDER))
                raise DatabaseInUse(
                    f"The database {self.shown} is in use by another Lambent{who}. Stop it or name another database."
                )
            time.sleep(0.05)

    def _take(self, driver: "psycopg.Connection[Any]") -> None:
        """Write down that this run has the database now; it stays with one data directory, where code and keys are."""
        driver.execute(_SERVER)
        row = driver.execute("SELECT home, place FROM lambent_server").fetchone()
        if row is None:
            first = (self._home, self._place, self._run)
            driver.execute("INSERT INTO lambent_server VALUES (1, %s, %s, %s, 0)", first)
            return
        if row[0] != self._home:
            raise DatabaseUnusable(
                f"The database {self.shown} belongs to another data directory, {row[1]}: code and keys are there."
                " Start with that --data-dir, or name an empty database."
            )
        again = (self._place, self._run)
        driver.execute("UPDATE lambent_server SET place = %s, run = %s, commits = 0", again)


def parameters(url: str) -> dict[str, Any]:
    """What libpq makes of the URL. Raises DatabaseUnusable, which does not repeat it: it may hold a password."""
    try:
        found = conninfo_to_dict(url) if url.startswith(SCHEMES) else None
    except psycopg.Error:
        found = None
    if found is None:
        raise DatabaseUnusable(
            "The database is to be named as postgresql://USER:PASSWORD@HOST:PORT/NAME, with % and @ in a password"
            " written as %25 and %40."
        )
    return dict(found)


def shown(given: Mapping[str, Any]) -> str:
    """The URL without what is secret."""
    user = f"{quote(str(given['user']))}@" if "user" in given else ""
    host, port = str(given.get("host", "")), given.get("port")
    path = f"/{quote(str(given.get('dbname', '')))}"
    if host.startswith("/"):
        return f"postgresql://{user}{path}?host={host}" + (f"&port={port}" if port else "")
    return f"postgresql://{user}{host}" + (f":{port}" if port else "") + path


def examine(url: str) -> tuple[str, list[str]]:
    """What is at `url`, and what of its settings loses acknowledged writes. Raises DatabaseUnusable."""
    given = parameters(url)
    name = shown(given)
    try:
        with psycopg.connect(**{**_CONNECTION, **given}, autocommit=True) as driver:
            _check_server(driver, name)
            holder = _scalar(driver, _HOLDER)
            made = _scalar(driver, "SELECT to_regclass('lambent_server') IS NOT NULL")
            off = driver.execute(
                "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'"
            ).fetchall()
            version = driver.info.parameter_status("server_version")
    except psycopg.Error as error:
        raise DatabaseUnusable(f"The database {name} cannot be reached: {said(error)}") from error
    state = f"in use{_by(holder)}" if holder else "ready" if made else "the first start will make the tables"
    return (
        f"{name}: PostgreSQL {version}, {state}",
        [f"{setting} is off there: a power cut loses accepted events" for (setting,) in off],
    )


def driver_of(connection: Connection) -> "psycopg.Connection[Any]":
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def _begin_reading(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").close()


def _check_server(driver: "psycopg.Connection[Any]", name: str) -> None:
    if driver.info.server_version < OLDEST_VERSION:
        raise DatabaseUnusable(
            f"The database {name} is of PostgreSQL {driver.info.server_version // 10_000}; 13 is the oldest that"
            " serves."
        )
    if (encoding := driver.info.parameter_status("server_encoding")) != "UTF8":
        raise DatabaseUnusable(
            f"The database {name} has the encoding {encoding}; make one with: CREATE DATABASE lambent"
            " ENCODING 'UTF8' TEMPLATE template0"
        )


def _scalar(driver: "psycopg.Connection[Any]", statement: str) -> Any:
    row = driver.execute(statement).fetchone()
    return None if row is None else row[0]


def _by(who: str | None) -> str:
    return f" ({who})" if who else ""
