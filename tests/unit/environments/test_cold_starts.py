"""What is remembered of cold starts, and how it is said."""

from typing import Any

import pytest

from lambent.environments.events import Cause, ColdStart, HowStarted, Status


def cold_start(**changes: Any) -> ColdStart:
    given: dict[str, Any] = {
        "time_ms": 1_000,
        "environment_id": "environment-1",
        "runtime": "python3.12",
        "cause": Cause.FIRST,
        "busy": 0,
        "how": HowStarted.POOLED,
        "status": Status.SUCCESS,
        "queued_ms": 0.5,
        "sandbox_ms": 1.0,
        "runtime_ms": 0.25,
        "init_ms": 2.0,
    }
    return ColdStart(**given | changes)


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_words(cause: Cause) -> None:
    assert cold_start(cause=cause, busy=2).why


def test_a_scale_out_tells_how_many_were_busy() -> None:
    assert "1 environment existed" in cold_start(cause=Cause.BUSY, busy=1).why
    assert "3 environments existed" in cold_start(cause=Cause.BUSY, busy=3).why


def test_the_total_is_the_wait_and_not_the_handlers_time() -> None:
    assert cold_start(handler_ms=100.0).total_ms == 3.75
