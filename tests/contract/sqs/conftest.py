"""SQS behind the gateway, in this process, on a clock that the test moves; on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.aws.service import Service
from lambent.gateway.app import Gateway
from lambent.gateway.caller import InProcessCaller
from lambent.gateway.elsewhere import Elsewhere
from lambent.gateway.keys import KnownKeys
from lambent.services.sqs.service import SqsService
from lambent.testing.aws_client import ACCOUNT, REGION, AsyncClient, client_of
from lambent.testing.manual_clock import ManualClock
from tests.places import Place

OTHER = "111122223333"


@dataclass(frozen=True, slots=True)
class World:
    service: SqsService
    gateway: Gateway
    clock: ManualClock
    keys: KnownKeys
    caller: InProcessCaller

    def client(self, account: str = ACCOUNT, region: str = REGION) -> AsyncClient:
        return AsyncClient(client_of(self.gateway.public(), "sqs", account=account, region=region))


@pytest.fixture
async def world(place: Place) -> AsyncIterator[World]:
    async with world_of(place) as world:
        yield world


@asynccontextmanager
async def world_of(place: Place, fifo_calls_per_s: int = 0) -> AsyncIterator[World]:
    database = place.open()
    clock = ManualClock()
    keys = KnownKeys(clock)
    service = SqsService(database, clock, keys, fifo_calls_per_s=fifo_calls_per_s)
    elsewhere = Elsewhere()
    gateway = Gateway({"sqs": Service("sqs", service.operations())}, keys=keys, elsewhere=elsewhere)
    caller = InProcessCaller(elsewhere)
    caller.apis = gateway.apis
    yield World(service, gateway, clock, keys, caller)
    await service.close()
    await database.close()


@pytest.fixture
async def sqs(world: World) -> AsyncClient:
    return world.client()


@pytest.fixture
async def queue(sqs: AsyncClient) -> str:
    """The URL of a standard queue."""
    made: str = (await sqs.create_queue(QueueName="orders"))["QueueUrl"]
    return made


@pytest.fixture
async def fifo(sqs: AsyncClient) -> str:
    """The URL of a FIFO queue."""
    made: str = (await sqs.create_queue(QueueName="orders.fifo", Attributes={"FifoQueue": "true"}))["QueueUrl"]
    return made


async def refused(call: Awaitable[Any]) -> tuple[str, str]:
    """Code and message of the error."""
    with pytest.raises(ClientError) as raised:
        await call
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


async def status_of(call: Awaitable[Any]) -> int:
    with pytest.raises(ClientError) as raised:
        await call
    status: int = raised.value.response["ResponseMetadata"]["HTTPStatusCode"]
    return status


async def received(sqs: AsyncClient, queue: str, **more: Any) -> list[dict[str, Any]]:
    reply = await sqs.receive_message(QueueUrl=queue, **{"MaxNumberOfMessages": 10, **more})
    found: list[dict[str, Any]] = reply.get("Messages", [])
    return found


async def bodies(sqs: AsyncClient, queue: str, **more: Any) -> list[str]:
    return [message["Body"] for message in await received(sqs, queue, **more)]


async def attributes(sqs: AsyncClient, queue: str, *names: str) -> dict[str, str]:
    reply = await sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=list(names) or ["All"])
    found: dict[str, str] = reply.get("Attributes", {})
    return found


def arn_of(queue: str) -> str:
    """Of the queue with this URL."""
    account, name = queue.split("/")[-2:]
    return f"arn:aws:sqs:{REGION}:{account}:{name}"
