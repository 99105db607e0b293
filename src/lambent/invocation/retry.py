"""What becomes of an event after an attempt, and whether it may be attempted at all: functions of the past and now.

A function error uses up an attempt: two retries, after one minute and after two more, unless configured otherwise. A
throttle or a failure of ours does not: it is tried again after 1 s, 2 s, 4 s ... 5 minutes. Both end where the next
attempt would come later than the event may be old.
"""

from enum import Enum, StrEnum
from typing import Final

from msgspec import Struct

RETRY_WAITS_S: Final = (60, 120)
"""Before the first and the second retry."""
MAX_BACK_OFF_S: Final = 300
NOT_READY_WAIT_S: Final = 1
"""For a function that is being created: that takes seconds."""


class Outcome(Enum):
    """How one attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """The function, its runtime or its time-out."""
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    """A failure of the platform; the function may have run or not."""
    NOT_READY = "not ready"


class Condition(StrEnum):
    """Why an event is done, in the words of the destination record."""

    SUCCESS = "Success"
    RETRIES_EXHAUSTED = "RetriesExhausted"
    EVENT_AGE_EXCEEDED = "EventAgeExceeded"
    ZERO_RESERVED_CONCURRENCY = "ZeroReservedConcurrency"
    RECURSIVE_INVOCATION = "RecursiveInvocation"
    """Our word: AWS's is not known."""


class Policy(Struct, frozen=True):
    max_retries: int = 2
    max_age_s: int = 21_600


class Progress(Struct, frozen=True):
    accepted_ms: int
    attempts: int = 0
    """Invocations that the function has seen."""
    refusals: int = 0
    """Throttles and failures of ours since the last of them."""


class RetryAt(Struct, frozen=True):
    at_ms: int
    progress: Progress


class End(Struct, frozen=True):
    condition: Condition
    attempts: int


Decision = RetryAt | End


def before(progress: Progress, policy: Policy, reserved: int | None, now_ms: int) -> End | None:
    """What ends an event without an attempt; None: attempt it. `reserved`: the function's reserved concurrency."""
    if reserved == 0:
        return End(Condition.ZERO_RESERVED_CONCURRENCY, progress.attempts)
    if _too_old(progress, policy, now_ms):
        return End(Condition.EVENT_AGE_EXCEEDED, progress.attempts)
    return None


def after(outcome: Outcome, progress: Progress, policy: Policy, now_ms: int) -> Decision:
    """What follows an attempt that ended now."""
    match outcome:
        case Outcome.SUCCEEDED:
            return End(Condition.SUCCESS, progress.attempts + 1)
        case Outcome.FAILED:
            attempts = progress.attempts + 1
            if attempts > policy.max_retries:
                return End(Condition.RETRIES_EXHAUSTED, attempts)
            wait_s = RETRY_WAITS_S[min(attempts, len(RETRY_WAITS_S)) - 1]
            return _retry(Progress(progress.accepted_ms, attempts), policy, now_ms, wait_s)
        case Outcome.THROTTLED | Outcome.UNAVAILABLE:
            refusals = progress.refusals + 1
            wait_s = min(MAX_BACK_OFF_S, 2 ** min(refusals - 1, 16))
            return _retry(Progress(progress.accepted_ms, progress.attempts, refusals), policy, now_ms, wait_s)
        case Outcome.NOT_READY:
            return _retry(progress, policy, now_ms, NOT_READY_WAIT_S)


def _retry(progress: Progress, policy: Policy, now_ms: int, wait_s: int) -> Decision:
    at_ms = now_ms + wait_s * 1000
    if _too_old(progress, policy, at_ms):
        return End(Condition.EVENT_AGE_EXCEEDED, progress.attempts)
    return RetryAt(at_ms, progress)


def _too_old(progress: Progress, policy: Policy, at_ms: int) -> bool:
    return at_ms - progress.accepted_ms >= policy.max_age_s * 1000
