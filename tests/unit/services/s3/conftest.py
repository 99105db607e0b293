"""An S3 on a fresh database and folder, and calls to its operations without a gateway."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from lambent.aws.errors import ApiError
from lambent.aws.service import ANYONE, CallContext, Identity
from lambent.aws.streams import Download, FileRange, Upload, read_range
from lambent.services.s3.records import Bucket, ObjectChange
from lambent.services.s3.service import S3Service
from lambent.store.database import Database
from lambent.testing.manual_clock import ManualClock
from lambent.testing.scripted_caller import ScriptedCaller
from tests.places import Place

ACCOUNT, REGION = "000000000000", "us-east-1"


@dataclass
class Told:
    """An outbox that remembers."""

    changes: list[ObjectChange] = field(default_factory=list)

    def changed(self, connection: Connection, bucket: Bucket, change: ObjectChange) -> None:
        self.changes.append(change)

    def committed(self) -> None:
        pass

    @property
    def events(self) -> list[str]:
        return [change.event for change in self.changes]


@dataclass
class S3:
    service: S3Service
    database: Database
    clock: ManualClock
    told: Told
    root: Path
    account: str | None = ACCOUNT
    """None: nobody, who has signed nothing."""
    region: str = REGION
    wire: dict[str, Any] = field(default_factory=dict)
    """Of the context of calls, what the wire knows."""

    async def __call__(self, operation: str, **parameters: Any) -> Any:
        return await self.service.operations()[operation](self.context(), parameters)

    def context(self) -> CallContext:
        account = self.account or ACCOUNT
        known = Identity(account, f"arn:aws:iam::{account}:root", "test")
        identity = ANYONE if self.account is None else known
        return CallContext(account, self.region, "id", identity, "http://localhost:4566", **self.wire)

    async def error(self, operation: str, **parameters: Any) -> ApiError:
        with pytest.raises(ApiError) as caught:
            await self(operation, **parameters)
        return caught.value

    async def put(self, key: str, body: bytes = b"", **parameters: Any) -> Any:
        return await self("PutObject", Bucket="bkt", Key=key, Body=Upload.of(body), **parameters)

    async def get(self, key: str, **parameters: Any) -> bytes:
        return await read(await self("GetObject", Bucket="bkt", Key=key, **parameters))

    async def bucket(self, versioning: str = "", **parameters: Any) -> Bucket:
        await self("CreateBucket", Bucket="bkt", **parameters)
        return await self.versioning(versioning) if versioning else self.service.buckets.get("bkt")

    async def versioning(self, status: str) -> Bucket:
        return await self.service.buckets.change(self.service.buckets.get("bkt"), versioning=status)

    def files(self) -> list[str]:
        """Of objects and parts, on the disk."""
        return sorted(path.name for path in self.root.rglob("*") if path.is_file())


async def read(result: Any) -> bytes:
    body = result["Body"]
    if isinstance(body, bytes):
        return body
    return await Download(read_range(body) if isinstance(body, FileRange) else body).read()


MakeS3 = Callable[[], Awaitable[S3]]


@pytest.fixture
async def make_s3(place: Place, tmp_path: Path) -> AsyncIterator[MakeS3]:
    opened: list[S3] = []

    async def make() -> S3:
        database, clock, told = place.open(), ManualClock(), Told()
        opened.append(
            S3(
                S3Service(database, tmp_path / "s3", clock, ScriptedCaller(), told),
                database,
                clock,
                told,
                tmp_path / "s3",
            )
        )
        return opened[-1]

    yield make
    for s3 in opened:
        await s3.service.close()
        await s3.database.close()


@pytest.fixture
async def s3(make_s3: MakeS3) -> S3:
    return await make_s3()
