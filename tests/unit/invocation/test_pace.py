"""The pace of streamed responses: what a bucket gives, over any sequence of chunks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.invocation import pace
from lambent.invocation.pace import Bucket, Pace

AWS = Pace(burst_bytes=6_291_456, bytes_per_s=2_097_152)


def test_the_burst_is_not_slowed_down_and_what_follows_is() -> None:
    bucket = pace.taken(AWS, pace.full(AWS, 10.0), 6_291_456, 10.0)
    assert pace.wait_s(AWS, bucket, 10.0) == 0
    bucket = pace.taken(AWS, bucket, 1_048_576, 10.0)
    assert pace.wait_s(AWS, bucket, 10.0) == 0.5
    assert pace.wait_s(AWS, bucket, 10.25) == 0.25
    assert pace.wait_s(AWS, bucket, 99.0) == 0


def test_a_bucket_fills_up_to_the_burst_and_no_more() -> None:
    bucket = pace.taken(AWS, Bucket(0, 0.0), 0, 2.0)
    assert bucket.left == 4_194_304
    assert pace.taken(AWS, bucket, 0, 1000.0).left == AWS.burst_bytes


@given(
    chunks=st.lists(st.tuples(st.integers(1, 1_000_000), st.floats(0, 2)), max_size=50),
    burst=st.integers(1, 10_000_000),
    rate=st.integers(1, 10_000_000),
)
def test_never_more_than_the_burst_the_rate_and_one_chunk(
    chunks: list[tuple[int, float]], burst: int, rate: int
) -> None:
    limits = Pace(burst, rate)
    bucket, now, sent, largest = pace.full(limits, 0.0), 0.0, 0, 0
    for size, pause in chunks:
        now += pause + pace.wait_s(limits, bucket, now + pause)
        bucket = pace.taken(limits, bucket, size, now)
        sent, largest = sent + size, max(largest, size)
        assert sent <= (burst + rate * now + largest) * 1.000001


def test_a_wait_is_long_enough() -> None:
    bucket = pace.taken(AWS, Bucket(0, 5.0), 1, 5.0)
    assert pace.wait_s(AWS, bucket, 5.0 + pace.wait_s(AWS, bucket, 5.0)) == pytest.approx(0)
