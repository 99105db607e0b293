"""Where our bootstrap does something else than AWS's client under the same conditions, and why."""

import json
from pathlib import Path

import pytest

from lambent.testing.scripted_runtime_api import Event
from tests.contract.runtimes.runtime_process import OURS, run


@pytest.fixture
def task(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return 'x' * event\n")
    return tmp_path


def test_a_refused_oversized_response_leaves_the_runtime_running(task: Path) -> None:
    # Lambda answers the caller itself and uses the environment again; AWS's client would have to be started anew.
    events = [Event(b"7000000"), Event(b"1")]
    outcome = run(OURS, task, "app.handler", events, statuses={"response": 413})
    assert [len(post.body) for post in outcome.posts] == [7_000_002, 3]
    assert outcome.end == "waiting"


def test_an_init_error_with_any_text_is_reported(task: Path) -> None:
    # AWS's client sends it as Latin-1 and ends without a report when that is not possible.
    (task / "broken.py").write_text("raise ValueError('\u2028 \u6f22\u5b57')\n")
    outcome = run(OURS, task, "broken.handler", [])
    assert [post.path for post in outcome.posts] == ["init/error"]
    assert json.loads(outcome.posts[0].body)["errorMessage"] == "\u2028 \u6f22\u5b57"
    assert outcome.end == 1


def test_a_fallback_to_another_version_is_said_in_the_log(task: Path) -> None:
    (task / "app.py").write_text("import os\n\ndef handler(event, context):\n    return sorted(os.environ)\n")
    warning = "python3.14 runs on Python 3.13"
    outcome = run(OURS, task, "app.handler", [Event()], variables={"_LAMBENT_WARNING": warning})
    assert outcome.stdout == f"[WARNING] {warning}\n"
    assert not [name for name in outcome.payloads()[0] if "LAMBENT" in name]


def test_modules_that_are_not_needed_are_not_imported(task: Path) -> None:
    # AWS's client imports these at each start, a third of its cold start.
    (task / "app.py").write_text("import sys\n\ndef handler(event, context):\n    return sorted(sys.modules)\n")
    modules = run(OURS, task, "app.handler", [Event(b'{"a": [1.5, "\\u00e9"]}')]).payloads()[0]
    unwanted = {"json", "logging", "traceback", "re", "enum", "socket", "http.client", "threading", "encodings.idna"}
    assert unwanted.isdisjoint(modules)
