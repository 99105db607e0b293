"""A server for the time of a `with` block, as a child process: `lambent up` on a free port."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lambent.cli.failure import CANNOT_START, Failure

READY = re.compile(r"^lambent ready on (?P<url>\S+) \(sandbox: (?P<sandbox>[\w-]+), data: ")
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0
"""The server drains for 10 s."""


@dataclass(frozen=True, slots=True)
class Running:
    url: str
    sandbox: str
    ready_s: float


@contextmanager
def serving(data_dir: Path, log: Path, flags: Sequence[str] = ()) -> Iterator[Running]:
    """Start it, wait for its ready line, and end it whatever happens. `log` gets its stderr."""
    command = [sys.executable, "-P", "-m", "lambent", "up", "--port", "0", "--data-dir", str(data_dir), *flags]
    # A terminal sends Ctrl-C to its whole process group: in a session of its own the child is ended once, by us.
    with log.open("w", encoding="utf-8") as errors:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("LAMBENT_")},
            start_new_session=True,
        )
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
    reader.start()
    try:
        found = _ready(lines)
        if found is None:
            raise Failure(f"the server did not start: {_why(log)}", CANNOT_START)
        yield Running(found["url"], found["sandbox"], time.perf_counter() - begun)
    finally:
        _end(process)
        reader.join(timeout=2)


def _read(process: subprocess.Popen[str], lines: "queue.SimpleQueue[str | None]") -> None:
    assert process.stdout is not None
    with process.stdout as out:
        for line in out:
            lines.put(line)
    lines.put(None)


def _ready(lines: "queue.SimpleQueue[str | None]") -> re.Match[str] | None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return None
        if line is None or (found := READY.match(line)):
            return found if line is not None else None


def _why(log: Path) -> str:
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return said[-1].removeprefix("lambent: ") if said else f"no ready line within {START_TIMEOUT_S:g} s"


def _end(process: subprocess.Popen[str]) -> None:
    # A second Ctrl-C must not leave the server running.
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.terminate()
        try:
            process.wait(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=STOP_TIMEOUT_S)
    finally:
        signal.signal(signal.SIGINT, previous)
