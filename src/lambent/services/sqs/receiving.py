"""How messages are received: at once, or when one is there; cancelled, as if nothing had been asked."""

import asyncio
from collections.abc import Sequence

from lambent.aws.errors import PlatformFault
from lambent.core.clock import Clock
from lambent.services.sqs.attempts import Attempt
from lambent.services.sqs.content import unpack
from lambent.services.sqs.entry import Entry
from lambent.services.sqs.handles import Receipt, handle_of
from lambent.services.sqs.line import Line, visibility_of
from lambent.services.sqs.lines import Lines
from lambent.services.sqs.records import OverLimit, QueueKey, QueueMissing, Received
from lambent.services.sqs.throughput import RECEIVES
from lambent.store.recorded import RecordedQueue


class Receiving:
    def __init__(self, lines: Lines, queue: RecordedQueue, clock: Clock) -> None:
        self._lines = lines
        self._queue = queue
        self._clock = clock

    async def receive(
        self, key: QueueKey, limit: int, visibility_s: int | None, wait_s: int | None, attempt_id: str | None
    ) -> Sequence[Received]:
        line = await self._lines.get(key)
        record = line.record
        visibility_ms = 1000 * (record.visibility_s if visibility_s is None else visibility_s)
        wait_ms = 1000 * (record.wait_s if wait_s is None else wait_s)
        now_ms = self._clock.epoch_ms()
        until_ms = now_ms + wait_ms
        if record.fifo and not record.by_group_limits:
            line.throughput.take((RECEIVES,), now_ms)
        if attempt_id is not None and record.fifo:
            again = self._again(line, attempt_id, visibility_ms)
            if again is not None:
                return again
        woken = False
        while True:
            try:
                haul = await self._lines.take(line, limit, visibility_ms)
            except (asyncio.CancelledError, PlatformFault):
                # Perhaps it was this one's turn.
                line.waiters.wake()
                raise
            if haul.taken:
                received = await self._received(line, haul.taken)
                if received:
                    if attempt_id is not None and record.fifo:
                        self._keep(line, attempt_id, haul.taken, received)
                    line.waiters.wake()
                    line.tally.received += len(received)
                    return received
            elif self._lines.no_waiting or self._clock.epoch_ms() >= until_ms:
                if line.shelf.full and not wait_ms and not record.fifo:
                    raise OverLimit
                line.tally.empty += 1
                return ()
            else:
                await line.waiters.wait(until_ms, again=woken)
                woken = True
            if line.closed:
                raise QueueMissing

    async def _received(self, line: Line, entries: Sequence[Entry]) -> Sequence[Received]:
        now_ms = self._clock.epoch_ms()
        # As this receive has left them: without time-out they may be received again while their bodies are read.
        takes = [(entry.takes, entry.first_ms or now_ms) for entry in entries]
        try:
            contents = await line.contents(entries)
        except (asyncio.CancelledError, PlatformFault):
            line.give_back(entries)
            raise
        received = []
        for entry, content, (count, first_ms) in zip(entries, contents, takes, strict=True):
            if content is None:
                line.gone(entry)
                continue
            message = unpack(content)
            dead_on_fifo = line.record.fifo and entry.source
            received.append(
                Received(
                    message_id=message.message_id,
                    handle=handle_of(Receipt(line.record.id, entry.id, count, now_ms)),
                    body=message.body,
                    attributes=message.attributes,
                    sender_id=message.sender_id,
                    sent_ms=entry.sent_ms,
                    receive_count=count,
                    first_received_ms=first_ms,
                    trace_header=message.trace_header,
                    group_id=entry.group,
                    deduplication_id=message.message_id if dead_on_fifo else message.deduplication_id,
                    sequence_number=message.sequence_number,
                    source_arn=entry.source or None,
                )
            )
        return received

    def _again(self, line: Line, attempt_id: str, visibility_ms: int) -> Sequence[Received] | None:
        """What the same attempt got before, hidden anew."""
        now_ms = self._clock.epoch_ms()
        line.promote()
        attempt = line.attempts.again(attempt_id, now_ms)
        if attempt is None:
            return None
        entries = [entry for entry, _, _ in attempt.entries]
        for entry in entries:
            line.hide(entry, now_ms + visibility_ms)
        self._queue.record_soon(map(visibility_of, entries))
        self._keep(line, attempt_id, entries, attempt.received, attempt.at_ms)
        return attempt.received

    def _keep(
        self,
        line: Line,
        attempt_id: str,
        entries: Sequence[Entry],
        received: Sequence[Received],
        at_ms: int | None = None,
    ) -> None:
        made = [(entry, entry.takes, entry.visible_ms) for entry in entries]
        line.attempts.keep(attempt_id, Attempt(at_ms or self._clock.epoch_ms(), made, received))
