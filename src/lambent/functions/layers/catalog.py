"""Layer versions in memory, and the one way in which they change: transaction, then memory.

Filled at the start. Everything in it is frozen. It knows nothing of functions: what those use of a layer they hold
themselves, so a deleted version is gone from here and still runs.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from lambent.functions.layers.records import LayerKey, LayerVersion
from lambent.functions.records import CodePackage
from lambent.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerChange:
    """What a transaction did: a new or changed version, or one that is gone."""

    put: LayerVersion | None = None
    removed: tuple[LayerKey, int] | None = None


class Layers:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._regions: dict[tuple[str, str], dict[str, dict[int, LayerVersion]]] = {}
        self.on_unused_code: Callable[[], None] = lambda: None

    def load(self, versions: Iterable[LayerVersion]) -> None:
        self._regions = {}
        for version in versions:
            self._put(version)

    async def commit(self, decide: Callable[[Connection], LayerChange]) -> LayerChange:
        """Run `decide` in a transaction; return its change once it is durable and visible. It may run twice."""
        return await self._database.write(decide, applied=self._applied)

    def forget_everything(self) -> None:
        """After the rows are gone."""
        self.load(())
        self.on_unused_code()

    def get(self, key: LayerKey, number: int) -> LayerVersion | None:
        return self.versions(key).get(number)

    def versions(self, key: LayerKey) -> dict[int, LayerVersion]:
        """By number; empty when there is no such layer."""
        return self._regions.get((key.account, key.region), {}).get(key.name, {})

    def region(self, account: str, region: str) -> dict[str, dict[int, LayerVersion]]:
        """All layers of an account in a region, by name and number."""
        return self._regions.get((account, region), {})

    def code_of(self, account: str, region: str) -> Iterator[CodePackage]:
        for versions in self.region(account, region).values():
            yield from (version.code for version in versions.values())

    def packages(self) -> Iterator[str]:
        """Digests of the packages of all layer versions."""
        for layers in self._regions.values():
            for versions in layers.values():
                yield from (version.code.sha256 for version in versions.values())

    def _applied(self, change: LayerChange) -> None:
        if change.put is not None:
            self._put(change.put)
        if change.removed is not None:
            key, number = change.removed
            layers = self._regions.get((key.account, key.region), {})
            left = {each: version for each, version in layers.get(key.name, {}).items() if each != number}
            if left:
                layers[key.name] = left
            else:
                layers.pop(key.name, None)
            self.on_unused_code()

    def _put(self, version: LayerVersion) -> None:
        layers = self._regions.setdefault((version.account, version.region), {})
        layers[version.name] = {**layers.get(version.name, {}), version.number: version}
