"""The real S3 behind the real gateway, asked by botocore as a user asks it, on both databases."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.aws.service import Service
from lambent.core.clock import SystemClock
from lambent.services.s3.lazily import S3, STREAMED
from lambent.testing.aws_client import AsyncClient, aws_client
from lambent.testing.scripted_caller import ScriptedCaller
from tests.places import Place


@dataclass
class Client:
    client: AsyncClient
    root: Path

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    async def refused(self, operation: str, **parameters: Any) -> tuple[str, int]:
        """Code and status."""
        with pytest.raises(ClientError) as caught:
            await getattr(self.client, operation)(**parameters)
        response = caught.value.response
        return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture
async def s3(place: Place, tmp_path: Path) -> AsyncIterator[Client]:
    database = place.open()
    service = S3(database, tmp_path / "s3", SystemClock(), ScriptedCaller())
    served = Service("s3", service, streamed=STREAMED, buckets=service)
    async with aws_client("s3", [served], validate=True) as client:
        yield Client(client, tmp_path / "s3")
    await service.close()
    await database.close()


@pytest.fixture
async def bucket(s3: Client) -> str:
    await s3.create_bucket(Bucket="photos")
    return "photos"
