"""How many calls of a FIFO queue are let through in a second."""

import pytest

from lambent.services.sqs.records import Throttled
from lambent.services.sqs.throughput import DELETES, SENDS, SWEEP_FROM, Throughput


def let_through(throughput: Throughput, of: tuple[str, ...], now_ms: int) -> int:
    """How many calls until one is refused."""
    count = 0
    while count < 10_000:
        try:
            throughput.take(of, now_ms)
        except Throttled:
            break
        count += 1
    return count


def test_so_many_in_a_second_and_each_kind_by_itself() -> None:
    throughput = Throughput(300)
    assert let_through(throughput, (SENDS,), 0) == 300
    assert let_through(throughput, (DELETES,), 0) == 300
    assert let_through(throughput, (SENDS,), 500) == 150
    assert let_through(throughput, (SENDS,), 5000) == 300


def test_zero_is_no_limit() -> None:
    assert let_through(Throughput(0), (SENDS,), 0) == 10_000


def test_a_call_that_is_refused_for_one_group_counts_for_none() -> None:
    throughput = Throughput(2)
    assert let_through(throughput, ("a",), 0) == 2
    with pytest.raises(Throttled):
        throughput.take(("b", "a"), 0)
    assert let_through(throughput, ("b",), 0) == 2


def test_groups_that_are_quiet_take_no_memory() -> None:
    throughput = Throughput(300)
    for number in range(3 * SWEEP_FROM):
        throughput.take((f"group {number}",), 10 * number)
    assert len(throughput._left) <= SWEEP_FROM
