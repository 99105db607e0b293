"""What was done with one queue since somebody looked: whole numbers, added to on the path of each call.

Nothing is looked up and no time is asked for there; what belongs to which minute is `metering`'s.
"""

from lambent.core.statistics import Statistics


class Tally:
    __slots__ = ("deduplicated", "deleted", "empty", "received", "sizes")

    def __init__(self) -> None:
        self.sizes = Statistics()
        """Of the messages that were sent, in bytes."""
        self.deduplicated = 0
        self.received = 0
        self.empty = 0
        """Receives that brought nothing."""
        self.deleted = 0
        """A deletion of what is gone counts again."""

    def any(self) -> bool:
        return bool(self.sizes.count or self.received or self.deleted or self.empty or self.deduplicated)
