"""The records of one environment on their way to its journal, with subscribers inside the sandbox as further readers.

Implements `Journal`. Without subscribers its members are the journal's own: a record costs what it did before. During
an Init everything is kept for those who subscribe before its end; afterwards nobody can.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lambent.core.clock import Clock
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
    SubscriptionKind,
    TelemetrySubscription,
)
from lambent.environments.ports import EnvironmentIdentity, Journal
from lambent.environments.telemetry.memory import Memory
from lambent.functions.records import FunctionVersion

if TYPE_CHECKING:
    from lambent.environments.telemetry.delivery import Connect
    from lambent.environments.telemetry.hub import Hub
    from lambent.environments.telemetry.schemas import Platform
    from lambent.environments.telemetry.subscription import Subscription

MAX_KEPT = 2000
MAX_KEPT_BYTES = 256 * 1024
"""Of an Init, for those who are still to subscribe; later records are dropped."""

_PLATFORM = (
    "init_runtime_done",
    "restore_runtime_done",
    "extension",
    "telemetry_subscription",
    "logs_dropped",
    "start",
    "runtime_done",
    "report",
)
_LINES = ("output", "extension_output")


class Stream:
    """Of one environment, over all its Inits. `subscribe` is for the API inside, the rest for the owner."""

    init_runtime_done: Callable[[InitRuntimeDone], None]
    restore_runtime_done: Callable[[RestoreRuntimeDone], None]
    extension: Callable[[Extension], None]
    telemetry_subscription: Callable[[TelemetrySubscription], None]
    logs_dropped: Callable[[LogsDropped], None]
    start: Callable[[Start], None]
    runtime_done: Callable[[RuntimeDone], None]
    report: Callable[[Report], None]
    output: Callable[[int, str], None]
    extension_output: Callable[[int, str], None]

    def __init__(
        self,
        journal: Journal,
        version: FunctionVersion,
        identity: EnvironmentIdentity,
        clock: Clock,
        memory: Memory,
    ) -> None:
        self._journal = journal
        self._version = version
        self._identity = identity
        self._clock = clock
        self._memory = memory
        self._connect: Connect | None = None
        self._hub: Hub | None = None
        self._kept: list[tuple[str, int, Any]] | None = None
        self._kept_bytes = 0
        self._cold: ColdStart | None = None
        self.tail = journal.tail
        self._pass_on()

    def attach(self, connect: "Connect") -> None:
        """How the inside is reached, once there is one."""
        self._connect = connect

    @property
    def open(self) -> bool:
        """Whether one may subscribe."""
        return self._kept is not None

    # Journal

    def cold_start(self, event: ColdStart) -> None:
        self._cold = event
        if self._hub is not None:
            self._hub.cold_start(event)
        self._journal.cold_start(event)

    def init_start(self, event: InitStart) -> None:
        self._open()
        self._journal.init_start(event)
        self._keep("platform", event.time_ms, event)

    def init_report(self, event: InitReport) -> None:
        self._journal.init_report(event)
        self._tell("platform", event.time_ms, event)
        self._close()

    def restore_start(self, event: RestoreStart) -> None:
        # The extensions of a restored environment are new processes, and subscribe now.
        self._open()
        self._journal.restore_start(event)
        self._keep("platform", event.time_ms, event)

    def restore_report(self, event: RestoreReport) -> None:
        self._journal.restore_report(event)
        self._tell("platform", event.time_ms, event)
        self._close()

    def _open(self) -> None:
        self._kept, self._kept_bytes = [], 0
        if self._hub is not None:
            self._hub.suspend()
            self._hub.thaw()
        self._watch()

    def _close(self) -> None:
        self._kept = None
        if self._hub is not None:
            self._hub.forget_suspended()
        if self._hub is None or not self._hub.subscribers:
            self._hub = None
            self._pass_on()

    def close(self) -> None:
        self.stop()
        self._journal.close()

    # Readers

    def _pass_on(self) -> None:
        self.spans = self._journal.spans
        for name in (*_PLATFORM, *_LINES):
            setattr(self, name, getattr(self._journal, name))

    def _watch(self) -> None:
        self.spans = True
        for name in _PLATFORM:
            setattr(self, name, self._platform(getattr(self._journal, name)))
        self.output = self._lines("function", self._journal.output)
        self.extension_output = self._lines("extension", self._journal.extension_output)

    def _platform(self, write: "Callable[[Platform], None]") -> "Callable[[Platform], None]":
        def told(event: "Platform") -> None:
            write(event)
            self._tell("platform", event.time_ms, event)

        return told

    def _lines(self, category: str, write: Callable[[int, str], None]) -> Callable[[int, str], None]:
        def told(time_ms: int, line: str) -> None:
            write(time_ms, line)
            self._tell(category, time_ms, line)

        return told

    def _tell(self, category: str, time_ms: int, record: Any) -> None:
        self._keep(category, time_ms, record)
        if self._hub is not None:
            self._hub.tell(category, time_ms, record)

    def _keep(self, category: str, time_ms: int, record: Any) -> None:
        kept = self._kept
        if kept is None or len(kept) >= MAX_KEPT or self._kept_bytes >= MAX_KEPT_BYTES:
            return
        kept.append((category, time_ms, record))
        if category != "platform":
            self._kept_bytes += len(record)

    # Subscribers

    def subscribe(self, name: str, kind: SubscriptionKind, subscription: "Subscription") -> str:
        """OK, or AlreadySubscribed where nothing changes. Raises `subscription.Refused`."""
        if self._hub is None:
            # What only environments with subscribers need is imported for the first of them.
            from lambent.environments.telemetry.hub import Hub
            from lambent.environments.telemetry.schemas import About

            assert self._connect is not None
            about = About.of(self._version, self._identity)
            self._hub = Hub(about, self._clock, self._memory, self._connect, self._report_dropped)
            if self._cold is not None:
                self._hub.cold_start(self._cold)
        answer = self._hub.subscribe(name, kind, subscription, self._kept or [])
        self.telemetry_subscription(
            TelemetrySubscription(
                time_ms=self._clock.epoch_ms(),
                name=name,
                kind=kind,
                types=subscription.types,
                state="Subscribed" if answer == "OK" else "Already subscribed",
            )
        )
        return answer

    def _report_dropped(self, event: LogsDropped) -> None:
        self.logs_dropped(event)

    def freeze(self) -> None:
        if self._hub is not None:
            self._hub.freeze()

    def thaw(self) -> None:
        if self._hub is not None:
            self._hub.thaw()

    def flush(self) -> None:
        """Deliver now what there is: the environment shuts down."""
        if self._hub is not None:
            self._hub.flush()

    def stop(self) -> None:
        """No further delivery. Safe to call twice."""
        if self._hub is not None:
            self._hub.close()
            self._hub = None
            self._pass_on()
