"""How fast a response may be streamed: a burst as fast as it can be, then so many bytes in each second.

Pure: a bucket of bytes that fills up to the burst; what is taken beyond it has to be waited for.
"""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Pace:
    burst_bytes: int
    bytes_per_s: int


class Bucket(NamedTuple):
    left: float
    """Below zero: it has been overdrawn by the last chunk."""
    at: float
    """When that was, in seconds of a monotonic clock."""


def full(pace: Pace, now: float) -> Bucket:
    return Bucket(pace.burst_bytes, now)


def taken(pace: Pace, bucket: Bucket, size_bytes: int, now: float) -> Bucket:
    """After a chunk of this size was sent."""
    filled = min(pace.burst_bytes, bucket.left + (now - bucket.at) * pace.bytes_per_s)
    return Bucket(filled - size_bytes, now)


def wait_s(pace: Pace, bucket: Bucket, now: float) -> float:
    """Until the next chunk may be sent, whatever its size."""
    return max(0.0, -bucket.left / pace.bytes_per_s - (now - bucket.at))
