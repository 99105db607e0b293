"""The start of the server's process: the sandbox is chosen while the modules of the server are imported.

To build a sandbox and look at it from inside is mostly waiting for another process, and to import is only work. Owns
that order, and nothing of the server: that is `app`.
"""

import asyncio
import importlib
import sys
from typing import Final

# Here, as the largest part of all: until a caller has this module, the launcher gets ready.
import sqlalchemy  # noqa: F401
import uvloop

from lambent.core import stopping
from lambent.core.settings import Settings
from lambent.environments.capacity import raise_open_files_limit
from lambent.environments.sandbox import probe
from lambent.host import Host, Ready

PARTS: Final = (
    "lambent.functions.changes",
    "lambent.functions.control_plane",
    "lambent.environments.environment",
    "lambent.environments.pool",
    "uvicorn.server",
    "lambent.gateway.dispatch",
    "lambent.gateway.connection",
    "lambent.services.logs.service",
    "lambent.event_sources.mappings",
    "lambent.services.sqs.service",
    "lambent.services.neighbours.neighbours",
    "lambent.app",
)
"""In steps of about equal length, between which the look into the sandbox goes on."""
SWITCH_INTERVAL_S: Final = 0.0005
"""A thread that unpacks an archive must not hold the interpreter for the default 5 ms."""
_TURNS: Final = 5
"""Of the event loop: until what has arrived is read, understood and answered."""


def run(settings: Settings, host: Host, ready: Ready) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is called once requests are answered.

    Raises probe.SandboxUnavailable, hosts.UnsafeBind, OSError for a port that cannot be bound, the store's errors, and
    LauncherError when the launcher has ended before this process was told to.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    raise_open_files_limit()
    uvloop.run(_run(settings, host, ready))


async def _run(settings: Settings, host: Host, ready: Ready) -> None:
    stop = stopping.on_signals()
    if host.held is not None:
        stopping.at_end_of(host.held, stop)
    waiting = asyncio.Event()
    choosing = asyncio.create_task(
        probe.choose(
            settings.sandbox,
            launcher=host.launcher,
            problem=host.problem,
            packages_dir=host.data_dir.packages,
            scratch=host.data_dir.root / "run",
            runtime_entries=host.runtime_entries,
            waiting=waiting,
        )
    )
    choosing.add_done_callback(lambda _: waiting.set())
    try:
        await waiting.wait()
        for name in PARTS:
            importlib.import_module(name)
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        from lambent import app

        await app.serve(settings, host, choosing, stop, ready)
    finally:
        choosing.cancel()
