"""What becomes of messages when the store cannot write, and when those who asked are gone."""

import asyncio
from typing import Any

import pytest

from lambent.aws.errors import PlatformFault
from tests.contract.sqs.broker.kit import FIFO, OTHER, QUEUE, Desk, bodies, redrive, settle


class Full:
    """A database whose disk is full while `is_full`."""

    def __init__(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = False
        write = desk.database.write

        async def perhaps(*work: Any, **options: Any) -> Any:
            if self.is_full:
                raise PlatformFault("The store cannot write: database or disk is full")
            return await write(*work, **options)

        monkeypatch.setattr(desk.database, "write", perhaps)


@pytest.fixture
def full(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Full:
    return Full(desk, monkeypatch)


async def test_what_could_not_be_stored_is_refused_and_not_there(desk: Desk, full: Full) -> None:
    await desk.create()
    await desk.create(FIFO)
    full.is_full = True
    with pytest.raises(PlatformFault):
        await desk.send("1")
    with pytest.raises(PlatformFault):
        await desk.send_to("a", "1")
    full.is_full = False
    assert await desk.receive() == ()
    # And is no duplicate when it is sent again.
    await desk.send_to("a", "1")
    assert bodies(await desk.receive(key=FIFO)) == ["1"]


async def test_what_could_not_be_deleted_comes_again(desk: Desk, full: Full) -> None:
    await desk.create(VisibilityTimeout="10")
    await desk.send("1")
    received = await desk.receive()
    full.is_full = True
    with pytest.raises(PlatformFault):
        await desk.delete(*received)
    full.is_full = False
    assert await desk.counts() == (0, 1, 0)
    await desk.clock.advance(10.1)
    (again,) = await desk.receive()
    assert await desk.delete(again) == [None]
    assert await desk.counts() == (0, 0, 0)


async def test_receives_go_on_while_nothing_can_be_written(desk: Desk, full: Full) -> None:
    await desk.create()
    await desk.send("1", "2")
    full.is_full = True
    assert bodies(await desk.receive()) == ["1", "2"]
    full.is_full = False


async def test_a_dead_letter_that_could_not_be_moved_is_moved_later(desk: Desk, full: Full) -> None:
    await desk.create(OTHER)
    await desk.create(RedrivePolicy=redrive(OTHER, 1))
    await desk.send("1")
    await desk.receive(visibility_s=0)
    await desk.counts(OTHER)
    full.is_full = True
    with pytest.raises(PlatformFault):
        await desk.receive()
    full.is_full = False
    assert await desk.counts() == (1, 0, 0)
    assert await desk.receive() == ()
    assert bodies(await desk.receive(key=OTHER)) == ["1"]


async def test_a_send_whose_client_is_gone_is_whole(desk: Desk) -> None:
    await desk.create(FIFO)
    sending = asyncio.ensure_future(desk.send_to("a", "1"))
    await asyncio.sleep(0)
    sending.cancel()
    await asyncio.wait({sending})
    (sent,) = await desk.send_to("a", "1")
    (received,) = await desk.receive(key=FIFO)
    assert received.message_id == sent.message_id
    assert await desk.receive(key=FIFO) == ()


async def test_a_receive_whose_client_is_gone_gives_back_what_it_took(desk: Desk) -> None:
    await desk.create()
    await desk.send(*(str(number) * 600_000 for number in range(5)))
    await desk.restart()
    await desk.counts()
    # The bodies that have no room in memory are read from the disk; it is cancelled meanwhile.
    asking = asyncio.ensure_future(desk.receive())
    for _ in range(1000):
        await settle()
        asking.cancel()
        if asking.done():
            break
    assert asking.cancelled()
    assert await desk.counts() == (5, 0, 0)
    received = await desk.receive()
    assert {each.receive_count for each in received} == {1}
    assert await desk.receive() == () or len(received) == 5


async def test_a_thousand_who_wait_get_one_message_each(desk: Desk) -> None:
    await desk.create()
    waiting = [asyncio.ensure_future(desk.receive(1, wait_s=20)) for _ in range(1000)]
    await settle()
    for number in range(0, 1000, 100):
        await desk.send(*(str(number + at) for at in range(100)))
    async with asyncio.timeout(20):
        received = await asyncio.gather(*waiting)
    assert sorted(int(text) for each in received for text in bodies(each)) == list(range(1000))
    assert await desk.counts() == (0, 1000, 0)


async def test_a_queue_without_use_loses_what_is_too_old(desk: Desk) -> None:
    await desk.create(MessageRetentionPeriod="60")
    await desk.create(OTHER)
    await desk.send("1", "2")
    await desk.send("kept", key=OTHER)
    await desk.restart()
    await desk.clock.advance(61)
    await desk.broker.sweep()
    count = await desk.database.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM queue_messages").scalar())
    assert count == 1
    assert bodies(await desk.receive(key=OTHER)) == ["kept"]


async def test_what_is_purged_or_of_a_deleted_queue_leaves_the_disk(desk: Desk) -> None:
    await desk.create()
    await desk.create(OTHER)
    await desk.send("1", "2")
    await desk.send("1", "2", key=OTHER)
    await desk.broker.purge(QUEUE)
    await desk.broker.delete_queue(OTHER)
    # It was killed before it could sweep.
    await desk.crash()
    await desk.broker.sweep()
    count = await desk.database.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM queue_messages").scalar())
    assert count == 0
