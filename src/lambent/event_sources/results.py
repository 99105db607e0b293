"""`LastProcessingResult`: what a poller says of its last batch, stored when it changes and at most once in a second."""

import asyncio
from dataclasses import replace
from typing import Final

from lambent.aws.errors import PlatformFault
from lambent.core import tasks
from lambent.core.clock import Clock
from lambent.event_sources.changes import Changes, ReadModel
from lambent.event_sources.records import EventSourceMapping, MappingKey

EVERY_S: Final = 1.0
MAX_LENGTH: Final = 1000


class Results:
    def __init__(self, changes: Changes, read_model: ReadModel, clock: Clock) -> None:
        self._changes = changes
        self._read_model = read_model
        self._clock = clock
        self._latest: dict[MappingKey, str] = {}
        """What is to be stored, or was just now."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def told(self, key: MappingKey, result: str) -> None:
        """Returns at once."""
        mapping = self._read_model.get(key)
        if key in self._latest:
            self._latest[key] = result[:MAX_LENGTH]
        elif mapping is not None and mapping.last_result != result[:MAX_LENGTH] and not self._closed:
            self._latest[key] = result[:MAX_LENGTH]
            task = tasks.detach("result of an event source mapping", self._store(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        self._closed = True
        for task in self._tasks:
            task.cancel()

    async def _store(self, key: MappingKey) -> None:
        try:
            while not self._closed:
                result = self._latest[key]
                await self._changes.end(key, lambda stored, result=result: _with(stored, result))  # type: ignore[misc]
                await self._clock.sleep(EVERY_S)
                if self._latest[key] == result:
                    return
        except PlatformFault:
            # The store is not there; the next result is told again.
            return
        finally:
            del self._latest[key]


def _with(mapping: EventSourceMapping, result: str) -> EventSourceMapping:
    return replace(mapping, last_result=result)
