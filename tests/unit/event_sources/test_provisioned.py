"""Provisioned mode of SQS mappings: so many pollers are always there, each with AWS's limits (spec 6.3)."""

import asyncio
from typing import Any

from lambent.event_sources.records import Pollers
from lambent.testing.manual_clock import settle
from tests.unit.event_sources.kit import ACCOUNT, REGION
from tests.unit.event_sources.poller_kit import QUEUE, Handler, Kit


def gate() -> tuple[asyncio.Event, Handler]:
    opened = asyncio.Event()

    async def handler(_event: Any) -> None:
        await opened.wait()

    return opened, handler


async def test_every_poller_of_the_minimum_waits_for_messages() -> None:
    kit = Kit()
    kit.sqs.create(QUEUE)
    poller = kit.poller(pollers=Pollers(4, 10))
    await poller.start()
    await settle()
    assert kit.sqs.asked["ReceiveMessage"] == 4
    await kit.clock.advance(2)
    await settle()
    assert kit.sqs.asked["ReceiveMessage"] == 8
    await kit.stopped(poller)


async def test_each_poller_has_ten_batches_and_more_come_up_to_the_maximum() -> None:
    opened, handler = gate()
    kit = Kit(handler)
    queue = kit.sqs.create(QUEUE, visibility_s=600)
    for number in range(200):
        kit.sqs.send(queue, str(number))
    poller = kit.poller(batch_size=1, pollers=Pollers(2, 3))
    await poller.start()
    await settle(100)
    assert kit.function.running == 20
    for _ in range(40):
        await kit.clock.advance(0.25)
    assert (kit.function.running, kit.function.most) == (30, 30)
    opened.set()
    for _ in range(80):
        await kit.clock.advance(0.25)
    assert queue.messages == []
    assert kit.function.most == 30
    await kit.stopped(poller)


async def test_a_poller_reads_ten_times_in_a_second() -> None:
    kit = Kit()
    queue = kit.sqs.create(QUEUE, visibility_s=600)
    for number in range(1000):
        kit.sqs.send(queue, str(number))
    poller = kit.poller(pollers=Pollers(2, 2))
    await poller.start()
    await settle(300)
    assert kit.sqs.asked["ReceiveMessage"] == 20
    for _ in range(10):
        await kit.clock.advance(0.1)
        await settle()
    assert 38 <= kit.sqs.asked["ReceiveMessage"] <= 41
    await kit.stopped(poller)


async def test_a_poller_that_reads_as_much_as_it_may_gets_others() -> None:
    """As far as the maximum allows: it is what a user throttles with."""
    kit = Kit()
    queue = kit.sqs.create(QUEUE, visibility_s=600)
    for number in range(2000):
        kit.sqs.send(queue, str(number))
    poller = kit.poller(pollers=Pollers(2, 200))
    await poller.start()
    for _ in range(20):
        await kit.clock.advance(0.1)
        await settle(100)
    assert queue.messages == []
    await kit.stopped(poller)


async def test_a_poller_takes_a_megabyte_in_a_second() -> None:
    kit = Kit()
    queue = kit.sqs.create(QUEUE, visibility_s=600)
    for _ in range(40):
        kit.sqs.send(queue, "x" * 500_000)
    poller = kit.poller(batch_size=1, pollers=Pollers(2, 2))
    await poller.start()
    await settle(100)
    first = len(kit.function.batches)
    assert first <= 6
    for _ in range(40):
        await kit.clock.advance(0.1)
        await settle()
    assert 14 <= len(kit.function.batches) - first <= 20
    await kit.stopped(poller)


async def test_how_many_pollers_there_are_is_a_metric_of_each_minute_without_being_asked_for() -> None:
    kit = Kit()
    kit.sqs.create(QUEUE)
    poller = kit.poller(pollers=Pollers(3, 10))
    await poller.start()
    for _ in range(65):
        await kit.clock.advance(2)
    points = kit.metrics.series(ACCOUNT, REGION, "ProvisionedPollers", mapping=kit.mapping().uuid)
    assert len(points) in (2, 3)
    assert {point.value.max for point in points} == {3}
    assert kit.counted("PolledEventCount") == 0
    await kit.stopped(poller)


async def test_idle_pollers_take_no_turn_from_others() -> None:
    kit = Kit(budget=8)
    kit.sqs.create(QUEUE)
    other = kit.sqs.create(f"{QUEUE}-other", visibility_s=600)
    idle = kit.poller(pollers=Pollers(100, 200))
    await idle.start()
    await settle()
    opened, handler = gate()
    kit.function.handler = handler
    for number in range(100):
        kit.sqs.send(other, str(number))
    busy = kit.poller(f"{QUEUE}-other", batch_size=1)
    await busy.start()
    await kit.clock.advance(5)
    assert kit.function.running == 7
    opened.set()
    await settle(200)
    await kit.stopped(idle)
    await kit.stopped(busy)
