"""A logs service on a fresh database, and calls to its operations without a gateway."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from lambent.aws.errors import ApiError
from lambent.aws.service import CallContext, Identity
from lambent.environments.ports import LogSink
from lambent.services.logs.retention import Retention
from lambent.services.logs.service import LogsService
from lambent.services.logs.unflushed import Limits
from lambent.store.database import Database
from lambent.testing.manual_clock import ManualClock
from tests.places import Place

ACCOUNT, REGION = "000000000000", "us-east-1"


@dataclass
class Logs:
    service: LogsService
    database: Database
    clock: ManualClock
    account: str = ACCOUNT

    async def __call__(self, operation: str, **parameters: Any) -> Any:
        identity = Identity(self.account, f"arn:aws:iam::{self.account}:root", "test")
        context = CallContext(self.account, REGION, "id", identity, "http://localhost:4566")
        return await self.service.operations()[operation](context, parameters)

    async def error(self, operation: str, **parameters: Any) -> ApiError:
        with pytest.raises(ApiError) as caught:
            await self(operation, **parameters)
        return caught.value

    async def put(self, group: str, stream: str, *messages: str, at: int | None = None) -> Any:
        now = self.clock.epoch_ms() if at is None else at
        events = [{"timestamp": now + index, "message": message} for index, message in enumerate(messages)]
        return await self("PutLogEvents", logGroupName=group, logStreamName=stream, logEvents=events)

    async def make(self, group: str, *streams: str) -> None:
        await self("CreateLogGroup", logGroupName=group)
        for stream in streams:
            await self("CreateLogStream", logGroupName=group, logStreamName=stream)

    def open(self, group: str, stream: str) -> Any:
        sink: LogSink = self.service.sink
        return sink.open(account=self.account, region=REGION, group=group, stream=stream)

    async def messages(self, group: str, **parameters: Any) -> list[str]:
        """All pages of FilterLogEvents."""
        found: list[str] = []
        while True:
            page = await self("FilterLogEvents", logGroupName=group, **parameters)
            found += [event["message"] for event in page["events"]]
            if "nextToken" not in page:
                return found
            parameters["nextToken"] = page["nextToken"]


MakeLogs = Callable[..., Awaitable[Logs]]


@pytest.fixture
async def make_logs(place: Place) -> AsyncIterator[MakeLogs]:
    opened: list[Logs] = []

    async def make(
        retention: Retention | None = None, limits: Limits | None = None, clock: ManualClock | None = None
    ) -> Logs:
        database = place.open()
        clock = clock or ManualClock()
        service = LogsService(database, clock, retention=retention or Retention(), limits=limits or Limits())
        opened.append(Logs(service, database, clock))
        return opened[-1]

    yield make
    for logs in opened:
        await logs.service.close()
        await logs.database.close()


@pytest.fixture
async def logs(make_logs: MakeLogs) -> Logs:
    return await make_logs()
