"""Putting the small chunks of a stream together: what is read, and how they are replaced in one transaction."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from lambent.services.logs.chunk import Chunk
from lambent.services.logs.store.append import Place, chunk_row, disk_bytes
from lambent.services.logs.store.tables import chunks

SMALL_BYTES = 16 * 1024
"""On disk."""
SMALL_RAW_BYTES = 32 * 1024
"""Of text. A megabyte of the same line may be small on disk: its row costs nothing beside that, and its events take
ten times the text in memory."""
MOST_RAW_BYTES = 64 * SMALL_RAW_BYTES
"""Put together at one time, which holds all of their events."""
MOST_CHUNKS = 512


@dataclass(frozen=True, slots=True)
class SmallChunk:
    id: int
    disk_bytes: int
    raw_bytes: int
    body: bytes


def small_chunks(connection: Connection, stream_id: int) -> list[SmallChunk]:
    """The oldest small chunks of environment output; those of PutLogEvents carry their own ingestion times."""
    query = (
        select(chunks.c.id, chunks.c.disk_bytes, chunks.c.raw_bytes, chunks.c.body)
        .where(
            chunks.c.stream_id == stream_id,
            chunks.c.disk_bytes < SMALL_BYTES,
            chunks.c.raw_bytes < SMALL_RAW_BYTES,
            chunks.c.ingested_ms.is_(None),
        )
        .order_by(chunks.c.id)
        .limit(MOST_CHUNKS)
    )
    found = [SmallChunk(*row) for row in connection.execute(query)]
    sums = itertools.accumulate(chunk.raw_bytes for chunk in found)
    return [chunk for chunk, so_far in zip(found, sums, strict=True) if so_far <= MOST_RAW_BYTES]


def replace(connection: Connection, place: Place, old: Sequence[SmallChunk], new: Sequence[Chunk]) -> int:
    """Bytes of disk that it freed; 0, and nothing done, when a chunk of `old` has been swept meanwhile.

    The new chunks take the last ids of the old ones: ids stay in the order of age.
    """
    ids = [chunk.id for chunk in old]
    left = connection.execute(select(func.count()).select_from(chunks).where(chunks.c.id.in_(ids))).scalar_one()
    if left != len(ids):
        return 0
    connection.execute(delete(chunks).where(chunks.c.id.in_(ids)))
    rows = [{"id": id, **chunk_row(place, chunk)} for id, chunk in zip(ids[-len(new) :], new, strict=True)]
    connection.execute(insert(chunks), rows)
    return sum(chunk.disk_bytes for chunk in old) - sum(disk_bytes(chunk) for chunk in new)
