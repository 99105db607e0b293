"""Objects as a whole: bytes go to files, then rows change in one transaction; what is read stays while it is read.

The operations call this; it knows nothing of their shapes. What a change means is in `changes`, which version a
request means in `lookup`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from lambent.aws.streams import Upload
from lambent.services.s3 import lookup
from lambent.services.s3.bodies import Opened
from lambent.services.s3.changes import Change, Changes
from lambent.services.s3.conditions import check_delete, check_write
from lambent.services.s3.files import Files
from lambent.services.s3.records import Bucket, ObjectVersion, Origin, Part, State
from lambent.services.s3.store import uploads, versions
from lambent.services.s3.store.buckets import the_bucket
from lambent.store.database import Database

Asked = Mapping[str, Any]
"""Parameters of the request, for its conditions."""


@dataclass(frozen=True, slots=True)
class Marking:
    """A change of state: tags, retention, a hold, an ACL. `events` are what AWS calls it, where it tells of it."""

    apply: Callable[[State], State]
    method: str
    events: Sequence[str] = ()


class Objects:
    def __init__(self, database: Database, files: Files, changes: Changes) -> None:
        self._database = database
        self.files = files
        self.changes = changes

    async def store(self, body: Upload) -> str | None:
        """The bytes of `body` in a file, before any row names it."""
        return await self.files.write(body, body.length_bytes)

    async def put(
        self, bucket: Bucket, draft: ObjectVersion, origin: Origin, event: str, asked: Asked
    ) -> tuple[Bucket, ObjectVersion]:
        """Make `draft`, whose file is stored, the latest version of its key. Raises what its conditions forbid.

        Returns the bucket as it was at that moment too: its versioning decides what the reply tells.
        """

        def check(_connection: Connection, current: ObjectVersion | None) -> None:
            check_write(draft.key, current, asked)

        def work(connection: Connection) -> tuple[tuple[Bucket, ObjectVersion], Any]:
            found = the_bucket(connection, bucket.name)
            done = self.changes.put(connection, found, draft, origin, event, check)
            assert done.version is not None
            return (found, done.version), done.freed

        return await self.changes.write(work, adding=draft.file)

    async def find(self, bucket: Bucket, key: str, version_id: str | None) -> ObjectVersion | None:
        """Markers too. Raises InvalidArgument for what is no id."""
        lookup.check_version_id(version_id)
        return await self._database.read(lambda connection: find(connection, bucket, key, version_id))

    async def head(
        self, bucket: Bucket, key: str, version_id: str | None = None, method: str = "HEAD"
    ) -> ObjectVersion:
        return lookup.readable(await self.find(bucket, key, version_id), key, version_id, method)

    async def open(self, bucket: Bucket, key: str, version_id: str | None = None) -> Opened:
        """With its bytes. Raises as `head` does."""
        lookup.check_version_id(version_id)
        while True:
            opened = await self._database.read(lambda connection: self._open(connection, bucket, key, version_id))
            # Deleted in the moment between its row and its file: whatever is there now is meant.
            if opened is not None and (opened.version.upload is None or await self._hold(opened)):
                return opened

    def _open(self, connection: Connection, bucket: Bucket, key: str, version_id: str | None) -> Opened | None:
        version = lookup.readable(find(connection, bucket, key, version_id), key, version_id)
        if version.upload is not None:
            return Opened(version, self.files, parts=uploads.all_parts(connection, version.upload))
        if version.file is None:
            return Opened(version, self.files)
        path = self.files.path(version.file)
        try:
            return Opened(version, self.files, path, path.open("rb", buffering=0))
        except FileNotFoundError:
            return None

    async def _hold(self, opened: Opened) -> bool:
        self.files.hold(part.file for part in opened.parts if part.file is not None)
        sequence = opened.version.sequence
        if await self._database.read(lambda connection: versions.by_sequence(connection, sequence)) is not None:
            return True
        opened.close()
        return False

    async def parts(self, version: ObjectVersion) -> list[Part]:
        if version.upload is None:
            return []
        upload = version.upload
        return await self._database.read(lambda connection: uploads.all_parts(connection, upload))

    async def delete(
        self,
        bucket: Bucket,
        key: str,
        version_id: str | None,
        origin: Origin,
        *,
        match: str | None = None,
        bypass: bool = False,
        family: str = "ObjectRemoved",
    ) -> Change:
        """`bypass`: governance mode does not hold the caller."""

        def check(_connection: Connection, current: ObjectVersion | None) -> None:
            check_delete(current, match)

        def work(connection: Connection) -> tuple[Change, Any]:
            found = the_bucket(connection, bucket.name)
            if version_id is None:
                done = self.changes.delete(connection, found, key, origin, check=check, family=family)
            else:
                done = self.changes.delete_version(
                    connection, found, key, version_id, origin, bypass=bypass, check=check, family=family
                )
            return done, done.freed

        lookup.check_version_id(version_id)
        return await self.changes.write(work)

    async def mark(
        self,
        bucket: Bucket,
        key: str,
        version_id: str | None,
        change: Marking,
        origin: Origin,
    ) -> ObjectVersion:
        """Change the state of a version. Raises as `head`, and MethodNotAllowed for a delete marker."""

        def work(connection: Connection) -> tuple[ObjectVersion, Any]:
            found = the_bucket(connection, bucket.name)
            version = lookup.markable(find(connection, found, key, version_id), key, version_id, change.method)
            state = change.apply(version.state)
            self.changes.set_state(connection, found, version, state, origin, change.events)
            return replace(version, state=state), ()

        lookup.check_version_id(version_id)
        return await self.changes.write(work)

    async def unknown(self, files: list[str]) -> set[str]:
        return await self._database.read(lambda connection: uploads.unknown_files(connection, files))


def find(connection: Connection, bucket: Bucket, key: str, version_id: str | None) -> ObjectVersion | None:
    if version_id is None:
        return versions.latest(connection, bucket.id, key)
    return versions.by_id(connection, bucket.id, key, version_id)
