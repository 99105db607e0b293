"""The events of each schema version, field by field."""

from typing import Any

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
from lambent.environments.telemetry.schemas import About, Platform, Schema, Surrounding, iso, platform_events
from tests.unit.environments.kit import function_version
from tests.unit.environments.telemetry.kit import ID, IDENTITY, TIME_MS
from tests.unit.environments.test_cold_starts import cold_start

ABOUT = About.of(function_version(), IDENTITY)
NEW, OLD, NEWER_OLD = Schema.TELEMETRY_2022_12_13, Schema.LOGS_2020_08_15, Schema.LOGS_2021_03_18
INSTANCE = {
    "functionName": "thumbnail",
    "functionVersion": "$LATEST",
    "instanceId": IDENTITY.environment_id,
    "instanceMaxMemory": 134_217_728,
}
TRACE = "Root=1-62e900b2-710d76f009d6e7785905449a;Parent=0efbd19962d95b05;Sampled=1"


def events(event: Platform, schema: Schema = NEW, *, trace: str = "") -> list[tuple[str, Any]]:
    return platform_events(event, ABOUT, schema, Surrounding(trace_header=trace))


def done(status: Status = Status.SUCCESS, error_type: str | None = None, latency: float | None = 2.2154) -> RuntimeDone:
    return RuntimeDone(TIME_MS, ID, status, error_type, 11.1854, 40, latency, 0.056)


def report(**changes: Any) -> Report:
    values: dict[str, Any] = {"status": Status.SUCCESS, "error_type": None, "init_duration_ms": None} | changes
    return Report(time_ms=TIME_MS, request_id=ID, duration_ms=11.642, memory_mb=128, max_memory_mb=67, **values)


def init_report(status: Status = Status.SUCCESS, error_type: str | None = None) -> InitReport:
    return InitReport(time_ms=TIME_MS, phase=Phase.INIT, status=status, error_type=error_type, duration_ms=173.7784)


def test_times_are_iso_with_milliseconds() -> None:
    assert iso(TIME_MS) == "2025-11-20T20:04:39.123Z"
    assert iso(0) == "1970-01-01T00:00:00.000Z"


@pytest.mark.parametrize("schema", [Schema.TELEMETRY_2022_07_01, NEW, Schema.TELEMETRY_2025_01_29])
def test_the_init_phase(schema: Schema) -> None:
    newest = {"functionArn": "arn:aws:lambda:us-east-1:000000000000:function:thumbnail"}
    arn = newest if schema is Schema.TELEMETRY_2025_01_29 else {}
    start = InitStart(time_ms=0, phase=Phase.INIT, runtime_version="python:3.12.v18", runtime_version_arn="arn:x")
    assert events(start, schema) == [
        (
            "platform.initStart",
            {
                "initializationType": "on-demand",
                "phase": "init",
                "runtimeVersion": "python:3.12.v18",
                "runtimeVersionArn": "arn:x",
            }
            | INSTANCE
            | arn,
        )
    ]
    runtime = InitRuntimeDone(time_ms=0, phase=Phase.INIT, status=Status.SUCCESS, error_type=None)
    record = {"initializationType": "on-demand", "phase": "init", "status": "success"}
    assert events(runtime, schema) == [("platform.initRuntimeDone", record)]
    assert events(init_report(), schema) == [("platform.initReport", record | {"metrics": {"durationMs": 173.778}})]


def test_the_phases_of_a_cold_start_are_spans_of_its_init_or_its_restore_and_of_no_later_init() -> None:
    told = Surrounding(cold=cold_start())
    names = ["queued", "sandbox", "runtime", "init"]
    restored = RestoreReport(time_ms=TIME_MS, status=Status.SUCCESS, error_type=None, duration_ms=3.5)
    for event in (init_report(), restored):
        ((_, record),) = platform_events(event, ABOUT, NEW, told)
        assert [span["name"] for span in record["spans"]] == names
    again = InitReport(time_ms=TIME_MS, phase=Phase.INVOKE, status=Status.SUCCESS, error_type=None, duration_ms=1.0)
    assert "spans" not in platform_events(again, ABOUT, NEW, told)[0][1]


def test_a_runtime_without_a_version_names_none() -> None:
    start = InitStart(time_ms=0, phase=Phase.INVOKE, runtime_version=None, runtime_version_arn=None)
    ((_, record),) = events(start)
    assert record == {"initializationType": "on-demand", "phase": "invoke"} | INSTANCE


def test_a_failed_init_names_its_error() -> None:
    ((_, record),) = events(init_report(Status.ERROR, "Runtime.ExitError"))
    assert (record["status"], record["errorType"]) == ("error", "Runtime.ExitError")
    ((_, record),) = events(init_report(Status.TIMEOUT, None))
    assert record["status"] == "timeout"
    assert "errorType" not in record


def test_an_invocation() -> None:
    assert events(Start(0, ID, "7", False)) == [("platform.start", {"requestId": ID, "version": "7"})]
    assert events(done()) == [
        (
            "platform.runtimeDone",
            {
                "requestId": ID,
                "status": "success",
                "spans": [
                    {"name": "responseLatency", "start": "2025-11-20T20:04:39.111Z", "durationMs": 2.215},
                    {"name": "responseDuration", "start": "2025-11-20T20:04:39.114Z", "durationMs": 0.056},
                    {"name": "runtimeOverhead", "start": "2025-11-20T20:04:39.114Z", "durationMs": 8.914},
                ],
                "metrics": {"durationMs": 11.185, "producedBytes": 40},
            },
        )
    ]
    metrics = {"durationMs": 11.642, "billedDurationMs": 12, "memorySizeMB": 128, "maxMemoryUsedMB": 67}
    assert events(report()) == [("platform.report", {"requestId": ID, "status": "success", "metrics": metrics})]


def test_a_cold_invocation_and_a_restored_one() -> None:
    ((_, record),) = events(report(init_duration_ms=174.0551))
    assert record["metrics"]["initDurationMs"] == 174.055
    assert record["metrics"]["billedDurationMs"] == 186
    ((_, record),) = events(report(restore_duration_ms=722.091, billed_restore_ms=140))
    assert record["metrics"]["restoreDurationMs"] == 722.091
    assert record["metrics"]["billedRestoreDurationMs"] == 140
    assert record["metrics"]["billedDurationMs"] == 152


def test_failures() -> None:
    ((_, record),) = events(done(Status.TIMEOUT, "Sandbox.Timedout", None))
    assert record == {
        "requestId": ID,
        "status": "timeout",
        "metrics": {"durationMs": 11.185, "producedBytes": 40},
    }
    for status in (Status.ERROR, Status.FAILURE):
        ((_, record),) = events(report(status=status, error_type="Runtime.ExitError"))
        assert (record["status"], record["errorType"]) == ("error", "Runtime.ExitError")


def test_tracing_is_told_of_what_is_sampled() -> None:
    tracing = {"type": "X-Amzn-Trace-Id", "value": TRACE}
    assert events(Start(0, ID, "7", False, TRACE))[0][1]["tracing"] == tracing
    assert events(done(), trace=TRACE)[0][1]["tracing"] == tracing
    assert events(report(), trace=TRACE)[0][1]["tracing"] == tracing
    assert (
        "tracing" not in events(Start(0, ID, "7", False, TRACE.replace("=1", "=0").replace("Root=0", "Root=1")))[0][1]
    )


def test_the_newest_schema_names_the_function() -> None:
    ((_, record),) = events(Start(0, ID, "$LATEST", False), Schema.TELEMETRY_2025_01_29)
    assert record["functionArn"].endswith(":function:thumbnail")
    about = About.of(function_version(version="3"), IDENTITY)
    ((_, record),) = platform_events(Start(0, ID, "3", False), about, Schema.TELEMETRY_2025_01_29, Surrounding())
    assert record["functionArn"].endswith(":function:thumbnail:3")


def test_extensions_take_their_time() -> None:
    ((_, record),) = events(report(extension_overhead_ms=23.5))
    assert record["spans"] == [{"name": "extensionOverhead", "start": "2025-11-20T20:04:39.099Z", "durationMs": 23.5}]


def test_a_restore() -> None:
    start = RestoreStart(time_ms=0, runtime_version="python:3.12.v18", runtime_version_arn="arn:x")
    versions = {"runtimeVersion": "python:3.12.v18", "runtimeVersionArn": "arn:x"}
    assert events(start) == [("platform.restoreStart", versions | INSTANCE)]
    hooks = RestoreRuntimeDone(time_ms=0, status=Status.TIMEOUT, error_type=None)
    assert events(hooks) == [("platform.restoreRuntimeDone", {"status": "timeout"})]
    end = RestoreReport(time_ms=0, status=Status.SUCCESS, error_type=None, duration_ms=15.19)
    metrics = {"durationMs": 15.19}
    assert events(end) == [("platform.restoreReport", {"status": "success", "metrics": metrics})]
    assert events(start, OLD) == []
    assert events(start, NEWER_OLD) == [("platform.restoreStart", {})]
    assert events(hooks, NEWER_OLD) == [("platform.restoreRuntimeDone", {"status": "timeout"})]
    assert events(end, NEWER_OLD) == [("platform.restoreReport", {"metrics": metrics | {"billedDurationMs": 16}})]


@pytest.mark.parametrize("schema", Schema)
def test_extensions_subscriptions_and_drops_are_the_same_in_all(schema: Schema) -> None:
    extension = Extension(time_ms=0, name="agent", state="Ready", events=("INVOKE", "SHUTDOWN"))
    record: dict[str, Any] = {"name": "agent", "state": "Ready", "events": ["INVOKE", "SHUTDOWN"]}
    assert events(extension, schema) == [("platform.extension", record)]
    for kind in SubscriptionKind:
        subscription = TelemetrySubscription(time_ms=0, name="agent", kind=kind, types=("platform",))
        record = {"name": "agent", "state": "Subscribed", "types": ["platform"]}
        assert events(subscription, schema) == [(f"platform.{kind}Subscription", record)]
    record = {"reason": "slow", "droppedRecords": 2, "droppedBytes": 20}
    dropped = LogsDropped(time_ms=0, dropped_records=2, dropped_bytes=20, reason="slow")
    assert events(dropped, schema) == [("platform.logsDropped", record)]


def test_the_logs_api_has_ends_and_faults_and_no_spans() -> None:
    assert events(done(), OLD) == []
    assert events(done(), NEWER_OLD) == [("platform.runtimeDone", {"requestId": ID, "status": "success"})]
    failed = done(Status.FAILURE, "Runtime.ExitError")
    fault = ("platform.fault", f"RequestId: {ID}\tStatus: error\tErrorType: Runtime.ExitError\n")
    assert events(failed, NEWER_OLD) == [
        ("platform.runtimeDone", {"requestId": ID, "status": "failure"}),
        fault,
    ]
    assert events(failed, OLD) == [fault]
    late = done(Status.TIMEOUT, "Sandbox.Timedout")
    assert events(late, OLD) == [("platform.fault", f"RequestId: {ID}\tStatus: timeout\n")]
    assert events(done(Status.ERROR, "Runtime.Unknown"), OLD) == []
    metrics = {"durationMs": 11.642, "billedDurationMs": 12, "memorySizeMB": 128, "maxMemoryUsedMB": 67}
    assert events(report(), OLD) == [
        ("platform.end", {"requestId": ID}),
        ("platform.report", {"requestId": ID, "metrics": metrics}),
    ]
    assert events(init_report(), OLD) == []
    assert events(init_report(), NEWER_OLD) == [
        (
            "platform.initReport",
            {"initializationType": "on-demand", "metrics": {"durationMs": 173.78, "billedDurationMs": 174}},
        )
    ]
