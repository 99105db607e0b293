"""Dead letters, and tasks that move them back."""

from functools import partial

import pytest

from lambent.services.sqs.records import AlreadyMoving, MoveTask, QueueKey, Status, TaskMissing
from tests.contract.sqs.broker.kit import FIFO, OTHER, OTHER_FIFO, QUEUE, Desk, bodies, message, redrive, until


async def test_a_message_received_too_often_goes_to_the_dead_letter_queue_instead(desk: Desk) -> None:
    await desk.create(OTHER)
    await desk.create(RedrivePolicy=redrive(OTHER, 2))
    (sent,) = await desk.send("1")
    sent_ms = desk.clock.epoch_ms()
    for count in (1, 2):
        (taken,) = await desk.receive(visibility_s=0)
        assert taken.receive_count == count
    await desk.clock.advance(1000)
    assert await desk.counts() == (1, 0, 0)
    await desk.send("2")
    assert bodies(await desk.receive()) == ["2"]
    assert await desk.counts(OTHER) == (1, 0, 0)
    await desk.crash()
    (letter,) = await desk.receive(key=OTHER)
    assert (letter.message_id, letter.receive_count, letter.sent_ms) == (sent.message_id, 3, sent_ms)
    assert letter.source_arn == QUEUE.arn
    assert await desk.delete(letter, key=OTHER) == [None]
    assert await desk.counts(OTHER) == (0, 0, 0)


async def test_without_its_dead_letter_queue_a_message_stays(desk: Desk) -> None:
    await desk.create(RedrivePolicy=redrive(OTHER, 1))
    await desk.send("1")
    await desk.receive(visibility_s=0)
    assert bodies(await desk.receive()) == ["1"]


async def test_the_policy_of_a_queue_is_read_at_the_receive(desk: Desk) -> None:
    await desk.create(OTHER)
    await desk.create()
    await desk.send("1")
    for _ in range(3):
        await desk.receive(visibility_s=0)
    await desk.broker.set_attributes(QUEUE, {"RedrivePolicy": redrive(OTHER, 3)})
    assert await desk.receive() == ()
    assert bodies(await desk.receive(key=OTHER)) == ["1"]


async def test_on_fifo_a_dead_letter_unlocks_its_group_and_its_retention_begins_anew(desk: Desk) -> None:
    await desk.create(OTHER_FIFO)
    await desk.create(FIFO, RedrivePolicy=redrive(OTHER_FIFO, 1))
    (sent,) = await desk.send_to("a", "1")
    await desk.send_to("a", "2")
    await desk.receive(1, key=FIFO, visibility_s=0)
    await desk.clock.advance(10)
    assert bodies(await desk.receive(key=FIFO)) == ["2"]
    (letter,) = await desk.receive(key=OTHER_FIFO)
    assert letter.sent_ms == desk.clock.epoch_ms()
    assert (letter.message_id, letter.deduplication_id, letter.group_id) == (sent.message_id, sent.message_id, "a")


async def test_the_dead_letters_of_one_group_keep_their_order(desk: Desk) -> None:
    await desk.create(OTHER_FIFO)
    await desk.create(FIFO, RedrivePolicy=redrive(OTHER_FIFO, 1))
    await desk.send_to("a", "1", "2", "3")
    await desk.receive(key=FIFO, visibility_s=0)
    assert await desk.receive(key=FIFO) == ()
    await desk.crash()
    assert bodies(await desk.receive(key=OTHER_FIFO)) == ["1", "2", "3"]


async def test_a_task_moves_all_letters_back_as_new_messages(desk: Desk) -> None:
    old = await _letters(desk, 25)
    task = await desk.broker.start_move(OTHER)
    assert (task.status, task.to_move, task.destination) == (Status.RUNNING, 25, None)
    ended = await _ended(desk, task)
    assert (ended.status, ended.moved) == (Status.COMPLETED, 25)
    assert await desk.counts(OTHER) == (0, 0, 0)
    await desk.crash()
    back = [each for _ in range(3) for each in await desk.receive()]
    assert sorted(bodies(back)) == sorted(str(number) for number in range(25))
    assert {each.receive_count for each in back} == {1}
    assert not {each.message_id for each in back} & old
    assert desk.broker.moves(OTHER)[0] == ended


async def test_a_task_with_a_destination_a_rate_and_an_end(desk: Desk) -> None:
    await _letters(desk, 25)
    elsewhere = OTHER._replace(name="elsewhere")
    await desk.create(elsewhere)
    task = await desk.broker.start_move(OTHER, destination=elsewhere, rate=5)
    with pytest.raises(AlreadyMoving):
        await desk.broker.start_move(OTHER)
    await until(partial(_has, desk, elsewhere, 5))
    await desk.clock.advance(1.1)
    await until(partial(_has, desk, elsewhere, 10))
    await desk.broker.cancel_move(OTHER, task.id)
    ended = await _ended(desk, task)
    assert (ended.status, ended.moved) == (Status.CANCELLED, 10)
    assert await desk.counts(OTHER) == (15, 0, 0)
    with pytest.raises(TaskMissing):
        await desk.broker.cancel_move(OTHER, task.id)


async def test_a_restart_goes_on_with_a_task(desk: Desk) -> None:
    await _letters(desk, 25)
    task = await desk.broker.start_move(OTHER, rate=5)
    await until(partial(_has, desk, QUEUE, 5))
    await desk.restart()
    desk.broker.start()
    for batch in range(10, 30, 5):
        await until(partial(_has, desk, QUEUE, batch))
        await desk.clock.advance(1.1)
    await _ended(desk, task)
    assert desk.broker.moves(OTHER)[0].moved == 25
    assert (await desk.counts()).visible == 25
    assert desk.broker.moves(OTHER)[0].id == task.id


async def test_a_task_fails_where_it_does_not_know_where_to(desk: Desk) -> None:
    await desk.create(OTHER)
    await desk.broker.send(OTHER, [message("sent straight to it")])
    ended = await _ended(desk, await desk.broker.start_move(OTHER))
    assert (ended.status, ended.failure) == (Status.FAILED, "CouldNotDetermineMessageSource")
    assert await desk.counts(OTHER) == (1, 0, 0)
    ended = await _ended(desk, await desk.broker.start_move(OTHER, destination=QUEUE))
    assert (ended.status, ended.failure) == (Status.FAILED, "AWS.SimpleQueueService.NonExistentQueue")
    assert await desk.counts(OTHER) == (1, 0, 0)


async def _letters(desk: Desk, count: int) -> set[str]:
    """So many dead letters in `OTHER`; their ids."""
    await desk.create(OTHER)
    await desk.create(RedrivePolicy=redrive(OTHER, 1))
    for number in range(count):
        await desk.send(str(number))
    for _ in range(0, count, 10):
        assert await desk.receive(visibility_s=1)
    await desk.clock.advance(2)
    assert await desk.receive() == ()
    assert await desk.counts(OTHER) == (count, 0, 0)
    letters = [each for _ in range(0, count, 10) for each in await desk.receive(key=OTHER, visibility_s=1)]
    await desk.clock.advance(2)
    return {letter.message_id for letter in letters}


async def _has(desk: Desk, key: QueueKey, count: int) -> bool:
    return (await desk.counts(key)).visible >= count


async def _ended(desk: Desk, task: MoveTask) -> MoveTask:
    def found() -> MoveTask:
        return next(each for each in desk.broker.moves(task.source) if each.id == task.id)

    async def over() -> bool:
        return found().status not in (Status.RUNNING, Status.CANCELLING)

    await until(over)
    return found()
