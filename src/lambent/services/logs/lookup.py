"""From names in a request to rows; the errors of names that name nothing.

A group or stream that an environment has just begun to write is in memory only: a miss flushes once and looks again.
"""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from lambent.aws.errors import ApiError
from lambent.services.logs.names import Scope
from lambent.services.logs.sink import StoreLogSink
from lambent.services.logs.store.groups import Group, find_group
from lambent.services.logs.store.streams import Stream, find_stream
from lambent.store.database import Database

T = TypeVar("T")


def no_group() -> ApiError:
    return ApiError("ResourceNotFoundException", "The specified log group does not exist.")


def no_stream() -> ApiError:
    return ApiError("ResourceNotFoundException", "The specified log stream does not exist.")


class Lookup:
    def __init__(self, database: Database, sink: StoreLogSink) -> None:
        self._database = database
        self._sink = sink

    async def group(self, scope: Scope, name: str) -> Group:
        found = await self._twice(lambda connection: find_group(connection, scope, name))
        if found is None:
            raise no_group()
        return found

    async def stream(self, scope: Scope, group: str, name: str) -> tuple[Group, Stream]:
        def find(connection: Connection) -> tuple[Group, Stream] | None:
            row = find_group(connection, scope, group)
            stream = None if row is None else find_stream(connection, row.id, name)
            return None if row is None or stream is None else (row, stream)

        found = await self._twice(find)
        if found is None:
            await self.group(scope, group)
            raise no_stream()
        return found

    async def _twice(self, find: Callable[[Connection], T | None]) -> T | None:
        found = await self._database.read(find)
        if found is None and await self._sink.flush():
            found = await self._database.read(find)
        return found
