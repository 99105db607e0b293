"""A private PostgreSQL cluster: made in a folder of its own, on a Unix socket only, gone with the tests.

Where the server of Debian's package `postgresql` is missing its tests are skipped, and fail when CI=true.
"""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
import pytest

from lambent.store.database import Database
from tests.certificates import Certified

HOME = "the data directory of the tests"
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "autovacuum": "off",
    # A server that has given up privileges is not the owner; the password keeps others out.
    "unix_socket_permissions": "0777",
}


_PREFIX = "lambent-pg-"
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"


class Cluster:
    """`durable`: with fsync, as it would run for a user; else as fast as it gets. `small_mb`: with a disk of so many MB
    at `small`, for a tablespace, until it is stopped; needs root."""

    def __init__(self, *, durable: bool = False, small_mb: int = 0) -> None:
        self._programs = programs()
        # Its own folder: it must belong to a user that is not root, and the path of its socket must be short.
        _sweep()
        self.root = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        self._owner = _owner()
        self.password = secrets.token_hex(16)
        self._durable = durable
        self._small_mb = small_mb
        self._numbers = count(1)
        self._settings: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self.root.chmod(0o711)
            secret = self.root / "password"
            secret.touch(0o600)
            secret.write_text(self.password)
            if self._owner:
                account = pwd.getpwnam(self._owner)
                for path in (self.root, secret):
                    os.chown(path, account.pw_uid, account.pw_gid)
            self._run(
                *("initdb", "-D", self._data, "-A", "password", "--pwfile", str(secret), "-U", "lambent"),
                *("-E", "UTF8", "--locale=C.UTF-8", "-N"),
            )
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def _data(self) -> str:
        return str(self.root / "data")

    @property
    def small(self) -> Path:
        """As it is to the server."""
        return self.root / "small"

    def url(self, name: str = "postgres") -> str:
        port = f"&port={self._settings['port']}" if "port" in self._settings else ""
        return f"postgresql://lambent:{self.password}@/{name}?host={quote(str(self.root), safe='')}{port}"

    def start(self, **changed: str) -> None:
        """`changed`: settings that differ, from here on."""
        self._settings |= changed
        settings = {**_SETTINGS, "unix_socket_directories": str(self.root), **self._settings}
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.root / "log").open("ab") as log:
            command = [str(self._programs / "postgres"), "-D", self._data, *options]
            given = self._as_owner()
            if self._small_mb:
                account = pwd.getpwnam(given.pop("user"))
                given["group"] = account.pw_gid
                self.small.mkdir(exist_ok=True)
                who = f"uid={account.pw_uid},gid={account.pw_gid}"
                mount = f'mount -t tmpfs -o size={self._small_mb}m,{who} small "$0" && exec setpriv "$@"'
                drop = (f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups")
                command = ["unshare", "--mount", "sh", "-c", mount, str(self.small), *drop, *command]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **given)
        give_up = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError((self.root / "log").read_text())
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends its sessions and then itself."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def crash(self) -> None:
        """All of its processes end where they are; the next start recovers from the log."""
        self.stop(signal.SIGQUIT)

    def on_small_disk(self) -> str:
        """The URL of a new database whose tables are on the small disk; what happens is logged elsewhere."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{self.small}'")
            connection.execute("CREATE DATABASE small TABLESPACE small")
        return self.url("small")

    @property
    def seen_small(self) -> Path:
        """As it is to this process."""
        assert self._process is not None
        return Path(f"/proc/{self._process.pid}/root{self.small}")

    def kill(self) -> None:
        """As `kill -9` of all of it: nothing is written any more, nobody is told."""
        if self._process is not None:
            for pid in (self._process.pid, *self._sessions()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait(30)
            self._process = None

    def listen(self, certified: Certified) -> int:
        """Start again, on a port of 127.0.0.1 with TLS as well; returns the port."""
        self.stop()
        for path in (certified.certificate, certified.key):
            copy = self.root / path.name
            copy.touch(0o600)
            copy.write_bytes(path.read_bytes())
            if self._owner:
                account = pwd.getpwnam(self._owner)
                os.chown(copy, account.pw_uid, account.pw_gid)
        with socket.create_server(("127.0.0.1", 0)) as found:
            port = int(found.getsockname()[1])
        self._settings |= {"listen_addresses": "127.0.0.1", "port": str(port), "ssl": "on"}
        self._settings |= {"ssl_cert_file": str(self.root / certified.certificate.name)}
        self._settings |= {"ssl_key_file": str(self.root / certified.key.name)}
        self.start()
        return port

    def tls_url(self, name: str, **parameters: str) -> str:
        """By TCP; `parameters` are those of libpq."""
        port, query = self._settings["port"], urlencode(parameters)
        return f"postgresql://lambent:{self.password}@127.0.0.1:{port}/{name}?{query}"

    def _sessions(self) -> list[int]:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def close(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.root, ignore_errors=True)

    def create(self) -> str:
        """The URL of a new database."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url()).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **self._as_owner())
        if done.returncode != 0:
            raise RuntimeError(done.stdout + done.stderr)

    def _as_owner(self) -> dict[str, Any]:
        own = (
            {"user": self._owner, "group": pwd.getpwnam(self._owner).pw_gid, "extra_groups": []} if self._owner else {}
        )
        return {"cwd": self.root, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, **own}


def programs() -> Path:
    """The folder of `initdb` and `postgres`; Debian keeps them out of PATH. Skips the test where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    beside = shutil.which("initdb")
    folders = [*found, *([Path(beside).resolve().parent] if beside else [])]
    usable = [folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()]
    if not usable:
        reason = "PostgreSQL is not installed (Debian: postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return usable[-1]


def _sweep() -> None:
    """End and remove clusters of tests that were killed."""
    for root in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        maker = root.name.removeprefix(_PREFIX).partition("-")[0]
        if not maker.isdigit() or Path(f"/proc/{maker}").exists():
            continue
        with contextlib.suppress(OSError, ValueError):
            server = int((root / "data" / "postmaster.pid").read_text().split("\n")[0])
            if str(root).encode() in Path(f"/proc/{server}/cmdline").read_bytes():
                os.kill(server, signal.SIGQUIT)
        shutil.rmtree(root, ignore_errors=True)


def _owner() -> str | None:
    """Who runs it: not root, which it refuses."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return "nobody"


class Databases:
    """Databases with the schema in them, lent to one test after the other: emptying one takes less than making one."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._free: list[str] = []
        self._ours: set[str] = set()

    @contextlib.contextmanager
    def lent(self) -> Iterator[str]:
        """Its URL."""
        url = self._free.pop() if self._free else self._new()
        yield url
        self._empty(url)
        self._free.append(url)

    def _new(self) -> str:
        url = self.cluster.create()
        Database.open_url(url, home=HOME).close_now()
        if not self._ours:
            self._empty(url)
        return url

    def _empty(self, url: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            tables = {name for (name,) in connection.execute(_TABLES)} - {"alembic_version"}
            self._ours = self._ours or tables
            # As a replica no foreign key is looked at.
            statements = ["SET lock_timeout = '10s'", "SET session_replication_role = replica"]
            statements += [f"DELETE FROM {name}" for name in tables & self._ours]
            statements += [f"DROP TABLE {name}" for name in tables - self._ours]
            connection.execute("; ".join(statements), prepare=False)


@contextlib.contextmanager
def databases() -> Iterator[Databases]:
    cluster = Cluster()
    try:
        yield Databases(cluster)
    finally:
        cluster.close()
