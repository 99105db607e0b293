"""The text lines of a log stream, character by character."""

from lambent.environments.events import (
    Extension,
    InitReport,
    InitStart,
    Phase,
    Report,
    RestoreReport,
    RestoreStart,
    Start,
    Status,
    SubscriptionKind,
    TelemetrySubscription,
    billed_ms,
)
from lambent.invocation import report
from lambent.invocation.tail import Tail
from tests.unit.environments.kit import ListStream

ID = "8f507cfc-2a3f-4f1e-9c0b-1d2e3f405060"


def a_report(**changes: object) -> Report:
    values = {
        "time_ms": 0,
        "request_id": ID,
        "status": Status.SUCCESS,
        "error_type": None,
        "duration_ms": 2.9,
        "init_duration_ms": None,
        "memory_mb": 128,
        "max_memory_mb": 36,
    }
    return Report(**(values | changes))  # type: ignore[arg-type]


def test_a_warm_report_ends_with_a_tab() -> None:
    assert report.report_line(a_report()) == (
        f"REPORT RequestId: {ID}\tDuration: 2.90 ms\tBilled Duration: 3 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 36 MB\t\n"
    )


def test_a_cold_report_shows_and_bills_init() -> None:
    line = report.report_line(a_report(init_duration_ms=110.101))
    assert "\tBilled Duration: 114 ms\t" in line
    assert line.endswith("\tMax Memory Used: 36 MB\tInit Duration: 110.10 ms\t\n")


def test_failures_name_their_status() -> None:
    assert report.report_line(a_report(status=Status.TIMEOUT)).endswith("Max Memory Used: 36 MB\tStatus: timeout\n")
    line = report.report_line(a_report(status=Status.FAILURE, error_type="Runtime.ExitError"))
    assert line.endswith("Max Memory Used: 36 MB\tStatus: error\tError Type: Runtime.ExitError\n")


def test_a_trace_that_the_caller_samples_has_a_line_after_the_report() -> None:
    header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=1e267efa23842df4;Sampled=1;Lineage=1:9c6e329c:0"
    line = "XRAY TraceId: 1-5759e988-bd862e3fe1be46a994272793\tSegmentId: 1e267efa23842df4\tSampled: true\t\n"
    assert report.xray_line(header) == line
    assert report.xray_line(header.replace("Sampled=1", "Sampled=0")) == ""
    stream = ListStream()
    journal = report.TextJournal(stream)
    journal.start(Start(0, ID, "1", True, header))
    journal.report(a_report())
    journal.start(Start(0, ID, "1", True, ""))
    journal.report(a_report())
    assert [message.count("\n") for message in stream.lines] == [1, 1, 2, 1, 1, 1]
    assert stream.lines[2].endswith(line)


def test_an_error_that_the_function_reported_is_an_ordinary_report() -> None:
    failed = a_report(status=Status.ERROR, error_type="Runtime.Unknown")
    assert report.report_line(failed) == report.report_line(a_report())


def test_billing_rounds_up_but_not_the_noise_of_floats() -> None:
    assert billed_ms(1000.0000000001, None) == 1000
    assert billed_ms(0.001, None) == 1
    assert billed_ms(2.9, 110.1) == 113


def test_start_end_and_init_lines() -> None:
    assert report.start_line(Start(0, ID, "7", False)) == f"START RequestId: {ID} Version: 7\n"
    assert report.end_line(a_report()) == f"END RequestId: {ID}\n"
    start = InitStart(time_ms=0, phase=Phase.INIT, runtime_version="python:3.12.v18", runtime_version_arn="arn:x")
    assert report.init_start_line(start) == "INIT_START Runtime Version: python:3.12.v18\tRuntime Version ARN: arn:x\n"
    failed = InitReport(time_ms=0, phase=Phase.INIT, status=Status.TIMEOUT, error_type=None, duration_ms=10009.131)
    assert report.init_report_line(failed) == "INIT_REPORT Init Duration: 10009.13 ms\tPhase: init\tStatus: timeout\n"
    fine = InitReport(time_ms=0, phase=Phase.INVOKE, status=Status.SUCCESS, error_type=None, duration_ms=1.0)
    assert report.init_report_line(fine) is None


def test_restore_lines_and_the_restore_in_a_report() -> None:
    start = RestoreStart(time_ms=0, runtime_version="python:3.12.v18", runtime_version_arn="arn:x")
    assert (
        report.restore_start_line(start)
        == "RESTORE_START Runtime Version: python:3.12.v18\tRuntime Version ARN: arn:x\n"
    )
    done = RestoreReport(time_ms=0, status=Status.SUCCESS, error_type=None, duration_ms=1236.041)
    assert report.restore_report_line(done) == "RESTORE_REPORT Restore Duration: 1236.04 ms\n"
    late = RestoreReport(time_ms=0, status=Status.TIMEOUT, error_type=None, duration_ms=1236.041)
    assert report.restore_report_line(late) == "RESTORE_REPORT Restore Duration: 1236.04 ms\tStatus: timeout\n"
    broken = RestoreReport(time_ms=0, status=Status.ERROR, error_type="Runtime.ExitError", duration_ms=1236.041)
    assert report.restore_report_line(broken).endswith("ms\tStatus: error\tError Type: Runtime.ExitError\n")
    line = report.report_line(a_report(restore_duration_ms=722.09, billed_restore_ms=140))
    assert line.endswith("\tRestore Duration: 722.09 ms\tBilled Restore Duration: 140 ms\t\n")
    assert "\tBilled Duration: 143 ms\t" in line


def test_lines_of_extensions_and_subscriptions() -> None:
    ready = Extension(time_ms=0, name="agent", state="Ready", events=("INVOKE", "SHUTDOWN"))
    assert report.extension_line(ready) == "EXTENSION\tName: agent\tState: Ready\tEvents: [INVOKE, SHUTDOWN]\n"
    broken = Extension(time_ms=0, name="agent", state="LaunchError", events=(), error_type="PermissionDenied")
    assert report.extension_line(broken) == (
        "EXTENSION\tName: agent\tState: LaunchError\tEvents: []\tError Type: PermissionDenied\n"
    )
    types = ("platform", "function", "extension")
    new = TelemetrySubscription(time_ms=0, name="agent", kind=SubscriptionKind.TELEMETRY, types=types)
    assert report.telemetry_subscription_line(new) == (
        "TELEMETRY\tName: agent\tState: Subscribed\tTypes: [Platform, Function, Extension]\n"
    )
    old = TelemetrySubscription(time_ms=0, name="agent", kind=SubscriptionKind.LOGS, types=("platform",))
    assert report.telemetry_subscription_line(old) == "LOGS\tName: agent\tState: Subscribed\tTypes: [Platform]\n"


def test_a_tail_keeps_the_last_four_kilobytes_in_bounded_memory() -> None:
    tail = Tail()
    for number in range(10_000):
        tail.add(f"{number}\n")
    assert tail.read() == "".join(f"{number}\n" for number in range(10_000)).encode()[-4096:]
    assert len(tail._lines) < 1000
    tail.add("é" * 1_000_000)
    assert len(tail.read()) == 4096
