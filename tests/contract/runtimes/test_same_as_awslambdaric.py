"""The same handlers under AWS's own runtime client and under our bootstrap: whatever a caller sees is the same.

What differs on purpose is taken away by name in `_seen`, and nowhere else.
"""

import json
import re
import shutil
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.contract.runtimes.broken_modules import BROKEN_MODULES
from tests.contract.runtimes.cases import CASES, HANDLERS, Case
from tests.contract.runtimes.runtime_process import OFFICIAL, OURS, Outcome, run, without_times

_CLIENT_FRAME = re.compile(r"/awslambdaric/|/lambent_runtime/")
_CLIENT_FAILED = re.compile(r"^(lambent_runtime\.|awslambdaric\.|RuntimeError: Failed to post).*")
_REPEATED = re.compile(r"Previous line repeated \d+ more times")
# The reasons of `simplejson` and `json` differ in a few words, for events that no platform lets through.
_JSON_REASON = re.compile(r"(Unable to unmarshal input: |Unable to parse .* JSON: ).*")
_LOG_DIFFERENCES = [
    # The sentence after the prefix is ours; AWS's is about its own updates of runtimes.
    (re.compile(r"LAMBDA_WARNING: .*?(\r|\\r)"), "LAMBDA_WARNING"),
    # Written by the C++ part of AWS's client; the same event ends our process with a traceback.
    (re.compile(r"\[ERROR\] \[\d+\] LAMBDA_RUNTIME Failed to post .*\n\n"), ""),
    (re.compile(r"\xa0\xa0File \"[^\r\n]*(/awslambdaric/|/lambent_runtime/)[^\r\n]*\r\xa0+[^\r\n]*"), "<client>"),
    (re.compile(r"<client>(\r<client>)+"), "<client>"),
    (_REPEATED, "repeated"),
    (re.compile(r"(Unable to unmarshal input: |Unable to parse .* JSON: )[^\r]*"), r"\1"),
]


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("task")
    for module in HANDLERS.glob("*.py"):
        shutil.copy(module, folder)
    for name, source in BROKEN_MODULES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(source)
    return folder


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name or case.handler)
def test_the_caller_and_the_log_see_what_they_see_with_awslambdaric(case: Case, task: Path) -> None:
    outcomes = {
        client: run(
            client,
            task,
            case.handler,
            case.events,
            variables=case.variables,
            statuses=case.statuses,
            framed=case.framed,
        )
        for client in (OFFICIAL, OURS)
    }
    assert _seen(outcomes[OURS]) == _seen(outcomes[OFFICIAL])


def _seen(outcome: Outcome) -> dict[str, Any]:
    posts = []
    for post in outcome.posts:
        xray = post.headers.get("lambda-runtime-function-xray-error-cause")
        posts.append(
            {
                "path": post.path,
                "body": _body(post.body),
                "error type": post.headers.get("lambda-runtime-function-error-type"),
                # The client of AWS sends no content type with init/error.
                "content type": None if post.path == "init/error" else post.headers.get("content-type"),
                # Ours leaves out a cause that is larger than servers take as a header; AWS's sends up to 1 MB of it.
                "xray": _xray(xray) if xray and len(xray) < 32 * 1024 else None,
            }
        )
    # Where a process ends with a traceback, frames of the client are in it.
    last_words = [_CLIENT_FAILED.sub("<the client failed>", line) for line in outcome.stderr.strip().splitlines()[-1:]]
    return {
        "posts": posts,
        "end": outcome.end,
        "log": _log(outcome.stdout),
        "stderr": last_words,
        "frames": _frames(outcome.telemetry),
    }


def _frames(data: bytes) -> list[tuple[str, str]]:
    """(type, message) of each; the lengths must fit."""
    frames = []
    while data:
        size = int.from_bytes(data[4:8], "big")
        age_s = time.time() - int.from_bytes(data[8:16], "big") / 1e6
        assert 0 <= age_s < 60
        frames.append((data[:4].hex(), _log(data[16 : 16 + size].decode())))
        data = data[16 + size :]
    return frames


def _body(body: bytes) -> Any:
    if body.startswith(b'{"errorMessage"'):
        error = json.loads(body)
        error["errorMessage"] = _JSON_REASON.sub(r"\1", error["errorMessage"])
        error["stackTrace"] = _without_client_frames(error["stackTrace"])
        return error
    return body


def _without_client_frames(stack: list[str]) -> list[str]:
    """Only where nothing of the function is on the stack do frames of the client stay; they are one entry here."""
    entries = [_REPEATED.sub("repeated", "<client>" if _CLIENT_FRAME.search(entry) else entry) for entry in stack]
    return [entry for entry, following in pairwise([*entries, ""]) if (entry, following) != ("<client>", "<client>")]


def _xray(text: str) -> Any:
    cause = json.loads(text)
    for exception in cause["exceptions"]:
        exception["message"] = _JSON_REASON.sub(r"\1", exception["message"])
        stack = [(frame["label"], frame["line"], frame["path"]) for frame in exception["stack"]]
        # Below a recursion error are as many frames as there was room for.
        exception["stack"] = list(dict.fromkeys(frame for frame in stack if not _CLIENT_FRAME.search(frame[2])))
    cause["paths"] = sorted(path for path in cause["paths"] if not _CLIENT_FRAME.search(path))
    return cause


def _log(text: str) -> str:
    text = without_times(text)
    for pattern, replacement in _LOG_DIFFERENCES:
        text = pattern.sub(replacement, text)
    return text
