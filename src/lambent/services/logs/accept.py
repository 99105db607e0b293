"""What PutLogEvents accepts: the rules of a batch as a pure function.

Source: CloudWatch Logs API reference, PutLogEvents. A batch has at most 1,048,576 bytes (UTF-8 plus 26 for each
event), is in chronological order and spans at most 24 hours; events older than 14 days or than the retention of the
group, or more than 2 hours ahead, are left out and named by index.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lambent.aws.errors import ApiError
from lambent.services.logs.chunk import size_bytes

MAX_BATCH_BYTES = 1_048_576
MAX_EVENT_BYTES = 1_048_576
MAX_EVENTS = 10_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
TOO_OLD_MS = 14 * DAY_MS
TOO_NEW_MS = 2 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Accepted:
    first: int
    """Index of the first accepted event."""
    end: int
    """Index behind the last accepted one."""
    rejected: dict[str, int] = field(default_factory=dict)
    """Members of `rejectedLogEventsInfo`."""


def decide(events: Sequence[tuple[int, str]], *, now_ms: int, expired_before_ms: int) -> Accepted:
    """Which of `events` (timestamp_ms, message) are taken. InvalidParameterException when the batch is refused."""
    total = 0
    before = -1
    for stamp, message in events:
        size = size_bytes(message)
        total += size
        if size > MAX_EVENT_BYTES:
            raise _refused(f"Log event too large: {size} bytes exceeds limit of {MAX_EVENT_BYTES}")
        if stamp < before:
            raise _refused("Log events in a single PutLogEvents request must be in chronological order.")
        before = stamp
    if len(events) > MAX_EVENTS:
        raise _refused(f"Too many log events: {len(events)} exceeds limit of {MAX_EVENTS}")
    if total > MAX_BATCH_BYTES:
        raise _refused(f"Upload too large: {total} bytes exceeds limit of {MAX_BATCH_BYTES}")

    stamps = [stamp for stamp, _ in events]
    old = sum(1 for stamp in stamps if stamp < now_ms - TOO_OLD_MS)
    expired = sum(1 for stamp in stamps if stamp < expired_before_ms)
    end = sum(1 for stamp in stamps if stamp <= now_ms + TOO_NEW_MS)
    first = min(max(old, expired), end)
    if first < end and stamps[end - 1] - stamps[first] > DAY_MS:
        raise _refused("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
    rejected = {}
    if end < len(events):
        rejected["tooNewLogEventStartIndex"] = end
    if old:
        rejected["tooOldLogEventEndIndex"] = old
    if expired > old:
        rejected["expiredLogEventEndIndex"] = expired
    return Accepted(first, end, rejected)


def _refused(message: str) -> ApiError:
    return ApiError("InvalidParameterException", message)
