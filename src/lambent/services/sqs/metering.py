"""Once a minute: what was done with each queue becomes its metrics, and how full it is is looked at.

Queues that nobody has used since the server started are not looked at: that would bring them into memory.
"""

import asyncio
from typing import Final

from lambent.core.clock import Clock
from lambent.core.statistics import MINUTE_MS
from lambent.core.tasks import keep_running
from lambent.services.sqs.entry import Entry, Phase
from lambent.services.sqs.line import Line
from lambent.services.sqs.lines import Lines
from lambent.services.sqs.metrics import QueueMetrics, one
from lambent.services.sqs.records import Counts, QueueKey
from lambent.services.sqs.standard import BACK_AFTER, StandardOrder
from lambent.services.sqs.tally import Tally
from lambent.store.recorded import RecordedQueue

BEFORE_THE_END_MS: Final = 1
"""What ends with a minute belongs to it."""


class Meter:
    def __init__(self, lines: Lines, queue: RecordedQueue, clock: Clock, metrics: QueueMetrics) -> None:
        self._lines = lines
        self._queue = queue
        self._clock = clock
        self._metrics = metrics
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = keep_running("sqs metrics", self._run)

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def take(self, key: QueueKey, at_ms: int) -> None:
        """What happened since the last time, and what there is now, as of the minute of `at_ms`."""
        line = self._lines.opened_of(key)
        if line is None:
            return
        tally, line.tally = line.tally, Tally()
        counts = await self._lines.counts(line)
        if not (tally.any() or any(counts)):
            return
        counted = {
            "NumberOfMessagesSent": tally.sizes.count,
            "NumberOfMessagesReceived": tally.received,
            "NumberOfMessagesDeleted": tally.deleted,
            "NumberOfEmptyReceives": tally.empty,
        }
        if line.record.fifo:
            counted["NumberOfDeduplicatedSentMessages"] = tally.deduplicated
        values = {name: one(value) for name, value in (counted | await self._levels(line, counts)).items()}
        if tally.sizes.count:
            values["SentMessageSize"] = tally.sizes
        self._metrics.record(key, at_ms, values)

    async def _levels(self, line: Line, counts: Counts) -> dict[str, int]:
        levels = _named(counts, await self._age_s(line, frozenset()))
        if line.record.fifo:
            return levels | {"ApproximateNumberOfGroupsWithInflightMessages": line.shelf.groups_in_flight}
        order = line.shelf.order
        assert isinstance(order, StandardOrder)
        if not order.has_tenants:
            return levels
        noisy = order.noisy()
        quiet = _named(_without(line, counts, noisy), await self._age_s(line, noisy))
        levels["ApproximateNumberOfNoisyGroups"] = len(noisy)
        return levels | {f"{name}InQuietGroups": level for name, level in quiet.items()}

    async def _age_s(self, line: Line, without: frozenset[str]) -> int:
        """Of the oldest message; on a standard queue one that comes again and again does not count."""
        most = None if line.record.fifo else BACK_AFTER
        now_ms = self._clock.epoch_ms()
        for entry in line.shelf.entries.values():
            if (most is None or entry.takes < most) and entry.group not in without:
                return max(0, now_ms - _since_ms(entry, now_ms)) // 1000
        if not line.behind:
            return 0
        since_ms = await self._queue.oldest(line.lane, line.cursor, most)
        return 0 if since_ms is None else max(0, now_ms - since_ms) // 1000

    async def _run(self) -> None:
        while True:
            now_ms = self._clock.epoch_ms()
            end_ms = now_ms - now_ms % MINUTE_MS + MINUTE_MS
            await self._clock.sleep((end_ms - now_ms) / 1000)
            for key in self._lines.opened_keys():
                await self.take(key, end_ms - BEFORE_THE_END_MS)


def _named(counts: Counts, age_s: int) -> dict[str, int]:
    return {
        "ApproximateNumberOfMessagesVisible": counts.visible,
        "ApproximateNumberOfMessagesNotVisible": counts.in_flight,
        "ApproximateNumberOfMessagesDelayed": counts.delayed,
        "ApproximateAgeOfOldestMessage": age_s,
    }


def _since_ms(entry: Entry, now_ms: int) -> int:
    """The age of a dead letter is counted from when it came, as far as that can still be told."""
    return max(entry.sent_ms, min(entry.visible_ms, now_ms)) if entry.source else entry.sent_ms


def _without(line: Line, counts: Counts, noisy: frozenset[str]) -> Counts:
    if not noisy:
        return counts
    phases = [entry.phase for entry in line.shelf.entries.values() if entry.group in noisy]
    return Counts(
        max(0, counts.visible - phases.count(Phase.READY)),
        max(0, counts.in_flight - phases.count(Phase.FLYING)),
        max(0, counts.delayed - phases.count(Phase.DELAYED)),
    )
