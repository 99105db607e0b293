"""The numbers of a launcher's sandboxes: which are free, and which may still be in use without our knowing."""

import heapq
import time

from lambent.launcher import cgroups, leftovers, request

_ATTEMPTS = 20


class Slots:
    """`groups` are the folders that have a cgroup by the name of each slot in use."""

    def __init__(self, most: int, groups: list[str]) -> None:
        self._most = most
        self._groups = groups
        self._free: list[int] = []
        self._doubtful: set[int] = set()
        self._next = 0

    def take(self) -> int:
        """The lowest free one, so that numbers stay small. Raises BadRequest."""
        if self._free:
            return heapq.heappop(self._free)
        if self._next == self._most:
            raise request.BadRequest(f"more than {self._most} sandboxes")
        self._next += 1
        return self._next - 1

    def give_back(self, slot: int) -> None:
        """One that nothing was made with."""
        heapq.heappush(self._free, slot)

    def end(self, slot: int) -> None:
        """Its sandbox is gone. One whose cgroup cannot be removed is not used until it can: what is in there is not
        known."""
        if self._remove_group(slot, _ATTEMPTS):
            self.give_back(slot)
        else:
            self._doubtful.add(slot)

    def doubt(self, slot: int) -> None:
        """It may be in use."""
        self._doubtful.add(slot)
        self.clear_doubts()

    def clear_doubts(self) -> None:
        """Those that may be in use are free when nothing is in their cgroups."""
        for slot in [slot for slot in self._doubtful if self._remove_group(slot, 1)]:
            self._doubtful.discard(slot)
            self.give_back(slot)

    def _remove_group(self, slot: int, attempts: int) -> bool:
        for _ in range(attempts):
            if cgroups.remove(self._groups, str(slot)):
                return True
            # The kernel may still be taking the last process out. Or a template has put one of its own there, by the
            # descriptors that its clone was given to join.
            for folder in self._groups:
                leftovers.kill(f"{folder}/{slot}")
            time.sleep(0.001)
        return False
