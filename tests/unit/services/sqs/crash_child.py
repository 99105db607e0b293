"""A process that sends, receives and deletes until it is killed, and says so before and after each step."""

import asyncio
import itertools
import os
import sys
from pathlib import Path

from lambent.core.clock import SystemClock
from lambent.services.sqs.broker import Broker
from lambent.services.sqs.line import Room
from lambent.services.sqs.records import NameTaken, Outgoing, QueueKey
from tests.places import Place

STANDARD = QueueKey("123456789012", "us-east-1", "crash")
FIFO = QueueKey("123456789012", "us-east-1", "crash.fifo")
QUEUES = (STANDARD, FIFO)
GROUPS = 4
SENDERS = 4
RECEIVERS = 2
VISIBILITY_S = 1
SMALL = Room(window=50, page=20, body_bytes=2000)
"""So that pages are read while others send."""


async def main(place: Place, first: int) -> None:
    database = place.open()
    broker = Broker(database, SystemClock(), room=SMALL)
    for key in QUEUES:
        try:
            await broker.create(key, fifo=key is FIFO, attributes={}, tags={})
        except NameTaken:
            assert broker.get(key) is not None
    broker.start()
    say("ready")
    sending = [send(broker, key, group, first) for key in QUEUES for group in range(GROUPS)]
    receiving = [receive(broker, key) for key in QUEUES for _ in range(RECEIVERS)]
    await asyncio.gather(*sending, *receiving)


async def send(broker: Broker, key: QueueKey, group: int, first: int) -> None:
    """Numbers in their order; on FIFO each group has its own."""
    for number in itertools.count(first):
        text = f"{key.name}/{group}/{number}"
        group_id, deduplication_id = (str(group), text) if key is FIFO else (None, None)
        message = Outgoing(body=text.encode(), sender_id="me", group_id=group_id, deduplication_id=deduplication_id)
        await broker.send(key, [message])
        say("sent", text)


async def receive(broker: Broker, key: QueueKey) -> None:
    while True:
        messages = await broker.receive(key, limit=10, visibility_s=VISIBILITY_S, wait_s=20)
        texts = [message.body.decode() for message in messages]
        say("received", *texts)
        # Those that are left come again.
        kept = [message for message, text in zip(messages, texts, strict=True) if not text.endswith("7")]
        done = messages if key is FIFO else kept
        say("deleting", *(message.body.decode() for message in done))
        answers = await broker.delete(key, [message.handle for message in done])
        gone = [message.body.decode() for message, answer in zip(done, answers, strict=True) if answer is None]
        say("deleted", *gone)


def say(*words: str) -> None:
    """In one write: whole or not at all."""
    os.write(1, " ".join(words).encode() + b"\n")


if __name__ == "__main__":
    asyncio.run(main(Place(Path(sys.argv[1]), sys.argv[3] or None), int(sys.argv[2])))
