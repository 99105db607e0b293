"""Where a test has its database: a file of SQLite, or a database of PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from lambent.store.database import Database

if TYPE_CHECKING:
    from tests.postgres import Databases

DATABASES: Final = ("sqlite", "postgres")


@dataclass(frozen=True, slots=True)
class Place:
    path: Path
    url: str | None = None
    """Of the database of PostgreSQL; None: SQLite at `path`."""

    def open(self) -> Database:
        if self.url is None:
            return Database.open(self.path, busy_timeout_ms=50)
        # Here and not above: who has no driver still runs what is about SQLite.
        from tests.postgres import HOME

        return Database.open_url(self.url, home=HOME)


@contextmanager
def place_of(request: pytest.FixtureRequest, kind: str, path: Path) -> Iterator[Place]:
    if kind == "sqlite":
        yield Place(path)
        return
    made: Databases = request.getfixturevalue("postgres")
    with made.lent() as url:
        yield Place(path, url)
