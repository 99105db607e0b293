"""The operations that a server registers, from its real parts, without starting any of them.

Writes `docs/coverage.md`: `python -m lambent.testing.registered docs/coverage.md`.
"""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from lambent.aws.service import Service
from lambent.core.clock import SystemClock
from lambent.event_sources.mappings import EventSourceMappings
from lambent.functions.control_plane import ControlPlane
from lambent.gateway.coverage import coverage_page
from lambent.gateway.keys import KnownKeys
from lambent.invocation.api import Invocation
from lambent.operations import lambda_operations, services
from lambent.services.logs.service import LogsService
from lambent.services.s3.lazily import S3
from lambent.services.sqs.service import SqsService
from lambent.services.sts.service import StsService
from lambent.store.database import Database
from lambent.store.datadir import DataDir
from lambent.testing.scripted_caller import ScriptedCaller


@asynccontextmanager
async def registered(root: Path) -> AsyncIterator[dict[str, Service]]:
    """The services of `lambent.operations`, on a new data directory at `root`."""
    clock = SystemClock()
    data_dir = DataDir.open(root)
    database = Database.open(data_dir.database)
    logs = LogsService(database, clock)
    # What runs functions is not needed to know which operations there are.
    nothing: Any = None
    control_plane = ControlPlane(data_dir=data_dir, database=database, clock=clock, runtime_support=nothing)
    mappings = EventSourceMappings(database=database, clock=clock, functions=control_plane.read_model)
    invocation = Invocation(resolver=control_plane.resolver, router=nothing, clock=clock, events=nothing)
    keys = KnownKeys(clock)
    sts = StsService(database, clock, keys, ScriptedCaller(), b"")
    sqs = SqsService(database, clock, keys)
    s3 = S3(database, root / "s3", clock, ScriptedCaller())
    try:
        yield services(lambda_operations(control_plane, mappings, invocation), logs, sts, sqs, s3)
    finally:
        await s3.close()
        await mappings.close()
        await control_plane.close()
        await logs.close()
        await database.close()
        data_dir.close()


async def page(root: Path) -> str:
    async with registered(root) as services:
        return coverage_page(services, await asyncio.to_thread(in_memory))


def in_memory() -> list[str]:
    """The services that moto answers here, found in a process of its own: all of moto is 300 MB."""
    command = [sys.executable, "-P", "-W", "ignore", "-m", "lambent.services.neighbours.answered"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.split()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = asyncio.run(page(Path(folder) / "data"))
    Path(sys.argv[1]).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
