"""What of a queue is in memory: limits, and tenants that take turns."""

from lambent.services.sqs.entry import Entry
from lambent.services.sqs.records import MAX_IN_FLIGHT
from lambent.services.sqs.shelf import Shelf


def filled(count: int, *, group: str | None = None, first: int = 1, shelf: Shelf | None = None) -> Shelf:
    shelf = shelf or Shelf(fifo=False)
    for number in range(first, first + count):
        shelf.add(Entry(id=number, sent_ms=1, visible_ms=1, group=group), 1)
    return shelf


def taken(shelf: Shelf, limit: int, *, now_ms: int = 2, hidden_ms: int = 100) -> list[int]:
    haul = shelf.take(now_ms, limit=limit, until_ms=now_ms + hidden_ms, since_ms=0, most=None)
    return [entry.id for entry in haul.taken]


def test_no_more_than_the_limit_are_in_flight() -> None:
    shelf = filled(MAX_IN_FLIGHT + 5)
    assert len(taken(shelf, MAX_IN_FLIGHT - 2)) == MAX_IN_FLIGHT - 2
    assert not shelf.full
    assert len(taken(shelf, 10)) == 2
    assert shelf.full
    assert taken(shelf, 10) == []
    shelf.remove(shelf.entries[1])
    assert len(taken(shelf, 10)) == 1


def test_a_message_without_time_out_is_given_once_in_each_take() -> None:
    shelf = filled(3)
    assert taken(shelf, 10, hidden_ms=0) == [1, 2, 3]
    assert taken(shelf, 10, hidden_ms=0) == [1, 2, 3]


def test_a_message_that_comes_again_and_again_lets_others_go_first() -> None:
    shelf = filled(2)
    for _ in range(3):
        assert taken(shelf, 1, hidden_ms=0) == [1]
    assert taken(shelf, 2) == [2, 1]


def test_a_noisy_tenant_comes_when_the_others_have_nothing() -> None:
    shelf = filled(100, group="noisy")
    assert len(taken(shelf, 40)) == 40
    filled(5, group="quiet", first=101, shelf=shelf)
    filled(2, first=106, shelf=shelf)
    assert taken(shelf, 8) == [101, 102, 103, 104, 105, 106, 107, 41]
    for number in range(1, 31):
        shelf.remove(shelf.entries[number])
    filled(1, group="quiet", first=108, shelf=shelf)
    assert taken(shelf, 1) == [42]


def test_of_noisy_tenants_the_one_with_least_in_flight_comes_first() -> None:
    shelf = filled(80, group="a")
    assert len(taken(shelf, 60)) == 60
    filled(80, group="b", first=81, shelf=shelf)
    assert taken(shelf, 40) == list(range(81, 121))
    assert taken(shelf, 1) == [121]


def test_what_went_leaves_nothing_behind() -> None:
    shelf = Shelf(fifo=False)
    for first in range(1, 50_000, 1000):
        filled(1000, first=first, shelf=shelf)
        assert len(shelf.expire(1)) == 1000
    order = vars(shelf)["order"]
    assert sum(len(line) for line in vars(order)["_lines"].values()) < 3000
    assert not shelf.entries
    for number in range(100_000, 110_000):
        shelf.add(Entry(id=number, sent_ms=2, visible_ms=1), 2)
        shelf.remove(shelf.entries[taken(shelf, 1, hidden_ms=10_000)[0]])
    assert len(vars(shelf)["_timers"]) < 3000
