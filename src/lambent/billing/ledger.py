"""The ledger: takes the meter's sums to the store in batches, and keeps what is there small.

At most 200 ms of usage are lost on kill -9. A store that cannot write loses nothing: the sums wait, and what comes
meanwhile is added to them. What an amount costs is `charges`' matter, how long minutes are kept `retention`'s.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from lambent.aws.errors import PlatformFault
from lambent.billing import store
from lambent.billing.meter import RollUp
from lambent.billing.prices import Prices
from lambent.billing.retention import MOST_PRESSURE, Retention, cuts
from lambent.billing.rows import Rows, Span, added, coarser
from lambent.core import tasks
from lambent.core.clock import Clock
from lambent.store.database import Database

logger = logging.getLogger(__name__)

FLUSH_INTERVAL_S: Final = 0.1
"""Half of what may be lost: the other half is for the commit."""
RETRY_INTERVAL_S: Final = 1.0
COMPACT_INTERVAL_S: Final = 600.0
MOST_WAITING: Final = 50_000
"""Rows of minutes that wait for the store; more of them wait as hours."""


class Ledger:
    """`start` on the loop that uses it, `close` before the database's."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        prices: Prices,
        *,
        retention: Retention = Retention(),  # noqa: B008  (frozen)
    ) -> None:
        self._database = database
        self._clock = clock
        self._retention = retention
        self._dirty = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._failing = False
        self._waiting: Rows = {}
        """Taken from the meter, not stored yet."""
        self._loops: list[asyncio.Task[None]] = []
        self.meter = RollUp(prices, self._dirty.set)
        self.stored: Callable[[Rows], None] = lambda rows: None
        """Hears what was added to the store, right after the commit."""

    def start(self) -> None:
        for name, work in (("ledger flush", self.run), ("ledger compaction", self.compact_for_ever)):
            self._loops.append(tasks.keep_running(name, work))

    def add(self, rows: Rows) -> None:
        """What was used without an invocation; stored as an invocation is."""
        if rows:
            self._waiting = added(self._waiting, rows)
            self._dirty.set()

    async def run(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await self._clock.sleep(FLUSH_INTERVAL_S)
            while not await self.flush():
                await self._clock.sleep(RETRY_INTERVAL_S)

    async def flush(self) -> bool:
        """Store what there is. False: the store cannot write now, and all of it still waits."""
        async with self._flushing:
            rows = self._waiting = added(self._waiting, self.meter.take())
            if not rows:
                return True
            self._waiting = {}
            # Shielded: whoever waits for it may go, but the rows are either stored or waiting again.
            return await asyncio.shield(tasks.detach("ledger", self._store(rows)))

    async def _store(self, rows: Rows) -> bool:
        try:
            await self._database.write(partial(store.add, rows=rows), applied=lambda _: self.stored(rows))
        except PlatformFault as fault:
            waiting = added(rows, self._waiting)
            # A store that is full for hours: what is kept in memory is little, and no amount is given up.
            few = len(waiting) <= MOST_WAITING
            self._waiting = waiting if few else coarser(waiting.items(), Span.HOUR, tenants=False)
            if not self._failing:
                logger.warning("The bill waits in memory: %s", fault)
            self._failing = True
            return False
        self._failing = False
        return True

    async def compact_for_ever(self) -> None:
        while True:
            try:
                await self.compact()
            except PlatformFault as fault:
                logger.warning("The ledger could not be compacted: %s", fault)
            await self._clock.sleep(COMPACT_INTERVAL_S)

    async def compact(self) -> None:
        """Make coarser what is due; more of it, until the rows are as few as they have to be."""
        now_ms = self._clock.epoch_ms()
        for pressure in range(MOST_PRESSURE):
            due = cuts(now_ms, self._retention, pressure)
            while await self._database.write(partial(store.compact, cuts=due)):
                pass
            if await self._database.read(store.count) <= self._retention.max_rows:
                return
        logger.warning("The ledger has more than %d rows of the present day alone.", self._retention.max_rows)

    async def reset(self) -> None:
        await self.flush()
        await self._database.write(store.delete_everything)

    async def close(self) -> None:
        """Store what is left, as far as the store can."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        self._loops = []
        await self.flush()
