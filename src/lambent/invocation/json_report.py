"""What is written of each invocation of a function whose LoggingConfig asks for JSON: platform events and its records.

A line of the platform is the event that a subscriber of the Telemetry API would get; of the function's lines those
pass whose `level` is high enough. Levels: "Log-level filtering" of AWS's guide.
"""

from enum import IntEnum

import orjson

from lambent.environments.events import (
    ColdStart,
    Extension,
    InitReport,
    InitRuntimeDone,
    InitStart,
    LogsDropped,
    Report,
    RestoreReport,
    RestoreRuntimeDone,
    RestoreStart,
    RuntimeDone,
    Start,
    Status,
    TelemetrySubscription,
)
from lambent.environments.ports import LogStream
from lambent.environments.telemetry.schemas import About, Platform, Schema, Surrounding, iso, platform_events
from lambent.invocation.tail import Tail


class Level(IntEnum):
    TRACE = 0
    DEBUG = 1
    INFO = 2
    WARN = 3
    ERROR = 4
    FATAL = 5


_NAMES = {level.name: level for level in Level} | {"WARNING": Level.WARN, "CRITICAL": Level.FATAL}


def system_level(event: Platform, about: About) -> Level:
    """How important an event of the platform is."""
    match event:
        case InitStart():
            return Level.INFO if event.runtime_version is not None else Level.DEBUG
        case InitReport():
            if event.status is not Status.SUCCESS:
                return Level.WARN
            return Level.DEBUG if about.initialization_type == "on-demand" else Level.INFO
        case InitRuntimeDone() | RestoreRuntimeDone() | RuntimeDone():
            return Level.DEBUG if event.status is Status.SUCCESS else Level.WARN
        case RestoreReport() | Report():
            return Level.INFO if event.status is Status.SUCCESS else Level.WARN
        case Extension():
            return Level.INFO if event.error_type is None else Level.WARN
        case LogsDropped():
            return Level.WARN
        case Start() | RestoreStart() | TelemetrySubscription():
            return Level.INFO


def application_level(line: str) -> Level:
    """Of a line that the function wrote: what its `level` says; INFO for what has none that is known."""
    if not line.startswith("{"):
        return Level.INFO
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return Level.INFO
    name = record.get("level") or record.get("log_level")
    return _NAMES.get(name.upper(), Level.INFO) if isinstance(name, str) else Level.INFO


class JsonJournal:
    """Implements `Journal` in the JSON format."""

    def __init__(self, stream: LogStream, about: About, *, system: str | None, application: str | None) -> None:
        self._stream = stream
        self._about = about
        self._system = Level[system or "INFO"]
        self._application = Level[application or "INFO"]
        self.spans = self._system <= Level.DEBUG
        self._told = Surrounding()
        self._tail: Tail | None = None

    def cold_start(self, event: ColdStart) -> None:
        self._told.cold = event

    def init_start(self, event: InitStart) -> None:
        self._write_event(event)

    def init_runtime_done(self, event: InitRuntimeDone) -> None:
        self._write_event(event)

    def init_report(self, event: InitReport) -> None:
        self._write_event(event)

    def restore_start(self, event: RestoreStart) -> None:
        self._write_event(event)

    def restore_runtime_done(self, event: RestoreRuntimeDone) -> None:
        self._write_event(event)

    def restore_report(self, event: RestoreReport) -> None:
        self._write_event(event)

    def extension(self, event: Extension) -> None:
        self._write_event(event)

    def telemetry_subscription(self, event: TelemetrySubscription) -> None:
        self._write_event(event)

    def logs_dropped(self, event: LogsDropped) -> None:
        self._write_event(event)

    def start(self, event: Start) -> None:
        self._tail = Tail() if event.keep_tail else None
        self._told.trace_header = event.trace_header
        self._write_event(event)

    def output(self, time_ms: int, line: str) -> None:
        # Nothing is below the least level: the lines need not be read.
        if self._application is Level.TRACE or application_level(line) >= self._application:
            self._write(time_ms, line)

    def extension_output(self, time_ms: int, line: str) -> None:
        self.output(time_ms, line)

    def runtime_done(self, event: RuntimeDone) -> None:
        self._write_event(event)

    def report(self, event: Report) -> None:
        self._write_event(event)

    def tail(self) -> bytes:
        return self._tail.read().rstrip(b"\n") if self._tail is not None else b""

    def close(self) -> None:
        self._stream.close()

    def _write_event(self, event: Platform) -> None:
        if system_level(event, self._about) < self._system:
            return
        for name, record in platform_events(event, self._about, Schema.TELEMETRY_2022_12_13, self._told):
            line = orjson.dumps({"time": iso(event.time_ms), "type": name, "record": record}).decode()
            self._write(event.time_ms, line)

    def _write(self, time_ms: int, line: str) -> None:
        self._stream.write(time_ms, line)
        if self._tail is not None:
            self._tail.add(line if line.endswith("\n") else line + "\n")
