"""S3 as the server has it: made at the first call, or at the start of a server that has objects.

Its modules take memory that a server without objects need not have. Notifications, sweeps and expiry go on after a
start without any call, so what was once used is made at once.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lambent.aws.buckets import BucketFacts
from lambent.aws.caller import Caller
from lambent.aws.service import Handler
from lambent.core.clock import Clock
from lambent.core.tasks import detach
from lambent.store.database import Database

if TYPE_CHECKING:
    from lambent.services.s3.service import S3Service

STREAMED: Final = frozenset({"PutObject", "UploadPart"})
_EVENT_HOLDS: Final = ("ObjectLockEventHold", "ObjectLockEventHoldDurationDays", "ObjectLockEventHoldDurationYears")
_XXHASH: Final = ("ChecksumXXHASH64", "ChecksumXXHASH3", "ChecksumXXHASH128")
PARTIAL: Final = {
    "PutBucketLogging": ("LoggingEnabled",),
    "PutBucketVersioning": ("MFADelete",),
    "PutObject": ("SSECustomerKey", "WriteOffsetBytes", *_EVENT_HOLDS, *_XXHASH),
    "UploadPart": ("SSECustomerKey", *_XXHASH),
    "CreateMultipartUpload": ("SSECustomerKey", *_EVENT_HOLDS),
    "CompleteMultipartUpload": _XXHASH,
    "CopyObject": ("SSECustomerKey", *_EVENT_HOLDS),
    "AbortMultipartUpload": ("IfMatchInitiatedTime",),
    "DeleteObject": ("IfMatchLastModifiedTime", "IfMatchSize"),
}
"""Members that are refused, for nothing would come of them."""


class S3(Mapping[str, Handler]):
    """The operations by their names, and `aws.buckets.Buckets`. The caller owns the database."""

    def __init__(self, database: Database, root: Path, clock: Clock, caller: Caller) -> None:
        self._database = database
        self._root = root
        self._clock = clock
        self._caller = caller
        self._made: S3Service | None = None
        self._started = False

    @property
    def service(self) -> "S3Service":
        if self._made is None:
            from lambent.services.s3.service import S3Service

            self._made = S3Service(self._database, self._root, self._clock, self._caller)
            if self._started:
                detach("start of S3", self._made.start())
        return self._made

    def __getitem__(self, name: str) -> Handler:
        return self.service.operations()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.service.operations())

    def __len__(self) -> int:
        return len(self.service.operations())

    async def facts(self, bucket: str) -> BucketFacts | None:
        return self.service.facts(bucket)

    @property
    def idle(self) -> bool:
        """This and the next three: what `lambent clock advance` waits for, objects that expire."""
        return self.running == 0

    @property
    def starting(self) -> bool:
        return False

    @property
    def begun(self) -> int:
        return 0 if self._made is None else self._made.expiry.begun

    @property
    def running(self) -> int:
        return 0 if self._made is None else self._made.expiry.running

    async def start(self) -> None:
        self._started = True
        if self._made is not None:
            await self._made.start()
        elif self._root.exists():
            # Which starts it.
            _ = self.service

    async def close(self) -> None:
        """Before the database; safe to call twice."""
        self._started = False
        if self._made is not None:
            await self._made.close()

    async def reset(self) -> None:
        if self._made is not None or self._root.exists():
            await self.service.reset()
