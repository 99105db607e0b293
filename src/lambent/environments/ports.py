"""What environments need of others, beside drivers (`sandbox/ports`). Log store and gateway implement it."""

import socket
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

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
    TelemetrySubscription,
    Usage,
)
from lambent.environments.sandbox.ports import NetworkSpec
from lambent.functions.records import CodePackage, FunctionVersion
from lambent.runtimes.layout import RenderCommand, RuntimeStart


class NetworkSource(Protocol):
    async def network_of(self, version: FunctionVersion) -> NetworkSpec:
        """Where environments of a version are plugged in; it can be had when this returns. Raises ApiError."""
        ...


class LogStream(Protocol):
    """A log stream of one environment. Writing never waits; lines are stored within 200 ms."""

    def write(self, timestamp_ms: int, message: str) -> None: ...

    def close(self) -> None: ...


class LogSink(Protocol):
    def open(self, *, account: str, region: str, group: str, stream: str) -> LogStream:
        """Create group and stream lazily at the first write, as Lambda does."""
        ...


@dataclass(frozen=True, slots=True)
class SessionCredentials:
    """Credentials of one environment; accepted only on the listener of that environment."""

    account: str
    region: str
    role_arn: str
    session_name: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)


class Closer(Protocol):
    def close(self) -> None: ...


class AwsEndpoint(Protocol):
    """The gateway, as served inside a sandbox."""

    async def serve(self, listener: socket.socket, session: SessionCredentials) -> Closer:
        """Serve the AWS API on `listener`, for requests signed by `session` alone; never `/_lambent/*`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What an environment of one function version runs."""

    command: RenderCommand
    code_dir: Path
    lang_prefix: Path
    opt_dir: Path | None = None
    runtime: RuntimeStart | None = None
    """The interpreter that may have been started before; None: only by `command`."""
    must_exec: bool = True
    problem: str | None = None
    """Why the command would not start; None: it is tried."""
    extensions: tuple[str, ...] | None = ()
    """Names of the files in `/opt/extensions`, each an external extension; None: the function has turned them off."""
    runtime_version: str | None = None
    """For INIT_START, for example `python:3.12.v18`."""
    runtime_version_arn: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentIdentity:
    """What differs between two environments of one function version."""

    environment_id: str
    log_group: str
    log_stream: str
    credentials: SessionCredentials
    provisioned: bool = False
    """Made before anybody asked, by provisioned concurrency."""
    tenant_id: str | None = None
    """Whose it is, of a function with tenant isolation; set from its first moment and for good."""
    credentials_token: str = field(default="", repr=False)
    """Under SnapStart, what a runtime shows to the endpoint of its credentials."""
    metadata_token: str = field(default="", repr=False)
    """What a process shows to the endpoint that tells where it is."""


class ProgramSource(Protocol):
    def program(self, version: FunctionVersion, identity: EnvironmentIdentity) -> AbstractAsyncContextManager[Program]:
        """The program, whose files stay as they are as long as the context. Raises ApiError when it cannot run."""
        ...


class CodePackages(Protocol):
    """The unpacked packages of the control plane."""

    def hold(self, sha256: str) -> AbstractContextManager[Path]: ...

    async def ready(self, code: CodePackage) -> Path: ...

    def hold_opt(self, layers: Sequence[CodePackage]) -> AbstractContextManager[None]: ...

    async def ready_opt(self, layers: Sequence[CodePackage]) -> Path | None: ...


class Journal(Protocol):
    """What one environment tells of itself, in order. Calls are synchronous and never wait."""

    spans: bool
    """Whether it tells when the runtime began to answer; nobody takes those times for one that does not, and of a
    success it gets no `runtime_done`, which has nothing else to tell."""

    def cold_start(self, event: ColdStart) -> None:
        """After the Init, or the restore, that somebody waited for."""
        ...

    def init_start(self, event: InitStart) -> None: ...

    def init_runtime_done(self, event: InitRuntimeDone) -> None: ...

    def init_report(self, event: InitReport) -> None: ...

    def restore_start(self, event: RestoreStart) -> None: ...

    def restore_runtime_done(self, event: RestoreRuntimeDone) -> None: ...

    def restore_report(self, event: RestoreReport) -> None: ...

    def extension(self, event: Extension) -> None: ...

    def telemetry_subscription(self, event: TelemetrySubscription) -> None: ...

    def logs_dropped(self, event: LogsDropped) -> None: ...

    def start(self, event: Start) -> None: ...

    def output(self, time_ms: int, line: str) -> None:
        """One line that a process of the function wrote, with its line break when it had one."""
        ...

    def extension_output(self, time_ms: int, line: str) -> None:
        """The same of an extension."""
        ...

    def runtime_done(self, event: RuntimeDone) -> None: ...

    def report(self, event: Report) -> None: ...

    def tail(self) -> bytes:
        """The last 4,096 bytes since `start`, when that asked to keep them."""
        ...

    def close(self) -> None: ...


class Tally(Protocol):
    """Counts invocations as metrics. Called once for each, on the warm path: synchronous, about a microsecond."""

    def ended(self, version: FunctionVersion, function_arn: str, report: Report) -> None:
        """`function_arn`: in the form that the caller used."""
        ...


class NoTally:
    """Counts nothing."""

    def ended(self, version: FunctionVersion, function_arn: str, report: Report) -> None:
        pass


class Meter(Protocol):
    def ended(self, usage: Usage) -> None:
        """Once for each ended invocation, on the warm path: 2 us at most, nothing that waits, nothing that raises."""
        ...


class NoMeter:
    """For machines without a bill."""

    def ended(self, usage: Usage) -> None:
        pass


class JournalSource(Protocol):
    def open(self, version: FunctionVersion, identity: EnvironmentIdentity) -> Journal: ...
