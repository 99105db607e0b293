"""The broker as tests speak to it: short names, text for bodies."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lambent.services.sqs.broker import Broker
from lambent.services.sqs.records import Counts, Outgoing, QueueKey, QueueRecord, Received, Refusal, Sent
from lambent.store.database import Database
from lambent.testing.manual_clock import ManualClock

QUEUE = QueueKey("123456789012", "us-east-1", "queue")
OTHER = QueueKey("123456789012", "us-east-1", "other")
FIFO = QueueKey("123456789012", "us-east-1", "queue.fifo")
OTHER_FIFO = QueueKey("123456789012", "us-east-1", "other.fifo")
SOON_S = 5
T = TypeVar("T")


def message(body: str, *, group: str | None = None, id: str | None = None, delay_s: int | None = None) -> Outgoing:
    return Outgoing(body=body.encode(), sender_id="AIDA", group_id=group, deduplication_id=id, delay_s=delay_s)


def bodies(received: Sequence[Received]) -> list[str]:
    return [each.body.decode() for each in received]


def redrive(target: QueueKey, most: int) -> str:
    return json.dumps({"deadLetterTargetArn": target.arn, "maxReceiveCount": most})


@dataclass
class Desk:
    broker: Broker
    database: Database
    clock: ManualClock

    async def create(self, key: QueueKey = QUEUE, **attributes: str) -> QueueRecord:
        fifo = key.name.endswith(".fifo")
        record = await self.broker.create(key, fifo=fifo, attributes=attributes, tags={})
        # Opened: what follows does not wait for a thread.
        await self.broker.counts(key)
        return record

    async def send(self, *texts: str, key: QueueKey = QUEUE, delay_s: int | None = None) -> Sequence[Sent]:
        return await self.broker.send(key, [message(text, delay_s=delay_s) for text in texts])

    async def send_to(self, group: str, *texts: str, key: QueueKey = FIFO) -> Sequence[Sent]:
        """On FIFO: the text is the deduplication id too."""
        return await self.broker.send(key, [message(text, group=group, id=f"{group}-{text}") for text in texts])

    async def receive(
        self,
        limit: int = 10,
        *,
        key: QueueKey = QUEUE,
        visibility_s: int | None = None,
        wait_s: int = 0,
        attempt_id: str | None = None,
    ) -> Sequence[Received]:
        return await self.broker.receive(
            key, limit=limit, visibility_s=visibility_s, wait_s=wait_s, attempt_id=attempt_id
        )

    async def delete(self, *received: Received, key: QueueKey = QUEUE) -> list[Refusal | None]:
        return list(await self.broker.delete(key, [each.handle for each in received]))

    async def change(self, received: Received, seconds: int, *, key: QueueKey = QUEUE) -> Refusal | None:
        (answer,) = await self.broker.change_visibility(key, [(received.handle, seconds)])
        return answer

    async def counts(self, key: QueueKey = QUEUE) -> Counts:
        return await self.broker.counts(key)

    async def restart(self) -> None:
        """As after a stop: nothing is left but what is stored."""
        await self.broker.close()
        self.broker = Broker(self.database, self.clock)

    async def crash(self) -> None:
        """As after a kill: what was not committed is lost."""
        self.broker = Broker(self.database, self.clock)


async def soon(awaited: "asyncio.Future[T]") -> T:
    return await asyncio.wait_for(awaited, SOON_S)


async def settle() -> None:
    """Let everything that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SOON_S):
        while not await holds():
            await settle()
