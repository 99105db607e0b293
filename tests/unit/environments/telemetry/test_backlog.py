"""What waits for a subscriber: portions by number, size and age, within bounds."""

from hypothesis import given
from hypothesis import strategies as st

from lambent.environments.telemetry.backlog import SMALL_BYTES, Backlog
from lambent.environments.telemetry.memory import Memory
from lambent.environments.telemetry.subscription import Buffering


def backlog(memory: Memory | None = None, **limits: int) -> Backlog:
    return Backlog(Buffering(**limits), memory or Memory())


def test_a_portion_is_due_when_its_oldest_event_is_old_enough() -> None:
    waiting = backlog(timeout_ms=100)
    assert waiting.due_at is None
    waiting.add(b"a", 5.0)
    waiting.add(b"b", 5.05)
    assert waiting.due_at == 5.1
    assert waiting.take() == [b"a", b"b"]
    waiting.done()
    assert waiting.due_at is None


def test_a_portion_is_full_at_its_bytes_and_at_its_items() -> None:
    by_bytes = backlog(max_bytes=10)
    by_bytes.add(b"123456789", 0)
    assert not by_bytes.full
    by_bytes.add(b"123456789", 0)
    assert by_bytes.full
    by_items = backlog(max_items=2)
    by_items.add(b"", 0)
    by_items.add(b"", 0)
    assert by_items.full


def test_the_next_portion_fills_while_one_is_delivered_and_what_follows_is_dropped_and_counted() -> None:
    waiting = backlog(max_items=2)
    for number in range(2):
        waiting.add(b"%d" % number, 0)
    assert waiting.take() == [b"0", b"1"]
    for number in range(2, 7):
        waiting.add(b"%d" % number, 0)
    dropped = waiting.take_dropped()
    assert dropped is not None
    assert (dropped.records, dropped.bytes) == (3, 3)
    assert waiting.take_dropped() is None
    waiting.done()
    assert waiting.take() == [b"2", b"3"]


def test_all_of_a_machine_share_a_bound_and_each_keeps_a_little() -> None:
    memory = Memory(limit_bytes=3 * SMALL_BYTES)
    greedy, other = backlog(memory), backlog(memory)
    while greedy.take_dropped() is None:
        greedy.add(bytes(1024), 0)
    assert memory.used_bytes <= memory.limit_bytes
    other.add(bytes(1024), 0)
    assert len(other) == 1


def test_a_replacement_inherits_also_what_was_on_its_way() -> None:
    memory = Memory()
    old, new = backlog(memory), backlog(memory)
    old.add(b"a", 0)
    old.take()
    old.add(b"b", 0)
    old.drop(3, 30)
    old.move_to(new, 1.0)
    assert new.take() == [b"a", b"b"]
    dropped = new.take_dropped()
    assert dropped is not None
    assert dropped.records == 3
    # The delivery that was on its way ends later.
    old.done()
    new.done()
    assert memory.used_bytes == 0


@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(["take", "done", "clear"])), max_size=60))
def test_memory_is_given_back_whatever_happens(steps: list[bytes | str]) -> None:
    memory = Memory(limit_bytes=200)
    waiting = Backlog(Buffering(max_items=5, max_bytes=100), memory)
    on_its_way = False
    for step in steps:
        if isinstance(step, bytes):
            waiting.add(step, 0)
        elif step == "take" and not on_its_way:
            waiting.take()
            on_its_way = True
        elif step == "done":
            waiting.done()
            on_its_way = False
        elif step == "clear":
            waiting.clear()
            on_its_way = False
        assert 0 <= memory.used_bytes <= 2 * (100 + 40)
    waiting.clear()
    assert memory.used_bytes == 0
