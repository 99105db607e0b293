"""boto3's clients against services in this process: no socket, no server, the whole gateway in between.

The botocore client runs in a worker thread, as its calls block; handlers run on the loop of the test, next to
everything else that the test has made there.

    async with aws_client("lambda", {"lambda": service}) as client:
        reply = await client.create_function(FunctionName="hello", ...)
"""

import asyncio
import functools
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config

from lambent.aws.service import Operations, Service
from lambent.gateway.app import AsgiApp, Gateway

ACCOUNT: Final = "123456789012"
REGION: Final = "us-east-1"
BASE_URL: Final = "http://localhost:4566"
TIMEOUT_S: Final = 30.0


class AsyncClient:
    """A botocore client whose operations are awaited. `client` is the blocking one, for paginators and waiters."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self.client, name)

        async def call(**parameters: Any) -> Any:
            return await asyncio.to_thread(method, **parameters)

        return call

    async def pages(self, operation: str, **parameters: Any) -> list[Any]:
        """All pages of a paginated operation, by its name in snake_case."""
        paginator = self.client.get_paginator(operation)
        return await asyncio.to_thread(lambda: list(paginator.paginate(**parameters)))

    async def wait(self, waiter: str, **parameters: Any) -> None:
        """For example `wait("function_active_v2", FunctionName="hello")`; polls every 50 ms, for 20 s."""
        found = self.client.get_waiter(waiter)
        found.config.delay = 0.05
        found.config.max_attempts = 400
        await asyncio.to_thread(found.wait, **parameters)


@asynccontextmanager
async def aws_client(
    name: str,
    services: Mapping[str, Service] | Sequence[Service] | Operations,
    *,
    account: str = ACCOUNT,
    region: str = REGION,
    validate: bool = False,
) -> AsyncIterator[AsyncClient]:
    """A client of the AWS service `name`, on the running loop.

    `services` may be services, or just the operations of `name`. With `validate`, botocore checks parameters before
    it sends them, as it does for users; without, a test can send what is not valid.
    """
    gateway = Gateway(_services(name, services))
    yield AsyncClient(client_of(gateway.public(), name, account=account, region=region, validate=validate))


def client_of(app: AsgiApp, name: str, *, account: str = ACCOUNT, region: str = REGION, validate: bool = False) -> Any:
    """A blocking botocore client whose requests are answered by `app` on the running loop. Call it from a thread."""
    client = _session().create_client(
        name,
        region_name=region,
        endpoint_url=BASE_URL,
        aws_access_key_id=account,
        aws_secret_access_key="test",
        config=Config(
            parameter_validation=validate, retries={"total_max_attempts": 1}, user_agent_extra="lambent-test"
        ),
    )
    endpoint = InProcessEndpoint(app, asyncio.get_running_loop())
    client.meta.events.register("before-send", endpoint)
    return client


@functools.cache
def _session() -> botocore.session.Session:
    # Models and endpoint rules load once for a test run.
    return botocore.session.Session()


def _services(name: str, given: Mapping[str, Any] | Sequence[Service]) -> dict[str, Service]:
    if not isinstance(given, Mapping):
        return {service.name: service for service in given}
    if all(isinstance(value, Service) for value in given.values()) and given:
        return dict(given)
    return {name: Service(name, given)}


class InProcessEndpoint:
    """Answers botocore's `before-send` event by calling an ASGI application."""

    def __init__(self, app: AsgiApp, loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self._loop = loop

    def __call__(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        future = asyncio.run_coroutine_threadsafe(self._exchange(request), self._loop)
        status, headers, body = future.result(TIMEOUT_S)
        return AWSResponse(request.url, status, headers, _Raw(body))

    async def _exchange(self, request: AWSPreparedRequest) -> tuple[int, dict[str, str], bytes]:
        url = urlsplit(request.url)
        body = _bytes(request.body)
        headers = {name.lower(): _bytes(value) for name, value in request.headers.items()}
        headers.setdefault("host", url.netloc.encode())
        scope = {
            "type": "http",
            "method": request.method,
            "scheme": url.scheme,
            "path": unquote(url.path),
            "raw_path": url.path.encode("ascii"),
            "query_string": url.query.encode("ascii"),
            "headers": [(name.encode("latin-1"), value) for name, value in headers.items()],
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        start = sent[0]
        replied = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]}
        return start["status"], replied, b"".join(message.get("body", b"") for message in sent[1:])


def _bytes(value: Any) -> bytes:
    if value is None:
        return b""
    if isinstance(value, str):
        return value.encode()
    return bytes(value) if isinstance(value, bytes | bytearray) else bytes(value.read())


class _Raw(io.BytesIO):
    """What botocore takes for the body of urllib3's response."""

    def stream(self, amt: int = 65_536, decode_content: bool = False) -> Iterator[bytes]:
        while chunk := self.read(amt):
            yield chunk
