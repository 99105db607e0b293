"""How long to wait before the same is tried again, and whether it still may be. Pure.

A batch that is throttled stays ours for as long as the source hides it from others; it is tried again within that time
and left to come back after it. What fails of a source itself is tried for ever, ever more slowly.
"""

from typing import Final

FIRST_S: Final = 0.1
LONGEST_S: Final = 10.0
THROTTLES: Final = frozenset({"ThrottlingException", "RequestThrottled", "Throttling"})
"""By which a source says that it is asked too often."""
SOURCE_THROTTLED_S: Final = 0.1
SOURCE_FIRST_S: Final = 0.5
SOURCE_LONGEST_S: Final = 30.0


def batch_pause_s(tries: int, until_s: float, now_s: float) -> float | None:
    """Before the next try of a batch that was refused `tries` times; None: give it up. `until_s`: see above."""
    pause = min(LONGEST_S, FIRST_S * 2.0 ** min(tries - 1, 16))
    return pause if now_s + pause < until_s else None


def needs_holding(held_until_s: float, visibility_s: float, timeout_s: float, now_s: float) -> bool:
    """Whether messages would be seen by others while the function has them: it would have them twice."""
    return held_until_s - now_s < 0.9 * min(timeout_s, visibility_s)


def source_pause_s(tries: int) -> float:
    """Before a source is read again that failed `tries` times in a row."""
    return min(SOURCE_LONGEST_S, SOURCE_FIRST_S * 2.0 ** min(tries - 1, 16))
