"""What every database behind the durable queue has to keep to."""

import asyncio

import pytest
from sqlalchemy import create_engine, text

from lambent.aws.errors import PlatformFault
from lambent.store.database import Database
from lambent.store.messages import Holding, Lane, NewMessage, Standing, Taken
from lambent.store.queue import Queue
from tests.places import Place

BIG = 1 << 30


@pytest.fixture
def queue(database: Database) -> Queue:
    return Queue(database, "events")


def new(body: str, *, lane: str = "a", queue: str = "events", visible_ms: int = 0, state: str = "") -> NewMessage:
    return NewMessage(queue=queue, lane=lane, visible_ms=visible_ms, state=state, body=body.encode())


async def take(queue: Queue, lane: str = "a", *, now_ms: int = 1, until_ms: int = 100, limit: int = 10) -> Taken:
    return await queue.take(lane, now_ms=now_ms, until_ms=until_ms, limit=limit, max_bytes=BIG)


def bodies(taken: Taken) -> list[str]:
    return [message.body.decode() for message in taken.messages]


async def test_messages_come_in_their_order_and_once(queue: Queue) -> None:
    await queue.put(new("1"), new("2"), new("3"))
    assert bodies(await take(queue, limit=2)) == ["1", "2"]
    assert bodies(await take(queue, limit=2)) == ["3"]
    assert await take(queue) == Taken((), None)


async def test_lanes_and_queues_do_not_mix(database: Database, queue: Queue) -> None:
    other = Queue(database, "deliveries")
    await queue.put(new("1", lane="a"), new("2", lane="b"))
    await other.put(new("3", lane="a", queue="deliveries"))
    assert bodies(await take(queue, "b")) == ["2"]
    assert bodies(await take(other, "a")) == ["3"]
    assert bodies(await take(queue, "a")) == ["1"]


async def test_a_deleted_message_is_gone(queue: Queue) -> None:
    await queue.put(new("1"))
    (message,) = (await take(queue)).messages
    await queue.delete(message)
    assert await take(queue, now_ms=1000) == Taken((), None)


async def test_a_message_that_is_not_deleted_in_time_comes_again(queue: Queue) -> None:
    await queue.put(new("1"))
    first = (await take(queue, until_ms=100)).messages[0]
    assert bodies(await take(queue, now_ms=99)) == []
    second = (await take(queue, now_ms=100, until_ms=200)).messages[0]
    assert (second.id, second.takes) == (first.id, 2)
    # The receipt of the first taker has no effect any more.
    await queue.delete(first)
    assert bodies(await take(queue, now_ms=200)) == ["1"]


async def test_what_is_extended_stays_hidden(queue: Queue) -> None:
    await queue.put(new("1"))
    message = (await take(queue, until_ms=100)).messages[0]
    await queue.extend([message.id], 300)
    assert bodies(await take(queue, now_ms=299)) == []
    assert bodies(await take(queue, now_ms=300)) == ["1"]


async def test_what_the_taker_still_holds_is_hidden_again_and_not_given_to_it_twice(queue: Queue) -> None:
    await queue.put(new("1"), new("2"))
    one, two = (await take(queue, until_ms=100)).messages
    await queue.delay(two, 100)
    # The machine was asleep. What was given back can be taken even before its handler has ended.
    again = await queue.take("a", now_ms=500, until_ms=900, limit=9, max_bytes=BIG, held={one.id, two.id})
    assert bodies(again) == ["2"]
    assert bodies(await take(queue, now_ms=899)) == []
    await queue.delete(one)
    assert bodies(await take(queue, now_ms=900)) == ["2"]


async def test_a_delayed_message_comes_later_with_its_new_state(queue: Queue) -> None:
    await queue.put(new("1", state="first"))
    message = (await take(queue)).messages[0]
    await queue.delay(message, 500, "second")
    taken = await take(queue, now_ms=499)
    assert (taken.messages, taken.next_ms) == ((), 500)
    (again,) = (await take(queue, now_ms=500)).messages
    assert (again.state, again.body) == ("second", b"1")


async def test_what_follows_a_message_is_put_in_the_commit_that_deletes_it(database: Database, queue: Queue) -> None:
    other = Queue(database, "deliveries")
    await queue.put(new("1"))
    message = (await take(queue)).messages[0]
    await queue.delete(message, new("2", queue="deliveries"), new("3"))
    assert bodies(await take(other)) == ["2"]
    assert bodies(await take(queue)) == ["3"]


async def test_a_take_has_no_more_bytes_than_asked_for_but_one_message_always(queue: Queue) -> None:
    await queue.put(new("x" * 60), new("y" * 60), new("z" * 200))

    async def sizes() -> list[int]:
        taken = await queue.take("a", now_ms=1, until_ms=100, limit=10, max_bytes=100)
        return [len(message.body) for message in taken.messages]

    assert [await sizes() for _ in range(4)] == [[60], [60], [200], []]


async def test_a_message_can_be_put_and_taken_in_one_commit(database: Database, queue: Queue) -> None:
    first, second = await asyncio.gather(queue.put_taken(new("1"), 50), queue.put_taken(new("2", state="s"), 50))
    assert (first.body, first.takes, second.body, second.state) == (b"1", 1, b"2", "s")
    assert bodies(await take(queue)) == []
    await queue.delete(first)
    assert bodies(await take(queue, now_ms=50)) == ["2"], "what is not deleted in time comes again"
    await queue.delete(second)
    assert await queue.count("a") == 1, "an older receipt has no effect"
    await queue.put_taken(new("3"), 1000)
    assert await Queue(database, "events").recover(1) == 2


async def test_many_messages_that_are_put_and_taken_keep_their_numbers(queue: Queue) -> None:
    taken = await asyncio.gather(*(queue.put_taken(new(str(number)), 50) for number in range(200)))
    listed = {each.id for each in await queue.listed("a", 999)}
    assert [message.body.decode() for message in taken] == [str(number) for number in range(200)]
    assert {message.id for message in taken} == listed
    await queue.delete(taken[7])
    assert listed - {each.id for each in await queue.listed("a", 999)} == {taken[7].id}


async def test_a_message_that_cannot_be_put_is_not_taken(database: Database, queue: Queue) -> None:
    await database.close()
    with pytest.raises(PlatformFault):
        await queue.put_taken(new("1"), 50)


async def test_the_next_time_of_a_lane_is_told(queue: Queue) -> None:
    await queue.put(new("now"), new("later", visible_ms=700), new("soon", visible_ms=50))
    assert (await take(queue)).next_ms == 50
    assert (await take(queue, now_ms=60)).next_ms == 700


async def test_lanes_are_counted(queue: Queue) -> None:
    await queue.put(new("1"), new("2"), new("3", lane="b", visible_ms=9))
    await take(queue, limit=1, until_ms=100)
    assert await queue.lanes() == [Lane("a", 2, 1, 0), Lane("b", 1, 0, 9)]


async def test_messages_that_may_be_taken_later_are_counted_apart(database: Database, queue: Queue) -> None:
    await queue.put(*(new("x", lane="1/r/a", visible_ms=at) for at in (0, 0, 50, 70)), new("x", lane="1/r/b_"))
    await queue.put(new("x", lane="1/r/bc"), new("x", lane="2/r/a"), new("x", lane="1/r/a", queue="deliveries"))
    await take(queue, "1/r/a", limit=1, now_ms=1, until_ms=100)
    assert await queue.standing(50, "1/r/") == {
        "1/r/a": Standing(4, 1, 1),
        "1/r/b_": Standing(1, 0, 0),
        "1/r/bc": Standing(1, 0, 0),
    }
    # No name is a pattern.
    assert list(await queue.standing(50, "1/r/b_")) == ["1/r/b_"]
    assert await queue.standing(50, "3/r/") == {}


async def test_messages_can_be_listed_without_taking_them(queue: Queue) -> None:
    await queue.put(new("1", state="s"), new("22", visible_ms=9))
    await take(queue, limit=1, until_ms=100)
    listed = await queue.listed("a", 10)
    assert [(each.visible_ms, each.taken, each.state, each.size_bytes) for each in listed] == [
        (100, True, "s", 1),
        (9, False, "", 2),
    ]
    assert [each.size_bytes for each in await queue.listed("a", 1, newest_first=True)] == [1]


async def test_the_newest_messages_of_a_lane_can_be_kept(database: Database) -> None:
    queue = Queue(database, "failed")
    for at_ms in range(10):
        await queue.put(new("xxx", visible_ms=at_ms, queue="failed"), new("y", lane="b", queue="failed"))
    assert await queue.keep_newest("a", 10, 30, 0) == 0
    assert await queue.keep_newest("a", 8, BIG, 0) == 2
    assert await queue.keep_newest("a", 8, BIG, 4) == 2
    assert await queue.keep_newest("a", 8, 16, 4) == 1
    assert [each.visible_ms for each in await queue.listed("a", 99)] == [5, 6, 7, 8, 9]
    assert await queue.holdings() == {"a": Holding(5, 15), "b": Holding(10, 10)}
    assert await queue.holdings("b") == {"b": Holding(10, 10)}
    assert await queue.count("a") == 5


async def test_messages_move_to_another_queue_with_a_new_state(database: Database, queue: Queue) -> None:
    failed = Queue(database, "failed")
    await failed.put(*(new(body, queue="failed", visible_ms=50, state=body) for body in "123"))
    assert await failed.move("a", "events", 1, lambda state: None if state == "2" else f"again {state}") == 2
    (first, second) = (await take(queue)).messages
    assert (first.body, first.state, second.state) == (b"1", "again 1", "again 3")
    await queue.delete(first)
    await queue.delete(second)
    assert await failed.count("a") == 1
    assert await queue.count("a") == 0


async def test_a_purge_drops_one_lane_or_all(queue: Queue) -> None:
    await queue.put(new("1"), new("2"), new("3", lane="b"), new("4", lane="c"))
    assert await queue.purge("a") == 2
    assert [lane.name for lane in await queue.lanes()] == ["b", "c"]
    assert await queue.purge() == 2


async def test_a_purge_of_many_lets_others_write_between_and_leaves_what_came_since(queue: Queue) -> None:
    await queue.put(*(new(body) for body in "12345"))
    purge = asyncio.create_task(queue.purge("a", part=2))
    while await queue.count("a") == 5:  # noqa: ASYNC110 - the store tells nobody
        await asyncio.sleep(0)
    await queue.put(new("later"))
    assert await purge == 5
    assert bodies(await take(queue)) == ["later"]


async def test_what_a_dead_server_had_taken_is_there_again(database: Database, queue: Queue) -> None:
    await queue.put(new("1"), new("2"))
    await take(queue, limit=1, until_ms=10_000)
    again = Queue(database, "events")
    assert bodies(await take(again)) == ["2"]
    assert await again.recover(now_ms=5) == 1
    assert bodies(await take(again, now_ms=5)) == ["1"]
    assert await again.recover(now_ms=5) == 0


async def test_an_acknowledged_message_is_committed(queue: Queue, place: Place) -> None:
    """As another process would find it after this one was killed."""
    await asyncio.gather(*(queue.put(new(str(number))) for number in range(200)))
    engine = create_engine(f"sqlite:///{place.path}" if place.url is None else place.url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM queue_messages")).scalar() == 200
    engine.dispose()


async def test_many_puts_need_few_commits(database: Database, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = 0
    write = database.write

    async def counted(*work: object, **options: object) -> object:
        nonlocal commits
        commits += 1
        return await write(*work, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(database, "write", counted)
    await asyncio.gather(*(queue.put(new(str(number))) for number in range(500)))
    assert commits <= 3


async def test_a_put_that_cannot_be_written_is_refused(database: Database, queue: Queue) -> None:
    await database.close()
    with pytest.raises(PlatformFault):
        await queue.put(new("1"))


async def test_a_caller_that_goes_away_does_not_hurt_the_others(queue: Queue) -> None:
    first = asyncio.create_task(queue.put(new("1")))
    second = asyncio.create_task(queue.put(new("2")))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert bodies(await take(queue)) == ["1", "2"]
