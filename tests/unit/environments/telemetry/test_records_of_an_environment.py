"""Which records an environment makes, in which order: the source of log lines, telemetry and JSON events."""

from typing import Any

from lambent.environments.ports import EnvironmentIdentity
from lambent.functions.records import FunctionVersion
from lambent.testing.scripted_runtime import Echo, Exit, Fail, Next, Respond
from tests.unit.environments.kit import Machine, until

MEMBERS = (
    *("cold_start", "init_start", "init_runtime_done", "init_report", "restore_start", "restore_runtime_done"),
    *("restore_report", "extension", "telemetry_subscription", "logs_dropped", "start", "runtime_done", "report"),
)


class Recorder:
    """A `Journal` that keeps what it is told, and the source of itself."""

    def __init__(self, *, spans: bool = True) -> None:
        self.spans = spans
        self.told: list[tuple[str, Any]] = []
        for name in MEMBERS:
            setattr(self, name, self._keep(name))

    def _keep(self, name: str) -> Any:
        return lambda event: self.told.append((name, event))

    def output(self, time_ms: int, line: str) -> None:
        self.told.append(("output", line))

    extension_output = output

    def tail(self) -> bytes:
        return b""

    def close(self) -> None:
        pass

    def open(self, version: FunctionVersion, identity: EnvironmentIdentity) -> Any:
        return self

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.told]

    def events(self, name: str) -> list[Any]:
        return [event for told, event in self.told if told == name]


async def test_a_cold_start_is_told_before_the_report_of_its_init_and_that_before_the_invocation() -> None:
    recorder = Recorder()
    async with Machine(journals=recorder) as machine:
        await machine.invoke(trace_header="Root=1-0;Sampled=1")
        await until(lambda: machine.in_use() == 0)
    assert recorder.names == [
        "init_start", "init_runtime_done", "cold_start", "init_report", "start", "runtime_done", "report",
    ]  # fmt: skip
    assert recorder.events("init_start")[0].runtime_version == "python:3.12.v18"
    assert recorder.events("start")[0].trace_header == "Root=1-0;Sampled=1"
    done = recorder.events("runtime_done")[0]
    assert done.response_latency_ms is not None
    assert 0 <= done.response_latency_ms <= done.duration_ms
    assert 0 <= done.response_duration_ms <= done.duration_ms


async def test_who_does_not_want_times_gets_none_and_is_told_of_failures_alone() -> None:
    recorder = Recorder(spans=False)
    async with Machine([(Next(), Respond(), Next(), Fail(b"{}", "Runtime.Bad"), Next())], journals=recorder) as machine:
        for _ in range(2):
            await machine.invoke()
            # Answered is not free: without this the second may get an environment of its own.
            await until(lambda: machine.in_use() == 0)
    assert [(done.status, done.response_latency_ms) for done in recorder.events("runtime_done")] == [("error", None)]


async def test_an_init_inside_an_invocation_is_told_as_one() -> None:
    recorder = Recorder()
    async with Machine([(Exit(1),), (Echo(),)], journals=recorder) as machine:
        await machine.invoke()
        await until(lambda: machine.in_use() == 0)
    assert [name for name in recorder.names if name != "cold_start"] == [
        *["init_start", "init_runtime_done", "init_report"],
        *["init_start", "init_runtime_done", "init_report", "start", "runtime_done", "report"],
    ]
    assert [event.phase for event in recorder.events("init_start")] == ["init", "invoke"]
    assert [(event.phase, event.status) for event in recorder.events("init_runtime_done")] == [
        ("init", "error"),
        ("invoke", "success"),
    ]
    assert recorder.events("init_runtime_done")[0].error_type == "Runtime.ExitError"
