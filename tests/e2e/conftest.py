"""A real server for end-to-end tests: `lambent up`, its own data dir, a free port. Root gives the native sandbox."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lambent.testing.running_server import Server

SANDBOX = os.environ.get("LAMBENT_TEST_SANDBOX", "auto")
"""The sandbox driver under test."""

# Where versions of Python are installed side by side, the tests find them all, whatever HOME is.
BESIDE = sorted(str(folder) for folder in Path(sys.base_prefix).parent.glob("3.*/bin"))
os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *BESIDE])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for a test module. Tests that kill or restart servers start their own by `start_server`."""
    with Server.start(tmp_path_factory.mktemp("server") / "data", "--sandbox", SANDBOX, "--allow-reset") as started:
        # What isolation promises would be skipped, and nobody would notice.
        if started.sandbox == "process" and SANDBOX == "auto" and os.geteuid() == 0 and os.environ.get("CI") == "true":
            pytest.fail("root got the process sandbox here; lambent doctor says why")
        yield started


@pytest.fixture
def lambda_client(server: Server) -> Any:
    return server.client("lambda")


@pytest.fixture
def logs_client(server: Server) -> Any:
    return server.client("logs")


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers that the test owns: `start_server()`, again for a restart on the same data dir, or
    `start_server("--flag", data_dir=other)`. What is still running after the test is killed."""
    started: list[Server] = []

    def start(*arguments: str, data_dir: Path = tmp_path / "data", **options: Any) -> Server:
        started.append(Server.start(data_dir, "--sandbox", SANDBOX, *arguments, **options))
        return started[-1]

    yield start
    for each in started:
        each.kill()
