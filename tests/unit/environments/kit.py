"""A machine of fakes: a pool over FakeSandboxes, scripted runtimes and a log that lists can be compared with."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from lambent.core.clock import Clock, SystemClock
from lambent.environments.environment import Environment
from lambent.environments.pool import Pool
from lambent.environments.ports import EnvironmentIdentity, JournalSource, Program
from lambent.environments.request import InvokeRequest, InvokeResult
from lambent.environments.sandbox.ports import SandboxError
from lambent.functions.records import CodePackage, FunctionVersion, LoggingConfig
from lambent.invocation.concurrency import Concurrency, Reservations
from lambent.invocation.journals import Journals
from lambent.invocation.metrics import Metrics
from lambent.invocation.router import Router
from lambent.runtimes.layout import Command
from lambent.testing.fake_sandbox import FakeDriver
from lambent.testing.manual_clock import ManualClock
from lambent.testing.scripted_extension import Steps
from lambent.testing.scripted_runtime import Echo, Script

ECHO: Sequence[Script] = ((Echo(),),)
REQUEST_ID = "8f507cfc-2a3f-4f1e-9c0b-1d2e3f405060"
WAIT_S = 10.0
VARIABLES = {
    "_HANDLER": "app.handler",
    "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
    "AWS_LAMBDA_FUNCTION_NAME": "thumbnail",
    "LAMBDA_TASK_ROOT": "/var/task",
    "PWD": "/var/task",
    "SECRET": "x",
}

T = TypeVar("T")


def function_version(**changes: Any) -> FunctionVersion:
    version = FunctionVersion(
        account="000000000000",
        region="us-east-1",
        name="thumbnail",
        version="$LATEST",
        runtime="python3.12",
        handler="app.handler",
        role="arn:aws:iam::000000000000:role/service-role/worker",
        code=CodePackage("00" * 32, 100, 100),
        deployment_id="deployment-1",
        revision_id="11111111-1111-4111-8111-111111111111",
        last_modified=datetime(2026, 11, 20, tzinfo=UTC),
        logging=LoggingConfig("/aws/lambda/thumbnail"),
    )
    return replace(version, **changes)


def request(payload: bytes = b"{}", *, request_id: str = REQUEST_ID, **changes: Any) -> InvokeRequest:
    arn = "arn:aws:lambda:us-east-1:000000000000:function:thumbnail"
    return InvokeRequest(request_id=request_id, payload=payload, function_arn=arn, **changes)


@dataclass
class ListStream:
    lines: list[str] = field(default_factory=list)
    closed: bool = False

    def write(self, timestamp_ms: int, message: str) -> None:
        self.lines.append(message)

    def close(self) -> None:
        self.closed = True


@dataclass
class ListSink:
    """A LogSink that keeps every stream by (group, stream)."""

    streams: dict[tuple[str, str], ListStream] = field(default_factory=dict)

    def open(self, *, account: str, region: str, group: str, stream: str) -> ListStream:
        return self.streams.setdefault((group, stream), ListStream())

    @property
    def lines(self) -> list[str]:
        return [line for stream in self.streams.values() for line in stream.lines]


@dataclass(frozen=True)
class FixedProgram:
    extensions: tuple[str, ...] | None = ()

    @asynccontextmanager
    async def program(self, version: FunctionVersion, identity: EnvironmentIdentity) -> AsyncIterator[Program]:
        yield Program(
            command=lambda layout: Command(("/var/lang/bin/python",), VARIABLES),
            code_dir=Path("/code"),
            lang_prefix=Path("/lang"),
            extensions=self.extensions,
            runtime_version="python:3.12.v18",
            runtime_version_arn="arn:aws:lambda:us-east-1::runtime:00",
        )


class Machine:
    """Everything below the gateway that an invocation passes, on fakes."""

    def __init__(
        self,
        scripts: Callable[[int], Sequence[Script]] | Sequence[Script] = ECHO,
        *,
        clock: Clock | None = None,
        account_limit: int = 1000,
        reservations: Reservations | None = None,
        journals: JournalSource | None = None,
        extensions: Mapping[str, Steps | SandboxError] | None = None,
        extensions_off: bool = False,
        **pool: Any,
    ) -> None:
        self.driver = FakeDriver(scripts)
        self.driver.extension_scripts.update(extensions or {})
        self.log = ListSink()
        self.clock: Clock = clock or SystemClock()
        self.metrics = Metrics(self.clock)
        self.pool = Pool(
            driver=self.driver,
            programs=FixedProgram(None if extensions_off else tuple(extensions or ())),
            journals=journals or Journals(self.log),
            clock=self.clock,
            tally=self.metrics,
            **pool,
        )
        self.concurrency = Concurrency(account_limit, reservations, clock=self.clock)
        self.router = Router(self.concurrency, self.pool, self.metrics)
        self._numbers = itertools.count()

    async def __aenter__(self) -> "Machine":
        return self

    async def __aexit__(self, *error: object) -> None:
        closing = asyncio.create_task(self.pool.close(0.2))
        while not (await asyncio.wait({closing}, timeout=0.01))[0]:
            # What shuts down waits for a time that nobody else moves any more.
            if isinstance(self.clock, ManualClock):
                await self.clock.advance(1)
        await self.driver.close()

    async def invoke(
        self, payload: bytes = b"{}", *, version: FunctionVersion | None = None, **changes: Any
    ) -> InvokeResult:
        return await within(self.router.invoke(version or function_version(), request(payload, **changes)))

    @property
    def environment(self) -> Environment:
        (environment,) = self.pool.environments
        return environment

    def in_use(self) -> int:
        return self.concurrency.in_use("000000000000", "us-east-1")


async def within(work: Awaitable[T], seconds: float = WAIT_S) -> T:
    async with asyncio.timeout(seconds):
        return await work


async def until(condition: Callable[[], bool], seconds: float = WAIT_S) -> None:
    """Give the loop turns until `condition` holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the conditions are of objects that have no events
            await asyncio.sleep(0)
