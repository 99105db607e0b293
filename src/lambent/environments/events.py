"""What happens to an environment, as records: the source of log lines, metrics, bills and telemetry.

Durations are milliseconds of the monotonic clock, times are epoch milliseconds. Names follow the Telemetry API's
platform events (platform.initStart, initReport, start, runtimeDone, report). Those that each invocation makes are
structs: as frozen dataclasses they would take 4 us of it instead of a third of one.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from lambent.functions.records import FunctionVersion


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


class HowStarted(StrEnum):
    """Where the runtime of a new environment came from, fastest first."""

    POOLED = "pooled"
    """It waited in a prepared sandbox, which holds nothing of any account."""
    FORKED = "forked"
    """It is a fork of the account's zygote, which holds our code alone."""
    RESTORED = "restored"
    """It is a fork of the function version's template, after its Init (SnapStart)."""
    EXECUTED = "executed"
    """It was exec'd for this environment."""


class Cause(StrEnum):
    """Why there was no warm environment for an invocation."""

    FIRST = "first"
    TENANT = "tenant"
    BUSY = "busy"
    CHANGED = "changed"
    PROVISIONED = "provisioned"
    IDLE = "idle"
    EVICTED = "evicted"
    LOWERED = "lowered"
    FAILED = "failed"


class InitStart(Struct, frozen=True, kw_only=True):
    time_ms: int
    phase: Phase
    runtime_version: str | None
    """For example `python:3.12.v18`; None for runtimes that AWS does not version."""
    runtime_version_arn: str | None


class InitReport(Struct, frozen=True, kw_only=True):
    time_ms: int
    phase: Phase
    status: Status
    error_type: str | None
    duration_ms: float


class Start(Struct, frozen=True):
    time_ms: int
    request_id: str
    version: str
    keep_tail: bool
    """Whether the caller asked for the last 4 KB of the log."""
    trace_header: str = ""


class RuntimeDone(Struct, frozen=True):
    time_ms: int
    request_id: str
    status: Status
    error_type: str | None
    duration_ms: float
    produced_bytes: int
    response_latency_ms: float | None = None
    """Until the runtime began to answer; None when it did not."""
    response_duration_ms: float = 0.0
    """Of the answer, from its head to its end."""


class Report(Struct, frozen=True):
    time_ms: int
    request_id: str
    status: Status
    error_type: str | None
    duration_ms: float
    init_duration_ms: float | None
    """Only for the first invocation after a successful Init phase."""
    memory_mb: int
    max_memory_mb: int
    restore_duration_ms: float | None = None
    """Only for the first invocation after a restore."""
    billed_restore_ms: int | None = None
    extension_overhead_ms: float | None = None
    """Between the end of the runtime's work and that of the extensions; None without any."""


class Usage(Struct, frozen=True):
    """What one ended invocation is billed for. Prices and sums are `billing`'s."""

    version: FunctionVersion
    time_ms: int
    billed_ms: int
    """As the REPORT line says: Init and the billed part of a restore included."""
    first: bool = False
    """In its environment."""
    restored: bool = False
    """It is the first, and the environment came from a snapshot."""
    provisioned: bool = False
    """Its environment belongs to provisioned concurrency."""
    streamed_bytes: int = 0
    request_units: int = 1
    """More than one for a large event of an asynchronous invocation."""
    tenant: str | None = None
    status: Status = Status.SUCCESS


class ColdStart(Struct, frozen=True, kw_only=True):
    """One new environment: why it was made, where its runtime came from, and what its start took, in this order."""

    time_ms: int
    """When the environment was asked for."""
    environment_id: str
    runtime: str
    """Identifier of the function, for example `python3.12`."""
    cause: Cause
    busy: int
    """Environments of this deployment that existed already, none of them free."""
    how: HowStarted
    status: Status
    """Of the Init phase."""
    queued_ms: float
    """Waiting for room, for its files, and for its turn among the other starts of this machine."""
    sandbox_ms: float
    """Until there was a sandbox with the function's files, and somebody listened in it."""
    runtime_ms: float
    """Until the runtime process had its variables: an exec, or a word to one that waited."""
    init_ms: float
    """Until it asked for an event: the interpreter where that was exec'd, and the function's own Init."""
    handler_ms: float | None = None
    """Of the first invocation; None until that is over."""

    @property
    def total_ms(self) -> float:
        """What an invocation waited because nothing was warm."""
        return self.queued_ms + self.sandbox_ms + self.runtime_ms + self.init_ms

    @property
    def why(self) -> str:
        """The cause as a sentence."""
        match self.cause:
            case Cause.FIRST:
                return "first invocation of this version since the server started"
            case Cause.TENANT:
                return "first invocation of this tenant since the server started"
            case Cause.BUSY:
                return f"scale-out: {self.busy} environment{'s' if self.busy > 1 else ''} existed, none was free"
            case Cause.CHANGED:
                return "code or configuration was changed"
            case Cause.PROVISIONED:
                return "provisioned concurrency, before anybody asked"
            case Cause.IDLE:
                return "the last environment was idle for too long and had been stopped"
            case Cause.EVICTED:
                return "the last environment had been stopped to make room on the machine"
            case Cause.LOWERED:
                return "the last environment was a provisioned one and is not wanted any more"
            case Cause.FAILED:
                return "the last environment had ended by itself"


class InitRuntimeDone(Struct, frozen=True, kw_only=True):
    """The runtime asked for its first event, or will not; extensions may still be busy."""

    time_ms: int
    phase: Phase
    status: Status
    error_type: str | None


class RestoreStart(Struct, frozen=True, kw_only=True):
    time_ms: int
    runtime_version: str | None
    runtime_version_arn: str | None


class RestoreRuntimeDone(Struct, frozen=True, kw_only=True):
    """The after-restore hooks have run, or failed."""

    time_ms: int
    status: Status
    error_type: str | None


class RestoreReport(Struct, frozen=True, kw_only=True):
    time_ms: int
    status: Status
    error_type: str | None
    duration_ms: float


class Extension(Struct, frozen=True, kw_only=True):
    """What became of an extension in this Init."""

    time_ms: int
    name: str
    state: str
    """As Lambda prints it: Ready, Registered, LaunchError, InitError, ExitError ..."""
    events: tuple[str, ...]
    """INVOKE, SHUTDOWN: what it registered for."""
    error_type: str | None = None


class SubscriptionKind(StrEnum):
    TELEMETRY = "telemetry"
    LOGS = "logs"
    """Of the older Logs API."""


class TelemetrySubscription(Struct, frozen=True, kw_only=True):
    time_ms: int
    name: str
    """Of the extension that subscribed."""
    kind: SubscriptionKind
    types: tuple[str, ...]
    """platform, function, extension."""
    state: str = "Subscribed"


class LogsDropped(Struct, frozen=True, kw_only=True):
    """What a subscriber did not take in time."""

    time_ms: int
    dropped_records: int
    dropped_bytes: int
    reason: str


NOISE_MS: Final = 5e-7


def billed_ms(duration_ms: float, init_duration_ms: float | None = None, restore_ms: int | None = None) -> int:
    """Whole milliseconds, rounded up; Init is billed since August 2025. Rounding noise of floats is not billed."""
    total_ms = duration_ms + (init_duration_ms or 0.0) + (restore_ms or 0)
    whole_ms = int(total_ms)
    return whole_ms + (total_ms - whole_ms > NOISE_MS)
