"""A stream with subscribers that are servers of the test: what was posted to them, and how they misbehave."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from lambent.core.clock import Clock
from lambent.environments.events import (
    InitReport,
    InitStart,
    Phase,
    Report,
    RuntimeDone,
    Start,
    Status,
    SubscriptionKind,
)
from lambent.environments.ports import EnvironmentIdentity, SessionCredentials
from lambent.environments.telemetry.memory import Memory
from lambent.environments.telemetry.schemas import Schema
from lambent.environments.telemetry.stream import Stream
from lambent.environments.telemetry.subscription import Buffering, Destination, Subscription
from lambent.invocation.report import TextJournal
from lambent.testing.manual_clock import ManualClock
from tests.unit.environments.kit import ListStream, function_version

ID = "8f507cfc-2a3f-4f1e-9c0b-1d2e3f405060"
TIME_MS = 1_763_669_079_123
TIME = "2025-11-20T20:04:39.123Z"
IDENTITY = EnvironmentIdentity(
    environment_id="c5dff6b4-27f2-4c42-8a8c-0a0a0a0a0a0a",
    log_group="/aws/lambda/thumbnail",
    log_stream="2026/11/20/[$LATEST]00",
    credentials=SessionCredentials("000000000000", "us-east-1", "arn:aws:iam::000000000000:role/r", "s", "", "", ""),
)


async def connect(port: int) -> socket.socket:
    """As a sandbox connects to its own loopback."""
    connection = socket.socket()
    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    except BaseException:
        connection.close()
        raise
    return connection


@dataclass
class Told:
    """A stream, and the text log behind it."""

    log: ListStream
    stream: Stream
    clock: ManualClock

    def init(self) -> None:
        self.stream.init_start(
            InitStart(time_ms=TIME_MS, phase=Phase.INIT, runtime_version=None, runtime_version_arn=None)
        )

    def init_ended(self) -> None:
        self.stream.init_report(
            InitReport(time_ms=TIME_MS, phase=Phase.INIT, status=Status.SUCCESS, error_type=None, duration_ms=12.5)
        )

    def invocation(self, request_id: str = ID) -> None:
        self.stream.start(Start(TIME_MS, request_id, "$LATEST", False))
        self.stream.output(TIME_MS, "hello\n")
        self.stream.runtime_done(RuntimeDone(TIME_MS, request_id, Status.SUCCESS, None, 2.9, 2, 1.0))
        self.stream.report(Report(TIME_MS, request_id, Status.SUCCESS, None, 2.9, None, 128, 36))

    async def moved_until(self, condition: Callable[[], bool]) -> None:
        """Let the time pass in small steps until `condition` holds."""
        async with asyncio.timeout(10):
            while not condition():
                await self.clock.advance(0.01)

    def subscribe(
        self,
        port: int,
        name: str = "agent",
        *,
        types: tuple[str, ...] = ("platform", "function", "extension"),
        protocol: str = "HTTP",
        schema: Schema = Schema.TELEMETRY_2022_12_13,
        **buffering: int,
    ) -> str:
        destination = Destination(protocol=protocol, port=port, host="sandbox.localdomain", path="/in")
        subscription = Subscription(
            schema=schema, types=types, destination=destination, buffering=Buffering(**buffering)
        )
        return self.stream.subscribe(name, schema.kind, subscription)


def told(
    clock: Clock | None = None,
    connect: Callable[[int], Awaitable[socket.socket]] = connect,
    memory: Memory | None = None,
    **version: Any,
) -> Told:
    clock = clock or ManualClock()
    log = ListStream()
    stream = Stream(TextJournal(log), function_version(**version), IDENTITY, clock, memory or Memory())
    stream.attach(connect)
    assert isinstance(clock, ManualClock)
    return Told(log, stream, clock)


@dataclass
class Listener:
    """An HTTP server that remembers what was posted to it."""

    port: int = 0
    status: int = 200
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def batches(self) -> list[list[Any]]:
        return [orjson.loads(body) for _, body in self.requests]

    @property
    def events(self) -> list[Any]:
        return [event for batch in self.batches for event in batch]

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    async def has(self, requests: int) -> None:
        async with asyncio.timeout(10):
            while len(self.requests) < requests:
                self.changed.clear()
                await self.changed.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            size = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
            body = await reader.readexactly(size)
            writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            self.requests.append((head, body))
            self.changed.set()
        finally:
            writer.close()


@asynccontextmanager
async def listening(status: int = 200) -> AsyncIterator[Listener]:
    listener = Listener(status=status)
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()
        await server.wait_closed()


TELEMETRY = SubscriptionKind.TELEMETRY
