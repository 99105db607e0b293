"""What is written of each invocation: the text lines of a log stream and their tail.

Implements the `Journal` of an environment on a `LogStream`. The order START < output < END < REPORT is the order of
the calls; nothing is reordered or delayed here.
"""

from lambent.environments.events import (
    ColdStart,
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
    billed_ms,
)
from lambent.environments.ports import LogStream
from lambent.invocation.tail import Tail


def init_start_line(event: InitStart) -> str | None:
    """Managed zip runtimes only; Init inside an invocation is not announced."""
    if event.runtime_version is None or event.phase is not Phase.INIT:
        return None
    arn = event.runtime_version_arn or ""
    return f"INIT_START Runtime Version: {event.runtime_version}\tRuntime Version ARN: {arn}\n"


def init_report_line(event: InitReport, *, always: bool = False) -> str | None:
    """Of a failure. The duration of a success is in the REPORT line, or part of the invocation's; of an Init that no
    invocation waited for it is told `always`."""
    if event.status is Status.SUCCESS:
        return f"INIT_REPORT Init Duration: {event.duration_ms:.2f} ms\n" if always else None
    line = f"INIT_REPORT Init Duration: {event.duration_ms:.2f} ms\tPhase: {event.phase}\tStatus: {event.status}"
    return line + (f"\tError Type: {event.error_type}\n" if event.error_type else "\n")


def restore_start_line(event: RestoreStart) -> str:
    arn = event.runtime_version_arn or ""
    return f"RESTORE_START Runtime Version: {event.runtime_version or ''}\tRuntime Version ARN: {arn}\n"


def restore_report_line(event: RestoreReport) -> str:
    line = f"RESTORE_REPORT Restore Duration: {event.duration_ms:.2f} ms"
    if event.status is not Status.SUCCESS:
        line += f"\tStatus: {event.status}"
    return line + (f"\tError Type: {event.error_type}\n" if event.error_type else "\n")


def extension_line(event: Extension) -> str:
    line = f"EXTENSION\tName: {event.name}\tState: {event.state}\tEvents: [{', '.join(event.events)}]"
    return line + (f"\tError Type: {event.error_type}\n" if event.error_type else "\n")


def telemetry_subscription_line(event: TelemetrySubscription) -> str:
    word = "LOGS" if event.kind is SubscriptionKind.LOGS else "TELEMETRY"
    types = ", ".join(name.capitalize() for name in event.types)
    return f"{word}\tName: {event.name}\tState: {event.state}\tTypes: [{types}]\n"


def start_line(event: Start) -> str:
    return f"START RequestId: {event.request_id} Version: {event.version}\n"


def end_line(event: Report) -> str:
    return f"END RequestId: {event.request_id}\n"


def report_line(event: Report) -> str:
    line = (
        f"REPORT RequestId: {event.request_id}\tDuration: {event.duration_ms:.2f} ms\t"
        f"Billed Duration: {billed_ms(event.duration_ms, event.init_duration_ms, event.billed_restore_ms)} ms\t"
        f"Memory Size: {event.memory_mb} MB\tMax Memory Used: {event.max_memory_mb} MB\t"
    )
    if event.init_duration_ms is not None:
        line += f"Init Duration: {event.init_duration_ms:.2f} ms\t"
    if event.restore_duration_ms is not None:
        line += (
            f"Restore Duration: {event.restore_duration_ms:.2f} ms\t"
            f"Billed Restore Duration: {event.billed_restore_ms or 0} ms\t"
        )
    if event.status is Status.TIMEOUT:
        line += "Status: timeout"
    elif event.status is Status.FAILURE:
        # An error that the function reported is not told here: Lambda's REPORT lines do not either.
        line += "Status: error" + (f"\tError Type: {event.error_type}" if event.error_type else "")
    return line + "\n"


def xray_line(trace_header: str) -> str:
    """Of an invocation that the caller traces; its parent is the segment of the function itself. "" of any other."""
    if "Sampled=1" not in trace_header:
        return ""
    parts = dict(part.split("=", 1) for part in trace_header.split(";") if "=" in part)
    return f"XRAY TraceId: {parts.get('Root', '')}\tSegmentId: {parts.get('Parent', '')}\tSampled: true\t\n"


class TextJournal:
    """Implements `Journal` in the plain text format."""

    __slots__ = ("_early", "_stream", "_tail", "_trace", "spans")

    def __init__(self, stream: LogStream, *, early: bool = False) -> None:
        """`early`: the environment is made before anybody invokes the function."""
        self._stream = stream
        self._early = early
        self.spans = False
        self._tail: Tail | None = None
        self._trace = ""

    def cold_start(self, event: ColdStart) -> None:
        """No line of Lambda's tells it."""

    def init_start(self, event: InitStart) -> None:
        self._write(event.time_ms, init_start_line(event))

    def init_runtime_done(self, event: InitRuntimeDone) -> None:
        """No line of Lambda's tells it."""

    def init_report(self, event: InitReport) -> None:
        self._write(event.time_ms, init_report_line(event, always=self._early and event.phase is Phase.INIT))

    def restore_start(self, event: RestoreStart) -> None:
        self._write(event.time_ms, restore_start_line(event))

    def restore_runtime_done(self, event: RestoreRuntimeDone) -> None:
        """No line of Lambda's tells it."""

    def restore_report(self, event: RestoreReport) -> None:
        self._write(event.time_ms, restore_report_line(event))

    def extension(self, event: Extension) -> None:
        self._write(event.time_ms, extension_line(event))

    def telemetry_subscription(self, event: TelemetrySubscription) -> None:
        self._write(event.time_ms, telemetry_subscription_line(event))

    def logs_dropped(self, event: LogsDropped) -> None:
        """Told to subscribers alone."""

    def start(self, event: Start) -> None:
        self._tail = Tail() if event.keep_tail else None
        self._trace = event.trace_header
        self._write(event.time_ms, start_line(event))

    def output(self, time_ms: int, line: str) -> None:
        self._write(time_ms, line)

    def extension_output(self, time_ms: int, line: str) -> None:
        self._write(time_ms, line)

    def runtime_done(self, event: RuntimeDone) -> None:
        """No line of Lambda's tells it: extensions may go on until END."""

    def report(self, event: Report) -> None:
        self._write(event.time_ms, end_line(event))
        # One event of two lines where there is a trace, as on AWS.
        self._write(event.time_ms, report_line(event) + xray_line(self._trace))

    def tail(self) -> bytes:
        return self._tail.read() if self._tail is not None else b""

    def close(self) -> None:
        self._stream.close()

    def _write(self, time_ms: int, line: str | None) -> None:
        if line is None:
            return
        self._stream.write(time_ms, line)
        if self._tail is not None:
            self._tail.add(line)
