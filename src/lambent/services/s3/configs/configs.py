"""The documents of all buckets, in memory as they are in the database.

They are few and small, and every request asks for some of them: they are read once, and a change is seen by the next
request after its commit. What is made of a document (rules, a policy) is kept until the document changes.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from lambent.services.s3.configs.kinds import Kind
from lambent.services.s3.store import configs as store
from lambent.services.s3.store.configs import Place
from lambent.store.database import Database

T = TypeVar("T")
ABSENT: Final = object()
"""Never put, and never deleted: the default holds."""


class Configs:
    """Made on the event loop that changes it; other threads may read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._documents: dict[Place, Any] | None = None
        self._made: dict[tuple[Place, Any], Any] = {}

    @property
    def _all(self) -> dict[Place, Any]:
        if self._documents is None:
            self._documents = self._database.read_now(store.load)
        return self._documents

    def document(self, bucket_id: int, kind: Kind, id: str = "") -> Any:
        """None: deleted, or the bucket has none; where there are defaults look at `put_or_deleted` first."""
        return self._all.get((bucket_id, kind, id))

    def put_or_deleted(self, bucket_id: int, kind: Kind) -> bool:
        return (bucket_id, kind, "") in self._all

    def listed(self, bucket_id: int, kind: Kind) -> Mapping[str, Any]:
        """Documents of a kind of which a bucket may have several, by id."""
        return {key[2]: value for key, value in sorted(self._all.items()) if key[:2] == (bucket_id, kind)}

    def made(self, bucket_id: int, kind: Kind, make: Callable[[Any], T]) -> T | None:
        """`make(document)`, or None where there is no document."""
        place: Place = (bucket_id, kind, "")
        document = self._all.get(place)
        if document is None:
            return None
        found = self._made.get((place, make), ABSENT)
        if found is ABSENT:
            found = self._made[place, make] = make(document)
        result: T = found
        return result

    async def put(
        self,
        bucket_id: int,
        kind: Kind,
        document: Any,
        id: str = "",
        *,
        also: Callable[[Connection], object] = lambda _connection: None,
    ) -> None:
        """`also` is written in the same commit. What it raises is raised, and nothing is put."""
        place: Place = (bucket_id, kind, id)
        text = json.dumps(document)

        def work(connection: Connection) -> None:
            also(connection)
            store.put(connection, place, text)

        def applied(_: None) -> None:
            self._all[place] = json.loads(text)
            self._forget(place)

        await self._database.write(work, applied=applied)

    async def delete(self, bucket_id: int, kind: Kind, id: str = "", *, by_default: bool = False) -> bool:
        """Returns whether there was one. `by_default`: buckets have one by default, and this one shall have none."""
        place: Place = (bucket_id, kind, id)
        found = self._all.get(place) is not None
        if by_default:
            await self.put(bucket_id, kind, None, id)
            return found

        def applied(_: None) -> None:
            self._all.pop(place, None)
            self._forget(place)

        await self._database.write(lambda connection: store.remove(connection, place), applied=applied)
        return found

    def reload(self) -> None:
        """Buckets were made or deleted, with their documents: read them again when they are asked for."""
        self._documents = None
        self._made.clear()

    def _forget(self, place: Place) -> None:
        for known in [each for each in self._made if each[0] == place]:
            del self._made[known]
