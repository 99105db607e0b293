"""A standard queue: what is sent is received, hidden, comes again, and is deleted."""

import asyncio

import pytest

from lambent.services.sqs.records import (
    MAX_VISIBILITY_S,
    AttributeValue,
    DeletedRecently,
    NameTaken,
    Outgoing,
    PurgeInProgress,
    QueueMissing,
    Refusal,
)
from tests.contract.sqs.broker.kit import OTHER, QUEUE, SOON_S, Desk, bodies, settle, soon


async def test_what_was_sent_is_received_in_its_order_with_all_that_was_said(desk: Desk) -> None:
    await desk.create()
    attributes = {"k": AttributeValue("String.label", b"v"), "b": AttributeValue("Binary", b"\0\1")}
    full = Outgoing(
        body="grüße".encode(), sender_id="AIDA", attributes=attributes, trace_header="Root=1", group_id="tenant"
    )
    (sent,) = await desk.broker.send(QUEUE, [full])
    await desk.send("second")
    first, second = await desk.receive()
    assert first.message_id == sent.message_id
    assert (first.body, first.attributes) == (full.body, attributes)
    assert (first.trace_header, first.group_id, first.sender_id) == ("Root=1", "tenant", "AIDA")
    assert (first.sequence_number, first.deduplication_id, first.source_arn) == (None, None, None)
    assert (first.receive_count, first.sent_ms) == (1, desk.clock.epoch_ms())
    assert second.body == b"second"
    assert await desk.receive() == ()


async def test_a_received_message_is_hidden_and_comes_again_with_its_count(desk: Desk) -> None:
    await desk.create(VisibilityTimeout="7")
    await desk.send("1")
    (first,) = await desk.receive()
    await desk.clock.advance(6.9)
    assert await desk.receive() == ()
    assert await desk.counts() == (0, 1, 0)
    await desk.clock.advance(0.2)
    (again,) = await desk.receive()
    assert again.receive_count == 2
    assert again.first_received_ms == first.first_received_ms
    assert again.handle != first.handle


async def test_visibility_zero_of_one_receive_beats_the_queue(desk: Desk) -> None:
    await desk.create()
    await desk.send("1")
    (first,) = await desk.receive(visibility_s=0)
    (second,) = await desk.receive(visibility_s=0)
    assert (first.receive_count, second.receive_count) == (1, 2)
    assert await desk.counts() == (1, 0, 0)


async def test_a_deleted_message_is_gone_also_after_a_restart(desk: Desk) -> None:
    await desk.create()
    await desk.send("1", "2")
    first, _ = await desk.receive()
    assert await desk.delete(first) == [None]
    assert await desk.delete(first) == [None]
    await desk.clock.advance(60)
    await desk.crash()
    assert bodies(await desk.receive()) == ["2"]


async def test_delays_of_the_queue_and_of_messages(desk: Desk) -> None:
    await desk.create(DelaySeconds="10")
    await desk.send("queue")
    await desk.send("none", delay_s=0)
    await desk.send("longer", delay_s=20)
    assert await desk.counts() == (1, 0, 2)
    assert bodies(await desk.receive(visibility_s=100)) == ["none"]
    await desk.clock.advance(10.1)
    assert bodies(await desk.receive(visibility_s=100)) == ["queue"]
    await desk.clock.advance(10.1)
    assert bodies(await desk.receive(visibility_s=100)) == ["longer"]


async def test_an_old_handle_deletes_and_changes(desk: Desk) -> None:
    await desk.create()
    await desk.send("1")
    (old,) = await desk.receive(visibility_s=0)
    await desk.receive()
    assert await desk.change(old, 0) is None
    assert len(await desk.receive()) == 1
    assert await desk.delete(old) == [None]
    await desk.clock.advance(60)
    assert await desk.receive() == ()


async def test_handles_that_are_none_of_this_queue_are_refused(desk: Desk) -> None:
    await desk.create()
    await desk.create(OTHER)
    await desk.send("1")
    (received,) = await desk.receive()
    foreign = await desk.broker.delete(OTHER, [received.handle, "garbage", received.handle[:-4] + "AAAA"])
    assert list(foreign) == [Refusal.INVALID] * 3
    assert await desk.change(received, 3, key=OTHER) is Refusal.INVALID


async def test_a_change_of_visibility_counts_from_now_and_once(desk: Desk) -> None:
    await desk.create(VisibilityTimeout="10")
    await desk.send("1")
    (received,) = await desk.receive()
    await desk.clock.advance(9)
    assert await desk.change(received, 20) is None
    await desk.clock.advance(19.9)
    assert await desk.receive() == ()
    await desk.clock.advance(0.2)
    assert len(await desk.receive()) == 1
    await desk.clock.advance(10.1)
    (last,) = await desk.receive()
    assert last.receive_count == 3


async def test_a_change_has_no_effect_on_what_is_visible_and_fails_on_what_is_deleted(desk: Desk) -> None:
    await desk.create(VisibilityTimeout="1")
    await desk.send("1")
    (received,) = await desk.receive()
    await desk.clock.advance(1.1)
    assert await desk.change(received, 100) is None
    (received,) = await desk.receive()
    await desk.delete(received)
    assert await desk.change(received, 100) is Refusal.GONE


async def test_no_message_is_hidden_for_more_than_twelve_hours(desk: Desk) -> None:
    await desk.create()
    await desk.send("1")
    (received,) = await desk.receive()
    await desk.clock.advance(10)
    assert await desk.change(received, MAX_VISIBILITY_S) is Refusal.TOO_LONG
    assert await desk.change(received, MAX_VISIBILITY_S - 11) is None


async def test_retention_removes_what_is_visible_and_what_is_in_flight(desk: Desk) -> None:
    await desk.create(MessageRetentionPeriod="60")
    await desk.send("flying", "waiting")
    (flying,) = await desk.receive(1, visibility_s=1000)
    await desk.clock.advance(60.1)
    assert await desk.receive() == ()
    assert await desk.counts() == (0, 0, 0)
    assert await desk.delete(flying) == [None]
    assert await desk.change(flying, 10) is Refusal.GONE


async def test_a_purge_removes_everything_there_is_and_nothing_that_comes(desk: Desk) -> None:
    await desk.create()
    await desk.send("visible", "flying")
    await desk.send("delayed", delay_s=10)
    await desk.receive(1)
    await desk.broker.purge(QUEUE)
    assert await desk.counts() == (0, 0, 0)
    await desk.send("new")
    await desk.clock.advance(40)
    assert bodies(await desk.receive()) == ["new"]
    with pytest.raises(PurgeInProgress):
        await desk.broker.purge(QUEUE)
    await desk.crash()
    await desk.clock.advance(40)
    assert bodies(await desk.receive()) == ["new"]
    await desk.broker.purge(QUEUE)
    assert await desk.counts() == (0, 0, 0)


async def test_a_name_is_free_a_minute_after_its_queue_was_deleted(desk: Desk) -> None:
    await desk.create()
    with pytest.raises(NameTaken):
        await desk.create()
    await desk.send("1")
    await desk.broker.delete_queue(QUEUE)
    with pytest.raises(QueueMissing):
        await desk.receive()
    with pytest.raises(DeletedRecently):
        await desk.create()
    await desk.restart()
    with pytest.raises(DeletedRecently):
        await desk.create()
    await desk.clock.advance(61)
    await desk.create()
    assert await desk.receive() == ()


async def test_a_receive_that_waits_gets_the_next_message_at_once(desk: Desk) -> None:
    await desk.create()
    waiting = asyncio.ensure_future(desk.receive(wait_s=20))
    await settle()
    await desk.send("1", "2")
    assert bodies(await soon(waiting)) == ["1", "2"]


async def test_a_receive_that_waits_wakes_when_a_message_is_visible_again(desk: Desk) -> None:
    await desk.create()
    await desk.send("delayed", delay_s=3)
    waiting = asyncio.ensure_future(desk.receive(wait_s=20, visibility_s=5))
    await settle()
    await desk.clock.advance(3.1)
    assert bodies(await soon(waiting)) == ["delayed"]
    waiting = asyncio.ensure_future(desk.receive(wait_s=20, visibility_s=100))
    await settle()
    await desk.clock.advance(5.1)
    (received,) = await soon(waiting)
    waiting = asyncio.ensure_future(desk.receive(wait_s=20))
    await settle()
    await desk.change(received, 0)
    assert bodies(await soon(waiting)) == ["delayed"]


async def test_a_receive_waits_no_longer_than_asked(desk: Desk) -> None:
    await desk.create()
    waiting = asyncio.ensure_future(desk.receive(wait_s=2))
    await settle()
    await desk.clock.advance(1.9)
    assert not waiting.done()
    await desk.clock.advance(0.2)
    assert await soon(waiting) == ()


async def test_those_who_wait_are_served_in_turn(desk: Desk) -> None:
    await desk.create()
    waiting = []
    for _ in range(3):
        waiting.append(asyncio.ensure_future(desk.receive(1, wait_s=20)))
        await settle()
    for number in range(3):
        await desk.send(str(number))
        assert bodies(await soon(waiting[number])) == [str(number)]


async def test_a_cancelled_receive_leaves_nothing_in_flight(desk: Desk) -> None:
    await desk.create()
    gone = asyncio.ensure_future(desk.receive(1, wait_s=20))
    here = asyncio.ensure_future(desk.receive(1, wait_s=20))
    await settle()
    gone.cancel()
    await settle()
    await desk.send("1")
    assert bodies(await soon(here)) == ["1"]
    assert await desk.counts() == (0, 1, 0)


async def test_those_who_wait_hear_that_the_queue_is_deleted(desk: Desk) -> None:
    await desk.create()
    waiting = asyncio.ensure_future(desk.receive(wait_s=20))
    await settle()
    await desk.broker.delete_queue(QUEUE)
    with pytest.raises(QueueMissing):
        await soon(waiting)


async def test_a_restart_keeps_what_is_hidden_hidden_and_its_handle_good(desk: Desk) -> None:
    await desk.create(VisibilityTimeout="30")
    await desk.send("1", "2")
    (received,) = await desk.receive(1)
    await desk.restart()
    assert bodies(await desk.receive()) == ["2"]
    assert await desk.delete(received) == [None]
    await desk.clock.advance(31)
    (second,) = await desk.receive()
    assert (second.body, second.receive_count) == (b"2", 2)


async def test_a_short_poll_of_a_queue_whose_receives_wait_returns_at_once(desk: Desk) -> None:
    await desk.create(ReceiveMessageWaitTimeSeconds="20")
    assert await asyncio.wait_for(desk.receive(wait_s=0), SOON_S) == ()
