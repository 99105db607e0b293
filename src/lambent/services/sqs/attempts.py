"""Receive attempts of a FIFO queue: the same attempt id within five minutes gets the same messages again.

In memory alone: after a restart an attempt is a new one, whose messages are hidden until their time.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from lambent.services.sqs.entry import Entry, Phase
from lambent.services.sqs.records import AttemptOver, Received

KEEP_MS: Final = 300_000


class Attempt(NamedTuple):
    at_ms: int
    entries: Sequence[tuple[Entry, int, int]]
    """With their receives, and until when they were hidden."""
    received: Sequence[Received]


class Attempts:
    def __init__(self) -> None:
        self._made: dict[str, Attempt] = {}

    def again(self, attempt_id: str, now_ms: int) -> Attempt | None:
        """Raises AttemptOver when one of its messages was deleted or changed."""
        while self._made:
            oldest = next(iter(self._made))
            if self._made[oldest].at_ms + KEEP_MS > now_ms:
                break
            del self._made[oldest]
        attempt = self._made.get(attempt_id)
        if attempt is None:
            return None
        for entry, takes, until_ms in attempt.entries:
            if entry.phase is not Phase.FLYING or entry.takes != takes or entry.visible_ms != until_ms:
                raise AttemptOver
        return attempt

    def keep(self, attempt_id: str, attempt: Attempt) -> None:
        self._made.pop(attempt_id, None)
        self._made[attempt_id] = attempt
