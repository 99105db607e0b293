"""Operations whose reply is a stream of events, of any service: what botocore reads of what a handler yields."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from lambent.aws.errors import ApiError
from lambent.aws.service import CallContext, Handler, Parameters, Result, Service
from lambent.gateway.app import Gateway
from lambent.testing.served import http_client, served

ROW = {"sessionStart": {"requestId": "r", "logGroupIdentifiers": ["g"]}}
UPDATE = {"sessionUpdate": {"sessionResults": [{"message": "hello", "timestamp": 1}]}}
TAIL = {"logGroupIdentifiers": ["arn:aws:logs:us-east-1:123456789012:log-group:g"]}


def tail(*events: dict[str, Any], error: ApiError | None = None) -> Handler:
    async def start(context: CallContext, parameters: Parameters) -> Result:
        return {"responseStream": stream()}

    async def stream() -> AsyncIterator[dict[str, Any]]:
        for event in events:
            yield event
        if error is not None:
            raise error

    return start


async def called(handler: Handler) -> list[Any]:
    async with served(Gateway({"logs": Service("logs", {"StartLiveTail": handler})}).public()) as port:

        def call() -> list[Any]:
            with closing(http_client("logs", port)) as client:
                # The host of this operation has a prefix, which no name below localhost needs here.
                client.meta.events.register("before-send", _to(port))
                with closing(client.start_live_tail(**TAIL)["responseStream"]) as stream:
                    return list(stream)

        return await asyncio.to_thread(call)


def _to(port: int) -> Any:
    def change(request: Any, **_: Any) -> None:
        request.url = f"http://127.0.0.1:{port}/"

    return change


async def test_a_service_that_speaks_json_sends_an_initial_response_first() -> None:
    assert await called(tail(ROW, UPDATE)) == [ROW, UPDATE]


async def test_an_error_in_the_stream_is_the_exception_that_the_model_has() -> None:
    with pytest.raises(EventStreamError) as raised:
        await called(tail(ROW, error=ApiError("SessionTimeoutException", "too long")))
    assert raised.value.response["Error"] == {"Code": "SessionTimeoutException", "Message": "too long"}


async def test_an_error_that_the_model_does_not_have_is_one_of_the_stream() -> None:
    with pytest.raises(EventStreamError) as raised:
        await called(tail(ROW, error=ApiError("ServiceException", "broken")))
    assert raised.value.response["Error"] == {"Code": "ServiceException", "Message": "broken"}


async def test_an_error_before_the_stream_is_an_error_as_always() -> None:
    async def refused(context: CallContext, parameters: Parameters) -> Result:
        raise ApiError("LimitExceededException", "too many", status=400)

    with pytest.raises(ClientError) as raised:
        await called(refused)
    assert raised.value.response["Error"]["Code"] == "LimitExceededException"


async def test_a_stream_that_nobody_reads_on_is_closed() -> None:
    closed = asyncio.Event()

    class Endless:
        def __aiter__(self) -> "Endless":
            return self

        async def __anext__(self) -> dict[str, Any]:
            await asyncio.sleep(0)
            return UPDATE

        async def aclose(self) -> None:
            closed.set()

    async def start(context: CallContext, parameters: Parameters) -> Result:
        return {"responseStream": Endless()}

    async with served(Gateway({"logs": Service("logs", {"StartLiveTail": start})}).public()) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        day = datetime.now(UTC).strftime("%Y%m%d")
        writer.write(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: Logs_20140328.StartLiveTail\r\n"
            b"Authorization: AWS4-HMAC-SHA256 Credential=123456789012/%b/us-east-1/logs/aws4_request, "
            b"SignedHeaders=host, Signature=00\r\nContent-Length: 75\r\n\r\n"
            % day.encode()
            + b'{"logGroupIdentifiers":["arn:aws:logs:us-east-1:123456789012:log-group:g"]}'
        )
        writer.transport.abort()
        async with asyncio.timeout(10):
            await closed.wait()
