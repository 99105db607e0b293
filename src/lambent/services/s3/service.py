"""S3 as a whole: wires files, rows, what is configured of buckets, and the operations. Start reading here."""

import asyncio
from pathlib import Path

from lambent.aws.buckets import BucketFacts
from lambent.aws.caller import Caller
from lambent.aws.s3_ids import host_id
from lambent.aws.service import Operations
from lambent.core.clock import Clock
from lambent.core.tasks import keep_running
from lambent.services.s3.access.admission import Access
from lambent.services.s3.api.acl import AclApi
from lambent.services.s3.api.attributes import AttributeApi
from lambent.services.s3.api.bucket_configs import BucketConfigApi
from lambent.services.s3.api.buckets import BucketApi
from lambent.services.s3.api.copy import CopyApi
from lambent.services.s3.api.delete import DeleteApi
from lambent.services.s3.api.get import GetApi
from lambent.services.s3.api.lists import ListApi
from lambent.services.s3.api.multipart import MultipartApi
from lambent.services.s3.api.notification import NotificationApi
from lambent.services.s3.api.object_lock import ObjectLockApi
from lambent.services.s3.api.policy import PolicyApi
from lambent.services.s3.api.put import PutApi
from lambent.services.s3.api.restore import RestoreApi
from lambent.services.s3.api.tags import TagApi
from lambent.services.s3.buckets import Buckets
from lambent.services.s3.changes import Changes
from lambent.services.s3.configs.configs import Configs
from lambent.services.s3.configs.kinds import Kind
from lambent.services.s3.expiration import Expirations
from lambent.services.s3.expiry import ExpiryLoop
from lambent.services.s3.files import Files
from lambent.services.s3.multipart import Multipart
from lambent.services.s3.notifications.delivery import NotificationDelivery
from lambent.services.s3.notifications.outbox import NotificationOutbox
from lambent.services.s3.objects import Objects
from lambent.services.s3.ports import Outbox
from lambent.services.s3.store import everything
from lambent.store.database import Database

SETTLE_EVERY_S = 30.0


class S3Service:
    """Made on the event loop that uses it; the caller owns the database."""

    def __init__(
        self, database: Database, root: Path, clock: Clock, caller: Caller, outbox: Outbox | None = None
    ) -> None:
        """`root`: the folder of files. `clock`: by which objects are stamped, expire and are unlocked."""
        self._database = database
        self.configs = Configs(database)
        self._delivery = NotificationDelivery(database, clock, caller)
        notices = NotificationOutbox(self.configs, _ids, self._delivery.wake)
        outbox = outbox or notices
        self.buckets = Buckets(database, self.configs)
        self._files = Files(root)
        changes = Changes(database, self._files, clock, outbox)
        self.objects = Objects(database, self._files, changes)
        self.access = Access(self.buckets, self.configs, self.objects, clock)
        expirations = Expirations(self.configs)
        multipart = Multipart(database, changes, clock)
        self.expiry = ExpiryLoop(database, self.buckets, changes, expirations, clock)
        self._apis = (
            BucketApi(self.buckets, self.configs, self._files, clock),
            PutApi(self.objects, self.buckets, self.configs, clock, expirations),
            GetApi(self.objects, self.buckets, clock, expirations),
            DeleteApi(self.objects, self.buckets),
            CopyApi(self.objects, self.buckets, self.configs, clock, expirations),
            ListApi(database, self.buckets),
            MultipartApi(self.objects, multipart, self.buckets, self.configs, clock, expirations),
            TagApi(self.objects, self.buckets),
            AttributeApi(self.objects, self.buckets),
            RestoreApi(self.objects, self.buckets, clock),
            BucketConfigApi(self.buckets, self.configs),
            NotificationApi(self.buckets, self.configs, notices, caller, clock, _ids),
            PolicyApi(self.buckets, self.configs),
            AclApi(self.buckets, self.configs, self.objects),
            ObjectLockApi(self.buckets, self.objects, clock),
        )
        self._operations = self.access.admitted(
            {name: handler for api in self._apis for name, handler in api.operations().items()}
        )
        self._loops: list[asyncio.Task[None]] = []

    def operations(self) -> Operations:
        return self._operations

    def facts(self, name: str) -> BucketFacts | None:
        bucket = self.buckets.find(name)
        if bucket is None:
            return None
        cors = self.configs.document(bucket.id, Kind.CORS) or {}
        return BucketFacts(bucket.account, bucket.region, cors.get("CORSRules") or ())

    async def start(self) -> None:
        """Begin to deliver notifications, to expire objects, and to sweep files that a crash has left."""
        await self._delivery.start()
        self._loops = [
            keep_running("sweep of S3's files", self._run),
            keep_running("lifecycles of S3", self.expiry.run),
        ]

    async def reset(self) -> None:
        """No bucket, no object and no file is left."""
        await self._delivery.reset()
        files = await self._database.write(everything.remove)
        self.buckets.reload()
        self.configs.reload()
        await self._files.delete(files)

    async def _run(self) -> None:
        await self._files.sweep(self.objects.unknown)
        while True:
            await asyncio.sleep(SETTLE_EVERY_S)
            await self._files.settle(self.objects.unknown)

    async def close(self) -> None:
        """Before the database closes; safe to call twice."""
        for loop in self._loops:
            loop.cancel()
        if self._loops:
            await asyncio.wait(self._loops)
        self._loops = []
        await self._delivery.close()
        self._files.close()


def _ids(request_id: str) -> tuple[str, str]:
    return request_id, host_id(request_id)
