"""What holds for every test: signals are those of a terminal, however the tests were started.

And `place`: a test that asks for it runs on SQLite and on PostgreSQL.
"""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.places import DATABASES, Place, place_of

if TYPE_CHECKING:
    from tests.postgres import Databases

# A shell without job control starts `make test &` with SIGINT ignored, and children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres() -> "Iterator[Databases]":
    """One private cluster for all tests of this process."""
    from tests.postgres import databases

    with databases() as made:
        yield made


@pytest.fixture(params=DATABASES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with place_of(request, request.param, tmp_path / "lambent.db") as made:
        yield made
