"""The gateway on a real socket: HTTP, limits, hosts, credentials, extra routes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lambent.aws.service import CallContext, Parameters, Result, Service
from lambent.gateway.app import Gateway
from lambent.gateway.body import Budget
from lambent.gateway.connection import Limits
from lambent.gateway.hosts import UnsafeBind
from lambent.gateway.http import HttpRequest, HttpResponse
from lambent.gateway.server import HttpServer
from lambent.testing.served import exchange, http_client, served

AUTHORIZATION = (
    b"Authorization: AWS4-HMAC-SHA256 Credential=123456789012/20261120/eu-west-1/lambda/aws4_request, "
    b"SignedHeaders=host, Signature=00\r\n"
)
HOST = b"Host: localhost\r\n"


async def invoke(context: CallContext, parameters: Parameters) -> Result:
    return {
        "StatusCode": 200,
        "ExecutedVersion": "$LATEST",
        "Payload": b'{"account":"%b","region":"%b","size":%d}'
        % (context.account.encode(), context.region.encode(), len(parameters.get("Payload", b""))),
    }


async def create_function(context: CallContext, parameters: Parameters) -> Result:
    return {"FunctionName": parameters["FunctionName"], "CodeSize": len(parameters["Code"]["ZipFile"])}


async def health(request: HttpRequest) -> HttpResponse:
    return HttpResponse(200, (("Content-Type", "application/json"),), b'{"status":"ok"}')


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    package = tmp_path / "code.zip"
    package.write_bytes(b"zip" * 200_000)

    async def code(request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, (), package if request.path.endswith("/there") else tmp_path / "gone")

    services = {"lambda": Service("lambda", {"Invoke": invoke, "CreateFunction": create_function})}
    gateway = Gateway(services, routes={"/_lambent/health": health, "/_lambent/code/": code})
    limits = Limits(header_s=0.2, body_s=0.2, linger_s=0.1)
    async with served(gateway.public(), limits) as port:
        yield port


def request(method: str, path: str, *headers: bytes, body: bytes = b"") -> bytes:
    length = b"content-length: %d\r\n" % len(body)
    return b"%b %b HTTP/1.1\r\n%b%b\r\n%b" % (method.encode(), path.encode(), length, b"".join(headers), body)


def status(reply: bytes) -> int:
    return int(reply.split(b" ", 2)[1])


INVOKE = "/2015-03-31/functions/hello/invocations"


async def test_boto3_invokes_over_the_network(port: int) -> None:
    client = http_client("lambda", port)
    reply = await asyncio.to_thread(client.invoke, FunctionName="hello", Payload=b"[1, 2]")
    assert reply["Payload"].read() == b'{"account":"123456789012","region":"us-east-1","size":6}'
    assert reply["ResponseMetadata"]["HTTPHeaders"]["x-amzn-remapped-content-length"] == "0"


async def test_an_upload_of_forty_megabytes_arrives(port: int) -> None:
    client = http_client("lambda", port)
    reply = await asyncio.to_thread(client.create_function, FunctionName="x", Role="arn:aws:iam::123456789012:role/r",
                                    Code={"ZipFile": bytes(40 << 20)})  # fmt: skip
    assert reply["CodeSize"] == 40 << 20


async def test_an_upload_over_the_limit_is_refused_in_the_words_of_aws(port: int) -> None:
    client = http_client("lambda", port)
    with pytest.raises(client.exceptions.ClientError) as raised:
        await asyncio.to_thread(client.create_function, FunctionName="x", Role="arn:aws:iam::123456789012:role/r",
                                Code={"ZipFile": bytes(60 << 20)})  # fmt: skip
    assert raised.value.response["Error"] == {
        "Code": "RequestEntityTooLargeException",
        "Message": "Request must be smaller than 70167211 bytes for the CreateFunction operation",
    }
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


async def test_an_announced_length_over_the_limit_is_refused_before_the_body_comes(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = b"POST /2015-03-31/functions HTTP/1.1\r\nContent-Length: 99999999999\r\n" + HOST + AUTHORIZATION + b"\r\n"
    writer.write(head)
    async with asyncio.timeout(5):
        line = await reader.readline()
    writer.close()
    assert b" 413 " in line


async def test_a_chunked_body_over_the_limit_is_refused_while_it_comes(port: int) -> None:
    head = b"POST /2015-03-31/event-source-mappings HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HOST + AUTHORIZATION
    chunk = b"100000\r\n" + bytes(0x100000) + b"\r\n"
    reply = await exchange(port, head + b"\r\n" + chunk * 12 + b"0\r\n\r\n")
    assert status(reply) == 413


async def test_account_and_region_come_from_the_credential_scope(port: int) -> None:
    reply = await exchange(port, request("POST", INVOKE, HOST, AUTHORIZATION, b"Connection: close\r\n", body=b"{}"))
    assert reply.endswith(b'{"account":"123456789012","region":"eu-west-1","size":2}')


async def test_a_request_without_credentials_is_refused(port: int) -> None:
    reply = await exchange(port, request("POST", INVOKE, HOST))
    assert status(reply) == 403
    assert b"x-amzn-ErrorType: MissingAuthenticationTokenException" in reply
    assert reply.endswith(b'{"message":"Missing Authentication Token"}')


@pytest.mark.parametrize("scheme", [b"Bearer abc", b"Basic dXNlcjpw", b"", b"AWS4-HMAC-SHA256"])
async def test_another_kind_of_authorization_is_refused(port: int, scheme: bytes) -> None:
    reply = await exchange(port, request("POST", INVOKE, HOST, b"Authorization: " + scheme + b"\r\n"))
    assert status(reply) == 403


@pytest.mark.parametrize("host", [b"evil.example", b"127.0.0.1.evil.example", b"8.8.8.8", b""])
async def test_an_unknown_host_is_refused(port: int, host: bytes) -> None:
    for path in (INVOKE, "/_lambent/health"):
        assert status(await exchange(port, request("POST", path, b"Host: " + host + b"\r\n", AUTHORIZATION))) == 403


async def test_a_web_page_is_refused(port: int) -> None:
    for origin in (b"http://evil.example", b"null", b"http://localhost:3000"):
        sent = request("POST", INVOKE, HOST, AUTHORIZATION, b"Origin: " + origin + b"\r\n")
        assert status(await exchange(port, sent)) == 403
    assert status(await exchange(port, request("OPTIONS", INVOKE, HOST, b"Origin: http://evil.example\r\n"))) == 403


async def test_extra_routes_need_no_credentials(port: int) -> None:
    reply = await exchange(port, request("GET", "/_lambent/health", HOST))
    assert status(reply) == 200
    assert reply.endswith(b'{"status":"ok"}')


async def test_head_gives_the_headers_alone(port: int) -> None:
    reply = await exchange(port, request("HEAD", "/_lambent/health", HOST))
    assert reply.endswith(b"\r\n\r\n")
    assert b"content-length: 15" in reply


async def test_a_file_is_streamed_whole(port: int) -> None:
    reply = await exchange(port, request("GET", "/_lambent/code/there", HOST))
    assert reply.partition(b"\r\n\r\n")[2] == b"zip" * 200_000


async def test_a_file_that_is_gone_is_not_found(port: int) -> None:
    assert status(await exchange(port, request("GET", "/_lambent/code/gone", HOST))) == 404


async def test_an_unknown_path_is_an_unknown_operation(port: int) -> None:
    reply = await exchange(port, request("GET", "/2015-03-31/nonsense", HOST, AUTHORIZATION))
    assert status(reply) == 404
    assert b"UnknownOperationException" in reply


async def test_every_reply_has_its_request_id_and_date(port: int) -> None:
    for sent in (request("GET", "/nowhere", HOST), request("POST", INVOKE, HOST, AUTHORIZATION, body=b"{}")):
        head = (await exchange(port, sent)).partition(b"\r\n\r\n")[0].lower()
        assert b"\r\nx-amzn-requestid: " in head
        assert b"\r\ndate: " in head


async def test_the_callers_request_id_is_taken_when_it_is_a_uuid(port: int) -> None:
    mine = b"x-amzn-RequestId: 11111111-2222-3333-4444-555555555555\r\n"
    reply = await exchange(port, request("POST", INVOKE, HOST, AUTHORIZATION, mine, body=b"{}"))
    assert b"x-amzn-RequestId: 11111111-2222-3333-4444-555555555555\r\n" in reply


async def test_a_request_id_that_is_no_uuid_is_refused_by_invoke(port: int) -> None:
    reply = await exchange(port, request("POST", INVOKE, HOST, AUTHORIZATION, b"x-amzn-RequestId: 42\r\n", body=b"{}"))
    assert status(reply) == 400
    assert b"InvalidRequestContentException" in reply


async def test_headers_over_64_kilobytes_are_refused(port: int) -> None:
    reply = await exchange(port, request("POST", INVOKE, HOST, AUTHORIZATION, b"x: " + b"y" * 70_000 + b"\r\n"))
    assert status(reply) == 431
    endless = b"GET / HTTP/1.1\r\nx: " + b"y" * 400_000
    assert status(await exchange(port, endless)) == 431


async def test_slow_headers_end_the_connection(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
    async with asyncio.timeout(5):
        assert b" 408 " in await reader.read()
    writer.close()


async def test_slow_peers_are_found_beside_one_whose_answer_is_pending() -> None:
    answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    gateway = Gateway({"lambda": Service("lambda", {"Invoke": lambda context, parameters: answer})})
    async with served(gateway.public(), Limits(header_s=0.2, body_s=0.2, linger_s=0.1)) as port, asyncio.timeout(10):
        writers = []
        for begun in (b"", b"POST " + INVOKE.encode(), b"POST / HTTP/1.1\r\nContent-Length: 9\r\n" + HOST + b"\r\n1"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
            writer.write(request("POST", INVOKE, HOST, AUTHORIZATION, body=b"{}") + begun)
            await test_slow_headers_end_the_connection(port)
        answer.set_result({"StatusCode": 200, "ExecutedVersion": "$LATEST", "Payload": b"7"})
        assert status(await reader.readuntil(b"\r\n\r\n")) == 200
        for writer in writers:
            writer.close()


async def test_a_slow_body_ends_the_connection(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST " + INVOKE.encode() + b" HTTP/1.1\r\nContent-Length: 100\r\n" + HOST + AUTHORIZATION + b"\r\n{")
    async with asyncio.timeout(5):
        assert b" 408 " in await reader.read()
    writer.close()


async def test_pipelined_requests_are_answered_in_order(port: int) -> None:
    many = b"".join(request("POST", INVOKE, HOST, AUTHORIZATION, body=b"1" * size) for size in range(2, 12))
    reply = await exchange(port, many)
    assert [part.split(b"}")[0] for part in reply.split(b'"size":')[1:]] == [b"%d" % size for size in range(2, 12)]


async def test_an_offer_of_another_protocol_is_ignored_and_the_body_is_kept(port: int) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    first = request("POST", INVOKE, HOST, AUTHORIZATION, upgrade, body=b"12345")
    reply = await exchange(port, first)
    assert status(reply) == 200
    assert b'"size":5}' in reply


async def test_connections_of_one_peer_are_capped() -> None:
    gateway = Gateway({"lambda": Service("lambda", {"Invoke": invoke})})
    async with served(gateway.public(), Limits(connections_per_peer=2, linger_s=0.1)) as port:
        kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        assert status(await exchange(port, request("POST", INVOKE, HOST, AUTHORIZATION))) == 503
        for _, writer in kept:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(5):
            while status(await exchange(port, request("POST", INVOKE, HOST, AUTHORIZATION))) != 200:
                pass


async def test_only_loopback_addresses_are_listened_on() -> None:
    server = HttpServer()
    gateway = Gateway({})
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.test"):
        with pytest.raises(UnsafeBind, match="refusing to listen"):
            await server.listen(gateway.public(), host, 0)
    await server.close(0)


async def test_a_port_in_use_is_an_oserror() -> None:
    server = HttpServer()
    gateway = Gateway({})
    taken = await server.listen(gateway.public(), "127.0.0.1", 0)
    with pytest.raises(OSError, match="in use"):
        await server.listen(gateway.public(), "127.0.0.1", taken.port)
    await server.close(0)


async def test_a_request_that_is_being_answered_is_finished_before_the_server_closes() -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(context: CallContext, parameters: Parameters) -> Result:
        entered.set()
        await leave.wait()
        return {"StatusCode": 200, "Payload": b'"done"'}

    server = HttpServer()
    listener = await server.listen(Gateway({"lambda": Service("lambda", {"Invoke": slow})}).public(), "127.0.0.1", 0)
    port = listener.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("POST", INVOKE, HOST, AUTHORIZATION))
    async with asyncio.timeout(5):
        await entered.wait()
        closing = asyncio.create_task(server.close(5))
        await asyncio.sleep(0)
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)
        leave.set()
        reply = await reader.read()
        await closing
    writer.close()
    assert reply.endswith(b'"done"')
    assert b"connection: close" in reply


async def test_a_client_that_goes_away_disturbs_nobody(port: int) -> None:
    for part in (b"", b"POST ", b"POST " + INVOKE.encode() + b" HTTP/1.1\r\nContent-Length: 10\r\n" + HOST + b"\r\n12"):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(part)
        writer.transport.abort()
    assert status(await exchange(port, request("POST", INVOKE, HOST, AUTHORIZATION, body=b"{}"))) == 200


async def test_a_body_that_waits_for_leave_gets_it(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = request("POST", INVOKE, HOST, AUTHORIZATION, b"Expect: 100-continue\r\n").replace(
        b"content-length: 0", b"content-length: 4"
    )
    writer.write(head)
    async with asyncio.timeout(5):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"null")
        assert b" 200 " in await reader.readline()
    writer.close()


async def test_requests_that_do_not_fit_into_memory_are_refused_and_leave_nothing_behind() -> None:
    gateway = Gateway({"lambda": Service("lambda", {"Invoke": invoke})})
    gateway.budget = Budget(1_000_000)
    async with served(gateway.public(), Limits(linger_s=0.1)) as port:
        big = request("POST", INVOKE, HOST, AUTHORIZATION, body=b"1" * 2_000_000)
        fits = request("POST", INVOKE, HOST, AUTHORIZATION, body=b"1" * 900_000)
        for _ in range(3):
            assert status(await exchange(port, big)) == 503
            assert status(await exchange(port, fits)) == 200
