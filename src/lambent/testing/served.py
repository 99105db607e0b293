"""A gateway application on a loopback port of the running loop, for tests that need a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import botocore.session
from botocore.config import Config

from lambent.gateway.app import AsgiApp
from lambent.gateway.connection import Limits
from lambent.gateway.server import HttpServer


@asynccontextmanager
async def served(app: AsgiApp, limits: Limits | None = None) -> AsyncIterator[int]:
    """The port. At the end requests have one second to finish."""
    server = HttpServer(limits)
    try:
        listener = await server.listen(app, "127.0.0.1", 0)
        yield listener.port
    finally:
        await server.close(1.0)


async def exchange(port: int, request: bytes, *, timeout_s: float = 10.0) -> bytes:
    """Send raw bytes on a connection of their own, half-close it, and read until the server ends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        writer.write_eof()
        async with asyncio.timeout(timeout_s):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def http_client(name: str, port: int, *, account: str = "123456789012", **session: str) -> Any:
    """A blocking botocore client of the server on `port`. `session` may hold other credentials."""
    credentials = {"aws_access_key_id": account, "aws_secret_access_key": "test", **session}
    return botocore.session.Session().create_client(
        name,
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}, read_timeout=20),
        **credentials,
    )
