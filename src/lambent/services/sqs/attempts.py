"""Receive attempts of a FIFO queue: the same attempt id within five minutes gets the same messages again.

In memory alone: after a restart an attempt is a new one, whose messages are hidden until their time.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from lambent.services.sqs.entry import Entry, Phase
from lambent.services.sqs.records import AttemptOver, Received

KEEP_MS: Final = 300_000
MAX_BYTES: Final = 2 * 1024 * 1024
"""Of bodies that are kept for another attempt, in each queue; beyond it the oldest attempts are forgotten."""


class Attempt(NamedTuple):
    at_ms: int
    entries: Sequence[tuple[Entry, int, int]]
    """With their receives, and until when they were hidden."""
    received: Sequence[Received]

    @property
    def size(self) -> int:
        return sum(len(message.body) + 500 for message in self.received)


class Attempts:
    def __init__(self) -> None:
        self._made: dict[str, Attempt] = {}
        self._bytes = 0

    def again(self, attempt_id: str, now_ms: int) -> Attempt | None:
        """Raises AttemptOver when one of its messages was deleted or changed."""
        while self._made:
            oldest = next(iter(self._made))
            if self._made[oldest].at_ms + KEEP_MS > now_ms:
                break
            self._forget(oldest)
        attempt = self._made.get(attempt_id)
        if attempt is None:
            return None
        for entry, takes, until_ms in attempt.entries:
            if entry.phase is not Phase.FLYING or entry.takes != takes or entry.visible_ms != until_ms:
                raise AttemptOver
        return attempt

    def keep(self, attempt_id: str, attempt: Attempt) -> None:
        if attempt_id in self._made:
            self._forget(attempt_id)
        self._made[attempt_id] = attempt
        self._bytes += attempt.size
        while self._bytes > MAX_BYTES and len(self._made) > 1:
            self._forget(next(iter(self._made)))

    def _forget(self, attempt_id: str) -> None:
        self._bytes -= self._made.pop(attempt_id).size
