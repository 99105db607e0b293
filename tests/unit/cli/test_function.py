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
    server.answer("GET", "/2015-03-31/functions/thumbnail/configuration", {**THUMBNAIL, "Layers": []})
    shown = run("function", "show", "thumbnail", "--endpoint", server.url).out
    assert "MemorySize    512\n" in shown
    assert "Layers        []\n" in shown
