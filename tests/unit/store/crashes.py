"""Rounds of kill -9 on a process that writes, and what must be true after each."""

import random
import subprocess
import sys
from pathlib import Path

from sqlalchemy import text

from lambent.store.blobs import Blobs
from tests.places import Place
from tests.unit.store import crash_child

MOST_WRITES = 300


def killed_run(place: Place, first: int, writes: int) -> set[int]:
    """Run the writer, kill it while it writes on after `writes`; the numbers that it acknowledged."""
    command = [sys.executable, "-m", crash_child.__name__, str(place.path), str(first), place.url or ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(crash_child.__file__).parents[3]) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(writes + 1)]
        child.kill()
        lines += child.stdout.read().splitlines(keepends=True)
    assert lines[0] == b"ready\n"
    return {int(line) for line in lines[1:] if line.endswith(b"\n")}


async def acknowledged_writes_survive(place: Place, rounds: int) -> None:
    instants = random.Random(2026)
    ledger: set[int] = set()
    for _ in range(rounds):
        # Numbers that a killed run has used without an acknowledgement are skipped.
        ledger |= killed_run(place, max(ledger, default=0) + 1000, instants.randrange(1, MOST_WRITES))
        database = place.open()
        rows = await database.read(lambda c: {row.n: row.blob for row in c.execute(text("SELECT n, blob FROM ledger"))})
        if place.url is None:
            assert await database.read(lambda c: c.execute(text("PRAGMA integrity_check")).scalar()) == "ok"
        await database.close()
        assert ledger <= rows.keys()
        blobs = Blobs(place.path.parent / "blobs")
        assert all(blobs.get(digest) == f"blob {n}".encode() for n, digest in rows.items())
