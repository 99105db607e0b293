"""Who gets room on a machine that is full: pure decisions of what functions hold and who waits.

Places go to the function that holds fewest, of several to the one that has waited longest for a turn, and within a
function to who came first. A share of all places is never
taken by one function alone, because what is slow gives nothing back for minutes and nobody is stopped at work. Idle
environments count as room: whoever may grow has them stopped.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from lambent.functions.records import FunctionKey

KEPT_SHARE: Final = 8
"""One of so many places is kept from functions that hold many; none where there are fewer than `FEWEST`."""
MOST_KEPT: Final = 64
FEWEST: Final = 4
TURN_S: Final = 0.1
"""How long a function without any environment waits for the only one of another, which has callers itself."""


class Claim(NamedTuple):
    """A function whose callers wait."""

    key: FunctionKey
    waiting: int
    holds: int
    """Environments that it has, at work or idle; not those that are stopping or provisioned."""
    since: float
    """When it was served last, or the caller came who is first in its line if that was later."""


class Idle(NamedTuple):
    """An environment that could be stopped."""

    key: FunctionKey
    since: float
    slow_to_end: bool
    """It has extensions, which are told before it ends."""


def kept(capacity: int) -> int:
    """Places that a function takes only while it holds fewer than are left."""
    return min(MOST_KEPT, max(1, capacity // KEPT_SHARE)) if capacity >= FEWEST else 0


def may_grow(holds: int, free: int, capacity: int) -> bool:
    """Whether a function takes one more of `free` places. The last ones are halved again and again, so that however
    many functions flood the machine, the next one still finds some."""
    return free > kept(capacity) or holds < free


def may_wait(own: int, total: int, places: int) -> bool:
    """Whether one more caller of a function waits when `own` of `total` do: at most as many as places are left."""
    return own < places - total or total == 0


def turns(claims: Iterable[Claim], free: int, capacity: int, most: int) -> list[FunctionKey]:
    """To whom the next `most` places go, one after the other."""
    left = {claim.key: claim for claim in claims if claim.waiting}
    order: list[FunctionKey] = []
    while len(order) < most:
        may = [claim for claim in left.values() if may_grow(claim.holds, free, capacity)]
        if not may:
            break
        key, waiting, holds, since = min(may, key=lambda claim: (claim.holds, claim.since))
        order.append(key)
        free -= 1
        if waiting > 1:
            left[key] = Claim(key, waiting - 1, holds + 1, since)
        else:
            del left[key]
    return order


def gives_way(holds: int, other: Claim, now: float) -> bool:
    """Whether a function whose own callers wait gives one of its environments, which is free now, to another."""
    if other.holds == 0 and holds == 1:
        # More functions than places: they take turns, each long enough to be worth its cold start.
        return now - other.since >= TURN_S
    return holds > other.holds + 1


def reclaimed(idle: Sequence[Idle]) -> list[int]:
    """In which order idle environments are stopped for others, as indexes: those that are gone at once before those
    with extensions, the last one of a function after what others have too many of, the longest idle first."""
    left = Counter(each.key for each in idle)
    ranks: dict[int, tuple[bool, bool, float]] = {}
    for number, each in sorted(enumerate(idle), key=lambda pair: pair[1].since):
        left[each.key] -= 1
        ranks[number] = (each.slow_to_end, not left[each.key], each.since)
    return sorted(ranks, key=lambda number: ranks[number])
