"""`lambent events`."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from lambent.cli.events import size, table
from tests.unit.cli.conftest import Outcome, ScriptedServer

Run = Callable[..., Outcome]
PATH = "/_lambent/events"
NOW_MS = 1_763_748_000_000
NONE = {"running": 0, "queued": 0, "retry": 0, "failed": 0}


def event(state: str, number: int, **changes: Any) -> dict[str, Any]:
    told = {
        "state": state,
        "request_id": f"{number:08d}-0000-4000-8000-000000000000",
        "qualifier": None,
        "tenant": None,
        "attempts": 0,
        "refusals": 0,
        "accepted_ms": NOW_MS - 3000,
        "next_ms": None,
        "ended_ms": None,
        "condition": None,
        "error": "",
        "size_bytes": 17,
    }
    return told | changes


EVENTS = [
    event("running", 1),
    event("queued", 2, qualifier="live", next_ms=NOW_MS - 3000, size_bytes=2048),
    event("retry", 3, attempts=1, accepted_ms=NOW_MS - 18_000, next_ms=NOW_MS + 42_000, error="ValueError: no\nroom"),
    event("retry", 4, refusals=5, accepted_ms=NOW_MS - 3_700_000, next_ms=NOW_MS + 300_000, error="throttled"),
    event("failed", 5, attempts=3, accepted_ms=NOW_MS - 200_000, ended_ms=NOW_MS - 20_000, error="KeyError: 'items'"),
]
TOTALS = {"running": 1, "queued": 1, "retry": 2, "failed": 1}


def told(events: list[dict[str, Any]] = EVENTS, totals: dict[str, int] = TOTALS) -> dict[str, Any]:
    return {"now_ms": NOW_MS, "totals": totals, "events": events}


def test_the_table_tells_state_attempts_age_next_attempt_and_error(run: Run, server: ScriptedServer) -> None:
    server.answer("GET", PATH, told())
    zeros = "-0000-4000-8000-000000000000"
    assert run("events", "orders", "--endpoint", server.url).out.splitlines() == [
        "STATE     REQUEST ID                                   ATTEMPTS  AGE         NEXT ATTEMPT  SIZE    LAST ERROR",
        f"running   00000001{zeros}         0         3 s         -             17 B    -",
        f"queued    00000002{zeros} (live)  0         3 s         now           2.0 KB  -",
        f"in retry  00000003{zeros}         1         18 s        in 42 s       17 B    ValueError: no room",
        f"in retry  00000004{zeros}         0         1 h 1 min   in 5 min      17 B    throttled",
        f"failed    00000005{zeros}         3         3 min 20 s  -             17 B    KeyError: 'items'",
        "1 running, 1 queued, 2 in retry, 1 failed",
    ]
    assert server.asked[-1][1] == f"{PATH}?FunctionName=orders&Limit=50"


def test_tenants_have_a_column_where_an_event_has_one() -> None:
    heading, first, second = table([event("running", 1, tenant="blue"), event("queued", 2)], NOW_MS)
    zeros = "-0000-4000-8000-000000000000"
    assert heading.startswith("STATE    REQUEST ID                            TENANT  ATTEMPTS")
    assert first.startswith(f"running  00000001{zeros}  blue    0")
    assert second.startswith(f"queued   00000002{zeros}  -       0")
    long = table([event("queued", 1, tenant="t" * 256)], NOW_MS)[1]
    assert f"  {'t' * 37}...  " in long


def test_errors_give_way_where_the_terminal_is_narrow() -> None:
    long = event("failed", 1, error="ValueError: " + "x" * 500)
    heading, line = table([long], NOW_MS, 120)
    assert len(line) == 120
    assert line.endswith("xxx...")
    assert len(table([long], NOW_MS, 40)[1].rpartition("  ")[2]) == 20
    assert len(table([long], NOW_MS)[1].rpartition("  ")[2]) == 200
    assert heading.endswith("LAST ERROR")


def test_failed_ones_alone_and_so_many(run: Run, server: ScriptedServer) -> None:
    server.answer("GET", PATH, told(EVENTS[-1:], TOTALS | {"failed": 9}))
    shown = run("events", "orders", "--failed", "--limit", "1", "--endpoint", server.url)
    assert shown.out.splitlines()[-2:] == [
        "1 running, 1 queued, 2 in retry, 9 failed",
        "shown: 1 of 9; more with --limit",
    ]
    assert server.asked[-1][1] == f"{PATH}?Failed=true&FunctionName=orders&Limit=1"


def test_a_function_without_events_has_a_line(run: Run, server: ScriptedServer) -> None:
    server.answer("GET", PATH, told([], NONE))
    assert run("events", "orders", "--endpoint", server.url).out == "orders has no events\n"
    shown = run("events", "orders", "--failed", "--endpoint", server.url)
    assert shown.out == "no events of orders have failed\n"


def test_without_a_function_all_are_counted(run: Run, server: ScriptedServer) -> None:
    server.answer("GET", PATH, {"now_ms": NOW_MS, "functions": [{"name": "orders", **TOTALS}, {"name": "b", **NONE}]})
    assert run("events", "--endpoint", server.url).out.splitlines() == [
        "FUNCTION  RUNNING  QUEUED  IN RETRY  FAILED",
        "orders    1        1       2         1",
        "b         -        -       -         -",
    ]
    assert json.loads(run("events", "--json", "--endpoint", server.url).out)[0]["retry"] == 2
    server.answer("GET", PATH, {"now_ms": NOW_MS, "functions": []})
    assert run("events", "--endpoint", server.url).out == "no events wait, run or have failed\n"


def test_json_is_what_the_server_told(run: Run, server: ScriptedServer) -> None:
    server.answer("GET", PATH, told())
    assert json.loads(run("events", "orders", "--json", "--endpoint", server.url).out) == told()


def test_redrive_sends_the_ids_or_none_for_all(run: Run, server: ScriptedServer) -> None:
    server.answer("POST", f"{PATH}/redrive", {"redriven": 2})
    done = run("events", "orders", "redrive", "r-2", "r-1", "r-2", "--endpoint", server.url)
    assert (done.code, done.out) == (0, "2 events of orders queued again\n")
    assert json.loads(server.asked[-1][3]) == {"RequestIds": ["r-1", "r-2"]}
    done = run("events", "orders", "redrive", "--all", "--endpoint", server.url)
    assert (done.code, server.asked[-1][3]) == (0, b"")
    server.answer("POST", f"{PATH}/redrive", {"redriven": 0})
    assert (
        run("events", "orders", "redrive", "--all", "--endpoint", server.url).out
        == "no events of orders queued again\n"
    )


def test_ids_that_are_not_there_are_told(run: Run, server: ScriptedServer) -> None:
    server.answer("POST", f"{PATH}/redrive", {"redriven": 1})
    done = run("events", "orders", "redrive", "r-1", "r-2", "--endpoint", server.url)
    assert (done.code, done.out) == (4, "1 event of orders queued again\n")
    text = "among the failed events of orders; see: lambent events orders --failed\n"
    assert done.err == f"lambent: 1 of these 2 are not {text}"
    server.answer("POST", f"{PATH}/redrive", {"redriven": 0})
    done = run("events", "orders", "redrive", "r-1", "--endpoint", server.url)
    assert (done.code, done.out, done.err) == (4, "", f"lambent: this is not {text}")


def test_purge_needs_a_yes_where_nobody_can_be_asked(run: Run, server: ScriptedServer) -> None:
    server.answer("POST", f"{PATH}/purge", {"purged": 1})
    refused = run("events", "orders", "purge", "--endpoint", server.url)
    assert (refused.code, refused.err) == (2, "lambent: purge asks first, and there is no terminal: say --yes\n")
    assert server.asked == []
    done = run("events", "orders", "purge", "--yes", "--endpoint", server.url)
    assert (done.code, done.out) == (0, "1 event of orders dropped\n")
    done = run("events", "orders", "purge", "-y", "--failed", "--json", "--endpoint", server.url)
    assert json.loads(done.out) == {"purged": 1}
    assert server.asked[-1][1] == f"{PATH}/purge?Failed=true&FunctionName=orders"


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 130), ("", 130)])
def test_a_purge_at_a_terminal_asks_with_the_numbers(
    run: Run, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    server.answer("GET", PATH, told())
    server.answer("POST", f"{PATH}/purge", {"purged": 5})
    terminal = io.StringIO(f"{answer}\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    done = run("events", "orders", "purge", "--endpoint", server.url)
    assert done.code == code
    assert "Drop the events of orders (1 running, 1 queued, 2 in retry, 1 failed)? [y/N]" in done.out + done.err
    assert ("nothing was dropped" in done.err) == (code == 130)
    assert [method for method, *_ in server.asked] == (["GET", "POST"] if code == 0 else ["GET"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("orders", "replay"), "'replay' is neither redrive nor purge"),
        (("redrive", "orders"), "the function comes first: lambent events orders redrive"),
        (("orders", "redrive"), "name the events, or say --all"),
        (("orders", "redrive", "r-1", "--all"), "name the events, or say --all"),
        (("orders", "purge", "r-1"), "it takes no request ids"),
        (("orders", "--all"), "--all is an option of redrive"),
        (("orders", "--yes"), "--yes is an option of purge"),
        (("orders", "--limit", "0"), "'0' is not a whole number from 1 to 10000"),
        (("", "redrive"), "a function has a name"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_asked(run: Run, arguments: tuple[str, ...], said: str) -> None:
    refused = run("events", *arguments, "--endpoint", "http://127.0.0.1:9")
    assert refused.code == 2
    assert said in refused.err


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KB"), (262_144, "256.0 KB"), (1_048_576, "1.0 MB")]
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text
