"""A control plane on a real store in a folder, from its start to its end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lambent.core.clock import Clock, SystemClock
from lambent.functions.control_plane import ControlPlane
from lambent.store.database import Database
from lambent.store.datadir import DataDir
from lambent.testing.runtime_support import FakeRuntimeSupport
from tests.places import Place


@dataclass(frozen=True, slots=True)
class Opened:
    plane: ControlPlane
    database: Database
    clock: Clock


@asynccontextmanager
async def opened(
    folder: Path,
    *,
    place: Place | None = None,
    support: FakeRuntimeSupport | None = None,
    clock: Clock | None = None,
    **options: Any,
) -> AsyncIterator[Opened]:
    """`place`: of the database, where that is not in `folder`; `options`: what else ControlPlane takes."""
    support, clock = support or FakeRuntimeSupport(), clock or SystemClock()
    data_dir = DataDir.open(folder)
    database = (place or Place(data_dir.database)).open()
    plane = ControlPlane(data_dir=data_dir, database=database, clock=clock, runtime_support=support, **options)
    plane.start()
    try:
        yield Opened(plane, database, clock)
    finally:
        support.release()
        await plane.close()
        await database.close()
        data_dir.close()
