"""Background work. Every coroutine that outlives a call is started here, so that its end is always seen.

One of the two places that catch `Exception`: a loop that dies is logged with its stack and started again after a
growing pause; it never disappears silently.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

logger = logging.getLogger(__name__)

_background: set[asyncio.Task[Any]] = set()


async def supervise(name: str, work: Callable[[], Awaitable[None]], *, first_pause_s: float = 0.1) -> None:
    """Run `work` until it returns; when it raises, log and run it again (pause doubles, 30 s at most)."""
    pause = first_pause_s
    while True:
        try:
            await work()
            return
        except Exception:
            logger.exception("%s failed; it starts again in %.1f s", name, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 30.0)


def detach(name: str, work: Coroutine[Any, Any, Any], *, told: bool = False) -> asyncio.Task[Any]:
    """Start `work` whose result nobody awaits; a failure is logged. The task is kept alive until it ends.

    `told`: somebody hears of its failure all the same, and says what is to be said.
    """
    task = asyncio.get_running_loop().create_task(work, name=name)
    _background.add(task)
    task.add_done_callback(_background.discard if told else _finished)
    return task


def keep_running(name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    """A detached loop that is started again when it fails. Cancel it to end it."""
    return detach(name, supervise(name, work))


def _finished(task: asyncio.Task[Any]) -> None:
    _background.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("%s failed", task.get_name(), exc_info=error)


async def drain(timeout_s: float) -> None:
    """Wait for detached work at shutdown; what is left after `timeout_s` is cancelled."""
    if not _background:
        return
    _, pending = await asyncio.wait(set(_background), timeout=timeout_s)
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending, timeout=1)
