"""The rules of spec 2, section 5, as a table of decisions; and that no sequence of outcomes goes on for ever."""

from hypothesis import given
from hypothesis import strategies as st

from lambent.invocation.retry import (
    Condition,
    Decision,
    End,
    Outcome,
    Policy,
    Progress,
    RetryAt,
    after,
    before,
)

DEFAULT = Policy()
NEW = Progress(accepted_ms=0)
MINUTE_MS = 60_000
HOUR_MS = 3_600_000


def test_a_success_ends_the_event() -> None:
    assert after(Outcome.SUCCEEDED, NEW, DEFAULT, 5) == End(Condition.SUCCESS, 1)


def test_the_first_retry_is_after_one_minute_the_second_after_two_more() -> None:
    first = after(Outcome.FAILED, NEW, DEFAULT, 1000)
    assert first == RetryAt(1000 + MINUTE_MS, Progress(0, attempts=1))
    second = after(Outcome.FAILED, Progress(0, attempts=1), DEFAULT, 100_000)
    assert second == RetryAt(100_000 + 2 * MINUTE_MS, Progress(0, attempts=2))


def test_the_third_failure_exhausts_the_retries() -> None:
    assert after(Outcome.FAILED, Progress(0, attempts=2), DEFAULT, 9) == End(Condition.RETRIES_EXHAUSTED, 3)


def test_without_retries_the_first_failure_is_the_last() -> None:
    assert after(Outcome.FAILED, NEW, Policy(max_retries=0), 9) == End(Condition.RETRIES_EXHAUSTED, 1)


def test_the_age_is_looked_at_ahead() -> None:
    """As recorded: with a maximum age of 60 seconds there is no retry, and one invocation."""
    assert after(Outcome.FAILED, NEW, Policy(max_age_s=60), 10) == End(Condition.EVENT_AGE_EXCEEDED, 1)
    assert isinstance(after(Outcome.FAILED, NEW, Policy(max_age_s=61), 10), RetryAt)


def test_a_throttle_uses_up_no_attempt_and_backs_off_to_five_minutes() -> None:
    now_ms, progress, waits = 0, Progress(0, attempts=1), []
    for _ in range(12):
        decision = after(Outcome.THROTTLED, progress, DEFAULT, now_ms)
        assert isinstance(decision, RetryAt)
        waits.append((decision.at_ms - now_ms) // 1000)
        now_ms, progress = decision.at_ms, decision.progress
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert progress == Progress(0, attempts=1, refusals=12)


def test_a_failure_of_the_platform_is_like_a_throttle() -> None:
    assert after(Outcome.UNAVAILABLE, NEW, DEFAULT, 0) == RetryAt(1000, Progress(0, refusals=1))


def test_an_invocation_begins_the_back_off_anew() -> None:
    decision = after(Outcome.FAILED, Progress(0, refusals=9), DEFAULT, 0)
    assert decision == RetryAt(MINUTE_MS, Progress(0, attempts=1))


def test_a_function_that_is_being_created_is_waited_for() -> None:
    assert after(Outcome.NOT_READY, NEW, DEFAULT, 7) == RetryAt(1007, NEW)


def test_nothing_reserved_ends_the_event_without_an_attempt() -> None:
    assert before(NEW, DEFAULT, 0, 1) == End(Condition.ZERO_RESERVED_CONCURRENCY, 0)
    assert before(NEW, DEFAULT, 1, 1) is None
    assert before(NEW, DEFAULT, None, 1) is None


def test_an_event_that_waited_too_long_is_not_attempted() -> None:
    assert before(Progress(0, attempts=1), DEFAULT, None, 6 * HOUR_MS) == End(Condition.EVENT_AGE_EXCEEDED, 1)
    assert before(Progress(0), DEFAULT, None, 6 * HOUR_MS - 1) is None


@given(
    outcomes=st.lists(st.sampled_from(Outcome), min_size=1, max_size=40),
    retries=st.integers(0, 2),
    age_s=st.integers(60, 21_600),
    took_ms=st.integers(0, 900_000),
)
def test_every_sequence_keeps_to_its_policy(outcomes: list[Outcome], retries: int, age_s: int, took_ms: int) -> None:
    policy = Policy(retries, age_s)
    now_ms, progress, invocations = 0, NEW, 0
    decision: Decision
    for outcome in outcomes:
        now_ms += took_ms
        invocations += outcome in (Outcome.SUCCEEDED, Outcome.FAILED)
        decision = after(outcome, progress, policy, now_ms)
        if isinstance(decision, End):
            assert decision.attempts == invocations <= retries + 1
            assert (decision.condition is Condition.SUCCESS) == (outcome is Outcome.SUCCEEDED)
            return
        assert now_ms < decision.at_ms < age_s * 1000
        assert decision.progress.attempts == invocations
        now_ms, progress = decision.at_ms, decision.progress
