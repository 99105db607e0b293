"""Group commit: whatever is asked for while a commit is on its way forms the next one.

Owns when a group is written and that groups follow one another. What a group holds, and how its holders hear of its
end, is the group's.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from sqlalchemy import Connection

from lambent.core import tasks
from lambent.store.database import Database

logger = logging.getLogger(__name__)


class Group(Protocol):
    done: asyncio.Task[None]

    def sealed(self) -> None:
        """Nothing more is added to it."""
        ...

    def write(self, connection: Connection) -> None:
        """On the writer's thread; perhaps twice, when the transaction it shared failed as a whole."""
        ...

    def ended(self, done: asyncio.Future[None]) -> None:
        """Committed or failed. Called before anybody who awaits `done` goes on, in the order of the commits."""
        ...


G = TypeVar("G", bound=Group)


class GroupCommit(Generic[G]):
    """`make` makes an empty group."""

    def __init__(self, database: Database, name: str, make: Callable[[], G]) -> None:
        self._database = database
        self._name = name
        self._make = make
        self._open: G | None = None
        self._last: asyncio.Task[None] | None = None
        self._failing = False

    def group(self) -> G:
        """The one that is committed next. Its future `done` is that of many: never cancel it."""
        if self._open is None:
            group = self._open = self._make()
            group.done = self._last = tasks.detach(f"queue {self._name}", self._commit(group, self._last), told=True)
            group.done.add_done_callback(group.ended)
            group.done.add_done_callback(self._say)
        return self._open

    async def _commit(self, group: G, before: asyncio.Task[None] | None) -> None:
        if before is not None and not before.done():
            # The group fills while the commit before it is on its way.
            await asyncio.wait({before})
        self._open = None
        group.sealed()
        await self._database.write(group.write)

    def _say(self, done: asyncio.Future[None]) -> None:
        """Once when writing begins to fail, and once when it is over: each of thousands hears of its own failure."""
        error = None if done.cancelled() else done.exception()
        if error is not None and not self._failing:
            logger.error("Queue %s cannot be written now: %s", self._name, error)
        elif error is None and self._failing:
            logger.warning("Queue %s can be written again", self._name)
        self._failing = error is not None
