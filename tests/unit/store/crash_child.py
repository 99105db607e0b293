"""A process that writes with group commit until it is killed; prints each number once its write is acknowledged."""

import asyncio
import itertools
import os
import sys
from pathlib import Path

from sqlalchemy import Connection, text

from lambent.store.blobs import Blobs
from tests.places import Place

WRITERS = 8


async def main(place: Place, first: int) -> None:
    database = place.open()
    blobs = Blobs(place.path.parent / "blobs")
    await database.write(lambda c: _run(c, "CREATE TABLE IF NOT EXISTS ledger (n INTEGER PRIMARY KEY, blob TEXT)"))
    numbers = itertools.count(first)

    async def write() -> None:
        for n in numbers:
            digest = await asyncio.to_thread(blobs.put, f"blob {n}".encode())
            await database.write(lambda c, n=n, d=digest: _insert(c, n, d))  # type: ignore[misc]
            os.write(1, f"{n}\n".encode())

    os.write(1, b"ready\n")
    await asyncio.gather(*(write() for _ in range(WRITERS)))


def _run(connection: Connection, statement: str) -> None:
    connection.execute(text(statement))


def _insert(connection: Connection, n: int, digest: str) -> None:
    connection.execute(text("INSERT INTO ledger (n, blob) VALUES (:n, :d)"), {"n": n, "d": digest})


if __name__ == "__main__":
    asyncio.run(main(Place(Path(sys.argv[1]), sys.argv[3] or None), int(sys.argv[2])))
