"""A message as the shelf holds it: what decides about its next receive, and its bytes while there is room for them."""

from enum import IntEnum


class Phase(IntEnum):
    READY = 0
    DELAYED = 1
    FLYING = 2
    """Received, and neither deleted nor visible again."""
    LEAVING = 3
    """Its deletion or move is on its way to the disk; nobody receives it."""
    GONE = 4


class Entry:
    """Slotted and plain: there are many, and they change."""

    __slots__ = ("content", "first_ms", "group", "id", "phase", "rank", "sent_ms", "source", "takes", "visible_ms")

    def __init__(
        self,
        *,
        id: int,
        sent_ms: int,
        visible_ms: int,
        takes: int = 0,
        first_ms: int | None = None,
        group: str | None = None,
        source: str = "",
        content: bytes | None = None,
    ) -> None:
        self.id = id
        """Its number in the store; the order of sending. 0 until it is stored."""
        self.rank = id
        """Its place among those that are ready."""
        self.sent_ms = sent_ms
        self.visible_ms = visible_ms
        self.takes = takes
        self.first_ms = first_ms
        self.group = group
        self.source = source
        """ARN of the queue that it was moved from as a dead letter."""
        self.content = content
        self.phase = Phase.GONE
