"""One runtime process against a scripted Runtime API, and everything that can be seen of it from outside."""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lambent.runtimes.layout import Command
from lambent.testing.scripted_runtime_api import Event, Post, ScriptedRuntimeApi

BOOTSTRAP = Path(__file__).parents[3] / "src/lambent/runtimes/python/bootstrap"
_TIME_OUT_S = 30.0

OURS = "ours"
OFFICIAL = "official"


@dataclass(frozen=True, slots=True)
class Outcome:
    posts: tuple[Post, ...]
    end: int | str
    """Exit status (negative: signal), or `waiting` for a next event."""
    stdout: str
    stderr: str
    telemetry: bytes
    """Frames from the pipe that `_LAMBDA_TELEMETRY_LOG_FD` names, when there was one."""

    def payloads(self) -> list[Any]:
        return [json.loads(post.body) for post in self.posts]


def run(
    client: str,
    task: Path,
    handler: str,
    events: Sequence[Event],
    *,
    variables: Mapping[str, str] | None = None,
    statuses: Mapping[str, int] | None = None,
    command: Command | None = None,
    framed: bool = False,
) -> Outcome:
    """Start `client` with `handler`, hand it `events`, wait until it asks for more or ends; it is killed then.

    `command` is started in place of our bootstrap on this interpreter.
    """
    with (
        ScriptedRuntimeApi(events, statuses) as api,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
        tempfile.TemporaryFile() as telemetry,
    ):
        environ = {
            "_HANDLER": handler,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_FUNCTION_NAME": "shop",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/shop",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/20/[$LATEST]0123456789abcdef0123456789abcdef",
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "LAMBDA_RUNTIME_DIR": str(BOOTSTRAP),
            "LAMBDA_TASK_ROOT": str(task),
            "LANG": "C.UTF-8",
            "PATH": os.defpath,
            "PYTHONDONTWRITEBYTECODE": "1",
            **(variables or {}),
        }
        if client == OFFICIAL:
            # In Lambda the folder of the code is on the path when the client starts.
            environ["PYTHONPATH"] = str(task)
            argv = [sys.executable, "-m", "awslambdaric", handler]
        elif command is not None:
            argv = list(command.argv)
            environ = {**command.variables, "AWS_LAMBDA_RUNTIME_API": api.address}
        else:
            argv = [sys.executable, "-S", str(BOOTSTRAP / "bootstrap.py")]
        if framed:
            environ["_LAMBDA_TELEMETRY_LOG_FD"] = str(telemetry.fileno())
        process = subprocess.Popen(
            argv,
            env=environ,
            cwd=task,
            stdout=stdout,
            stderr=stderr,
            stdin=subprocess.DEVNULL,
            pass_fds=[telemetry.fileno()] if framed else [],
        )
        try:
            end = _wait(process, api)
            if end == "waiting" and statuses:
                # Our client has asked for the next event before it learns that its result was refused.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    end = process.wait(1)
        finally:
            process.kill()
            process.wait()
        telemetry.seek(0)
        return Outcome(tuple(api.posts), end, _text(stdout), _text(stderr), telemetry.read())


def _wait(process: "subprocess.Popen[bytes]", api: ScriptedRuntimeApi) -> int | str:
    deadline = time.monotonic() + _TIME_OUT_S
    while time.monotonic() < deadline:
        status = process.poll()
        if status is not None:
            return status
        if api.idle.wait(0.005):
            return "waiting"
    raise TimeoutError(f"the runtime neither ended nor asked for another event; it posted {api.posts}")


def _text(file: Any) -> str:
    file.seek(0)
    text: str = file.read().decode("utf-8", "replace")
    return text


def without_times(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", "<time>", text)
