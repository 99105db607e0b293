"""How messages are sent: numbered, deduplicated on FIFO, and answered when they are on disk."""

import asyncio
from collections.abc import Sequence
from functools import partial

from lambent.core.clock import Clock
from lambent.core.ids import uuid4
from lambent.services.sqs.content import pack, shown_sequence
from lambent.services.sqs.deduplication import KEEP_MS, Remembered, content_id, key_of
from lambent.services.sqs.entry import Entry
from lambent.services.sqs.line import Line
from lambent.services.sqs.lines import Lines
from lambent.services.sqs.records import Outgoing, QueueKey, QueueMissing, Sent
from lambent.services.sqs.throughput import SENDS
from lambent.store.recorded import Also, NewRecord, RecordedQueue


class Sending:
    def __init__(self, lines: Lines, queue: RecordedQueue, clock: Clock) -> None:
        self._lines = lines
        self._queue = queue
        self._clock = clock

    async def send(self, key: QueueKey, messages: Sequence[Outgoing]) -> Sequence[Sent]:
        line = await self._lines.get(key)
        now_ms = self._clock.epoch_ms()
        if line.record.fifo:
            return await self._send_fifo(line, messages, now_ms)
        sent = []
        entries = []
        records = []
        for message in messages:
            message_id = uuid4()
            delay_s = line.record.delay_s if message.delay_s is None else message.delay_s
            content = pack(message, message_id, None, None)
            sent.append(Sent(message_id, None))
            entry, record = new_entry(line, content, message.group_id, now_ms, delay_s)
            entries.append(entry)
            records.append(record)
        await asyncio.shield(self._queue.put(records, partial(line.stored, entries)))
        _count(line, messages)
        return sent

    async def _send_fifo(self, line: Line, messages: Sequence[Outgoing], now_ms: int) -> Sequence[Sent]:
        record = line.record
        groups = {message.group_id for message in messages} if record.by_group_limits else (SENDS,)
        line.throughput.take(groups, now_ms)
        group = self._queue.next_commit()
        waits: set[asyncio.Future[None]] = set()
        sent = []
        entries = []
        records = []
        also: list[Also] = []
        new_ones: list[Outgoing] = []
        for message in messages:
            deduplication_id = message.deduplication_id or content_id(message.body)
            key = key_of(deduplication_id, message.group_id if record.by_group else None)
            before = line.deduplication.find(key, now_ms)
            if before is not None:
                line.tally.deduplicated += 1
                if before.stored is not None:
                    waits.add(before.stored)
                sent.append(Sent(before.message_id, shown_sequence(before.sequence)))
                continue
            new = Remembered(now_ms + KEEP_MS, uuid4(), self._lines.sequences.next(), group)
            line.deduplication.remember(key, new)
            group.add_done_callback(partial(_settle, line, key, new))
            also.extend(line.deduplication.row(key, new))
            content = pack(message, new.message_id, deduplication_id, new.sequence)
            entry, row = new_entry(line, content, message.group_id, now_ms, record.delay_s)
            entries.append(entry)
            records.append(row)
            new_ones.append(message)
            sent.append(Sent(new.message_id, shown_sequence(new.sequence)))
        if records:
            waits.add(self._queue.put(records, partial(line.stored, entries), also))
        for each in waits:
            await asyncio.shield(each)
        _count(line, new_ones)
        return sent


def _count(line: Line, messages: Sequence[Outgoing]) -> None:
    """They are stored, if the queue is still there."""
    if line.closed:
        raise QueueMissing
    for message in messages:
        line.tally.sizes.add(message.size_bytes)


def new_entry(line: Line, content: bytes, group_id: str | None, now_ms: int, delay_s: int) -> tuple[Entry, NewRecord]:
    """A message for the line, and its row."""
    visible_ms = now_ms + delay_s * 1000
    entry = Entry(id=0, sent_ms=now_ms, visible_ms=visible_ms, group=group_id, content=content)
    return entry, NewRecord(
        lane=line.lane, visible_ms=visible_ms, sent_ms=now_ms, group_id=group_id, state="", body=content
    )


def _settle(line: Line, key: bytes, sent: Remembered, done: "asyncio.Future[None]") -> None:
    stored = not done.cancelled() and done.exception() is None
    line.deduplication.settle(key, sent, stored=stored)
