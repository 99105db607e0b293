"""Mappings in memory, and the one way in which they change: transaction, read model, whoever waits for transitions.

Reads never ask the database. Nobody sees a change before it is on disk, and changes show in the order of commits.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from lambent.event_sources import store
from lambent.event_sources.records import AT_REST, EventSourceMapping, MappingKey
from lambent.store.database import Database


@dataclass(frozen=True, slots=True)
class Change:
    """`mapping` as it is now; None: there is none of this key any more."""

    key: MappingKey
    mapping: EventSourceMapping | None


class ReadModel:
    def __init__(self) -> None:
        self._regions: dict[tuple[str, str], dict[str, EventSourceMapping]] = {}

    def load(self, mappings: Iterable[EventSourceMapping]) -> None:
        self._regions = {}
        for mapping in mappings:
            self.put(mapping)

    def put(self, mapping: EventSourceMapping) -> None:
        self._regions.setdefault((mapping.account, mapping.region), {})[mapping.uuid] = mapping

    def remove(self, key: MappingKey) -> None:
        region = self._regions.get((key.account, key.region), {})
        region.pop(key.uuid, None)
        if not region:
            self._regions.pop((key.account, key.region), None)

    def get(self, key: MappingKey) -> EventSourceMapping | None:
        return self._regions.get((key.account, key.region), {}).get(key.uuid)

    def region(self, account: str, region: str) -> list[EventSourceMapping]:
        """All mappings of an account in a region, by UUID."""
        found = self._regions.get((account, region), {})
        return [found[uuid] for uuid in sorted(found)]

    def __iter__(self) -> Iterator[EventSourceMapping]:
        for region in self._regions.values():
            yield from region.values()


class Changes:
    def __init__(self, database: Database, read_model: ReadModel) -> None:
        self._database = database
        self._read_model = read_model
        self.on_unsettled: Callable[[MappingKey], None] = lambda _key: None

    async def commit(self, decide: Callable[[Connection], EventSourceMapping]) -> EventSourceMapping:
        """Store what `decide` returns; return it once it is durable and visible.

        `decide` reads rows, raises `ApiError` to refuse, writes nothing, and may run twice.
        """

        def work(connection: Connection) -> Change:
            mapping = decide(connection)
            store.put(connection, mapping)
            return Change(mapping.key, mapping)

        change = await self._database.write(work, applied=self._applied)
        assert change.mapping is not None
        return change.mapping

    async def end(
        self, key: MappingKey, decide: Callable[[EventSourceMapping], EventSourceMapping | None]
    ) -> EventSourceMapping | None:
        """Put what `decide` makes of the stored mapping in its place; None removes it."""

        def work(connection: Connection) -> Change:
            mapping = store.load(connection, key)
            after = None if mapping is None else decide(mapping)
            if after is None:
                store.remove(connection, key)
            else:
                store.put(connection, after)
            return Change(key, after)

        return (await self._database.write(work, applied=self._applied)).mapping

    def _applied(self, change: Change) -> None:
        if change.mapping is None:
            self._read_model.remove(change.key)
            return
        self._read_model.put(change.mapping)
        if change.mapping.state not in AT_REST:
            self.on_unsettled(change.key)

    async def forget_everything(self) -> None:
        """Drop all mappings of all accounts."""
        await self._database.write(store.remove_everything, applied=lambda _none: self._read_model.load(()))
