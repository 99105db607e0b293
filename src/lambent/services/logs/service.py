"""The logs service as a whole: wires store, sink, sweeper and operations. Start reading here."""

import asyncio
from collections.abc import Sequence

from lambent.aws.service import Operations
from lambent.core.clock import Clock
from lambent.core.tasks import supervise
from lambent.services.logs.api.events import EventApi
from lambent.services.logs.api.groups import GroupApi
from lambent.services.logs.api.streams import StreamApi
from lambent.services.logs.api.tags import TagApi
from lambent.services.logs.compact import Compactor
from lambent.services.logs.lookup import Lookup
from lambent.services.logs.retention import Retention
from lambent.services.logs.sink import StoreLogSink
from lambent.services.logs.store.append import delete_everything, last_sequence
from lambent.services.logs.sweep import Sweeper
from lambent.services.logs.unflushed import Limits, Unflushed
from lambent.store.database import Database


class LogsService:
    """`sink` is the `LogSink` of environments. Made on the event loop that uses it; the caller owns the database."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        retention: Retention = Retention(),  # noqa: B008  (frozen)
        limits: Limits = Limits(),  # noqa: B008
    ) -> None:
        self._database = database
        self._unflushed = Unflushed(limits, database.read_now(last_sequence) + 1)
        self._compactor = Compactor(database)
        self._sweeper = Sweeper(database, clock, retention, self._compactor)
        self.sink = StoreLogSink(
            database, clock, self._unflushed, stored=self._sweeper.stored, flushed=self._compactor.flushed
        )
        lookup = Lookup(database, self.sink)
        self._apis = (
            GroupApi(database, clock, self.sink, lookup),
            StreamApi(database, clock, self.sink, lookup),
            EventApi(database, clock, self._unflushed, lookup, retention, self._sweeper.stored),
            TagApi(database, lookup),
        )
        self._loops: Sequence[asyncio.Task[None]] = ()

    def operations(self) -> Operations:
        return {name: handler for api in self._apis for name, handler in api.operations().items()}

    @property
    def dropped_records(self) -> int:
        """Events lost since the start because memory for them was full."""
        return self._unflushed.dropped_records

    def start(self) -> None:
        """Begin to flush and to sweep."""
        loop = asyncio.get_running_loop()
        self._loops = (
            loop.create_task(supervise("log flush", self.sink.run), name="log flush"),
            loop.create_task(supervise("log sweep", self._sweeper.run), name="log sweep"),
        )

    async def close(self) -> None:
        """End the loops and store what is still in memory. Before the database closes; safe to call twice."""
        for task in self._loops:
            task.cancel()
        if self._loops:
            await asyncio.wait(self._loops)
        self._loops = ()
        await self.sink.close()

    async def reset(self) -> None:
        """Drop all groups and events. Streams that environments hold open are made again by their next line."""
        await self.sink.flush()
        await self._database.write(delete_everything)
        self._unflushed.forget_all()
        self._sweeper.forget()
        self._compactor.forget()
