"""Putting the small chunks of a stream together: what is read, and how they are replaced in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from lambent.services.logs.chunk import Chunk
from lambent.services.logs.store.append import Place, chunk_row, disk_bytes
from lambent.services.logs.store.tables import chunks

SMALL_BYTES = 16 * 1024
MOST_CHUNKS = 512


@dataclass(frozen=True, slots=True)
class SmallChunk:
    id: int
    disk_bytes: int
    body: bytes


def small_chunks(connection: Connection, stream_id: int) -> list[SmallChunk]:
    """The oldest small chunks of environment output; those of PutLogEvents carry their own ingestion times."""
    query = (
        select(chunks.c.id, chunks.c.disk_bytes, chunks.c.body)
        .where(
            chunks.c.stream_id == stream_id,
            chunks.c.disk_bytes < SMALL_BYTES,
            chunks.c.ingested_ms.is_(None),
        )
        .order_by(chunks.c.id)
        .limit(MOST_CHUNKS)
    )
    return [SmallChunk(*row) for row in connection.execute(query)]


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
