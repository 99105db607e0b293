"""The sink of environment output: takes lines at once, writes them to the store in batches within 200 ms.

`LogSink` of `environments.ports`. Writing never waits and never fails: what cannot be stored waits in bounded memory
and is dropped and counted beyond that. When the disk is full or the file is locked, the flush tries again until it
works.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from lambent.aws.errors import PlatformFault
from lambent.core.clock import Clock
from lambent.core.tasks import detach
from lambent.services.logs.chunk import encode
from lambent.services.logs.names import Scope
from lambent.services.logs.pause import pause
from lambent.services.logs.store.append import Batch, Place, StreamKey, append
from lambent.services.logs.unflushed import EARLY_BYTES, MAX_MESSAGE, Tail, Unflushed
from lambent.store.database import Database

logger = logging.getLogger(__name__)

FLUSH_INTERVAL_S = 0.1
"""Half of the 200 ms that may be lost: the other half is for the commit."""
RETRY_INTERVAL_S = 1.0


class StoreLogSink:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        unflushed: Unflushed,
        *,
        stored: Callable[[int], None],
        flushed: Callable[[Sequence[Place]], None],
    ) -> None:
        """`stored` hears how many bytes of disk each flush took, `flushed` which streams it wrote."""
        self._database = database
        self._clock = clock
        self._unflushed = unflushed
        self._stored = stored
        self._flushed = flushed
        self._dirty = asyncio.Event()
        self._early = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._failing = False
        self._closed = False
        # A thread of its own: a flush must not queue behind whatever else uses the loop's pool.
        self._packer = ThreadPoolExecutor(1, thread_name_prefix="log-pack")

    def open(self, *, account: str, region: str, group: str, stream: str) -> "OpenStream":
        return OpenStream(self._unflushed, StreamKey(Scope(account, region), group, stream), self._wake)

    def _wake(self) -> None:
        self._dirty.set()
        if self._unflushed.held_bytes >= EARLY_BYTES:
            self._early.set()

    async def run(self) -> None:
        """Flush while there is something to flush; for ever."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            # A flood is stored as fast as the store takes it, so that memory for it does not run out.
            if self._unflushed.held_bytes < EARLY_BYTES:
                await pause(self._clock, FLUSH_INTERVAL_S, self._early)
            self._early.clear()
            while not await self.flush():
                await self._clock.sleep(RETRY_INTERVAL_S)

    async def close(self) -> None:
        """Store what is left, as far as the store can; nothing may be written after this."""
        if not self._closed:
            self._closed = True
            await self.flush()
            self._packer.shutdown(wait=False)

    async def flush(self) -> bool:
        """Store everything written until now; False when the store cannot (the events stay here)."""
        # A flush that has begun is finished even when its caller goes away: the tails must not stay taken.
        return await asyncio.shield(detach("log flush", self._flush()))

    async def _flush(self) -> bool:
        async with self._flushing:
            tails = self._unflushed.take(self._clock.epoch_ms())
            return await self._store(tails) if tails else True

    async def _store(self, tails: Sequence[Tail]) -> bool:
        now_ms = self._clock.epoch_ms()
        places: Sequence[Place] | None = None
        try:
            batches = await asyncio.get_running_loop().run_in_executor(self._packer, _encode, tails, now_ms)
            places = await self._database.write(lambda connection: append(connection, batches))
        except (PlatformFault, OSError, MemoryError) as error:
            if not self._failing:
                logger.warning("Logs cannot be stored now and wait in memory: %s", error)
                self._failing = True
            return False
        finally:
            if places is None:
                self._unflushed.put_back(tails)
        self._settle(tails, places)
        self._stored(sum(batch.disk_bytes for batch in batches))
        self._flushed(places)
        if self._failing:
            logger.warning("Logs are stored again.")
            self._failing = False
        return True

    def _settle(self, tails: Sequence[Tail], places: Sequence[Place]) -> None:
        for tail, place in zip(tails, places, strict=True):
            tail.place = place
        self._unflushed.done(tails)


class OpenStream:
    """`LogStream` of one environment."""

    __slots__ = ("_closed", "_tail", "_unflushed", "_wake")

    def __init__(self, unflushed: Unflushed, key: StreamKey, wake: Callable[[], None]) -> None:
        self._unflushed = unflushed
        self._tail = unflushed.open(key)
        self._wake = wake
        self._closed = False

    def write(self, timestamp_ms: int, message: str) -> None:
        if self._closed:
            # A last word after the end: its tail may be forgotten already.
            late = OpenStream(self._unflushed, self._tail.key, self._wake)
            late.write(timestamp_ms, message)
            late.close()
        elif len(message) > MAX_MESSAGE:
            for start in range(0, len(message), MAX_MESSAGE):
                self.write(timestamp_ms, message[start : start + MAX_MESSAGE])
        elif message and self._unflushed.add(self._tail, timestamp_ms, message):
            self._wake()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._unflushed.release(self._tail)


def _encode(tails: Sequence[Tail], now_ms: int) -> list[Batch]:
    return [Batch(tail.key, tail.place, now_ms, encode(tail.flushing, None)) for tail in tails]
