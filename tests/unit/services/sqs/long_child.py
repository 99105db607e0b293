"""A process that fills a queue with 100,000 messages and empties it; prints how many came, and what memory grew by."""

import asyncio
import sys
from pathlib import Path

from lambent.core.clock import SystemClock
from lambent.services.sqs.broker import Broker
from lambent.services.sqs.records import Outgoing, QueueKey
from lambent.store.database import Database

MESSAGES = 100_000
WARM = 2000


async def main(path: Path, fifo: bool) -> None:
    database = Database.open(path)
    broker = Broker(database, SystemClock())
    key = QueueKey("123456789012", "us-east-1", "long.fifo" if fifo else "long")
    await broker.create(key, fifo=fifo, attributes={}, tags={})
    await _fill(broker, key, WARM)
    await _empty(broker, key)
    before = rss_kb()
    await _fill(broker, key, MESSAGES)
    full = rss_kb()
    print(await _empty(broker, key), full - before, rss_kb() - before)
    await broker.close()
    await database.close()


async def _fill(broker: Broker, key: QueueKey, count: int) -> None:
    numbers = iter(range(count))

    async def send() -> None:
        for number in numbers:
            ids = (str(number % 1000), f"{count}/{number}") if key.name.endswith(".fifo") else (None, None)
            body = b"x" * 1000
            await broker.send(key, [Outgoing(body=body, sender_id="me", group_id=ids[0], deduplication_id=ids[1])])

    await asyncio.gather(*(send() for _ in range(64)))


async def _empty(broker: Broker, key: QueueKey) -> int:
    async def receive() -> int:
        found = 0
        while messages := await broker.receive(key, limit=10, visibility_s=600, wait_s=0):
            found += len(messages)
            await broker.delete(key, [message.handle for message in messages])
        return found

    return sum(await asyncio.gather(*(receive() for _ in range(16))))


def rss_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2] == "fifo"))
