"""Which message of a FIFO queue comes next: groups in turn, and within one its messages in the order of sending.

Of a group those may be received that come before the first one in flight, delayed, or on its way out. That one rule is
the lock. Groups take turns by the time when their head could be received.
"""

from collections import deque

from lambent.services.sqs.entry import Entry, Phase


class _Group:
    __slots__ = ("at", "flying", "listed", "members", "name", "touched")

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: deque[Entry] = deque()
        self.flying = 0
        """How many of its members are in flight."""
        self.listed = False
        """It is among the free ones."""
        self.touched = False
        """This take has met it."""
        self.at = 0
        """How many of its members this take has passed."""


class FifoOrder:
    def __init__(self) -> None:
        self.groups_in_flight = 0
        self._groups: dict[str, _Group] = {}
        self._free: deque[_Group] = deque()
        self._current: _Group | None = None
        self._touched: list[_Group] = []

    @property
    def available(self) -> bool:
        return bool(self._free)

    def place(self, entry: Entry) -> None:
        name = entry.group or ""
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = _Group(name)
        group.members.append(entry)

    def ready(self, entry: Entry) -> None:
        self._list(self._groups[entry.group or ""])

    def flew(self, entry: Entry) -> None:
        group = self._groups[entry.group or ""]
        group.flying += 1
        self.groups_in_flight += group.flying == 1

    def landed(self, entry: Entry) -> None:
        group = self._groups[entry.group or ""]
        group.flying -= 1
        self.groups_in_flight -= not group.flying

    def unready(self, entry: Entry) -> None:
        pass

    def removed(self, entry: Entry) -> None:
        self._list(self._groups[entry.group or ""])

    def next(self) -> Entry | None:
        while True:
            group = self._current
            if group is None:
                if not self._free:
                    return None
                group = self._current = self._free.popleft()
                self._touched.append(group)
                group.listed, group.touched, group.at = False, True, 0
            while group.at < len(group.members):
                entry = group.members[group.at]
                if entry.phase is not Phase.GONE:
                    break
                group.at += 1
            else:
                self._current = None
                continue
            if entry.phase is not Phase.READY:
                self._current = None
                continue
            group.at += 1
            return entry

    def stop(self, entry: Entry) -> None:
        self._current = None

    def end(self) -> None:
        self._current = None
        touched, self._touched = self._touched, []
        for group in touched:
            group.touched = False
            self._list(group)

    def _list(self, group: _Group) -> None:
        """Among the free ones, if it is free and not there yet."""
        if group.listed or group.touched:
            return
        members = group.members
        while members and members[0].phase is Phase.GONE:
            members.popleft()
        if not members:
            self._groups.pop(group.name, None)
        elif members[0].phase is Phase.READY:
            group.listed = True
            self._free.append(group)
