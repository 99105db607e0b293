"""The loop of lifecycles: at the start and at each midnight (UTC) it looks at every bucket that has rules, and at what
was restored for a time.

Each expiry and each transition is a transaction of its own that looks again whether the key is as it was seen. Owns
what `lambent clock advance` waits for.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from sqlalchemy import Connection

from lambent.core.clock import Clock
from lambent.services.s3.buckets import Buckets
from lambent.services.s3.changes import Change, Changes
from lambent.services.s3.configs.lifecycle import DAY_MS, LifecycleRule
from lambent.services.s3.expiration import Expirations
from lambent.services.s3.expiring import Expiry, expiries, is_abandoned
from lambent.services.s3.records import ARCHIVED, Bucket, ObjectVersion, Origin
from lambent.services.s3.store import listing, uploads, versions
from lambent.services.s3.store.columns import key_bytes
from lambent.services.s3.store.listing import Page, Start
from lambent.services.s3.transitions import Move, moves
from lambent.store.database import Database

LIFECYCLE = Origin(principal="s3.amazonaws.com", source_ip="s3.amazonaws.com")
FAMILY = "LifecycleExpiration"
PAGE = 1000
KEPT_MS = DAY_MS
"""So long a completed upload answers a repeated completion."""


class ExpiryLoop:
    def __init__(
        self, database: Database, buckets: Buckets, changes: Changes, expirations: Expirations, clock: Clock
    ) -> None:
        self._database = database
        self._buckets = buckets
        self._changes = changes
        self._expirations = expirations
        self._clock = clock
        self.begun = 0
        self.running = 0

    async def run(self) -> None:
        while True:
            await self.sweep()
            now_ms = self._clock.epoch_ms()
            await self._clock.sleep((DAY_MS - now_ms % DAY_MS) / 1000)

    async def sweep(self) -> int:
        """Everything that is due now; returns how many versions and uploads have gone."""
        self.begun += 1
        self.running += 1
        try:
            gone = 0
            now_ms = self._clock.epoch_ms()
            for bucket in self._buckets.every():
                if rules := self._expirations.rules(bucket):
                    gone += await self._sweep_versions(bucket, rules, now_ms)
                    gone += await self._sweep_uploads(bucket, rules, now_ms)
            await self._end_restores(now_ms)
            await self._database.write(lambda connection: uploads.forget_completed(connection, now_ms - KEPT_MS))
            return gone
        finally:
            self.running -= 1

    async def _sweep_versions(self, bucket: Bucket, rules: Sequence[LifecycleRule], now_ms: int) -> int:
        gone, after, held = 0, None, list[ObjectVersion]()
        while True:
            page = await self._page(bucket, after)
            held += page.entries
            groups = [list(group) for _, group in groupby(held, key=lambda version: version.key)]
            # The last key may go on on the next page.
            held = groups.pop() if page.truncated and groups else []
            for group in groups:
                expired = expiries(group, rules, now_ms)
                for expiry in expired:
                    gone += await self._expire(bucket, expiry)
                going = {expiry.version.sequence for expiry in expired}
                for move in moves(group, rules, now_ms):
                    if move.version.sequence not in going:
                        await self._move(bucket, move)
            if not page.truncated:
                return gone
            after = key_bytes(page.entries[-1].key), page.entries[-1].sequence

    async def _page(self, bucket: Bucket, after: Start | None) -> Page[ObjectVersion]:
        return await self._database.read(
            lambda connection: listing.all_versions(
                connection, bucket.id, prefix=b"", delimiter=b"", after=after, limit=PAGE
            )
        )

    async def _expire(self, bucket: Bucket, expiry: Expiry) -> int:
        seen = expiry.version

        def work(connection: Connection) -> tuple[int, Sequence[str]]:
            found = versions.by_sequence(connection, seen.sequence)
            if found is None or found.latest != seen.latest:
                return 0, ()
            done: Change
            if expiry.for_good:
                done = self._changes.delete_version(
                    connection, bucket, seen.key, seen.version_id, LIFECYCLE, family=FAMILY
                )
            else:
                done = self._changes.delete(connection, bucket, seen.key, LIFECYCLE, family=FAMILY)
            return 1, done.freed

        return await self._changes.write(work)

    async def _move(self, bucket: Bucket, move: Move) -> None:
        seen = move.version

        def work(connection: Connection) -> tuple[None, Sequence[str]]:
            found = versions.by_sequence(connection, seen.sequence)
            if found is not None and (found.latest, found.storage_class) == (seen.latest, seen.storage_class):
                self._changes.move(connection, bucket, found, move.storage_class, LIFECYCLE)
            return None, ()

        await self._changes.write(work)

    async def _end_restores(self, now_ms: int) -> None:
        """Archived objects that could be read for a time, and cannot any more."""
        buckets, after = {bucket.id: bucket for bucket in self._buckets.every()}, 0
        while found := await self._database.read(
            lambda connection, after=after: versions.restored(connection, ARCHIVED, PAGE, after)  # type: ignore[misc]
        ):
            after = found[-1].sequence
            for version in found:
                bucket = buckets.get(version.bucket_id)
                if bucket is not None and 0 < version.state.restored_until_ms <= now_ms:
                    await self._end_restore(bucket, version.sequence, now_ms)

    async def _end_restore(self, bucket: Bucket, sequence: int, now_ms: int) -> None:
        def work(connection: Connection) -> tuple[None, Sequence[str]]:
            found = versions.by_sequence(connection, sequence)
            if found is not None and 0 < found.state.restored_until_ms <= now_ms:
                state = replace(found.state, restored_until_ms=0)
                self._changes.set_state(connection, bucket, found, state, LIFECYCLE, ("ObjectRestore:Delete",))
            return None, ()

        await self._changes.write(work)

    async def _sweep_uploads(self, bucket: Bucket, rules: Sequence[LifecycleRule], now_ms: int) -> int:
        if all(rule.abort_days is None for rule in rules):
            return 0
        gone, after = 0, None
        while True:
            start: Start | None = after
            page = await self._database.read(
                lambda connection, start=start: listing.open_uploads(  # type: ignore[misc]
                    connection, bucket.id, prefix=b"", delimiter=b"", after=start, limit=PAGE
                )
            )
            for upload in page.entries:
                if is_abandoned(upload, rules, now_ms):
                    await self._changes.write(lambda connection, id=upload.id: (None, uploads.remove(connection, id)))  # type: ignore[misc]
                    gone += 1
            if not page.truncated:
                return gone
            after = key_bytes(page.entries[-1].key), page.entries[-1].sequence
