"""`lambent up` as a child process: started, waited for, ended, each with a time-out.

For tests and benchmarks that need the real thing. It knows only the contract of the command (the ready line, the
flags, SIGTERM); it refuses to look inside.
"""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import boto3
from botocore.config import Config

READY = re.compile(r"^lambent ready on (?P<url>http://\S+) \(sandbox: (?P<sandbox>[\w-]+), data: (?P<data>.+)\)$")
COMMAND = Path(sys.executable).parent / "lambent"


class ServerFailed(Exception):
    """The server did not get ready; the message holds what it printed."""


@dataclass(slots=True)
class Server:
    """A running server. `with Server.start(data_dir) as server:` ends it whatever happens."""

    process: subprocess.Popen[str]
    url: str
    sandbox: str
    data_dir: Path
    ready_s: float
    """Seconds from exec of the command to its ready line."""
    _reader: threading.Thread
    _log: IO[str]
    _clients: dict[tuple[str, str, str, float], Any] = field(default_factory=dict)

    @classmethod
    def start(
        cls,
        data_dir: Path,
        *arguments: str,
        command: Sequence[str] = (str(COMMAND),),
        variables: Mapping[str, str] | None = None,
        timeout_s: float = 20.0,
    ) -> Self:
        """Start on a free port and wait for the ready line.

        Its stderr goes to `<data_dir>.log`, which outlives it. Raises ServerFailed when there is no ready line within
        `timeout_s`; nothing is left running then.
        """
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        log = data_dir.with_name(data_dir.name + ".log").open("a+", encoding="utf-8")
        begun = time.perf_counter()
        process = subprocess.Popen(
            [*command, "up", "--until-stdin-ends", "--port", "0", "--data-dir", str(data_dir), *arguments],
            # Held until this process ends, however it does: nobody else would end the server after a SIGKILL.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**_outside_settings(), **(variables or {})},
        )
        lines: queue.SimpleQueue[tuple[float, str] | None] = queue.SimpleQueue()
        reader = threading.Thread(target=_drain, args=(process, lines), daemon=True, name="server-stdout")
        reader.start()
        deadline = begun + timeout_s
        while True:
            try:
                line = lines.get(timeout=max(0.0, deadline - time.perf_counter()))
            except queue.Empty:
                line = None
            if line is None:
                _end(process, reader)
                log.seek(0)
                said = log.read()[-4000:]
                log.close()
                raise ServerFailed(f"no ready line within {timeout_s:g} s (status {process.returncode}): {said}")
            at, text = line
            if found := READY.match(text):
                return cls(process, found["url"], found["sandbox"], data_dir, at - begun, reader, log)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        """The supervisor."""
        return self.process.pid

    def client(
        self, service: str, *, account: str = "000000000000", region: str = "us-east-1", read_timeout_s: float = 30.0
    ) -> Any:
        """A boto3 client, unmodified, without retries: a test wants to see the first answer. Cached."""
        key = (service, account, region, read_timeout_s)
        if key not in self._clients:
            self._clients[key] = boto3.session.Session().client(
                service,
                endpoint_url=self.url,
                region_name=region,
                aws_access_key_id=account,
                aws_secret_access_key="secret",
                config=Config(
                    retries={"total_max_attempts": 1},
                    connect_timeout=5,
                    read_timeout=read_timeout_s,
                    max_pool_connections=32,
                ),
            )
        return self._clients[key]

    def log(self) -> str:
        """What it has written to stderr since the data dir was first used."""
        self._log.flush()
        return Path(self._log.name).read_text(encoding="utf-8", errors="replace")

    def terminate(self, timeout_s: float = 20.0) -> int:
        """SIGTERM; returns the exit status. Kills it and raises TimeoutExpired when it does not end in time."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._finish(timeout_s)

    def kill(self, timeout_s: float = 20.0) -> None:
        """SIGKILL to the supervisor alone, as a crash would be."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self._finish(timeout_s)

    def _finish(self, timeout_s: float) -> int:
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        try:
            return self.process.wait(timeout=timeout_s)
        finally:
            _end(self.process, self._reader)
            self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.terminate()


def _outside_settings() -> dict[str, str]:
    """The environment without the caller's own settings of Lambent: only the arguments decide."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LAMBENT_")}


def _drain(process: subprocess.Popen[str], lines: "queue.SimpleQueue[tuple[float, str] | None]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put((time.perf_counter(), line.rstrip("\n")))
    lines.put(None)


def _end(process: subprocess.Popen[str], reader: threading.Thread) -> None:
    if process.poll() is None:
        process.kill()
        process.wait(timeout=10)
    if process.stdin is not None:
        process.stdin.close()
    # A process that the server left behind may still hold the pipe: then the thread, a daemon, is left alone.
    reader.join(timeout=2)
    if process.stdout is not None and not reader.is_alive():
        process.stdout.close()
