"""Platform records as the events of AWS: `{"time", "type", "record"}` in each schema version. Pure.

Shapes: "Lambda Telemetry API Event schema reference" and "Lambda Logs API" of AWS's guide. The JSON lines of a log
stream are those of `Schema.TELEMETRY_2022_12_13`.
"""

import time
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from lambent.aws.arn import partition_of
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
from lambent.environments.identity import initialization_type
from lambent.environments.ports import EnvironmentIdentity
from lambent.functions.records import LATEST, FunctionVersion

Platform = (
    InitStart
    | InitRuntimeDone
    | InitReport
    | RestoreStart
    | RestoreRuntimeDone
    | RestoreReport
    | Extension
    | TelemetrySubscription
    | LogsDropped
    | Start
    | RuntimeDone
    | Report
)
"""The records that subscribers are told of."""

Event = tuple[str, Any]
"""Its type and its record."""


class Schema(StrEnum):
    LOGS_2020_08_15 = "2020-08-15"
    LOGS_2021_03_18 = "2021-03-18"
    TELEMETRY_2022_07_01 = "2022-07-01"
    TELEMETRY_2022_12_13 = "2022-12-13"
    TELEMETRY_2025_01_29 = "2025-01-29"

    @property
    def kind(self) -> SubscriptionKind:
        old = self in (Schema.LOGS_2020_08_15, Schema.LOGS_2021_03_18)
        return SubscriptionKind.LOGS if old else SubscriptionKind.TELEMETRY

    @property
    def objects(self) -> bool:
        """Whether a line that is a JSON object is told as one, where the function logs in JSON."""
        return self in (Schema.TELEMETRY_2022_12_13, Schema.TELEMETRY_2025_01_29)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What events tell of the environment as such."""

    initialization_type: str
    """on-demand, provisioned-concurrency or snap-start."""
    function_name: str
    function_version: str
    function_arn: str
    environment_id: str
    memory_mb: int
    json_lines: bool = False
    """The function logs in JSON."""
    tenant_id: str | None = None
    """Whose environment it is, of a function with tenant isolation."""

    @classmethod
    def of(cls, version: FunctionVersion, identity: EnvironmentIdentity) -> "About":
        qualifier = "" if version.version == LATEST else f":{version.version}"
        arn = f"arn:{partition_of(version.region)}:lambda:{version.region}:{version.account}:function:{version.name}"
        return cls(
            initialization_type=initialization_type(version, identity),
            function_name=version.name,
            function_version=version.version,
            function_arn=arn + qualifier,
            environment_id=identity.environment_id,
            memory_mb=version.memory_mb,
            json_lines=version.logging.format == "JSON",
            tenant_id=identity.tenant_id,
        )


@dataclass(slots=True)
class Surrounding:
    """What later events repeat of earlier ones."""

    cold: ColdStart | None = None
    trace_header: str = ""


def iso(time_ms: float) -> str:
    seconds, milliseconds = divmod(int(time_ms), 1000)
    return f"{_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def platform_events(event: Platform, about: About, schema: Schema, told: Surrounding) -> list[Event]:
    """What subscribers of `schema` are told of `event`; may be nothing."""
    if schema.kind is SubscriptionKind.LOGS:
        return _logs(event, about, schema)
    return [_telemetry(event, about, schema, told)]


def _telemetry(event: Platform, about: About, schema: Schema, told: Surrounding) -> Event:
    match event:
        case InitStart():
            record = _init(event, about) | _versions(event) | _instance(about)
            if schema is Schema.TELEMETRY_2025_01_29:
                record["functionArn"] = about.function_arn
            return "platform.initStart", record
        case InitRuntimeDone():
            return "platform.initRuntimeDone", _init(event, about) | _end(event)
        case InitReport():
            record = _init(event, about) | _end(event) | {"metrics": {"durationMs": round(event.duration_ms, 3)}}
            # Of an Init inside an invocation there is no cold start: the environment was there.
            return "platform.initReport", record | _cold_spans(told.cold if event.phase is Phase.INIT else None)
        case RestoreStart():
            return "platform.restoreStart", _versions(event) | _instance(about)
        case RestoreRuntimeDone():
            return "platform.restoreRuntimeDone", _end(event)
        case RestoreReport():
            record = _end(event) | {"metrics": {"durationMs": round(event.duration_ms, 3)}}
            return "platform.restoreReport", record | _cold_spans(told.cold)
        case Start():
            record = {"requestId": event.request_id, "version": event.version}
            if schema is Schema.TELEMETRY_2025_01_29:
                record["functionArn"] = about.function_arn
            return "platform.start", record | _tenant(about) | _tracing(event.trace_header)
        case RuntimeDone():
            return "platform.runtimeDone", (
                {"requestId": event.request_id}
                | _tenant(about)
                | _end(event)
                | _spans(event)
                | {"metrics": {"durationMs": round(event.duration_ms, 3), "producedBytes": event.produced_bytes}}
                | _tracing(told.trace_header)
            )
        case Report():
            return "platform.report", (
                {"requestId": event.request_id}
                | _tenant(about)
                | _end(event)
                | {"metrics": _metrics(event)}
                | _overhead(event)
                | _tracing(told.trace_header)
            )
        case _:
            return _of_extensions(event)


def _logs(event: Platform, about: About, schema: Schema) -> list[Event]:
    newer = schema is Schema.LOGS_2021_03_18
    match event:
        case Start():
            return [("platform.start", {"requestId": event.request_id, "version": event.version})]
        case RuntimeDone():
            done = {"requestId": event.request_id, "status": _old_status(event.status)}
            events: list[Event] = [("platform.runtimeDone", done)] if newer else []
            if event.status in (Status.FAILURE, Status.TIMEOUT):
                events.append(("platform.fault", fault(event)))
            return events
        case Report():
            report = {"requestId": event.request_id, "metrics": _metrics(event)}
            return [("platform.end", {"requestId": event.request_id}), ("platform.report", report)]
        case Extension() | TelemetrySubscription() | LogsDropped():
            return [_of_extensions(event)]
        case _ if not newer:
            return []
        case InitRuntimeDone():
            record = {"initializationType": about.initialization_type, "status": _old_status(event.status)}
            return [("platform.initRuntimeDone", record)]
        case InitReport():
            init = {"initializationType": about.initialization_type, "metrics": _billed(event)}
            return [("platform.initReport", init)]
        case RestoreStart():
            return [("platform.restoreStart", {})]
        case RestoreRuntimeDone():
            return [("platform.restoreRuntimeDone", {"status": _old_status(event.status)})]
        case RestoreReport():
            return [("platform.restoreReport", {"metrics": _billed(event)})]
        case _:
            return []


def _billed(event: InitReport | RestoreReport) -> dict[str, Any]:
    return {"durationMs": round(event.duration_ms, 2), "billedDurationMs": billed_ms(event.duration_ms)}


def _of_extensions(event: Extension | TelemetrySubscription | LogsDropped) -> Event:
    match event:
        case Extension():
            record = {"name": event.name, "state": event.state, "events": list(event.events)}
            return "platform.extension", record | ({"errorType": event.error_type} if event.error_type else {})
        case TelemetrySubscription():
            name = "logs" if event.kind is SubscriptionKind.LOGS else "telemetry"
            record = {"name": event.name, "state": event.state, "types": list(event.types)}
            return f"platform.{name}Subscription", record
        case LogsDropped():
            return "platform.logsDropped", {
                "reason": event.reason,
                "droppedRecords": event.dropped_records,
                "droppedBytes": event.dropped_bytes,
            }


def fault(event: RuntimeDone) -> str:
    line = f"RequestId: {event.request_id}\tStatus: {status(event.status)}"
    return f"{line}\tErrorType: {event.error_type}\n" if event.status is Status.FAILURE else f"{line}\n"


def status(value: Status) -> str:
    """Lambda keeps `failure` for faults of its own; a runtime that ended is an error."""
    return Status.ERROR if value is Status.FAILURE else value


def _old_status(value: Status) -> str:
    return Status.FAILURE if value is Status.ERROR else value


def _init(event: InitStart | InitRuntimeDone | InitReport, about: About) -> dict[str, Any]:
    return {"initializationType": about.initialization_type, "phase": event.phase}


def _versions(event: InitStart | RestoreStart) -> dict[str, Any]:
    if event.runtime_version is None:
        return {}
    return {"runtimeVersion": event.runtime_version, "runtimeVersionArn": event.runtime_version_arn or ""}


def _instance(about: About) -> dict[str, Any]:
    return {
        "functionName": about.function_name,
        "functionVersion": about.function_version,
        "instanceId": about.environment_id,
        "instanceMaxMemory": about.memory_mb * 1024 * 1024,
    }


def _end(
    event: InitRuntimeDone | InitReport | RestoreRuntimeDone | RestoreReport | RuntimeDone | Report,
) -> dict[str, Any]:
    record: dict[str, Any] = {"status": status(event.status)}
    if event.error_type and event.status in (Status.ERROR, Status.FAILURE):
        record["errorType"] = event.error_type
    return record


def _metrics(event: Report) -> dict[str, Any]:
    metrics: dict[str, Any] = {
        "durationMs": round(event.duration_ms, 3),
        "billedDurationMs": billed_ms(event.duration_ms, event.init_duration_ms, event.billed_restore_ms),
        "memorySizeMB": event.memory_mb,
        "maxMemoryUsedMB": event.max_memory_mb,
    }
    if event.init_duration_ms is not None:
        metrics["initDurationMs"] = round(event.init_duration_ms, 3)
    if event.restore_duration_ms is not None:
        metrics["restoreDurationMs"] = round(event.restore_duration_ms, 3)
        metrics["billedRestoreDurationMs"] = event.billed_restore_ms or 0
    return metrics


def _span(name: str, start_ms: float, duration_ms: float) -> dict[str, Any]:
    return {"name": name, "start": iso(start_ms), "durationMs": round(max(0.0, duration_ms), 3)}


def _spans(event: RuntimeDone) -> dict[str, Any]:
    """Only of an invocation that was answered."""
    latency, took = event.response_latency_ms, event.response_duration_ms
    if latency is None:
        return {}
    began = event.time_ms - event.duration_ms
    return {
        "spans": [
            _span("responseLatency", began, latency),
            _span("responseDuration", began + latency, took),
            _span("runtimeOverhead", began + latency + took, event.duration_ms - latency - took),
        ]
    }


def _overhead(event: Report) -> dict[str, Any]:
    if event.extension_overhead_ms is None:
        return {}
    began = event.time_ms - event.extension_overhead_ms
    return {"spans": [_span("extensionOverhead", began, event.extension_overhead_ms)]}


def _cold_spans(cold: ColdStart | None) -> dict[str, Any]:
    """The phases of a cold start, in the order in which they were passed; AWS names none."""
    if cold is None:
        return {}
    spans, at = [], float(cold.time_ms)
    for name in ("queued", "sandbox", "runtime", "init"):
        took: float = getattr(cold, f"{name}_ms")
        spans.append(_span(name, at, took))
        at += took
    return {"spans": spans}


def _tenant(about: About) -> dict[str, Any]:
    return {} if about.tenant_id is None else {"tenantId": about.tenant_id}


def _tracing(header: str) -> dict[str, Any]:
    """Of a request that is traced: Lambda says nothing of a trace that nobody samples."""
    if "Sampled=1" not in header:
        return {}
    return {"tracing": {"type": "X-Amzn-Trace-Id", "value": header}}
