"""Which events go together."""

import json

from lambent.event_sources.batch import Collector, Event, payload


def event(id: str, size: int = 10, held_until_s: float = 1000.0, receipt: str = "r") -> Event:
    return Event(id, receipt, b'"' + id.encode() * size + b'"', held_until_s)


def ids(batches: list[list[Event]]) -> list[str]:
    return ["".join(each.id for each in batch) for batch in batches]


def test_a_batch_is_done_when_it_is_full() -> None:
    collector = Collector(3, 10.0)
    assert collector.add([event("a"), event("b")], 0.0) == []
    assert (collector.room, collector.due_s) == (1, 10.0)
    assert ids(collector.add([event("c"), event("d")], 1.0)) == ["abc"]
    assert (collector.room, collector.due_s) == (2, 11.0)
    assert ids([collector.take()]) == ["d"]
    assert (collector.room, collector.due_s) == (3, None)


def test_without_a_window_everything_goes_at_once() -> None:
    assert ids(Collector(10, 0).add([event("a"), event("b")], 0.0)) == ["ab"]


def test_a_batch_is_done_before_it_is_too_large_for_an_invocation() -> None:
    collector = Collector(10, 5.0, max_bytes=50)
    batches = collector.add([event("a", 20), event("b", 20), event("c", 20)], 0.0)
    assert ids(batches) == ["a", "b"]
    assert all(len(payload(batch)) <= 50 for batch in batches)
    assert json.loads(payload(collector.take())) == {"Records": ["c" * 20]}


def test_a_message_that_is_read_again_is_there_once() -> None:
    collector = Collector(10, 5.0)
    collector.add([event("a", receipt="old"), event("b")], 0.0)
    collector.add([event("a", receipt="new")], 1.0)
    assert {each.id: each.receipt for each in collector.take()} == {"a": "new", "b": "r"}


def test_a_window_leaves_the_function_half_of_the_visibility() -> None:
    collector = Collector(100, 300.0)
    collector.add([event("a", held_until_s=30.0)], 0.0)
    assert collector.due_s == 15.0
