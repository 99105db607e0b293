"""The buckets of this server, in memory as they are in the database: every request asks for one."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from lambent.services.s3.configs.configs import Configs
from lambent.services.s3.errors import error, no_such_bucket
from lambent.services.s3.records import Bucket
from lambent.services.s3.store import buckets as store
from lambent.services.s3.store import configs as config_rows
from lambent.store.database import Database


class Buckets:
    """Made on the event loop that uses it. Loaded with the first request."""

    def __init__(self, database: Database, configs: Configs) -> None:
        self._database = database
        self._configs = configs
        self._loaded: dict[str, Bucket] | None = None

    @property
    def _all(self) -> dict[str, Bucket]:
        if self._loaded is None:
            self._loaded = {bucket.name: bucket for bucket in self._database.read_now(store.all_buckets)}
        return self._loaded

    def find(self, name: str) -> Bucket | None:
        return self._all.get(name)

    def get(self, name: str) -> Bucket:
        """Raises NoSuchBucket."""
        bucket = self._all.get(name)
        if bucket is None:
            raise no_such_bucket(name)
        return bucket

    def of(self, account: str) -> list[Bucket]:
        """In the order of their names."""
        mine = (bucket for bucket in self._all.values() if bucket.account == account)
        return sorted(mine, key=lambda bucket: bucket.name)

    def every(self) -> Sequence[Bucket]:
        return tuple(self._all.values())

    async def create(self, bucket: Bucket) -> Bucket | None:
        """None: the name is taken meanwhile."""

        def work(connection: Connection) -> Bucket | None:
            if store.find_bucket(connection, bucket.name) is not None:
                return None
            return store.put_bucket(connection, bucket)

        def applied(made: Bucket | None) -> None:
            if made is not None:
                self._all[made.name] = made

        return await self._database.write(work, applied=applied)

    async def change(self, bucket: Bucket, **columns: Any) -> Bucket:
        """`versioning`, `ownership` (empty: deleted) or `locked` (0 or 1)."""

        def work(connection: Connection) -> Bucket:
            store.set_bucket(connection, bucket.id, **columns)
            return store.the_bucket(connection, bucket.name)

        def applied(changed: Bucket) -> None:
            self._all[changed.name] = changed

        return await self._database.write(work, applied=applied)

    async def delete(self, bucket: Bucket) -> list[str]:
        """Returns the files that are free then. Raises BucketNotEmpty."""

        def work(connection: Connection) -> list[str]:
            found = store.the_bucket(connection, bucket.name)
            if not store.is_empty(connection, found.id):
                text = "The bucket you tried to delete is not empty"
                if found.versioning:
                    text += ". You must delete all versions in the bucket."
                raise error("BucketNotEmpty", text, 409, BucketName=bucket.name)
            config_rows.remove_all(connection, found.id)
            return store.delete_bucket(connection, found.id)

        def applied(_: list[str]) -> None:
            self._all.pop(bucket.name, None)
            self._configs.reload()

        return await self._database.write(work, applied=applied)

    def reload(self) -> None:
        self._loaded = None
