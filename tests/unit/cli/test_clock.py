"""`lambent clock`, and spans of time as people write them."""

import json
from collections.abc import Callable

import click
import pytest

from lambent.cli.durations import Duration, short
from tests.unit.cli.conftest import Outcome, ScriptedServer

Run = Callable[..., Outcome]
PATH = "/_lambent/clock"
NOW = {"Now": "2026-11-21T19:30:00.123Z", "AheadSeconds": 5400.0}


def test_shows_the_time_and_how_far_it_is_ahead(run: Run, server: ScriptedServer) -> None:
    server.answer("GET", PATH, NOW)
    assert run("clock", "--endpoint", server.url).out == "2026-11-21 19:30:00 UTC (1 h 30 min ahead)\n"
    server.answer("GET", PATH, NOW | {"AheadSeconds": 0.0})
    assert run("clock", "--endpoint", server.url).out == "2026-11-21 19:30:00 UTC (not advanced)\n"
    assert json.loads(run("clock", "--json", "--endpoint", server.url).out)["AheadSeconds"] == 0


@pytest.mark.parametrize(
    ("started", "running", "told"),
    [
        ({"Attempts": 0, "Deliveries": 0}, 0, "nothing was due"),
        ({"Attempts": 1, "Deliveries": 1}, 0, "1 attempt, 1 delivery"),
        ({"Attempts": 3, "Deliveries": 2}, 1, "3 attempts, 2 deliveries; 1 still under way"),
    ],
)
def test_an_advance_tells_what_it_has_started(
    run: Run, server: ScriptedServer, started: dict[str, int], running: int, told: str
) -> None:
    server.answer("POST", PATH, NOW | {"Started": started, "UnderWay": running})
    shown = run("clock", "advance", "1h30m", "--endpoint", server.url)
    assert shown.out.splitlines() == ["2026-11-21 19:30:00 UTC (1 h 30 min ahead)", told]
    assert json.loads(server.asked[-1][3]) == {"Seconds": 5400}


def test_how_long_to_wait_is_sent(run: Run, server: ScriptedServer) -> None:
    server.answer("POST", PATH, NOW | {"Started": {}, "UnderWay": 0})
    shown = run("clock", "advance", "2m", "--wait", "1.5s", "--json", "--endpoint", server.url)
    assert json.loads(shown.out)["UnderWay"] == 0
    assert json.loads(server.asked[-1][3]) == {"Seconds": 120, "WaitSeconds": 1.5}


def test_a_server_with_the_real_clock_says_which_flag_is_missing(run: Run, server: ScriptedServer) -> None:
    server.answer("POST", PATH, {"message": "Nothing"}, 404, {"x-amzn-errortype": "NotFoundException"})
    refused = run("clock", "advance", "2m", "--endpoint", server.url)
    assert refused.code == 4
    assert (
        refused.err
        == "lambent: the clock of this server cannot be advanced; start it with: lambent up --virtual-clock\n"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [("-2m", "time does not go back"), ("5", "'5' is no time such as 45s"), ("2 minutes", "is no time"), ("", "is no")],
)
def test_what_is_no_time_is_wrong_usage(run: Run, text: str, said: str) -> None:
    refused = run("clock", "advance", text)
    assert refused.code == 2
    assert said in refused.err


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("2m", 120), ("1h30m", 5400), ("1d", 86_400), ("1w1s", 604_801), ("0.5s", 0.5)]
)
def test_spans_are_read(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


def test_many_dots_are_no_number() -> None:
    with pytest.raises(click.BadParameter):
        Duration().convert("1.2.3s", None, None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (-3, "0 s"),
        (0.6, "1 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (90_000, "1 d 1 h"),
        (86_400 + 60, "1 d"),
    ],
)
def test_spans_are_told_by_their_two_largest_units(seconds: float, text: str) -> None:
    assert short(seconds) == text
