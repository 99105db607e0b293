"""What becomes of one batch: the function is invoked with it, again while it is throttled, and what is done is deleted.

When a refused batch is tried again is `backoff`'s decision, which messages failed `partial`'s.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from lambent.core.clock import Clock
from lambent.event_sources import backoff, partial
from lambent.event_sources.batch import Event
from lambent.event_sources.invoker import Answer, Invoker, Outcome
from lambent.event_sources.ports import Source
from lambent.event_sources.scale import Scale

OK: Final = "OK"
FAILED: Final = "PROBLEM: Function call failed"

Count = Callable[[str, int], None]
Told = Callable[[str], None]


def uncounted(_name: str, _value: int) -> None:
    """Nobody wants to know."""


class Handling:
    """Of one mapping; several batches at one time."""

    def __init__(
        self,
        source: Source,
        invoker: Invoker,
        scale: Scale,
        clock: Clock,
        stopping: asyncio.Event,
        *,
        partly: bool,
        count: Count,
        told: Told,
    ) -> None:
        """`partly`: the function may say which messages failed. `count`, `told`: as the poller's."""
        self._source = source
        self._invoker = invoker
        self._scale = scale
        self._clock = clock
        self._stopping = stopping
        self._partly = partly
        self._count = count
        self._told = told
        self._refused: deque[asyncio.Future[None]] = deque()
        """Batches that were throttled, and wait to be tried again."""

    async def handle(self, read: Sequence[Event]) -> Sequence[Event]:
        """Invoke with a batch; returns those that are done, to be deleted."""
        events: Sequence[Event] = self._invoker.without_loops(read)
        if len(events) < len(read):
            self._failed(len(read) - len(events))
        if not events:
            return ()
        events, answer = await self._invoked(events)
        if not events:
            return ()
        if answer.outcome is not Outcome.ANSWERED:
            self._failed(len(events))
            if answer.outcome is Outcome.FAILED and not self._partly:
                self._scale.failed()
            return ()
        ids = [event.id for event in events]
        failed = partial.failed(answer.response, ids) if self._partly else frozenset()
        done = [event for event in events if event.id not in failed]
        self._scale.succeeded()
        if failed:
            self._failed(len(events) - len(done))
        else:
            self._told(OK)
        return done

    async def delete(self, events: Sequence[Event]) -> None:
        gone = await self._source.delete(events)
        if gone:
            self._count("DeletedEventCount", gone)

    async def _invoked(self, events: Sequence[Event]) -> tuple[Sequence[Event], Answer]:
        """How the batch ended, and what of it is still ours: a batch that is refused is tried again for a time."""
        until_s = min(event.held_until_s for event in events)
        tries = 0
        while True:
            events = await self._kept(events)
            if not events:
                return events, Answer(Outcome.UNAVAILABLE)
            answer = await self._invoker.invoke(events)
            if answer.outcome is not Outcome.UNAVAILABLE:
                # Each try counts, as on AWS.
                self._count("InvokedEventCount", len(events))
            if answer.outcome in (Outcome.ANSWERED, Outcome.FAILED):
                self._let_one_try()
                return events, answer
            tries += 1
            self._scale.throttled()
            pause_s = backoff.batch_pause_s(tries, until_s, self._clock.monotonic())
            if self._stopping.is_set():
                await self._source.give_back(events)
                return events, answer
            if pause_s is None:
                return events, answer
            await self._pause_or_stop(pause_s)

    async def _kept(self, events: Sequence[Event]) -> Sequence[Event]:
        """Those that nobody else will see while the function has them."""
        now_s, timeout_s, visibility_s = self._clock.monotonic(), self._invoker.timeout_s(), self._source.visibility_s
        late = [each for each in events if backoff.needs_holding(each.held_until_s, visibility_s, timeout_s, now_s)]
        if not late:
            return events
        held = {event.id: event for event in await self._source.hold(late)}
        gone = {event.id for event in late} - held.keys()
        return [held.get(event.id, event) for event in events if event.id not in gone]

    def _let_one_try(self) -> None:
        """A batch has ended, so there is room for one that was refused: whoever waits longest need not wait longer."""
        if self._refused:
            self._refused.popleft().set_result(None)

    async def _pause_or_stop(self, seconds: float) -> None:
        pause = asyncio.ensure_future(self._clock.sleep(seconds))
        stopped = asyncio.ensure_future(self._stopping.wait())
        room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._refused.append(room)
        waits: set[asyncio.Future[Any]] = {pause, stopped, room}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
            stopped.cancel()
            if not room.done():
                self._refused.remove(room)

    def _failed(self, events: int) -> None:
        self._count("FailedInvokeEventCount", events)
        self._told(FAILED)
