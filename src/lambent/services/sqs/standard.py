"""Which message of a standard queue comes next: the oldest, of a tenant that is not noisy.

A tenant is a MessageGroupId; messages without one disturb nobody. A tenant with more than a tenth of what is in flight,
and 30 messages at least, is noisy: it comes when the others have nothing, the least noisy first.
"""

import heapq
from typing import Final

from lambent.services.sqs.entry import Entry, Phase

NOISY_FROM: Final = 30
NOISY_SHARE: Final = 10
BACK_AFTER: Final = 3
"""So often received, a message goes to the back when it is visible again: it must not keep others waiting."""
SWEEP_FROM: Final = 1000

_Line = list[tuple[int, int, Entry]]
_Head = tuple[int, int, str | None]


class StandardOrder:
    def __init__(self) -> None:
        self._lines: dict[str | None, _Line] = {}
        """Of each tenant, what is ready, as a heap by rank; what went otherwise is passed over."""
        self._heads: list[_Head] = []
        """A heap of their first ones; one that is not the first any more is passed over."""
        self._noisy: list[_Head] = []
        """Put aside during a take."""
        self._flying: dict[str, int] = {}
        self._flying_all = 0
        self._ready = 0
        self._gone = 0
        self._newest = 0

    @property
    def available(self) -> bool:
        return self._ready > 0

    @property
    def has_tenants(self) -> bool:
        """Somebody sends with groups."""
        return bool(self._flying) or any(tenant is not None for tenant in self._lines)

    def noisy(self) -> frozenset[str]:
        """Those tenants of now."""
        return frozenset(tenant for tenant in self._flying if self._is_noisy(tenant))

    def place(self, entry: Entry) -> None:
        self._newest = max(self._newest, entry.id)

    def ready(self, entry: Entry) -> None:
        if entry.takes >= BACK_AFTER:
            entry.rank = self._newest + 1
        self._ready += 1
        line = self._lines.setdefault(entry.group, [])
        item = (entry.rank, entry.id, entry)
        heapq.heappush(line, item)
        if line[0] is item:
            heapq.heappush(self._heads, (entry.rank, entry.id, entry.group))

    def flew(self, entry: Entry) -> None:
        self._flying_all += 1
        if entry.group is not None:
            self._flying[entry.group] = self._flying.get(entry.group, 0) + 1

    def landed(self, entry: Entry) -> None:
        self._flying_all -= 1
        if entry.group is not None:
            left = self._flying[entry.group] - 1
            if left:
                self._flying[entry.group] = left
            else:
                del self._flying[entry.group]

    def unready(self, entry: Entry) -> None:
        self._ready -= 1
        self._gone += 1
        if self._gone > self._ready + SWEEP_FROM:
            self._sweep()

    def removed(self, entry: Entry) -> None:
        pass

    def next(self) -> Entry | None:
        while self._heads:
            rank, number, tenant = self._heads[0]
            line = self._lines.get(tenant)
            if not line or line[0][:2] != (rank, number):
                heapq.heappop(self._heads)
            elif self._is_noisy(tenant):
                self._noisy.append(heapq.heappop(self._heads))
            else:
                heapq.heappop(self._heads)
                if (entry := self._pop(tenant, line)) is not None:
                    return entry
        while self._noisy:
            least = min(self._noisy, key=lambda head: (self._flying.get(head[2] or "", 0), head[:2]))
            self._noisy.remove(least)
            line = self._lines.get(least[2])
            if line and (entry := self._pop(least[2], line)) is not None:
                return entry
        return None

    def stop(self, entry: Entry) -> None:
        pass

    def end(self) -> None:
        for head in self._noisy:
            heapq.heappush(self._heads, head)
        self._noisy.clear()

    def _pop(self, tenant: str | None, line: _Line) -> Entry | None:
        """Its first one, if that is still there; the one behind it is a head then."""
        _, _, entry = heapq.heappop(line)
        if line:
            heapq.heappush(self._heads, (line[0][0], line[0][1], tenant))
        else:
            del self._lines[tenant]
        if entry.phase is not Phase.READY:
            self._gone -= 1
            return None
        self._ready -= 1
        return entry

    def _is_noisy(self, tenant: str | None) -> bool:
        if tenant is None:
            return False
        flying = self._flying.get(tenant, 0)
        return flying >= NOISY_FROM and flying * NOISY_SHARE > self._flying_all

    def _sweep(self) -> None:
        self._heads.clear()
        self._gone = 0
        for tenant, line in list(self._lines.items()):
            kept = [item for item in line if item[2].phase is Phase.READY]
            heapq.heapify(kept)
            if kept:
                self._lines[tenant] = kept
                self._heads.append((kept[0][0], kept[0][1], tenant))
            else:
                del self._lines[tenant]
        heapq.heapify(self._heads)
