"""The Shutdown phase: how long the processes of an environment may take to end, and in which order they are told.

Without extensions there is no such phase: everything is killed at once. What is left at the end is killed by the
caller. Also the first half of a Reset (time-out, failure), which AWS does in the same way.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from lambent.core.clock import Clock
from lambent.environments.extensions.extensions import Extensions
from lambent.environments.sandbox.ports import Sandbox

INTERNAL_S: Final = 0.5
EXTERNAL_S: Final = 2.0
RUNTIME_SHARE: Final = 0.3
"""Of the time, where external extensions come after the runtime; as in AWS's runtime interface emulator."""


class Reason(StrEnum):
    """`shutdownReason` of the SHUTDOWN event. The guide prints these in capitals, the wire has them like this."""

    SPINDOWN = "spindown"
    TIMEOUT = "timeout"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Budget:
    runtime_s: float
    """From SIGTERM to SIGKILL for the runtime. 0: SIGKILL at once."""
    total_s: float
    """For all together; extensions get what the runtime has left."""


def budget(*, external: int, internal: int) -> Budget:
    """For an environment with so many extensions of each kind."""
    if external:
        return Budget(EXTERNAL_S * RUNTIME_SHARE, EXTERNAL_S)
    if internal:
        return Budget(INTERNAL_S, INTERNAL_S)
    return Budget(0.0, 0.0)


async def shut_down(
    sandbox: Sandbox,
    extensions: Extensions,
    runtime: asyncio.Future[Any] | None,
    clock: Clock,
    reason: Reason,
) -> None:
    """Ask all processes to end and wait for them as long as their budget allows. `runtime` is done when that ended."""
    external = extensions.external
    allowed = budget(external=len(external), internal=len(extensions.all) - len(external))
    extensions.expect_end()
    if not allowed.total_s:
        return
    began, began_ms = clock.monotonic(), clock.epoch_ms()
    if runtime is not None and not runtime.done():
        sandbox.terminate()
        if not await _within(clock, began + allowed.runtime_s, [runtime]):
            sandbox.terminate(force=True)
    if external:
        told = extensions.api.shut_down(began_ms + int(allowed.total_s * 1000), reason)
        for extension in external:
            if extension not in told:
                sandbox.terminate(extension.name, force=True)
        waiting = [asyncio.ensure_future(extensions.exited(each)) for each in external if each in told]
        await _within(clock, began + allowed.total_s, waiting)
        for each in waiting:
            each.cancel()


async def _within(clock: Clock, deadline: float, ends: Collection[asyncio.Future[Any]]) -> bool:
    """Whether all of `ends` are done before the deadline."""
    if not ends:
        return True
    limit = asyncio.get_running_loop().create_task(clock.sleep(max(0.0, deadline - clock.monotonic())))
    try:
        waiting = set(ends)
        while waiting:
            done, _ = await asyncio.wait({*waiting, limit}, return_when=asyncio.FIRST_COMPLETED)
            waiting -= done
            if limit in done:
                return not waiting
        return True
    finally:
        limit.cancel()
