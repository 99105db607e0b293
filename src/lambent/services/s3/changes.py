"""The one way in which objects change: a version is added, removed or marked, and the outbox is told, all in one
transaction. Owns the rules of versioning, of locks, and the numbers by which changes are ordered.

Files that lose their row are deleted after the commit.
"""

import asyncio
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from os import urandom
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from lambent.aws.errors import PlatformFault
from lambent.core.clock import Clock
from lambent.core.tasks import detach
from lambent.services.s3 import locks
from lambent.services.s3.errors import access_denied, invalid_argument
from lambent.services.s3.files import Files
from lambent.services.s3.ports import Outbox
from lambent.services.s3.records import ENABLED, NULL, SUSPENDED, Bucket, ObjectChange, ObjectVersion, Origin, State
from lambent.services.s3.store import uploads, versions
from lambent.store.database import Database

T = TypeVar("T")

MARKER_ETAG: Final = "d41d8cd98f00b204e9800998ecf8427e"
Check = Callable[[Connection, ObjectVersion | None], None]
"""Asked in the transaction with what the change would take the place of; raises what forbids it."""


def anything(_connection: Connection, _current: ObjectVersion | None) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Change:
    """What a transaction has done: `freed` are files that no row names any more once it is committed."""

    version: ObjectVersion | None
    """The one that was added, or that was removed for good; None: there was none."""
    freed: Sequence[str] = ()


class Changes:
    def __init__(self, database: Database, files: Files, clock: Clock, outbox: Outbox) -> None:
        """`clock`: what objects are stamped with."""
        self._database = database
        self._files = files
        self._clock = clock
        self._outbox = outbox
        self._last = database.read_now(versions.last_sequence)

    async def write(self, work: Callable[[Connection], tuple[T, Sequence[str]]], *, adding: str | None = None) -> T:
        """Commit `work`, which returns its result and the files that are free then.

        `adding`: a file that a row names once it is committed; it is deleted when it is not.
        """

        def applied(done: tuple[T, Sequence[str]]) -> None:
            self._outbox.committed()
            self._files.free(done[1])

        async def commit() -> T:
            try:
                return (await self._database.write(work, applied=applied))[0]
            except PlatformFault:
                # Perhaps it is committed all the same, and the answer was lost.
                if adding is not None:
                    self._files.doubt(adding)
                raise
            except BaseException:
                if adding is not None:
                    await self._files.delete([adding])
                raise

        if adding is None:
            return await commit()
        # Who goes away meanwhile changes nothing: whether the file has a row is known only at the end.
        return await _shielded(commit)

    def next_sequence(self) -> int:
        """On the writer's thread: nanoseconds since 1970, and never the same twice."""
        self._last = max(self._last + 1, time.time_ns())
        return self._last

    def put(
        self,
        connection: Connection,
        bucket: Bucket,
        draft: ObjectVersion,
        origin: Origin,
        event: str,
        check: Check = anything,
    ) -> Change:
        """`draft` becomes the latest version of its key; its id, number and time are made here."""
        current = versions.latest(connection, bucket.id, draft.key)
        check(connection, current)
        sequence, now_ms = self.next_sequence(), self._clock.epoch_ms()
        freed: Sequence[str] = ()
        if bucket.versioning == ENABLED:
            version_id = _version_id(sequence)
            if current is not None:
                versions.set_latest(connection, current.sequence, False, now_ms)
        else:
            version_id = NULL
            freed = self._replace_null(connection, bucket, draft.key, current, now_ms)
        version = replace(
            draft, bucket_id=bucket.id, version_id=version_id, sequence=sequence, latest=True, modified_ms=now_ms
        )
        versions.add(connection, version)
        change = ObjectChange(
            event=event,
            key=version.key,
            sequence=sequence,
            at_ms=now_ms,
            origin=origin,
            size=version.size,
            etag=version.etag,
            version_id=version_id if bucket.versioning == ENABLED else None,
        )
        self._outbox.changed(connection, bucket, change)
        return Change(version, freed)

    def delete(
        self,
        connection: Connection,
        bucket: Bucket,
        key: str,
        origin: Origin,
        *,
        check: Check = anything,
        family: str = "ObjectRemoved",
    ) -> Change:
        """Without an id: the object is gone, or a delete marker is on top. Also where there is no such key."""
        current = versions.latest(connection, bucket.id, key)
        check(connection, current)
        sequence, now_ms = self.next_sequence(), self._clock.epoch_ms()
        if not bucket.versioning:
            self._tell(connection, bucket, f"{family}:Delete", key, sequence, now_ms, origin)
            return Change(None, () if current is None else self._remove(connection, current))
        freed: Sequence[str] = ()
        if bucket.versioning == SUSPENDED:
            version_id = NULL
            freed = self._replace_null(connection, bucket, key, current, now_ms)
        else:
            version_id = _version_id(sequence)
            if current is not None:
                versions.set_latest(connection, current.sequence, False, now_ms)
        marker = ObjectVersion(
            bucket_id=bucket.id,
            key=key,
            version_id=version_id,
            sequence=sequence,
            latest=True,
            marker=True,
            modified_ms=now_ms,
        )
        versions.add(connection, marker)
        shown = version_id if version_id != NULL else None
        event = f"{family}:DeleteMarkerCreated"
        self._tell(connection, bucket, event, key, sequence, now_ms, origin, version_id=shown, etag=MARKER_ETAG)
        return Change(marker, freed)

    def delete_version(
        self,
        connection: Connection,
        bucket: Bucket,
        key: str,
        version_id: str,
        origin: Origin,
        *,
        bypass: bool = False,
        check: Check = anything,
        family: str = "ObjectRemoved",
    ) -> Change:
        """For good. Nothing happens when there is no such version; AccessDenied when it is locked."""
        version = versions.by_id(connection, bucket.id, key, version_id)
        check(connection, version)
        if version is None:
            if not bucket.versioning and version_id != NULL:
                raise invalid_argument("Invalid version id specified", "versionId", version_id)
            return Change(None)
        now_ms = self._clock.epoch_ms()
        if locks.holds(version.state, now_ms, bypass=bypass):
            raise access_denied("Access Denied because object protected by object lock.")
        freed = self._remove(connection, version)
        if version.latest and (next_one := versions.newest(connection, bucket.id, key)) is not None:
            versions.set_latest(connection, next_one.sequence, True, None)
        shown = version_id if version_id != NULL else None
        self._tell(connection, bucket, f"{family}:Delete", key, self.next_sequence(), now_ms, origin, version_id=shown)
        return Change(version, freed)

    def move(
        self, connection: Connection, bucket: Bucket, version: ObjectVersion, storage_class: str, origin: Origin
    ) -> None:
        """Its bytes and its times stay as they are."""
        versions.set_class(connection, version.sequence, storage_class)
        moved = replace(version, storage_class=storage_class)
        self._tell_of(connection, bucket, moved, moved.state, origin, "LifecycleTransition")

    def set_state(
        self,
        connection: Connection,
        bucket: Bucket,
        version: ObjectVersion,
        state: State,
        origin: Origin,
        events: Sequence[str],
    ) -> None:
        """Tags, locks and the like; `events` where AWS tells of it."""
        versions.set_state(connection, version.sequence, state)
        for event in events:
            self._tell_of(connection, bucket, version, state, origin, event)

    def _tell_of(
        self,
        connection: Connection,
        bucket: Bucket,
        version: ObjectVersion,
        state: State,
        origin: Origin,
        event: str,
    ) -> None:
        """Of what happened to a version that stays."""
        retained = event.startswith("ObjectRetention:")
        change = ObjectChange(
            event=event,
            key=version.key,
            sequence=self.next_sequence(),
            at_ms=self._clock.epoch_ms(),
            origin=origin,
            size=version.size,
            etag=version.etag,
            version_id=version.version_id if version.version_id != NULL else None,
            storage_class=version.storage_class,
            until_ms=state.lock_until_ms if retained else state.restored_until_ms,
            mode=state.lock_mode if retained else "",
        )
        self._outbox.changed(connection, bucket, change)

    def _replace_null(
        self, connection: Connection, bucket: Bucket, key: str, current: ObjectVersion | None, now_ms: int
    ) -> Sequence[str]:
        if current is None:
            return ()
        if current.version_id == NULL:
            return self._remove(connection, current)
        versions.set_latest(connection, current.sequence, False, now_ms)
        null = versions.by_id(connection, bucket.id, key, NULL)
        return () if null is None else self._remove(connection, null)

    def _remove(self, connection: Connection, version: ObjectVersion) -> Sequence[str]:
        versions.remove(connection, version.sequence)
        if version.upload is not None:
            return uploads.drop_all_parts(connection, version.upload)
        return () if version.file is None else (version.file,)

    def _tell(
        self,
        connection: Connection,
        bucket: Bucket,
        event: str,
        key: str,
        sequence: int,
        at_ms: int,
        origin: Origin,
        *,
        version_id: str | None = None,
        etag: str | None = None,
    ) -> None:
        change = ObjectChange(
            event=event, key=key, sequence=sequence, at_ms=at_ms, origin=origin, version_id=version_id, etag=etag
        )
        self._outbox.changed(connection, bucket, change)


async def _shielded(commit: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return await asyncio.shield(detach("commit of an object", commit(), told=True))


def _version_id(sequence: int) -> str:
    """32 characters that cannot be guessed; the number is in them, so that a list goes on after one that is gone."""
    return b64encode(sequence.to_bytes(8, "big") + urandom(16), b"._").decode()


def sequence_of(version_id: str) -> int | None:
    """None for a text that is no version id."""
    try:
        raw = b64decode(version_id, b"._", validate=True)
    except ValueError:
        return None
    return int.from_bytes(raw[:8], "big") if len(raw) == 24 else None


def new_upload_id() -> str:
    return b64encode(urandom(48), b"._").decode()
