"""The JSON lines of a log stream, and which of them pass."""

from dataclasses import dataclass, field, replace

import msgspec
import orjson
import pytest

from lambent.environments.events import (
    Extension,
    InitReport,
    InitRuntimeDone,
    InitStart,
    LogsDropped,
    Phase,
    Report,
    RestoreReport,
    RestoreRuntimeDone,
    RestoreStart,
    RuntimeDone,
    Start,
    Status,
    SubscriptionKind,
    TelemetrySubscription,
)
from lambent.environments.telemetry.schemas import About, Platform
from lambent.functions.records import LoggingConfig
from lambent.invocation.journals import Journals
from lambent.invocation.json_report import JsonJournal, Level, application_level, system_level
from lambent.invocation.report import TextJournal
from tests.unit.environments.kit import ListSink, function_version
from tests.unit.environments.telemetry.kit import ID, IDENTITY, TIME, TIME_MS

ABOUT = About.of(function_version(logging=LoggingConfig("/g", "JSON")), IDENTITY)
EARLY = replace(ABOUT, initialization_type="provisioned-concurrency")
SUCCESS, ERROR = Status.SUCCESS, Status.ERROR

INIT_START = InitStart(time_ms=TIME_MS, phase=Phase.INIT, runtime_version="python:3.12.v18", runtime_version_arn="a")
START = Start(TIME_MS, ID, "$LATEST", True)
DONE = RuntimeDone(TIME_MS, ID, SUCCESS, None, 11.185, 40, 2.2, 0.1)
REPORT = Report(TIME_MS, ID, SUCCESS, None, 11.642, 174.055, 128, 67)


@dataclass
class Lines:
    lines: list[str] = field(default_factory=list)

    def write(self, timestamp_ms: int, message: str) -> None:
        self.lines.append(message)

    def close(self) -> None:
        pass


def journal(system: str | None = None, application: str | None = None) -> tuple[JsonJournal, list[str]]:
    lines = Lines()
    return JsonJournal(lines, ABOUT, system=system, application=application), lines.lines


def invocation(to: JsonJournal) -> None:
    to.init_start(INIT_START)
    to.init_runtime_done(InitRuntimeDone(time_ms=TIME_MS, phase=Phase.INIT, status=SUCCESS, error_type=None))
    to.init_report(InitReport(time_ms=TIME_MS, phase=Phase.INIT, status=SUCCESS, error_type=None, duration_ms=173.778))
    to.start(START)
    to.output(TIME_MS, '{"level": "INFO", "message": "hello"}\n')
    to.runtime_done(DONE)
    to.report(REPORT)


def types(lines: list[str]) -> list[str]:
    return [orjson.loads(line).get("type", "function") for line in lines]


def test_a_line_is_the_event_without_a_line_break() -> None:
    to, lines = journal()
    invocation(to)
    assert lines[-1] == (
        f'{{"time":"{TIME}","type":"platform.report","record":{{"requestId":"{ID}","status":"success",'
        '"metrics":{"durationMs":11.642,"billedDurationMs":186,"memorySizeMB":128,"maxMemoryUsedMB":67,'
        '"initDurationMs":174.055}}}'
    )


@pytest.mark.parametrize(
    ("system", "wanted"),
    [
        (None, ["platform.initStart", "platform.start", "function", "platform.report"]),
        ("INFO", ["platform.initStart", "platform.start", "function", "platform.report"]),
        ("WARN", ["function"]),
        (
            "DEBUG",
            [
                "platform.initStart",
                "platform.initRuntimeDone",
                "platform.initReport",
                "platform.start",
                "function",
                "platform.runtimeDone",
                "platform.report",
            ],
        ),
    ],
)
def test_the_system_level_chooses_the_lines_of_the_platform(system: str | None, wanted: list[str]) -> None:
    to, lines = journal(system)
    invocation(to)
    assert types(lines) == wanted


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (INIT_START, Level.INFO),
        (msgspec.structs.replace(INIT_START, runtime_version=None), Level.DEBUG),
        (InitRuntimeDone(time_ms=0, phase=Phase.INIT, status=SUCCESS, error_type=None), Level.DEBUG),
        (InitRuntimeDone(time_ms=0, phase=Phase.INIT, status=ERROR, error_type="x"), Level.WARN),
        (InitReport(time_ms=0, phase=Phase.INIT, status=Status.TIMEOUT, error_type=None, duration_ms=1), Level.WARN),
        (RestoreStart(time_ms=0, runtime_version=None, runtime_version_arn=None), Level.INFO),
        (RestoreRuntimeDone(time_ms=0, status=SUCCESS, error_type=None), Level.DEBUG),
        (RestoreRuntimeDone(time_ms=0, status=ERROR, error_type=None), Level.WARN),
        (RestoreReport(time_ms=0, status=SUCCESS, error_type=None, duration_ms=1), Level.INFO),
        (RestoreReport(time_ms=0, status=ERROR, error_type=None, duration_ms=1), Level.WARN),
        (START, Level.INFO),
        (DONE, Level.DEBUG),
        (msgspec.structs.replace(DONE, status=ERROR), Level.WARN),
        (REPORT, Level.INFO),
        (msgspec.structs.replace(REPORT, status=Status.TIMEOUT), Level.WARN),
        (Extension(time_ms=0, name="a", state="Ready", events=()), Level.INFO),
        (Extension(time_ms=0, name="a", state="LaunchError", events=(), error_type="x"), Level.WARN),
        (TelemetrySubscription(time_ms=0, name="a", kind=SubscriptionKind.LOGS, types=()), Level.INFO),
        (LogsDropped(time_ms=0, dropped_records=1, dropped_bytes=1, reason=""), Level.WARN),
    ],
)
def test_levels_of_the_platform(event: Platform, level: Level) -> None:
    assert system_level(event, ABOUT) is level


def test_an_init_that_no_invocation_waited_for_is_reported() -> None:
    report = InitReport(time_ms=0, phase=Phase.INIT, status=SUCCESS, error_type=None, duration_ms=1)
    assert system_level(report, ABOUT) is Level.DEBUG
    assert system_level(report, EARLY) is Level.INFO


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ('{"level": "debug"}\n', Level.DEBUG),
        ('{"level":"Warning"}', Level.WARN),
        ('{"level":"CRITICAL"}', Level.FATAL),
        ('{"log_level":"ERROR"}', Level.ERROR),
        ('{"level":"loud"}', Level.INFO),
        ('{"level":7}', Level.INFO),
        ("{}", Level.INFO),
        ("{broken", Level.INFO),
        ("printed\n", Level.INFO),
        ('["level"]', Level.INFO),
    ],
)
def test_levels_of_the_function(line: str, level: Level) -> None:
    assert application_level(line) is level


def test_the_application_level_chooses_the_lines_of_the_function() -> None:
    for chosen, passing in (("TRACE", 4), ("DEBUG", 3), (None, 2), ("WARN", 1), ("FATAL", 0)):
        to, lines = journal("WARN", chosen)
        for line in ('{"level":"TRACE"}\n', '{"level":"DEBUG"}\n', "printed\n", '{"level":"ERROR"}\n'):
            to.output(TIME_MS, line)
        assert len(lines) == passing, chosen


def test_the_tail_is_lines_of_json() -> None:
    to, _ = journal()
    invocation(to)
    assert types(to.tail().decode().split("\n")) == ["platform.start", "function", "platform.report"]


def test_the_format_of_the_function_decides() -> None:
    journals = Journals(ListSink())
    assert isinstance(journals.open(function_version(), IDENTITY), TextJournal)
    assert isinstance(journals.open(function_version(logging=LoggingConfig("/g", "JSON")), IDENTITY), JsonJournal)


def test_an_environment_made_early_reports_its_init_in_text_too() -> None:
    sink = ListSink()
    early = Journals(sink).open(function_version(), replace(IDENTITY, provisioned=True))
    early.init_report(InitReport(time_ms=0, phase=Phase.INIT, status=SUCCESS, error_type=None, duration_ms=173.778))
    early.init_report(InitReport(time_ms=0, phase=Phase.INVOKE, status=SUCCESS, error_type=None, duration_ms=1.0))
    assert sink.lines == ["INIT_REPORT Init Duration: 173.78 ms\n"]
