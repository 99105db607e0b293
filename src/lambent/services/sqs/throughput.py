"""How many calls a FIFO queue takes in a second: so many sends, receives and deletes each, a batch counting as one.

With high throughput (`perMessageGroupId`) the queue as a whole has no limit here, and each group so many sends: on AWS
groups are spread over partitions, of which each has that limit. Pure: it is told the time.
"""

from collections.abc import Hashable, Iterable
from typing import Final

from lambent.services.sqs.records import Throttled

SENDS: Final = "SendMessage"
RECEIVES: Final = "ReceiveMessage"
DELETES: Final = "DeleteMessage"
SWEEP_FROM: Final = 1000
_SECOND_MS: Final = 1000


class Throughput:
    def __init__(self, per_s: int) -> None:
        """0: no limit."""
        self._per_s = per_s
        self._left: dict[Hashable, tuple[float, int]] = {}
        """What may still be called, and when that was so."""

    def take(self, of: Iterable[Hashable], now_ms: int) -> None:
        """One call of each. Raises `Throttled`, and then none has counted."""
        per_s = self._per_s
        if not per_s:
            return
        after = {}
        for each in of:
            left, at_ms = self._left.get(each, (per_s, now_ms))
            left = min(per_s, left + max(0, now_ms - at_ms) * per_s / _SECOND_MS)
            if left < 1:
                raise Throttled
            after[each] = (left - 1, now_ms)
        self._left.update(after)
        if len(self._left) > SWEEP_FROM:
            # What was not called for a second has all of it again.
            self._left = {each: kept for each, kept in self._left.items() if kept[1] > now_ms - _SECOND_MS}
