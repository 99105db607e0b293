"""Token buckets: a burst, a continuous refill, nothing saved beyond a full bucket."""

from hypothesis import given
from hypothesis import strategies as st

from lambent.core.limiter import FEWEST_TO_PRUNE, Buckets, Rate, taken

TEN = Rate.of(10, 10)


def test_a_full_bucket_gives_its_burst_and_then_one_at_a_time() -> None:
    buckets: Buckets[str] = Buckets()
    assert [buckets.take("a", 5.0, TEN) for _ in range(11)] == [True] * 10 + [False]
    assert buckets.take("b", 5.0, TEN)
    assert not buckets.take("a", 5.09, TEN)
    assert buckets.take("a", 5.11, TEN)
    assert not buckets.take("a", 5.11, TEN)


def test_a_long_rest_saves_no_more_than_the_burst() -> None:
    buckets: Buckets[str] = Buckets()
    assert buckets.take("a", 0.0, TEN)
    assert [buckets.take("a", 3600.0, TEN) for _ in range(11)] == [True] * 10 + [False]


@given(
    steps=st.lists(st.floats(0, 0.5), min_size=1, max_size=200),
    per_s=st.floats(0.5, 1000),
    burst=st.integers(1, 50),
)
def test_no_window_of_time_has_more_than_the_burst_and_what_refilled(
    steps: list[float], per_s: float, burst: int
) -> None:
    rate, now, full_at, given_at = Rate.of(per_s, burst), 100.0, 0.0, []
    for step in steps:
        now += step
        after = taken(full_at, now, rate)
        if after is not None:
            full_at = after
            given_at.append(now)
    for first, start in enumerate(given_at):
        for last in range(first, len(given_at)):
            assert last - first + 1 <= burst + (given_at[last] - start) * per_s + 1e-3


def test_buckets_that_are_full_again_are_not_kept() -> None:
    buckets: Buckets[int] = Buckets()
    for number in range(10 * FEWEST_TO_PRUNE):
        assert buckets.take(number, float(number), TEN)
    assert len(buckets) <= FEWEST_TO_PRUNE + 1
