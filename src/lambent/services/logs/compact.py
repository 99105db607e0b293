"""Puts small chunks together. A stream that writes a few lines with every flush would otherwise cost a row for each,
ten times what its text takes. Counts flushes in memory; what a former process left small stays so until it goes.
"""

import asyncio
from collections.abc import Sequence

from sqlalchemy import Connection

from lambent.services.logs.chunk import Chunk, decode, encode
from lambent.services.logs.store.append import Place
from lambent.services.logs.store.compaction import SmallChunk, replace, small_chunks
from lambent.store.database import Database

WORTH_CHUNKS = 64
"""Fewer new chunks than this are left alone."""
MOST_STREAMS = 10_000


class Compactor:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._flushes: dict[Place, int] = {}

    def flushed(self, places: Sequence[Place]) -> None:
        for place in places:
            self._flushes[place] = self._flushes.get(place, 0) + 1

    async def compact(self) -> int:
        """Work through every stream that is worth it; bytes of disk that it freed."""
        freed = 0
        for place in [place for place, count in self._flushes.items() if count >= WORTH_CHUNKS]:
            del self._flushes[place]
            freed += await self._compact(place)
        if len(self._flushes) > MOST_STREAMS:
            # Mostly streams of environments that are gone, with a few chunks each.
            self._flushes.clear()
        return freed

    def forget(self) -> None:
        self._flushes.clear()

    async def _compact(self, place: Place) -> int:
        freed = 0
        while True:
            old = await self._database.read(lambda connection: small_chunks(connection, place.stream_id))
            if len(old) < WORTH_CHUNKS:
                return freed
            new = await asyncio.to_thread(_together, old)

            def work(connection: Connection, old: Sequence[SmallChunk] = old, new: Sequence[Chunk] = new) -> int:
                return replace(connection, place, old, new)

            step = await self._database.write(work)
            if step <= 0:
                return freed
            freed += step


def _together(chunks: Sequence[SmallChunk]) -> list[Chunk]:
    return encode([event for chunk in chunks for event in decode(chunk.body)], None)
