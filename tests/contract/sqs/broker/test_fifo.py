"""A FIFO queue: order and locks within groups, deduplication, attempts."""

import asyncio
from dataclasses import replace

import pytest

from lambent.services.sqs.records import AttemptOver, Refusal
from tests.contract.sqs.broker.kit import FIFO, Desk, bodies, message, settle, soon


async def received(desk: Desk, limit: int = 10, *, visibility_s: int | None = None) -> list[str]:
    return bodies(await desk.receive(limit, key=FIFO, visibility_s=visibility_s))


async def test_one_receive_takes_of_a_group_in_order_and_then_of_the_next(desk: Desk) -> None:
    await desk.create(FIFO)
    await desk.send_to("a", "a1", "a2", "a3")
    await desk.send_to("b", "b1")
    assert await received(desk) == ["a1", "a2", "a3", "b1"]


async def test_a_group_with_a_message_in_flight_gives_none_also_not_a_new_one(desk: Desk) -> None:
    await desk.create(FIFO)
    await desk.send_to("a", "1", "2", "3")
    assert await received(desk, 2) == ["1", "2"]
    assert await received(desk) == []
    await desk.send_to("a", "4")
    assert await received(desk) == []
    assert await desk.counts(FIFO) == (2, 2, 0)


async def test_an_earlier_message_that_is_released_comes_alone(desk: Desk) -> None:
    await desk.create(FIFO)
    await desk.send_to("a", "1", "2", "3")
    first, _ = await desk.receive(2, key=FIFO)
    assert await desk.change(first, 0, key=FIFO) is None
    assert await received(desk) == ["1"]


async def test_a_group_is_free_when_all_that_was_received_is_deleted(desk: Desk) -> None:
    await desk.create(FIFO)
    await desk.send_to("a", "1", "2", "3")
    first, second = await desk.receive(2, key=FIFO)
    await desk.delete(first, key=FIFO)
    assert await received(desk) == []
    await desk.delete(second, key=FIFO)
    assert await received(desk) == ["3"]


async def test_those_before_an_extended_message_come_again_without_it(desk: Desk) -> None:
    await desk.create(FIFO, VisibilityTimeout="10")
    await desk.send_to("a", "1", "2", "3", "4")
    taken = await desk.receive(3, key=FIFO)
    await desk.change(taken[2], 100, key=FIFO)
    await desk.clock.advance(10.1)
    assert await received(desk) == ["1", "2"]


async def test_groups_take_turns(desk: Desk) -> None:
    await desk.create(FIFO)
    await desk.send_to("a", "a1", "a2")
    await desk.send_to("b", "b1", "b2")
    (a1,) = await desk.receive(1, key=FIFO)
    await desk.delete(a1, key=FIFO)
    assert await received(desk, 1) == ["b1"]
    assert await received(desk, 1) == ["a2"]


async def test_visibility_zero_leaves_the_group_free(desk: Desk) -> None:
    await desk.create(FIFO)
    await desk.send_to("a", "1", "2")
    assert await received(desk, visibility_s=0) == ["1", "2"]
    assert await received(desk, visibility_s=0) == ["1", "2"]


async def test_a_delayed_head_holds_its_group_and_a_shorter_delay_counts_at_once(desk: Desk) -> None:
    await desk.create(FIFO, DelaySeconds="100")
    await desk.send_to("a", "1")
    assert await received(desk) == []
    await desk.broker.set_attributes(FIFO, {"DelaySeconds": "5"})
    await desk.send_to("a", "2")
    await desk.clock.advance(5.1)
    assert await received(desk) == ["1", "2"]


async def test_a_waiting_receive_wakes_when_a_group_is_unlocked(desk: Desk) -> None:
    await desk.create(FIFO)
    await desk.send_to("a", "1", "2")
    (first,) = await desk.receive(1, key=FIFO)
    waiting = asyncio.ensure_future(desk.receive(key=FIFO, wait_s=20))
    await settle()
    await desk.delete(first, key=FIFO)
    assert bodies(await soon(waiting)) == ["2"]


async def test_what_was_received_too_long_ago_cannot_be_deleted(desk: Desk) -> None:
    await desk.create(FIFO, VisibilityTimeout="10")
    await desk.send_to("a", "1")
    (first,) = await desk.receive(key=FIFO)
    await desk.change(first, 20, key=FIFO)
    await desk.clock.advance(15)
    assert await desk.counts(FIFO) == (0, 1, 0)
    await desk.clock.advance(5.1)
    assert await desk.delete(first, key=FIFO) == [Refusal.EXPIRED]
    assert await desk.change(first, 5, key=FIFO) is Refusal.EXPIRED
    (second,) = await desk.receive(key=FIFO)
    assert await desk.delete(first, key=FIFO) == [Refusal.EXPIRED]
    assert await desk.delete(second, key=FIFO) == [None]
    assert await desk.delete(second, key=FIFO) == [None]


async def test_a_duplicate_is_answered_with_the_first_ids_and_not_stored(desk: Desk) -> None:
    await desk.create(FIFO)
    (first,) = await desk.broker.send(FIFO, [message("1", group="a", id="d")])
    assert len(first.sequence_number or "") == 20
    (again,) = await desk.broker.send(FIFO, [message("other body", group="b", id="d")])
    assert again == first
    (taken,) = await desk.receive(key=FIFO)
    assert (taken.message_id, taken.sequence_number, taken.deduplication_id) == (*first, "d")
    await desk.delete(taken, key=FIFO)
    await desk.crash()
    await desk.clock.advance(299)
    assert await desk.broker.send(FIFO, [message("1", group="a", id="d")]) == [first]
    await desk.clock.advance(2)
    (new,) = await desk.broker.send(FIFO, [message("1", group="a", id="d")])
    assert new.message_id != first.message_id
    assert (new.sequence_number or "") > (first.sequence_number or "")


async def test_duplicates_within_one_batch_and_in_flight_are_one_message(desk: Desk) -> None:
    await desk.create(FIFO)
    same = message("1", group="a", id="d")
    batch, single = await asyncio.gather(desk.broker.send(FIFO, [same, same]), desk.broker.send(FIFO, [same]))
    assert batch[0] == batch[1] == single[0]
    assert await received(desk) == ["1"]


async def test_the_content_is_the_deduplication_id_of_a_message_without_one(desk: Desk) -> None:
    await desk.create(FIFO, ContentBasedDeduplication="true")
    first = await desk.broker.send(FIFO, [message("1", group="a")])
    assert await desk.broker.send(FIFO, [message("1", group="b")]) == first
    digest = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    assert await desk.broker.send(FIFO, [message("2", group="a", id=digest)]) == first
    (taken,) = await desk.receive(key=FIFO)
    assert taken.deduplication_id == digest


async def test_the_scope_of_deduplication_is_that_of_creation(desk: Desk) -> None:
    await desk.create(FIFO, DeduplicationScope="messageGroup")
    await desk.broker.send(FIFO, [message("1", group="a", id="d")])
    await desk.broker.set_attributes(FIFO, {"DeduplicationScope": "queue"})
    await desk.broker.send(FIFO, [message("2", group="b", id="d"), message("3", group="a", id="d")])
    assert await received(desk) == ["1", "2"]


async def test_a_purge_forgets_what_was_sent(desk: Desk) -> None:
    await desk.create(FIFO)
    await desk.send_to("a", "1")
    await desk.broker.purge(FIFO)
    await desk.send_to("a", "1")
    assert await received(desk) == ["1"]


async def test_the_same_attempt_gets_the_same_messages_hidden_anew(desk: Desk) -> None:
    await desk.create(FIFO, VisibilityTimeout="10")
    await desk.send_to("a", "1", "2")
    first = await desk.receive(1, key=FIFO, attempt_id="x")
    await desk.clock.advance(8)
    assert await desk.receive(1, key=FIFO, attempt_id="x") == first
    await desk.clock.advance(8)
    assert await received(desk) == []
    await desk.delete(*first, key=FIFO)
    with pytest.raises(AttemptOver):
        await desk.receive(1, key=FIFO, attempt_id="x")


async def test_an_attempt_whose_messages_are_visible_again_is_over(desk: Desk) -> None:
    await desk.create(FIFO, VisibilityTimeout="10")
    await desk.send_to("a", "1")
    await desk.receive(1, key=FIFO, attempt_id="x")
    await desk.clock.advance(11)
    with pytest.raises(AttemptOver):
        await desk.receive(1, key=FIFO, attempt_id="x")
    await desk.clock.advance(300)
    assert len(await desk.receive(1, key=FIFO, attempt_id="x")) == 1


async def test_order_and_locks_outlive_a_restart(desk: Desk) -> None:
    await desk.create(FIFO, VisibilityTimeout="30")
    await desk.send_to("a", "1", "2")
    await desk.send_to("b", "1")
    (first,) = await desk.receive(1, key=FIFO)
    await desk.restart()
    assert [each.group_id for each in await desk.receive(key=FIFO)] == ["b"]
    assert await desk.delete(replace(first), key=FIFO) == [None]
    assert await received(desk) == ["2"]


async def test_retention_of_a_head_frees_its_group(desk: Desk) -> None:
    await desk.create(FIFO, MessageRetentionPeriod="60")
    await desk.send_to("a", "1")
    await desk.clock.advance(30)
    await desk.send_to("a", "2")
    await desk.receive(1, key=FIFO, visibility_s=1000)
    await desk.clock.advance(30.1)
    await desk.counts(FIFO)
    assert await received(desk) == ["2"]


async def test_attempts_are_remembered_as_far_as_there_is_room(desk: Desk) -> None:
    await desk.create(FIFO)
    big = "x" * 900_000
    for number in range(3):
        await desk.broker.send(FIFO, [message(big, group=str(number), id=str(number))])
        assert len(await desk.receive(1, key=FIFO, attempt_id=str(number))) == 1
    assert await desk.receive(1, key=FIFO, attempt_id="0") == ()
    assert len(await desk.receive(1, key=FIFO, attempt_id="2")) == 1
