"""What is tried under both clients: a handler, its events, and what is special about its surroundings."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lambent.testing.scripted_runtime_api import Event

HANDLERS = Path(__file__).parents[2] / "handlers"
_VALUES = re.findall(r'^    "(\w+)": ', (HANDLERS / "results.py").read_text(), re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Case:
    handler: str
    events: tuple[Event, ...] = (Event(),)
    variables: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    """Answers to posts, by the last part of their path, that are not 202."""
    name: str = ""
    framed: bool = False
    """Whether the platform offers its pipe for log records."""


def _each(
    module: str, names: str, variables: dict[str, str] | None = None, suffix: str = "", *, framed: bool = False
) -> list[Case]:
    return [
        Case(module + name, variables=variables or {}, name=f"{module}{name}{suffix}", framed=framed)
        for name in names.split()
    ]


def _json_events(*values: Any) -> tuple[Event, ...]:
    return tuple(Event(json.dumps(value).encode()) for value in values)


def _header(name: str, value: str | None) -> tuple[Event, ...]:
    return (Event(headers={name: value}),)


_OLD = {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.11"}
_JSON_LOG = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"}
_CLIENT_CONTEXTS = (
    '{"custom":{"k":"\u00e9"},"env":{"locale":"de"},"client":{"app_title":"shop"}}',
    "{}",
    '{"client":{}}',
    '{"w3c":{"traceparent":"00-x","baggage":1,"other":"y"}}',
    "[]",
    "{",
    "5",
    "",
)
_IDENTITIES = ('{"cognitoIdentityId":"i","cognitoIdentityPoolId":"p"}', "{}", "x", "[]")

_RESULTS = [
    # A lone surrogate ends the runtime, so it comes last.
    Case("results.handler", _json_events(*(v for v in _VALUES if v != "surrogate"), "surrogate"), name="results"),
    Case("results.handler", _json_events(*_VALUES), _OLD, name="results-escaped"),
    Case(
        "results.echo", (Event(b' {"a": [1, 2.50, 1e5, null, true, "\xc3\xa9\\u00e9"]}\n'), Event(b"0"), Event(b'""'))
    ),
    Case("results.event_type", (Event(b"[]"), Event(b"\x00\xff", {"Content-Type": "application/octet-stream"}))),
    Case("results.event_type", (Event(b'"t"', {"Content-Type": "application/json; charset=utf-8"}),), name="charset"),
    Case("results.event_type", (Event(json.dumps(["x" * 50] * 40_000).encode()),), name="large-event"),
    Case("results.coroutine"),
    Case("results.generator"),
    Case("results.echo", (Event(b"{"), Event(b""), Event(b"NaN"), Event(b"\xff"), Event(b"1")), name="bad-events"),
    Case("results.echo", statuses={"response": 500}, name="response-failed"),
]

_FAILURES = [
    *_each(
        "failures.",
        """raises without_message several_lines chained key_error os_error group generated_code in_library
        wrong_arguments not_callable class_body exit_zero exit_three exit_text os_exit killed segmentation aborted
        base_exception keyboard_interrupt generator_exit stop_iteration in_thread instance bound built_in
        instance.static Callable missing unprintable surrogate_message recursion""",
    ),
    Case("failures.every_other", _json_events(0, 1, 2, 3)),
    *_each("failures.", "raises several_lines", _OLD, "-escaped"),
    *_each("failures.", "raises several_lines", _JSON_LOG, "-json"),
    Case("failures.raises", statuses={"error": 500}, name="error-failed"),
]

_SURROUNDINGS = [
    *_each(
        "surroundings.",
        """context identity trace_id change_environment change_directory change_directory_and_fail log_method prints
        prints_unicode close_stdout close_stdout_and_fail registers_atexit handles_signal exit_builtin main_module
        child_process forks""",
    ),
    Case("surroundings.module_state", _json_events(1, 2, 3)),
    Case("surroundings.replace_stdout", _json_events(1, 2)),
    Case("surroundings.prints", variables={"PYTHONUNBUFFERED": "1"}, name="prints-unbuffered"),
    Case("surroundings.trace_id", (Event(), *_header("Lambda-Runtime-Trace-Id", None)), name="trace-id-gone"),
    Case("surroundings.context", _header("Lambda-Runtime-Aws-Tenant-Id", "blue"), name="tenant"),
    Case("surroundings.late", _header("Lambda-Runtime-Deadline-Ms", "1000"), name="deadline-passed"),
    *(
        Case(
            "surroundings.client_context", _header("Lambda-Runtime-Client-Context", text), name=f"client-context-{text}"
        )
        for text in _CLIENT_CONTEXTS
    ),
    *(
        Case("surroundings.identity", _header("Lambda-Runtime-Cognito-Identity", text), name=f"identity-{text}")
        for text in _IDENTITIES
    ),
]

_LOG_HANDLERS = (
    """levels set_level exception several_lines basic_config extra handler_kind propagates to_context fails"""
)
_LOGS = [
    *_each("logs.", _LOG_HANDLERS),
    *_each("logs.", _LOG_HANDLERS, _JSON_LOG, "-json"),
    *_each("logs.", _LOG_HANDLERS, {}, "-framed", framed=True),
    *_each("logs.", _LOG_HANDLERS, _JSON_LOG, "-framed-json", framed=True),
    *_each("logs.", "levels", {"AWS_LAMBDA_LOG_LEVEL": "DEBUG"}, "-framed-debug", framed=True),
    *_each("", "import_raises.handler surroundings.log_method surroundings.prints", {}, "-framed", framed=True),
    *_each("logs.", "levels", {"AWS_LAMBDA_LOG_LEVEL": "TRACE"}, "-trace"),
    *_each("logs.", "levels", {"AWS_LAMBDA_LOG_FORMAT": "json", "AWS_LAMBDA_LOG_LEVEL": "error"}, "-error"),
]

_IMPORTS = [
    *_each(
        "",
        """syntax_error.handler indentation.handler nul_byte.handler import_raises.handler import_missing.handler
        import_name.handler import_chain.handler import_syntax.handler import_exits.handler import_dies.handler
        import_killed.handler import_aborts.handler import_raises_import_error.handler import_recursion.handler
        circular_one.handler with-hyphen.handler colorsys.handler package/sub/api.handler package.sub.api.handler
        package/sub/api.fails package.NAME namespace/inner.handler no_such_module.handler no/such/module.handler nodots
        sys.exit time.time .handler package. results..handler ../x.handler results.a-b""",
    ),
    *_each("", "import_raises.handler syntax_error.handler", _JSON_LOG, "-json"),
    Case("import_missing.handler", statuses={"error": 500}, name="init-error-refused"),
]

CASES = [*_RESULTS, *_FAILURES, *_SURROUNDINGS, *_LOGS, *_IMPORTS]
