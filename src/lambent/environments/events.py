"""What happens to an environment, as records: the source of log lines, metrics, bills and telemetry.

Durations are milliseconds of the monotonic clock, times are epoch milliseconds. Names follow the Telemetry API's
platform events (platform.initStart, initReport, start, runtimeDone, report).
"""

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    INIT = "init"
    """The Init phase of its own: 10 s, before an invocation is handed over."""
    INVOKE = "invoke"
    """Init repeated inside an invocation, on the invocation's time (AWS: suppressed init)."""


class Status(StrEnum):
    SUCCESS = "success"
    ERROR = "error"
    """The function, or the runtime that started, reported an error."""
    FAILURE = "failure"
    """Of an invocation: its runtime ended, or never got ready."""
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class InitStart:
    time_ms: int
    phase: Phase
    runtime_version: str | None
    """For example `python:3.12.v18`; None for runtimes that AWS does not version."""
    runtime_version_arn: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InitReport:
    time_ms: int
    phase: Phase
    status: Status
    error_type: str | None
    duration_ms: float


@dataclass(frozen=True, slots=True)
class Start:
    time_ms: int
    request_id: str
    version: str
    keep_tail: bool
    """Whether the caller asked for the last 4 KB of the log."""


@dataclass(frozen=True, slots=True)
class RuntimeDone:
    time_ms: int
    request_id: str
    status: Status
    error_type: str | None
    duration_ms: float
    produced_bytes: int


@dataclass(frozen=True, slots=True)
class Report:
    time_ms: int
    request_id: str
    status: Status
    error_type: str | None
    duration_ms: float
    init_duration_ms: float | None
    """Only for the first invocation after a successful Init phase."""
    memory_mb: int
    max_memory_mb: int
