"""Event source mappings put together: what `app` starts, asks and stops."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from lambent.aws.arn import Arn
from lambent.aws.caller import Caller
from lambent.aws.errors import not_found
from lambent.aws.service import CallContext, Operations
from lambent.core import tasks
from lambent.core.clock import Clock
from lambent.event_sources import store
from lambent.event_sources.api import create, read, update
from lambent.event_sources.api.parts import Parts
from lambent.event_sources.changes import Changes, ReadModel
from lambent.event_sources.existence import Sources
from lambent.event_sources.ports import PollerFactories
from lambent.event_sources.reconcile import Reconciler
from lambent.event_sources.records import EventSourceMapping, MappingKey
from lambent.event_sources.results import Results
from lambent.functions.ports import Tags
from lambent.functions.quotas import Quotas
from lambent.functions.read_model import ReadModel as Functions
from lambent.store.database import Database

STOP_S: Final = 10.0
"""How long the end of a server waits for batches that run. What is not done by then comes again."""


class EventSourceMappings:
    """Of all accounts and regions. `start` before the first call and after the functions, `close` after the last."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        functions: Functions,
        caller: Caller | None = None,
        pollers: PollerFactories | None = None,
        quotas: Quotas | None = None,
    ) -> None:
        """`caller`: whom to ask whether a source exists; None: nobody. `pollers`: for the sources that can be read."""
        self._database = database
        self.read_model = ReadModel()
        self._changes = Changes(database, self.read_model)
        self._reconciler = Reconciler(self._changes, self.read_model, {} if pollers is None else pollers, clock)
        self._changes.on_unsettled = self._reconciler.settle
        self._parts = Parts(
            read_model=self.read_model,
            changes=self._changes,
            functions=functions,
            sources=Sources(caller),
            clock=clock,
            quotas=quotas or Quotas(),
        )
        self.results = Results(self._changes, self.read_model, clock)
        self.taggable = MappingTags(self.read_model, self._changes)
        self._loop: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Load what is stored, and take up what a crash interrupted or what another server could not read."""
        self.read_model.load(self._database.read_now(store.load_all))
        self._reconciler.wake()
        self._loop = tasks.keep_running("event source mappings", self._reconciler.run)

    def operations(self) -> Operations:
        """The handlers of the `lambda` service that are built here."""
        return {
            **create.operations(self._parts),
            **read.operations(self._parts),
            **update.operations(self._parts),
        }

    async def reset(self) -> None:
        """Drop every mapping of every account; nothing is polled afterwards."""
        await self._changes.forget_everything()
        self._reconciler.abandon()

    def begin_to_close(self) -> None:
        """No more is read from here on; `close` waits for what runs."""
        if self._closing is None:
            self._closing = tasks.detach("end of event source mappings", self._close())

    async def close(self) -> None:
        self.begin_to_close()
        assert self._closing is not None
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        await self._reconciler.stop(STOP_S)
        self.results.close()


class MappingTags:
    """Implements `functions.ports.Taggable`."""

    def __init__(self, read_model: ReadModel, changes: Changes) -> None:
        self._read_model = read_model
        self._changes = changes

    def tags(self, context: CallContext, arn: str) -> Tags:
        return self._existing(self._read_model.get(_key(context, arn)), arn).tags

    async def change_tags(self, context: CallContext, arn: str, decide: Callable[[Tags], Tags]) -> None:
        key = _key(context, arn)
        self._existing(self._read_model.get(key), arn)

        def commit(connection: Connection) -> EventSourceMapping:
            mapping = self._existing(store.load(connection, key), arn)
            return replace(mapping, tags=decide(mapping.tags))

        await self._changes.commit(commit)

    def _existing(self, mapping: EventSourceMapping | None, arn: str) -> EventSourceMapping:
        if mapping is None:
            raise not_found(f"Event source mapping not found: {arn}")
        return mapping


def _key(context: CallContext, arn: str) -> MappingKey:
    """The key that the ARN names; that of no mapping for another account or region."""
    parsed = Arn.parse(arn)
    uuid = parsed.resource.rpartition(":")[2]
    mine = (parsed.account, parsed.region) == (context.account, context.region)
    return MappingKey(context.account, context.region, uuid if mine else "")
