"""The real S3 behind the real gateway on a port, for unmodified clients and for raw HTTP, in a thread of its own."""

import asyncio
import http.client
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from lambent.aws.service import Service
from lambent.core.clock import Clock
from lambent.gateway.app import Gateway
from lambent.services.s3.lazily import S3, STREAMED
from lambent.store.database import Database
from lambent.testing.scripted_caller import ScriptedCaller
from lambent.testing.served import served

ACCOUNT = "111111111111"
SIGNED = {
    "Authorization": f"AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0"
}


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return self.between("Code")

    def between(self, element: str) -> str:
        """The text of the first element of that name."""
        return self.body.decode().partition(f"<{element}>")[2].partition(f"</{element}>")[0]


@dataclass(frozen=True, slots=True)
class OnAPort:
    port: int
    caller: ScriptedCaller

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def client(self, account: str = ACCOUNT, region: str = "us-east-1", **config: Any) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=account,
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, **config),
        )

    def raw(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        signed: bool = True,
    ) -> Reply:
        """`target` goes as it is; header names of the reply are in lower case."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, target, body, {**(SIGNED if signed else {}), **(headers or {})})
            reply = connection.getresponse()
            found = {name.lower(): value for name, value in reply.getheaders()}
            return Reply(reply.status, found, reply.read())
        finally:
            connection.close()


@contextmanager
def on_a_port(root: Path, clock: Clock) -> Iterator[OnAPort]:
    caller, ready = ScriptedCaller(), threading.Event()
    found: list[tuple[int, Callable[[], object]]] = []

    async def serve() -> None:
        database = Database.open(root / "db", busy_timeout_ms=50)
        service = S3(database, root / "s3", clock, caller)
        await service.start()
        gateway = Gateway({"s3": Service("s3", service, streamed=STREAMED, buckets=service)})
        stopped, loop = asyncio.Event(), asyncio.get_running_loop()
        async with served(gateway.public()) as port:
            found.append((port, lambda: loop.call_soon_threadsafe(stopped.set)))
            ready.set()
            await stopped.wait()
        await service.close()
        await database.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(20)
        yield OnAPort(found[0][0], caller)
    finally:
        if found:
            found[0][1]()
        thread.join(20)
