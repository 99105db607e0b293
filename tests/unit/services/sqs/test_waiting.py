"""The line of those who wait for a message."""

import asyncio

from lambent.services.sqs.waiting import Waiters
from lambent.testing.manual_clock import ManualClock

SOON_S = 5


class Tap:
    """What they wait for."""

    available = False

    def promote(self) -> int | None:
        return None


async def two_waiting(waiters: Waiters, clock: ManualClock) -> "list[asyncio.Task[None]]":
    waiting = []
    for _ in range(2):
        waiting.append(asyncio.create_task(waiters.wait(clock.epoch_ms() + 20_000, again=False)))
        await asyncio.sleep(0)
    return waiting


async def test_who_is_cancelled_after_it_was_woken_hands_its_turn_on() -> None:
    clock, tap = ManualClock(), Tap()
    waiters = Waiters(clock, tap)
    first, second = await two_waiting(waiters, clock)
    tap.available = True
    waiters.wake()
    first.cancel()
    await asyncio.wait_for(second, SOON_S)
    assert first.cancelled()
    assert not waiters


async def test_who_was_woken_for_nothing_stands_in_front_again() -> None:
    clock, tap = ManualClock(), Tap()
    waiters = Waiters(clock, tap)
    first, second = await two_waiting(waiters, clock)
    tap.available = True
    waiters.wake()
    await asyncio.wait_for(first, SOON_S)
    again = asyncio.create_task(waiters.wait(clock.epoch_ms() + 20_000, again=True))
    await asyncio.sleep(0)
    waiters.wake()
    await asyncio.wait_for(again, SOON_S)
    assert not second.done()
    second.cancel()


async def test_nothing_is_left_of_those_who_were_cancelled() -> None:
    clock = ManualClock()
    waiters = Waiters(clock, Tap())
    for each in await two_waiting(waiters, clock):
        each.cancel()
        await asyncio.wait({each})
    assert not waiters
