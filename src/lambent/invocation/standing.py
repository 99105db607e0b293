"""How many events of each function wait, run, are in retry and have failed, for people.

Owns the words and nothing of the events. Whether an event is in retry is a matter of time alone: once its time has come
it waits for room like the others.
"""

from collections.abc import Mapping
from typing import Protocol, TypedDict

from lambent.core.clock import Clock
from lambent.functions.records import FunctionKey
from lambent.invocation import events, failed_events
from lambent.invocation.events import key_of, lane_of
from lambent.store.database import Database
from lambent.store.messages import Standing as OfLane
from lambent.store.queue import Queue


class Totals(TypedDict):
    running: int
    queued: int
    retry: int
    failed: int


class Running(Protocol):
    def running_in(self, name: str) -> int:
        """How many messages of a lane are being handled."""
        ...


class Standing:
    def __init__(self, database: Database, clock: Clock, running: Running) -> None:
        self._waiting = Queue(database, events.QUEUE)
        self._failed = Queue(database, failed_events.QUEUE)
        self._clock = clock
        self._running = running

    async def totals(self, account: str, region: str, name: str | None = None) -> dict[str, Totals]:
        """By name, of the functions that have any; of this one in any case."""
        begins = lane_of(FunctionKey(account, region, name or ""))
        now_ms = self._clock.epoch_ms()
        waiting = await self._waiting.standing(now_ms, begins)
        failed = await self._failed.standing(now_ms, begins)
        lanes = {begins} if name else waiting.keys() | failed.keys()
        return {key_of(lane).name: self._of(lane, waiting, failed) for lane in sorted(lanes)}

    def _of(self, lane: str, waiting: Mapping[str, OfLane], failed: Mapping[str, OfLane]) -> Totals:
        there = waiting.get(lane, OfLane(0, 0, 0))
        # What runs may have been purged: then it ends, and is no event of the list.
        running = min(self._running.running_in(lane), there.taken)
        return Totals(
            running=running,
            queued=there.messages - there.later - running,
            retry=there.later,
            failed=failed[lane].messages if lane in failed else 0,
        )
