"""Waiting for a time or for an alarm, whichever comes first."""

import asyncio

from lambent.core.clock import Clock


async def pause(clock: Clock, seconds: float, alarm: asyncio.Event) -> None:
    timer = asyncio.ensure_future(clock.sleep(seconds))
    rung = asyncio.ensure_future(alarm.wait())
    try:
        await asyncio.wait((timer, rung), return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
        rung.cancel()
