"""`--endpoint`: a service, also one of ours, is somebody else's; a scripted HTTP server plays them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from lambent.aws.errors import ApiError, PlatformFault
from lambent.aws.service import CallContext, Parameters, Result, Service
from lambent.gateway.app import Gateway
from lambent.gateway.caller import InProcessCaller
from lambent.gateway.elsewhere import Elsewhere
from lambent.gateway.endpoint import Endpoint, unchunked
from lambent.testing.served import http_client, served

Requests = list[tuple[str, str, dict[str, str], bytes]]


async def never(context: CallContext, parameters: Parameters) -> Result:
    raise AssertionError("redirected")


@asynccontextmanager
async def scripted(reply: bytes) -> AsyncIterator[tuple[str, Requests]]:
    """A server on loopback that gives one reply to every request, and remembers them."""
    seen: Requests = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = head.strip().split("\r\n")
        headers = {name.lower(): text for name, _, text in (field.partition(": ") for field in fields)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        method, target, _ = line.split(" ")
        seen.append((method, target, headers, body))
        writer.write(reply)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen


@asynccontextmanager
async def redirected(
    signing_name: str, url: str, credentials: Credentials | None = None
) -> AsyncIterator[tuple[Callable[..., Any], InProcessCaller]]:
    endpoint = Endpoint(url, credentials)
    elsewhere = Elsewhere(None, {signing_name: endpoint})
    caller = InProcessCaller(elsewhere)
    gateway = Gateway({"lambda": Service("lambda", {"ListFunctions": never})}, elsewhere=elsewhere)
    caller.apis = gateway.apis
    async with served(gateway.public()) as port:
        yield lambda service: http_client(service, port), caller
    await endpoint.close()


def called(method: Callable[..., Any], **parameters: Any) -> Awaitable[Any]:
    return asyncio.to_thread(method, **parameters)


FOUND = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Own: 1\r\nContent-Length: 37\r\nConnection: close\r\n\r\n"
)
FUNCTIONS = b'{"Functions":[{"FunctionName":"far"}]}'.replace(b" ", b"")
REPLY = FOUND.replace(b"37", b"%d" % len(FUNCTIONS)) + FUNCTIONS


async def test_without_own_credentials_a_request_is_passed_on_as_it_was_signed() -> None:
    async with scripted(REPLY) as (url, seen), redirected("lambda", url) as (client, _):
        reply = await called(client("lambda").list_functions)
    assert [each["FunctionName"] for each in reply["Functions"]] == ["far"]
    assert reply["ResponseMetadata"]["HTTPHeaders"]["x-own"] == "1"
    method, target, headers, _ = seen[0]
    assert (method, target) == ("GET", "/2015-03-31/functions")
    assert "Credential=123456789012/" in headers["authorization"]
    assert headers["host"] != url.removeprefix("http://")


async def test_with_own_credentials_a_request_is_signed_anew_for_the_host() -> None:
    own = Credentials("AKIAOWN", "secret", "token")
    async with scripted(REPLY) as (url, seen), redirected("lambda", url, own) as (client, _):
        await called(client("lambda").list_functions)
    headers = seen[0][2]
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIAOWN/")
    assert "/us-east-1/lambda/aws4_request" in headers["authorization"]
    assert headers["host"] == url.removeprefix("http://")
    assert headers["x-amz-security-token"] == "token"


async def test_objects_go_with_their_bytes_and_names() -> None:
    stored = b"HTTP/1.1 200 OK\r\nETag: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    own = Credentials("AKIAOWN", "secret")
    async with scripted(stored) as (url, seen), redirected("s3", url, own) as (client, _):
        await called(client("s3").put_object, Bucket="photographs", Key="a b/%2Fü", Body=b"\x00\xff" * 1000)
    method, target, _, body = seen[0]
    assert (method, target) == ("PUT", "/photographs/a%20b/%252F%C3%BC")
    assert body == b"\x00\xff" * 1000


async def test_our_own_parts_are_redirected_too() -> None:
    async with scripted(REPLY) as (url, seen), redirected("lambda", url) as (_, caller):
        reply = await caller.call(
            "lambda", "ListFunctions", {}, account="123456789012", region="eu-west-1", principal="arn"
        )
    assert [each["FunctionName"] for each in reply["Functions"]] == ["far"]
    assert "Credential=123456789012/" in seen[0][2]["authorization"]


async def test_an_endpoint_that_is_not_there_is_named() -> None:
    async with scripted(REPLY) as (url, _):
        pass
    async with redirected("s3", url) as (client, caller):
        with pytest.raises(ClientError) as raised:
            await called(client("s3").list_buckets)
        with pytest.raises(PlatformFault, match=url):
            await caller.call("s3", "ListBuckets", {}, account="123456789012", region="eu-west-1", principal="arn")
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert f"The endpoint {url}, to which s3 is redirected" in raised.value.response["Error"]["Message"]


def test_chunks_are_taken_apart() -> None:
    body = b"5;chunk-signature=ab\r\nhello\r\n1\r\n!\r\n0\r\nx-amz-checksum-crc32:x\r\n\r\n"
    assert unchunked(body) == b"hello!"
    for bad in (b"", b"hello", b"zz\r\n", b"5\r\nhello"):
        with pytest.raises(ApiError, match="aws-chunked"):
            unchunked(bad)
