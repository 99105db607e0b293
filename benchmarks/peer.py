"""Other local Lambdas, measured by the same load on the same machine.

A peer is installed by name from its registry into `bench-output/`, which git ignores; one that does not install is
named in a line, and the benchmark goes on.
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

INSTALL_TIMEOUT_S = 400
START_TIMEOUT_S = 40


class PeerAbsent(Exception):
    """The peer cannot be measured here; one line says why."""


@dataclass(frozen=True, slots=True)
class RunningPeer:
    port: int
    functions: Sequence[str]
    """None was invoked before; the name as it stands in the path of Invoke."""


class Peer(Protocol):
    name: str
    remark: str
    """What the reader must know of its numbers, or empty."""

    def install(self) -> None:
        """Into bench-output, once. Raises PeerAbsent."""
        ...

    def run(self, functions: int) -> contextlib.AbstractContextManager[RunningPeer]:
        """Start it with so many hello-world functions. Raises PeerAbsent."""
        ...


def install(what: str, argv: Sequence[str], folder: Path) -> None:
    """Run a package manager. Raises PeerAbsent with the last line that it said."""
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerAbsent(f"{what}: {error}") from error
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if line.strip()] or ["no output"]
        raise PeerAbsent(f"{what} ended with {done.returncode}: {said[-1][:200]}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def served(argv: Sequence[str], *, folder: Path, variables: Mapping[str, str], port: int) -> Iterator[None]:
    """Run a server in a session of its own until it listens on `port`; end the whole session afterwards."""
    with (
        (folder / "server.log").open("w") as log,
        subprocess.Popen(
            argv,
            cwd=folder,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    said = (folder / "server.log").read_text(errors="replace").strip()[-300:]
                    raise PeerAbsent(f"{Path(argv[0]).name} did not start: {said}")
                time.sleep(0.05)
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                pass
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
