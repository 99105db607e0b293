"""Deletes chunks: of deleted streams, past their retention, and the oldest ones above the disk cap. Before it counts
for the cap, it has small chunks put together.

One loop, many short transactions. The rules are in `retention.py`.
"""

import asyncio

from lambent.core.clock import Clock
from lambent.services.logs.compact import Compactor
from lambent.services.logs.pause import pause
from lambent.services.logs.retention import Retention
from lambent.services.logs.store import deletion
from lambent.services.logs.store.groups import all_groups
from lambent.store.database import Database

SWEEP_INTERVAL_S = 30.0


class Sweeper:
    """Knows what the chunks take on disk: counted once, then kept up by `stored` and by its own deletes."""

    def __init__(self, database: Database, clock: Clock, retention: Retention, compactor: Compactor) -> None:
        self._database = database
        self._clock = clock
        self._retention = retention
        self._compactor = compactor
        self._counted = False
        self._urgent = asyncio.Event()
        self.used_bytes = 0

    def stored(self, disk_bytes: int) -> None:
        self.used_bytes += disk_bytes
        if self._counted and self.used_bytes > self._retention.disk_bytes * 11 // 10:
            self._urgent.set()

    async def run(self) -> None:
        while True:
            await self.sweep()
            await pause(self._clock, SWEEP_INTERVAL_S, self._urgent)

    async def sweep(self) -> None:
        """Delete everything that has to go now."""
        if not self._counted:
            before = self.used_bytes
            total = await self._database.read(deletion.total_disk_bytes)
            # What was stored meanwhile may be in both numbers: rather delete a little too early than too late.
            self.used_bytes = total + self.used_bytes - before
            self._counted = True
        self._urgent.clear()
        while await self._step_garbage():
            pass
        now_ms = self._clock.epoch_ms()
        for group in await self._database.read(all_groups):
            before_ms = self._retention.expired_before_ms(group.retention_days, now_ms)
            if before_ms and await self._database.read(deletion.has_expired(group.id, before_ms)):
                while self._freed(await self._database.write(deletion.expire(group.id, before_ms))):
                    pass
                await self._database.write(deletion.drop_empty_streams(group.id, before_ms))
        self.used_bytes -= await self._compactor.compact()
        excess = self._retention.excess_bytes(self.used_bytes)
        while excess > 0:
            swept = await self._database.write(deletion.delete_oldest(excess))
            if not self._freed(swept):
                break
            excess -= swept.disk_bytes

    def forget(self) -> None:
        """All chunks are gone."""
        self.used_bytes = 0

    async def _step_garbage(self) -> bool:
        return self._freed(await self._database.write(deletion.delete_garbage))

    def _freed(self, swept: deletion.Swept) -> bool:
        self.used_bytes = max(0, self.used_bytes - swept.disk_bytes)
        return swept.chunks > 0
