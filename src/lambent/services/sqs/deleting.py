"""What is done by a receipt handle: messages are deleted, and their visibility is changed."""

import asyncio
from collections.abc import Sequence
from functools import partial

from lambent.core.clock import Clock
from lambent.services.sqs.entry import Entry, Phase
from lambent.services.sqs.handles import Receipt, receipt_of
from lambent.services.sqs.line import Line, visibility_of
from lambent.services.sqs.lines import Lines
from lambent.services.sqs.records import MAX_VISIBILITY_S, QueueKey, Refusal
from lambent.services.sqs.throughput import DELETES
from lambent.store.recorded import RecordedQueue


class Deleting:
    def __init__(self, lines: Lines, queue: RecordedQueue, clock: Clock) -> None:
        self._lines = lines
        self._queue = queue
        self._clock = clock

    async def delete(self, key: QueueKey, handles: Sequence[str]) -> Sequence[Refusal | None]:
        line = await self._lines.get(key)
        if line.record.fifo and not line.record.by_group_limits:
            line.throughput.take((DELETES,), self._clock.epoch_ms())
        answers: list[Refusal | None] = []
        leaving = []
        for handle in handles:
            receipt = _receipt(line, handle)
            if receipt is None:
                answers.append(Refusal.INVALID)
                continue
            entry = await line.reach(receipt.message)
            line.promote()
            if entry is not None and line.record.fifo and not _is_current(entry, receipt):
                answers.append(Refusal.EXPIRED)
                continue
            answers.append(None)
            if entry is not None and entry.phase is not Phase.GONE:
                leaving.append(entry)
        if leaving:
            for entry in leaving:
                line.shelf.leave(entry)
            done = self._queue.drop([entry.id for entry in leaving])
            # Before those who await it, and also when they do not any more.
            done.add_done_callback(partial(_left, line, leaving))
            await asyncio.shield(done)
        line.tally.deleted += answers.count(None)
        return answers

    async def change(self, key: QueueKey, changes: Sequence[tuple[str, int]]) -> Sequence[Refusal | None]:
        line = await self._lines.get(key)
        answers: list[Refusal | None] = []
        changed = []
        for handle, seconds in changes:
            receipt = _receipt(line, handle)
            entry = None if receipt is None else await line.reach(receipt.message)
            line.promote()
            if receipt is None:
                answers.append(Refusal.INVALID)
            elif entry is None or entry.phase is Phase.LEAVING:
                answers.append(Refusal.GONE)
            elif line.record.fifo and not _is_current(entry, receipt):
                answers.append(Refusal.EXPIRED)
            elif self._clock.epoch_ms() + seconds * 1000 > receipt.taken_ms + MAX_VISIBILITY_S * 1000 and seconds:
                answers.append(Refusal.TOO_LONG)
            else:
                answers.append(None)
                lost = receipt.takes > entry.takes
                if lost:
                    # A crash has forgotten that receive.
                    entry.takes, entry.first_ms = receipt.takes, entry.first_ms or receipt.taken_ms
                if lost or entry.phase is Phase.FLYING:
                    line.hide(entry, self._clock.epoch_ms() + seconds * 1000)
                    changed.append(entry)
        if changed:
            await asyncio.shield(self._queue.record(map(visibility_of, changed)))
        return answers


def _receipt(line: Line, handle: str) -> Receipt | None:
    receipt = receipt_of(handle)
    return receipt if receipt is not None and receipt.queue_id == line.record.id else None


def _is_current(entry: Entry, receipt: Receipt) -> bool:
    """Received by that call and in flight since. More receives than we know of: a crash has forgotten that one."""
    if entry.takes < receipt.takes:
        return True
    return entry.takes == receipt.takes and entry.phase in (Phase.FLYING, Phase.LEAVING)


def _left(line: Line, entries: Sequence[Entry], done: "asyncio.Future[None]") -> None:
    if done.cancelled() or done.exception() is not None:
        line.stay(entries)
        return
    for entry in entries:
        line.gone(entry)
