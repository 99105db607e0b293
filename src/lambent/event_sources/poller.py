"""The poller of one mapping: reads its source, makes batches and has them handled. Always several at a time.

Owns what of the source is in our hands: from a read until it is deleted, given back, or left to come again. How many
batches run is `scale`'s decision and `turns`', how many reads `readers`', what becomes of one batch `handling`'s.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from itertools import chain
from typing import Any, Final

from lambent.aws.errors import ApiError, PlatformFault
from lambent.core import tasks
from lambent.core.clock import Clock
from lambent.event_sources import backoff
from lambent.event_sources.batch import Collector, Event
from lambent.event_sources.handling import FAILED, Count, Handling, Told, uncounted
from lambent.event_sources.invoker import Invoker
from lambent.event_sources.ports import Read, Source
from lambent.event_sources.readers import OnDemand, Provisioned, Readers
from lambent.event_sources.records import EventSourceMapping
from lambent.event_sources.scale import LOOK_EVERY_S, Scale
from lambent.event_sources.turns import Turns

logger = logging.getLogger(__name__)

WAIT_S: Final = 2.0
"""Of a long poll, and so the longest that a mapping is Disabling without work: a read that is cut off may already have
hidden messages. One such read at a time asks a queue less often than AWS's five of 20 s."""
NO_WAIT_S: Final = 0.5
SHORTEST_PAUSE_S: Final = 0.005
MAX_DELETIONS: Final = 20
"""At one time, beside batches; with more, batches wait for theirs."""


class Poller:
    """Implements `ports.Poller`. `count` takes metrics of events, `told` the result of what was processed last,
    `provisioned` how many pollers there are, in each minute."""

    def __init__(
        self,
        mapping: EventSourceMapping,
        source: Source,
        invoker: Invoker,
        *,
        clock: Clock,
        turns: Turns,
        count: Count = uncounted,
        told: Told = lambda _result: None,
        provisioned: Callable[[int], None] = lambda _pollers: None,
    ) -> None:
        self._name = f"poller of {mapping.uuid}"
        self._arn = mapping.source_arn
        self._source = source
        self._invoker = invoker
        self._clock = clock
        self._count = count
        self._told = told
        settings = mapping.settings
        self._size = settings.batch_size
        window_s = settings.window_s or 0
        self._collector = Collector(settings.batch_size, window_s) if window_s else None
        self._scale = Scale.of(settings)
        self._readers: Readers = OnDemand()
        if settings.pollers is not None:
            self._readers = Provisioned(settings.pollers.minimum, self._scale, clock, provisioned)
        self._turns = turns
        self._changed = asyncio.Event()
        self._turn = turns.join(self._changed.set)
        self._reads: set[asyncio.Task[None]] = set()
        self._batches: set[asyncio.Task[None]] = set()
        self._ready: deque[Sequence[Event]] = deque()
        """Batches that were read, and wait until one more may run."""
        self._chores: set[asyncio.Task[None]] = set()
        """Deletions."""
        self._asked = 0
        """How many events the reads that are under way may bring."""
        self._more = False
        """The last read has brought something."""
        self._failures = 0
        """Of reads, in a row."""
        self._pause: asyncio.Task[None] | None = None
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_s = 0.0
        self._loop: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._handling = Handling(
            source,
            invoker,
            self._scale,
            clock,
            self._stopping,
            partly="ReportBatchItemFailures" in settings.response_types,
            count=count,
            told=told,
        )

    async def start(self) -> None:
        self._loop = tasks.keep_running(self._name, self._run)

    async def stop(self) -> None:
        self._stopping.set()
        self._changed.set()
        if self._pause is not None:
            self._pause.cancel()
        if self._loop is not None:
            await asyncio.wait({self._loop})
        self._turn.leave()

    def abandon(self) -> None:
        self._stopping.set()
        single = (self._loop, self._pause, self._alarm)
        for task in [*self._reads, *self._batches, *self._chores, *(each for each in single if each is not None)]:
            task.cancel()
        self._turn.leave()

    async def _run(self) -> None:
        while not self._stopping.is_set():
            self._changed.clear()
            self._readers.look()
            self._flush_when_due()
            self._start_ready()
            self._read_more()
            await self._changed.wait()
        if self._alarm is not None:
            self._alarm.cancel()
        # What is read by now is not lost: it is the last of what runs.
        while self._reads:
            await asyncio.wait(self._reads)
        if self._collector is not None and (rest := self._collector.take()):
            self._begin(rest)
        while self._ready or self._batches or self._chores:
            self._start_ready()
            await asyncio.wait(self._batches | self._chores, return_when=asyncio.FIRST_COMPLETED)

    # Reading

    def _read_more(self) -> None:
        if self._pause is not None:
            return
        while self._may_read():
            limit = self._limit()
            # The first wait for messages, the others look whether there are more.
            wait_s = WAIT_S if len(self._reads) < self._readers.waiting else 0.0
            self._asked += limit
            self._readers.began()
            self._spawn(self._reads, self._read(limit, wait_s))

    def _may_read(self) -> bool:
        if len(self._reads) >= self._readers.most(self._more):
            return False
        if self._ready or self._limit() <= 0:
            return False
        # With a window, all reads fill one batch; without, each is one.
        coming = len(self._reads) if self._collector is None else 0
        if len(self._batches) + coming >= self._scale.allowed:
            if self._more:
                self._scale.look(self._clock.monotonic())
                self._look_again()
            if len(self._batches) + coming >= self._scale.allowed:
                return False
        if pause_s := self._readers.pause_s(self._more):
            self._wake_after(max(pause_s, SHORTEST_PAUSE_S))
            return False
        # A read more where nothing comes is nothing that others should make room for.
        return self._turn.may_begin(coming, asks=self._more or not self._reads)

    def _limit(self) -> int:
        room = self._size if self._collector is None else self._collector.room - self._asked
        return min(self._source.at_once, room)

    async def _read(self, limit: int, wait_s: float) -> None:
        begun_s = self._clock.monotonic()
        try:
            read = await self._source.read(limit, wait_s) if self._invoker.ready() else None
        except (ApiError, PlatformFault) as error:
            if isinstance(error, ApiError) and error.code in backoff.THROTTLES:
                # The queue is well, and has more for us in a moment.
                self._begin_rest(backoff.SOURCE_THROTTLED_S)
            else:
                self._failed_to_read(f"PROBLEM: {error}")
            return
        finally:
            self._asked -= limit
        if read is None:
            self._failed_to_read(FAILED)
            return
        self._failures = 0
        self._took(read)
        if not self._more and self._clock.monotonic() - begun_s < wait_s / 2:
            # A queue that does not wait when it is asked to, as one that is about to end.
            self._begin_rest(NO_WAIT_S)

    def _took(self, read: Read) -> None:
        polled = len(read.events) + len(read.dropped)
        self._more = polled > 0
        if not polled:
            self._scale.empty(len(self._batches))
            return
        self._readers.took(chain(*read))
        self._count("PolledEventCount", polled)
        if read.dropped:
            self._count("FilteredOutEventCount", len(read.dropped))
            self._spawn(self._chores, self._handling.delete(read.dropped))
        if self._collector is not None:
            for batch in self._collector.add(read.events, self._clock.monotonic()):
                self._begin(batch)
        elif read.events:
            # More than one batch only where the events are large.
            collector = Collector(self._size, 0)
            for batch in collector.add(read.events, self._clock.monotonic()):
                self._begin(batch)

    def _failed_to_read(self, problem: str) -> None:
        self._failures += 1
        self._more = False
        pause_s = backoff.source_pause_s(self._failures)
        if self._failures in (1, 5) or self._failures % 100 == 0:
            logger.warning("%s cannot be polled for %s: %s", self._arn, self._name, problem)
        self._told(problem)
        self._begin_rest(pause_s)

    def _begin_rest(self, seconds: float) -> None:
        if self._pause is None and not self._stopping.is_set():
            self._pause = tasks.detach(f"pause of the {self._name}", self._rest(seconds))

    async def _rest(self, seconds: float) -> None:
        try:
            await self._clock.sleep(seconds)
        finally:
            self._pause = None
            self._changed.set()

    # Batches

    def _flush_when_due(self) -> None:
        collector = self._collector
        if collector is None or collector.due_s is None:
            return
        left_s = collector.due_s - self._clock.monotonic()
        if left_s <= 0:
            self._begin(collector.take())
        else:
            self._wake_after(left_s)

    def _look_again(self) -> None:
        """The scale may allow more by then, though nothing has ended."""
        self._wake_after(LOOK_EVERY_S)

    def _wake_after(self, seconds: float) -> None:
        at_s = self._clock.monotonic() + seconds
        if self._alarm is not None and not self._alarm.done():
            if self._alarm_s <= at_s:
                return
            self._alarm.cancel()
        self._alarm_s = at_s
        self._alarm = tasks.detach(f"alarm of the {self._name}", self._ring(seconds))

    async def _ring(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._changed.set()

    def _begin(self, events: Sequence[Event]) -> None:
        self._ready.append(events)
        self._start_ready()

    def _start_ready(self) -> None:
        # Reads that were under way may bring more than may run, and what may run may have become less meanwhile.
        while self._ready and len(self._batches) < self._scale.allowed:
            self._spawn(self._batches, self._process(self._ready.popleft()))

    async def _process(self, events: Sequence[Event]) -> None:
        self._turn.begin()
        try:
            done = await self._handling.handle(events)
            if not done:
                return
            if len(self._chores) < MAX_DELETIONS:
                # The next batch need not wait for the disk of a queue.
                self._spawn(self._chores, self._handling.delete(done))
            else:
                await self._handling.delete(done)
        finally:
            self._turn.end()

    def _spawn(self, among: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        task = tasks.detach(self._name, work)
        among.add(task)

        def ended(done: asyncio.Task[None]) -> None:
            among.discard(done)
            if not done.cancelled() and done.exception() is not None:
                # By a bug, or an answer that is none: logged, and not again at once.
                self._failures += 1
                self._begin_rest(backoff.source_pause_s(self._failures))
            self._changed.set()

        task.add_done_callback(ended)
