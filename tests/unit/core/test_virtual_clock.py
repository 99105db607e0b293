"""The clock that is advanced: who sleeps on it, who wakes when, and what is left of those that went away."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from lambent.core.clock import STOPS, VirtualClock
from lambent.testing.manual_clock import settle

WAIT_S = 10


async def noted(clock: VirtualClock, seconds: float, woken: list[float]) -> None:
    await clock.sleep(seconds)
    woken.append(seconds)


async def asleep(clock: VirtualClock, *spans_s: float) -> tuple[list[asyncio.Task[None]], list[float]]:
    """Sleepers for so long, in this order, and the list that they write to when they wake."""
    woken: list[float] = []
    tasks = [asyncio.create_task(noted(clock, seconds, woken)) for seconds in spans_s]
    await settle()
    assert clock.sleepers == len(spans_s)
    return tasks, woken


async def test_it_is_real_time_until_it_is_advanced() -> None:
    clock = VirtualClock()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
    assert clock.ahead_ms == 0
    await asyncio.wait_for(clock.sleep(0.001), WAIT_S)
    await clock.sleep(0)
    assert clock.sleepers == 0


async def test_all_its_faces_move_by_the_same() -> None:
    clock = VirtualClock(ahead_ms=5000)
    before = clock.now(), clock.epoch_ms(), clock.monotonic()
    await clock.advance(3600, settle)
    assert timedelta(hours=1) <= clock.now() - before[0] < timedelta(hours=1, minutes=1)
    assert 3_600_000 <= clock.epoch_ms() - before[1] < 3_660_000
    assert 3600 <= clock.monotonic() - before[2] < 3660
    assert clock.ahead_ms == 3_605_000


async def test_sleepers_wake_in_the_order_of_their_times() -> None:
    clock = VirtualClock()
    tasks, woken = await asleep(clock, 90, 30, 60, 3600)
    await clock.advance(100, settle)
    assert woken == [30, 60, 90]
    assert clock.sleepers == 1
    await clock.advance(3600, settle)
    assert woken == [30, 60, 90, 3600]
    await asyncio.gather(*tasks)


async def test_what_a_woken_one_begins_has_its_time_before_what_is_later() -> None:
    clock = VirtualClock()
    story: list[str] = []

    async def chain() -> None:
        for seconds in (60, 120):
            await clock.sleep(seconds)
            story.append(f"chain {seconds}")

    async def late() -> None:
        await clock.sleep(170)
        story.append("late")

    tasks = [asyncio.create_task(chain()), asyncio.create_task(late())]
    await settle()
    await clock.advance(181, settle)
    assert story == ["chain 60", "late", "chain 120"]
    await asyncio.gather(*tasks)


async def test_it_stops_at_the_times_of_its_sleepers() -> None:
    clock = VirtualClock()
    begun = clock.monotonic()
    stops: list[float] = []

    async def every_minute() -> None:
        while True:
            await clock.sleep(60)
            stops.append(clock.monotonic() - begun)

    task = asyncio.create_task(every_minute())
    await settle()
    await clock.advance(310, settle)
    assert [round(stop / 60) for stop in stops] == [1, 2, 3, 4, 5]
    task.cancel()


async def test_what_is_under_way_may_set_its_time_before_the_first_step() -> None:
    clock = VirtualClock()
    woken: list[float] = []
    task: asyncio.Task[None] | None = None

    async def settled() -> None:
        nonlocal task
        task = task or asyncio.create_task(noted(clock, 60, woken))
        await settle()

    await clock.advance(60, settled)
    assert woken == [60]


async def test_a_sleeper_that_was_cancelled_leaves_nothing() -> None:
    clock = VirtualClock()
    tasks, woken = await asleep(clock, 60, 60, 60)
    tasks[1].cancel()
    await settle()
    assert clock.sleepers == 2
    await clock.advance(61, settle)
    assert woken == [60, 60]
    assert clock.sleepers == 0
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]


async def test_a_sleeper_that_is_cancelled_as_it_wakes_leaves_nothing() -> None:
    clock = VirtualClock()
    tasks, _ = await asleep(clock, 60, 90)

    async def settled() -> None:
        tasks[1].cancel()
        await settle()

    await clock.advance(100, settled)
    assert clock.sleepers == 0


async def test_who_goes_to_sleep_after_an_advance_sleeps_in_full() -> None:
    clock = VirtualClock()
    await clock.advance(3600, settle)
    tasks, woken = await asleep(clock, 60)
    await clock.advance(30, settle)
    assert woken == []
    await clock.advance(30, settle)
    assert woken == [60]
    await asyncio.gather(*tasks)


async def test_two_advances_at_once_follow_each_other() -> None:
    clock = VirtualClock()
    tasks, woken = await asleep(clock, 50, 150)
    inside = most = 0

    async def settled() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await settle()
        inside -= 1

    await asyncio.gather(clock.advance(100, settled), clock.advance(100, settled))
    assert most == 1
    assert woken == [50, 150]
    assert clock.ahead_ms == 200_000
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("seconds", [-1.0, -0.001, float("nan")])
async def test_a_step_back_is_refused(seconds: float) -> None:
    clock = VirtualClock(7000)
    with pytest.raises(ValueError, match="does not go back"):
        await clock.advance(seconds, settle)
    assert clock.ahead_ms == 7000


async def test_a_long_way_has_a_bounded_number_of_stops() -> None:
    clock = VirtualClock()
    stops = 0

    async def restless() -> None:
        while True:
            await clock.sleep(0.01)

    async def settled() -> None:
        nonlocal stops
        stops += 1
        await asyncio.sleep(0)

    task = asyncio.create_task(restless())
    await settle()
    await clock.advance(10 * 365 * 86_400, settled)
    assert stops <= STOPS + 3
    task.cancel()
