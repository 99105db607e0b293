"""Token buckets: how often something may happen. The decision is pure; a bucket is one number.

The number is the time at which the bucket will be full again (the generic cell rate algorithm), so nothing has to be
refilled: time does it, continuously, and what was not used beyond a full bucket is not saved up.
"""

from collections.abc import Hashable
from typing import Final, Generic, NamedTuple, TypeVar

FEWEST_TO_PRUNE: Final = 1024

K = TypeVar("K", bound=Hashable)


class Rate(NamedTuple):
    step_s: float
    """What one takes to be refilled."""
    span_s: float
    """The same of a whole bucket."""

    @classmethod
    def of(cls, per_s: float, burst: float) -> "Rate":
        """`burst`: how many at once when the bucket is full; 1 or more."""
        # Noise of floats must not cost the last one.
        return cls(1.0 / per_s, burst / per_s + 1e-9)


def taken(full_at: float, now: float, rate: Rate) -> float | None:
    """When the bucket will be full after one more; None when it is empty."""
    step_s, span_s = rate
    after = (full_at if full_at > now else now) + step_s
    return after if after - now <= span_s else None


class Buckets(Generic[K]):
    """A bucket for each key that was used of late: a full one is not kept."""

    def __init__(self) -> None:
        self._full_at: dict[K, float] = {}
        self._prune_at = FEWEST_TO_PRUNE

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: K, now: float, rate: Rate) -> bool:
        """One of `key`, now."""
        after = taken(self._full_at.get(key, now), now, rate)
        if after is None:
            return False
        self._full_at[key] = after
        if len(self._full_at) > self._prune_at:
            self._full_at = {each: at for each, at in self._full_at.items() if at > now}
            self._prune_at = max(FEWEST_TO_PRUNE, 2 * len(self._full_at))
        return True
