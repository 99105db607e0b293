"""The metrics of AWS/SQS: what is counted, what is a level, and to which minute both belong."""

import itertools

from lambent.core.statistics import MINUTE_MS, Statistics
from lambent.services.sqs.metrics import UNITS, QueueMetrics, one
from lambent.services.sqs.records import AttributeValue, Outgoing
from tests.contract.sqs.broker.kit import FIFO, OTHER, QUEUE, Desk, message, redrive


async def told(desk: Desk, key: object = QUEUE) -> dict[str, float]:
    """The sum of each metric, up to now."""
    assert isinstance(key, type(QUEUE))
    await desk.broker.measure(key)
    metrics = desk.broker.metrics
    return {name: sum(point.value.sum for point in metrics.series(key, name)) for name in metrics.names(key)}


async def test_what_is_done_with_a_queue_is_counted(desk: Desk) -> None:
    await desk.create()
    await desk.send("one", "three")
    large = Outgoing(body=b"12", sender_id="AIDA", attributes={"ab": AttributeValue("String", b"xyz")})
    await desk.broker.send(QUEUE, [large])
    first, second, _ = await desk.receive()
    await desk.delete(first, second)
    await desk.delete(first)
    assert await desk.receive() == ()
    assert await told(desk) == {
        "NumberOfMessagesSent": 3,
        "NumberOfMessagesReceived": 3,
        "NumberOfMessagesDeleted": 3,
        "NumberOfEmptyReceives": 1,
        "SentMessageSize": 3 + 5 + (2 + 2 + 6 + 3),
        "ApproximateNumberOfMessagesVisible": 0,
        "ApproximateNumberOfMessagesNotVisible": 1,
        "ApproximateNumberOfMessagesDelayed": 0,
        "ApproximateAgeOfOldestMessage": 0,
    }
    (point,) = desk.broker.metrics.series(QUEUE, "SentMessageSize")
    assert point.value == Statistics(3, 21, 3, 13)


async def test_each_minute_has_its_own_and_levels_are_seen_at_its_end(desk: Desk) -> None:
    desk.broker.start()
    await desk.create()
    await desk.send("a", "b")
    await desk.send("later", delay_s=200)
    for _ in range(3):
        await desk.clock.advance(60)
    metrics = desk.broker.metrics
    sent = metrics.series(QUEUE, "NumberOfMessagesSent")
    visible = metrics.series(QUEUE, "ApproximateNumberOfMessagesVisible")
    assert [point.value.sum for point in sent] == [2 + 1, 0, 0]
    assert [point.value for point in visible] == [one(2), one(2), one(2)]
    assert [point.value.max for point in metrics.series(QUEUE, "ApproximateNumberOfMessagesDelayed")] == [1, 1, 1]
    ages = [point.value.max for point in metrics.series(QUEUE, "ApproximateAgeOfOldestMessage")]
    assert [after - before for before, after in itertools.pairwise(ages)] == [60, 60]
    assert [point.epoch_ms % MINUTE_MS for point in sent] == [0, 0, 0]


async def test_a_queue_of_which_nothing_is_to_tell_has_no_minutes(desk: Desk) -> None:
    await desk.create()
    assert await told(desk) == {}


async def test_a_message_that_comes_again_and_again_is_not_the_oldest(desk: Desk) -> None:
    """It would hide from the age that the others are looked after."""
    await desk.create()
    await desk.send("poison")
    for _ in range(3):
        await desk.receive(visibility_s=0)
    await desk.clock.advance(30)
    await desk.send("healthy")
    await desk.clock.advance(10)
    assert (await told(desk))["ApproximateAgeOfOldestMessage"] == 10


async def test_the_age_of_what_is_on_disk_alone_is_known(desk: Desk) -> None:
    await desk.create()
    await desk.send("old")
    await desk.restart()
    await desk.clock.advance(70)
    await desk.broker.counts(QUEUE)
    found = await told(desk)
    assert (found["ApproximateAgeOfOldestMessage"], found["ApproximateNumberOfMessagesVisible"]) == (70, 1)


async def test_a_dead_letter_was_not_sent_and_is_as_old_as_its_move(desk: Desk) -> None:
    """Spec 7.1: a move does not count in NumberOfMessagesSent."""
    await desk.create(OTHER)
    await desk.create(RedrivePolicy=redrive(OTHER, 1))
    await desk.send("bad")
    await desk.receive(visibility_s=20)
    await desk.clock.advance(100)
    assert await desk.receive() == ()
    await desk.clock.advance(5)
    found = await told(desk, OTHER)
    assert found["NumberOfMessagesSent"] == 0
    assert (found["ApproximateNumberOfMessagesVisible"], found["ApproximateAgeOfOldestMessage"]) == (1, 5)


async def test_on_fifo_duplicates_and_groups_in_flight_are_counted(desk: Desk) -> None:
    await desk.create(FIFO)
    await desk.send_to("a", "1", "2")
    await desk.send_to("b", "1")
    await desk.send_to("b", "1")
    taken = await desk.receive(10, key=FIFO)
    found = await told(desk, FIFO)
    assert (found["NumberOfMessagesSent"], found["NumberOfDeduplicatedSentMessages"]) == (3, 1)
    assert found["ApproximateNumberOfGroupsWithInflightMessages"] == 2
    await desk.delete(*taken, key=FIFO)
    await desk.send_to("c", "1")
    await desk.clock.advance(60)
    await desk.broker.measure(FIFO)
    groups = desk.broker.metrics.series(FIFO, "ApproximateNumberOfGroupsWithInflightMessages")
    assert [point.value.max for point in groups] == [2, 0]


async def test_tenants_that_are_noisy_are_told_apart_from_the_quiet(desk: Desk) -> None:
    await desk.create()
    await desk.broker.send(QUEUE, [message(str(number), group="loud") for number in range(50)])
    for _ in range(4):
        await desk.receive(10)
    await desk.clock.advance(7)
    await desk.broker.send(QUEUE, [message("x", group="calm")])
    await desk.clock.advance(3)
    found = await told(desk)
    assert found["ApproximateNumberOfNoisyGroups"] == 1
    assert (found["ApproximateNumberOfMessagesVisible"], found["ApproximateNumberOfMessagesVisibleInQuietGroups"]) == (
        *(11, 1),
    )
    assert found["ApproximateNumberOfMessagesNotVisibleInQuietGroups"] == 0
    assert (found["ApproximateAgeOfOldestMessage"], found["ApproximateAgeOfOldestMessageInQuietGroups"]) == (10, 3)


async def test_a_deleted_queue_keeps_its_minutes_and_gets_no_more(desk: Desk) -> None:
    await desk.create()
    await desk.send("a")
    before = await told(desk)
    await desk.broker.delete_queue(QUEUE)
    assert await told(desk) == before


def test_the_oldest_minutes_go_first_and_totals_stay() -> None:
    metrics = QueueMetrics(max_points=2)
    for minute in range(3):
        metrics.record(QUEUE, minute * MINUTE_MS, {"NumberOfMessagesSent": one(5)})
    assert [point.epoch_ms for point in metrics.series(QUEUE, "NumberOfMessagesSent")] == [MINUTE_MS, 2 * MINUTE_MS]
    metrics.record(OTHER, 500 * MINUTE_MS, {"NumberOfMessagesSent": one(5), "ApproximateAgeOfOldestMessage": one(9)})
    assert metrics.names(QUEUE) == set()
    assert metrics.totals() == {"NumberOfMessagesSent": Statistics(4, 20, 5, 5)}
    assert set(UNITS) >= metrics.names(OTHER)
