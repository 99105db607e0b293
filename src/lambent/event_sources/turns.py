"""Fairness between mappings: a mapping with many slow batches leaves room for the others.

`may_begin` decides, as a function of who runs how much. Batches have a budget together, so that no backlog takes the
room of those who wait for an answer; a mapping of which nothing runs may always begin, whatever the others do.
"""

from collections.abc import Callable


def may_begin(own: int, running: int, budget: int, active: int) -> bool:
    """Whether a mapping with `own` batches begins another, while `running` run of all mappings, and of `active` there
    are batches or would be. An eighth of the budget is for the next mapping that comes."""
    if own == 0:
        return True
    if running >= budget:
        return False
    if own >= max(1, budget - budget // 8):
        return False
    return active <= 1 or own < max(1, budget // active) or running < budget // 2


class Turns:
    """Of one server. Each poller has one `Turn` while it works."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.running = 0
        self._turns: set[Turn] = set()

    def join(self, woken: Callable[[], None]) -> "Turn":
        """`woken`: there may be room now where there was none."""
        turn = Turn(self, woken)
        self._turns.add(turn)
        return turn

    def leave(self, turn: "Turn") -> None:
        self._turns.discard(turn)

    def active(self) -> int:
        return sum(1 for turn in self._turns if turn.running or turn.refused)

    def freed(self) -> None:
        for turn in self._turns:
            if turn.refused:
                turn.refused = False
                turn.woken()


class Turn:
    def __init__(self, turns: Turns, woken: Callable[[], None]) -> None:
        self._turns = turns
        self.woken = woken
        self.running = 0
        self.refused = False

    def may_begin(self, reading: int, *, asks: bool = True) -> bool:
        """`reading`: batches that are about to come. `asks`: who is refused wants to be woken, and counts as active."""
        turns = self._turns
        active = turns.active() + (not self.running and not self.refused)
        allowed = may_begin(self.running + reading, turns.running + reading, turns.budget, active)
        self.refused = asks and not allowed
        return allowed

    def begin(self) -> None:
        self.running += 1
        self._turns.running += 1

    def end(self) -> None:
        self.running -= 1
        self._turns.running -= 1
        self._turns.freed()

    def leave(self) -> None:
        self._turns.leave(self)
