"""`lambent function`."""

import json
from collections.abc import Callable

from tests.unit.cli.conftest import Outcome, ScriptedServer

Run = Callable[..., Outcome]

THUMBNAIL = {
    "FunctionName": "thumbnail",
    "Runtime": "python3.11",
    "MemorySize": 512,
    "Timeout": 30,
    "LastModified": "2026-11-20T12:00:00.000+0000",
}


def test_lists_functions_under_aligned_headings(run: Run, server: ScriptedServer) -> None:
    server.answer("GET", "/2015-03-31/functions/", {"Functions": [THUMBNAIL]})
    assert run("function", "list", "--endpoint", server.url).out.splitlines() == [
        "NAME       RUNTIME     MEMORY  TIMEOUT  MODIFIED",
        "thumbnail  python3.11  512 MB  30 s     2026-11-20T12:00:00",
    ]


def test_json_is_the_configurations(run: Run, server: ScriptedServer) -> None:
    server.answer("GET", "/2015-03-31/functions/", {"Functions": [THUMBNAIL]})
    assert json.loads(run("function", "list", "--json", "--endpoint", server.url).out) == [THUMBNAIL]


def test_no_functions_says_how_to_get_one(run: Run, server: ScriptedServer) -> None:
    server.answer("GET", "/2015-03-31/functions/", {"Functions": []})
    assert "lambent demo" in run("function", "list", "--endpoint", server.url).out


def test_shows_one_function(run: Run, server: ScriptedServer) -> None:
    server.answer(
        "GET", "/2015-03-31/functions/thumbnail/configuration", {**THUMBNAIL, "Layers": [], "Description": ""}
    )
    shown = run("function", "show", "thumbnail", "--endpoint", server.url).out
    assert "MemorySize    512\n" in shown
    assert "Layers        []\n" in shown
    assert "Description" not in shown


COLD_START = {
    "time_ms": 1_763_748_000_123,
    "version": "$LATEST",
    "environment_id": "e1",
    "cause": "busy",
    "why": "scale-out: 1 environment existed, none was free",
    "how": "forked",
    "status": "success",
    "total_ms": 7.25,
    "queued_ms": 0.5,
    "sandbox_ms": 3.0,
    "runtime_ms": 0.75,
    "init_ms": 3.0,
    "handler_ms": None,
}


def test_shows_the_cold_starts_of_a_function_with_their_phases_and_the_reason(run: Run, server: ScriptedServer) -> None:
    failed = COLD_START | {"status": "timeout", "handler_ms": 12.0}
    server.answer("GET", "/_lambent/cold-starts", {"ColdStarts": [COLD_START, failed]})
    lines = run("function", "show", "thumbnail", "--cold-starts", "--endpoint", server.url).out.splitlines()
    assert lines[0].split()[:5] == ["TIME", "(UTC)", "VERSION", "HOW", "TOTAL"]
    assert lines[1].split()[2:10] == ["$LATEST", "forked", "7.2", "0.5", "3.0", "0.8", "3.0", "-"]
    assert lines[1].endswith("scale-out: 1 environment existed, none was free")
    assert lines[2].endswith("none was free (Init: timeout)")
    as_json = run("function", "show", "thumbnail", "--cold-starts", "--json", "--endpoint", server.url).out
    assert json.loads(as_json) == [COLD_START, failed]


def test_shows_what_was_counted_of_a_function(run: Run, server: ScriptedServer) -> None:
    def metric(name: str, unit: str, *values: float) -> dict[str, object]:
        points = [{"Timestamp": 0, "SampleCount": 1, "Sum": each, "Minimum": each, "Maximum": each} for each in values]
        return {"MetricName": name, "Unit": unit, "Datapoints": points}

    counted = [
        metric("ConcurrentExecutions", "Count", 1, 3),
        metric("Duration", "Milliseconds", 1.5, 2.5),
        metric("Invocations", "Count", 2, 1),
    ]
    server.answer("GET", "/_lambent/function-metrics", {"Metrics": counted})
    lines = run("function", "show", "thumbnail", "--metrics", "--endpoint", server.url).out.splitlines()
    assert [line.split() for line in lines[1:4]] == [
        ["ConcurrentExecutions", "-", "2", "1", "3", "2"],
        ["Duration", "-", "2", "1.5", "2.5", "2"],
        ["Invocations", "3", "1.5", "1", "2", "2"],
    ]
    as_json = run("function", "show", "thumbnail", "--metrics", "--json", "--endpoint", server.url).out
    assert json.loads(as_json) == counted
    server.answer("GET", "/_lambent/function-metrics", {"Metrics": []})
    shown = run("function", "show", "thumbnail", "--metrics", "--endpoint", server.url).out
    assert shown == "nothing was counted in the last three hours\n"


def test_a_function_without_cold_starts_says_so(run: Run, server: ScriptedServer) -> None:
    server.answer("GET", "/_lambent/cold-starts", {"ColdStarts": []})
    shown = run("function", "show", "thumbnail", "--cold-starts", "--endpoint", server.url).out
    assert shown == "no cold starts since the server started\n"
