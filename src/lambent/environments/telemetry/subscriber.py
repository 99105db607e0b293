"""One subscriber of an environment: its backlog, and the coroutine that delivers it.

Delivers only while the environment is thawed. What cannot be delivered is tried again with growing pauses, then given
up and counted: a subscriber that does not listen costs its own environment a bounded backlog, and nobody anything else.
"""

import asyncio
from collections.abc import Callable

from lambent.core import tasks
from lambent.core.clock import Clock
from lambent.environments.alarm import Alarm
from lambent.environments.telemetry.backlog import Backlog
from lambent.environments.telemetry.delivery import Connect, Delivery, Undelivered, delivery_to
from lambent.environments.telemetry.memory import Memory
from lambent.environments.telemetry.subscription import Subscription

ATTEMPT_S = 5.0
"""For one delivery, of the time in which the environment runs."""
PAUSES_S = (0.05, 0.2, 0.8)
"""Before each further attempt."""


class Subscriber:
    """From `start` until `close`. `dropped` is called once it takes events again after some were lost."""

    def __init__(
        self,
        name: str,
        subscription: Subscription,
        *,
        clock: Clock,
        connect: Connect,
        memory: Memory,
        dropped: Callable[["Subscriber"], None],
    ) -> None:
        self.name = name
        self.subscription = subscription
        self.backlog = Backlog(subscription.buffering, memory)
        self._clock = clock
        self._delivery: Delivery = delivery_to(subscription.destination, connect)
        self._dropped = dropped
        self._due = asyncio.Event()
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._alarm = Alarm(clock, self._due.set)
        self._attempt: asyncio.Timeout | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = tasks.detach(f"telemetry for {self.name}", self._run())

    def add(self, event: bytes) -> None:
        backlog = self.backlog
        began = not len(backlog)
        backlog.add(event, self._clock.monotonic())
        if backlog.full:
            self._due.set()
        elif began and (due_at := backlog.due_at) is not None:
            self._alarm.set(due_at)

    def flush(self) -> None:
        """Deliver what there is now, whatever its age."""
        if len(self.backlog):
            self._due.set()

    def freeze(self) -> None:
        self._thawed.clear()
        if self._attempt is not None:
            # The peer cannot answer: this is not its time.
            self._attempt.reschedule(None)

    def thaw(self) -> None:
        self._thawed.set()
        if self._attempt is not None:
            self._attempt.reschedule(asyncio.get_running_loop().time() + ATTEMPT_S)

    def close(self) -> None:
        self._alarm.close()
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._delivery.close()

    async def _run(self) -> None:
        backlog = self.backlog
        while True:
            await self._due.wait()
            await self._thawed.wait()
            self._due.clear()
            if not (events := backlog.take()):
                continue
            delivered = await self._send(events)
            backlog.done()
            if not delivered:
                backlog.drop(len(events), sum(map(len, events)))
            elif backlog.dropped.records:
                # Not told to one that takes nothing: each message would be the next one to be dropped.
                self._dropped(self)
            self.wake()

    def wake(self) -> None:
        """Deliver in time what came while nobody looked."""
        if self.backlog.full:
            self._due.set()
        elif (due_at := self.backlog.due_at) is not None:
            self._alarm.set(due_at)

    async def _send(self, events: list[bytes]) -> bool:
        for pause in (*PAUSES_S, None):
            try:
                async with asyncio.timeout(None) as self._attempt:
                    if self._thawed.is_set():
                        self.thaw()
                    await self._delivery.send(events)
                return True
            except (Undelivered, OSError, TimeoutError):
                pass
            finally:
                self._attempt = None
            if pause is not None:
                await self._clock.sleep(pause)
                await self._thawed.wait()
        return False
