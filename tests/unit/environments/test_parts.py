"""The small parts of an environment: words of faults, credentials, the alarm, the table of states."""

import re

import orjson
import pytest

from lambent.core.lifecycle import IllegalTransition, step
from lambent.environments import credentials, faults
from lambent.environments.alarm import Alarm
from lambent.environments.sandbox.ports import ProcessExit
from lambent.environments.states import NEXT, State
from lambent.testing.manual_clock import ManualClock, settle

ROLE = "arn:aws:iam::123456789012:role/service-role/worker"


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (ProcessExit(0, None), "Runtime exited without providing a reason"),
        (ProcessExit(127, None), "Runtime exited with error: exit status 127"),
        (ProcessExit(None, 6), "Runtime exited with error: signal: aborted"),
        (ProcessExit(None, 31), "Runtime exited with error: signal: signal 31"),
    ],
)
def test_exits_in_lambdas_words(end: ProcessExit, text: str) -> None:
    assert faults.exit_text(end, out_of_memory=False) == text


def test_a_timeout_prints_two_decimals() -> None:
    fault = faults.timed_out("id", 900)
    assert orjson.loads(fault.payload)["errorMessage"] == "RequestId: id Error: Task timed out after 900.00 seconds"


def test_credentials_have_the_forms_of_an_assumed_role() -> None:
    made = credentials.issue(account="123456789012", region="eu-west-1", role=ROLE, function_name="thumbnail")
    assert re.fullmatch(r"ASIA[A-Z2-7]{16}", made.access_key_id)
    assert len(made.secret_access_key) == 40
    assert credentials.caller_arn(made) == "arn:aws:sts::123456789012:assumed-role/worker/thumbnail"
    assert made.secret_access_key not in repr(made)
    assert made.session_token not in repr(made)
    again = credentials.issue(account="123456789012", region="eu-west-1", role=ROLE, function_name="thumbnail")
    assert again.access_key_id != made.access_key_id


def test_a_session_name_has_two_characters_at_least() -> None:
    assert credentials.session_name("f") == "f@lambda_function"
    assert credentials.session_name("ff") == "ff"


async def test_an_alarm_rings_once_at_the_last_time_that_was_set() -> None:
    clock = ManualClock()
    rung: list[float] = []
    alarm = Alarm(clock, lambda: rung.append(clock.monotonic()))
    alarm.set(1.0)
    await settle()
    alarm.set(5.0)
    await clock.advance(4.9)
    assert rung == []
    await clock.advance(10)
    assert rung == [5.0]
    alarm.set(20.0)
    await settle()
    alarm.set(16.0)
    await clock.advance(10)
    assert rung == [5.0, 16.0]


async def test_a_cleared_alarm_is_silent_and_can_be_set_again() -> None:
    clock = ManualClock()
    rung: list[float] = []
    alarm = Alarm(clock, lambda: rung.append(clock.monotonic()))
    alarm.set(1.0)
    await settle()
    alarm.clear()
    await clock.advance(2)
    assert rung == []
    alarm.set(3.0)
    await clock.advance(2)
    assert rung == [3.0]
    alarm.set(9.0)
    alarm.close()
    await clock.advance(20)
    assert rung == [3.0]


def test_a_stopped_environment_does_nothing_any_more() -> None:
    assert NEXT[State.STOPPED] == frozenset()
    assert set(NEXT) == set(State)
    assert all(State.STOPPING in following for state, following in NEXT.items() if state not in ("Stopping", "Stopped"))
    with pytest.raises(IllegalTransition):
        step(NEXT, State.RESETTING, State.BUSY)
