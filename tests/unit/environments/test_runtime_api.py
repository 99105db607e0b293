"""The Runtime API on the wire: codes and bodies, and what hostile runtimes can do."""

import asyncio
import base64
import socket
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import orjson
import pytest

from lambent.environments import runtime_http
from lambent.environments.extensions.api import ExtensionsApi, FunctionFacts
from lambent.environments.extensions.states import Extension
from lambent.environments.request import Answer
from lambent.environments.runtime_api import MAX_CONNECTIONS, RuntimeApi
from tests.unit.environments.kit import REQUEST_ID, request, until, within

NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"
INVOCATION = f"/2018-06-01/runtime/invocation/{REQUEST_ID}"


def post(path: str, body: bytes = b"", *headers: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    return (head + "".join(f"{header}\r\n" for header in headers) + "\r\n").encode() + body


@dataclass
class Events:
    """RuntimeEvents that keeps what it was told."""

    ready: int = 0
    answers: list[Answer] = field(default_factory=list)
    init_failures: list[Answer] = field(default_factory=list)

    def runtime_ready(self) -> None:
        self.ready += 1

    def runtime_answered(self, answer: Answer) -> None:
        self.answers.append(answer)

    def runtime_init_failed(self, answer: Answer) -> None:
        self.init_failures.append(answer)

    def extension_registered(self, extension: Extension) -> None: ...

    def extension_ready(self, extension: Extension) -> None: ...

    def extension_reported(self, extension: Extension) -> None: ...


class Client:
    """One raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def reply(self) -> tuple[int, dict[str, str], bytes]:
        head = (await within(self.reader.readuntil(b"\r\n\r\n"))).decode()
        status, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await within(self.reader.readexactly(int(headers.get("content-length", "0"))))
        return int(status.split()[1]), headers, body

    async def call(self, data: bytes) -> tuple[int, bytes]:
        self.send(data)
        status, _, body = await self.reply()
        return status, body

    async def flood(self, data: bytes) -> None:
        """Send 200 MB at most."""
        for _ in range(200_000_000 // len(data)):
            self.send(data)
            await self.writer.drain()
        await within(self.reader.readexactly(200_000_000))

    async def ended(self) -> bool:
        try:
            return await within(self.reader.read(1)) == b""
        except ConnectionError:
            return True

    def close(self) -> None:
        self.writer.close()


class Api:
    def __init__(self) -> None:
        self.events = Events()
        facts = FunctionFacts("000000000000", "thumbnail", "$LATEST", "app.handler")
        self.api = RuntimeApi(self.events, 6_291_556, ExtensionsApi(facts, self.events))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.address = self.listener.getsockname()
        self.clients: list[Client] = []

    async def connect(self) -> Client:
        client = Client(*await within(asyncio.open_connection(*self.address)))
        self.clients.append(client)
        return client

    async def running(self) -> Client:
        """A runtime that has taken an event."""
        client = await self.connect()
        client.send(NEXT)
        await until(lambda: self.events.ready == 1)
        self.api.deliver(request(b'{"a":1}'), 1_000)
        assert (await client.reply())[2] == b'{"a":1}'
        return client


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    made = Api()
    await made.api.serve([made.listener])
    yield made
    for client in made.clients:
        client.close()
    made.api.close()
    await within(made.api.drained())


async def test_a_response_is_accepted_and_told(api: Api) -> None:
    runtime = await api.running()
    assert await runtime.call(post(f"{INVOCATION}/response", b"42")) == (202, b'{"status":"OK"}')
    assert api.events.answers == [Answer(b"42")]


async def test_response_and_next_in_one_write_are_answered_in_one(api: Api) -> None:
    runtime = await api.running()
    runtime.send(post(f"{INVOCATION}/response", b"42") + NEXT)
    await until(lambda: api.events.ready == 2)
    api.api.deliver(request(b"2"), 1_000)
    assert (await runtime.reply())[0] == 202
    assert (await runtime.reply())[2] == b"2"


async def test_requests_may_arrive_byte_by_byte(api: Api) -> None:
    runtime = await api.running()
    for byte in post(f"{INVOCATION}/response", b"42"):
        runtime.send(bytes([byte]))
        await runtime.writer.drain()
        await asyncio.sleep(0)
    assert (await runtime.reply())[0] == 202


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        ("Runtime.ImportModuleError", "Runtime.ImportModuleError"),
        ("Function.MyError", "Function.MyError"),
        ("Function.my error", "Function.Unknown"),
        ("ValueError", "Runtime.Unknown"),
        (None, "Runtime.Unknown"),
    ],
)
async def test_error_types_are_kept_when_lambda_knows_their_form(api: Api, header: str | None, kept: str) -> None:
    runtime = await api.running()
    headers = [f"Lambda-Runtime-Function-Error-Type: {header}"] if header else []
    assert (await runtime.call(post(f"{INVOCATION}/error", b"{}", *headers)))[0] == 202
    assert api.events.answers == [Answer(b"{}", kept)]


async def test_an_unknown_request_id_is_400(api: Api) -> None:
    runtime = await api.running()
    status, body = await runtime.call(post("/2018-06-01/runtime/invocation/other/response", b"42"))
    assert (status, orjson.loads(body)["errorType"]) == (400, "InvalidRequestID")
    assert not api.events.answers


async def test_a_large_body_that_nobody_asked_for_ends_its_connection(api: Api) -> None:
    runtime = await api.running()
    hostile = await api.connect()
    hostile.send(post("/2018-06-01/runtime/invocation/other/response", b"x" * 10_000_000))
    assert await hostile.ended()
    assert (await runtime.call(post(f"{INVOCATION}/response", b"42")))[0] == 202


async def test_a_second_answer_is_an_invalid_transition(api: Api) -> None:
    runtime = await api.running()
    await runtime.call(post(f"{INVOCATION}/response", b"42"))
    status, body = await runtime.call(post(f"{INVOCATION}/error", b"42"))
    assert status == 403
    assert orjson.loads(body) == {
        "errorMessage": "State transition from ResponseSent to InvocationErrorResponse failed for runtime. "
        "Error: State transition is not allowed",
        "errorType": "InvalidStateTransition",
    }


async def test_next_during_an_invocation_is_an_invalid_transition(api: Api) -> None:
    runtime = await api.running()
    status, body = await runtime.call(NEXT)
    assert (status, orjson.loads(body)["errorType"]) == (403, "InvalidStateTransition")


async def test_only_one_next_is_parked(api: Api) -> None:
    first, second = await api.connect(), await api.connect()
    first.send(NEXT)
    await until(lambda: api.events.ready == 1)
    assert (await second.call(NEXT))[0] == 403


async def test_an_event_waits_for_a_runtime_that_reconnects(api: Api) -> None:
    first = await api.connect()
    first.send(NEXT)
    await until(lambda: api.events.ready == 1)
    first.close()
    await within(api.api.drained())
    api.api.deliver(request(b"1"), 1_000)
    second = await api.connect()
    assert await second.call(NEXT) == (200, b"1")


@pytest.mark.parametrize("bytes_read", [0, 300, 1_000_000], ids=["nothing", "a part", "all"])
async def test_whether_a_runtime_that_ended_had_read_its_event_is_known(api: Api, bytes_read: int) -> None:
    asked = request(b"x" * 5_000)
    with socket.create_connection(api.address) as runtime:
        runtime.sendall(NEXT)
        await until(lambda: api.events.ready == 1)
        api.api.deliver(asked, 1_000)
        await until(lambda: len(runtime.recv(10_000, socket.MSG_PEEK)) > 5_000)
        if bytes_read:
            runtime.recv(bytes_read)
    await within(api.api.drained())
    assert api.api.never_read(asked) == (bytes_read < 5_000)
    assert not api.api.never_read(request(b"another"))


async def test_init_errors_are_told_once_and_only_before_the_first_next(api: Api) -> None:
    runtime = await api.connect()
    header = "Lambda-Runtime-Function-Error-Type: Runtime.ImportModuleError"
    assert (await runtime.call(post("/2018-06-01/runtime/init/error", b"{}", header)))[0] == 202
    assert api.events.init_failures == [Answer(b"{}", "Runtime.ImportModuleError")]
    assert (await runtime.call(post("/2018-06-01/runtime/init/error", b"{}")))[0] == 403
    assert (await runtime.call(NEXT))[0] == 403


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /ping HTTP/1.1\r\n\r\n", 200),
        (b"GET /2018-06-01/ping HTTP/1.1\r\n\r\n", 200),
        (b"GET /2018-06-01/runtime/restore/next HTTP/1.1\r\n\r\n", 404),
        (post("/2018-06-01/runtime/restore/error"), 404),
        (b"GET /2021-04-23/credentials HTTP/1.1\r\n\r\n", 404),
        (b"GET /elsewhere HTTP/1.1\r\n\r\n", 404),
        (post("/2018-06-01/runtime/invocation/next"), 405),
        (b"GET /2018-06-01/runtime/invocation/x/response HTTP/1.1\r\n\r\n", 405),
        (post("/2018-06-01/runtime/invocation/x/other"), 404),
        (post(f"{INVOCATION}/response", b"1"), 403),
    ],
)
async def test_routes_and_their_codes(api: Api, data: bytes, status: int) -> None:
    runtime = await api.connect()
    assert (await runtime.call(data))[0] == status


async def test_a_streamed_response_is_buffered(api: Api) -> None:
    runtime = await api.running()
    head = (
        f"POST {INVOCATION}/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
        "Lambda-Runtime-Function-Response-Mode: streaming\r\n\r\n"
    )
    assert (await runtime.call(head.encode() + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"))[0] == 202
    assert api.events.answers == [Answer(b"abcde")]


async def test_an_error_in_the_trailers_of_a_stream_fails_the_invocation(api: Api) -> None:
    runtime = await api.running()
    head = (
        f"POST {INVOCATION}/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
        "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
        "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n"
    )
    body = base64.b64encode(b'{"errorMessage":"late"}').decode()
    trailers = (
        "3\r\nabc\r\n0\r\nLambda-Runtime-Function-Error-Type: Runtime.Late\r\n"
        f"Lambda-Runtime-Function-Error-Body: {body}\r\n\r\n"
    )
    assert (await runtime.call(head.encode() + trailers.encode()))[0] == 202
    assert api.events.answers == [Answer(b'{"errorMessage":"late"}', "Runtime.Late")]


async def test_an_unknown_response_mode_is_refused_and_fails_the_invocation(api: Api) -> None:
    runtime = await api.running()
    mode = "Lambda-Runtime-Function-Response-Mode: sideways"
    status, body = await runtime.call(post(f"{INVOCATION}/response", b"1", mode))
    assert (status, orjson.loads(body)["errorType"]) == (400, "InvalidFunctionResponseMode")
    assert api.events.answers[0].error_type == "Runtime.InvalidResponseModeHeader"


async def test_a_client_that_expects_100_gets_it(api: Api) -> None:
    runtime = await api.running()
    head, _, body = post(f"{INVOCATION}/response", b"42", "Expect: 100-continue").partition(b"\r\n\r\n")
    runtime.send(head + b"\r\n\r\n")
    assert (await runtime.reply())[0] == 100
    runtime.send(body)
    assert (await runtime.reply())[0] == 202


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x00\xa5", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"\x00" * 100_000],
)
async def test_garbage_ends_its_connection_and_no_other(api: Api, garbage: bytes) -> None:
    runtime = await api.running()
    hostile = await api.connect()
    hostile.send(garbage)
    await within(hostile.reader.read())
    assert (await runtime.call(post(f"{INVOCATION}/response", b"42")))[0] == 202


async def test_an_endless_header_is_cut_at_64_kilobytes(api: Api) -> None:
    hostile = await api.connect()
    hostile.send(b"GET /ping HTTP/1.1\r\nX: ")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await hostile.flood(b"x" * 16_384)


CHUNKED = f"POST {INVOCATION}/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".encode()


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (CHUNKED + b"0\r\n", b"X: " + b"x" * 8_000 + b"\r\n"),
        (CHUNKED + b"0\r\nX: ", b"x" * 16_384),
        (CHUNKED + b"5;x=", b"x" * 16_384),
    ],
)
async def test_endless_trailers_and_chunk_extensions_are_cut_too(api: Api, start: bytes, more: bytes) -> None:
    hostile = await api.running()
    hostile.send(start)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await hostile.flood(more)


async def test_more_headers_than_anybody_needs_are_refused(api: Api) -> None:
    hostile = await api.connect()
    assert (await hostile.call(b"GET /ping HTTP/1.1\r\n" + b"".join(b"X%d:\r\n" % n for n in range(200))))[0] == 431
    assert await hostile.ended()


async def test_a_body_of_tiny_chunks_takes_no_more_memory_than_its_bytes(api: Api) -> None:
    runtime = await api.running()
    tracemalloc.start()
    try:
        runtime.send(CHUNKED + b"2\r\nab\r\n" * 200_000)
        await until(lambda: api.api.buffered_bytes == 400_005)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The test's own copy that is not sent yet may be part of it.
    assert held < 4_000_000
    assert (await runtime.call(b"0\r\n\r\n"))[0] == 202
    assert len(api.events.answers[0].body) == 400_005


async def test_after_a_read_that_took_long_all_connections_of_the_environment_rest(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_http, "REST_AFTER_S", 0.0)
    monkeypatch.setattr(runtime_http, "REST_FACTOR", 1_000_000)
    runtime, other = await api.running(), await api.connect()
    runtime.send(CHUNKED + b"1\r\na\r\n" * 10_000)
    await until(lambda: api.api.resting)
    other.send(b"GET /ping HTTP/1.1\r\n\r\n")
    late = await api.connect()
    late.send(b"GET /ping HTTP/1.1\r\n\r\n")
    for client in (other, late):
        with pytest.raises(TimeoutError):
            await within(client.reader.read(1), 0.05)
    api.api.rested()
    assert (await other.reply())[0] == (await late.reply())[0] == 200


async def test_thousands_of_requests_at_once_end_their_connection(api: Api) -> None:
    hostile = await api.connect()
    hostile.send(b"GET /ping HTTP/1.1\r\n\r\n" * 5_000)
    received = b""
    with suppress(ConnectionError):
        while data := await within(hostile.reader.read(65_536)):
            received += data
    assert received.count(b"200 OK") < 1_000


async def test_a_large_response_followed_by_a_split_next_is_not_an_endless_header(api: Api) -> None:
    runtime = await api.running()
    runtime.send(post(f"{INVOCATION}/response", b"x" * 500_000) + NEXT[:20])
    await until(lambda: len(api.events.answers) == 1)
    runtime.send(NEXT[20:])
    await until(lambda: api.events.ready == 2)


async def test_more_than_64_connections_are_closed(api: Api) -> None:
    runtime = await api.running()
    others = [await api.connect() for _ in range(MAX_CONNECTIONS + 5)]
    assert await others[-1].ended()
    assert (await runtime.call(post(f"{INVOCATION}/response", b"42")))[0] == 202


async def test_bodies_of_all_connections_together_are_bounded(api: Api) -> None:
    await api.running()
    unfinished = post(f"{INVOCATION}/response", b"x" * 6_000_000)[:-1]
    for _ in range(4):
        client = await api.connect()
        client.send(unfinished)
        await within(client.writer.drain())
        assert api.api.buffered_bytes <= 16 * 1024 * 1024
    for client in api.clients:
        client.close()
    await within(api.api.drained())
    assert api.api.buffered_bytes == 0


async def test_a_runtime_that_sends_on_while_it_waits_loses_its_connection(api: Api) -> None:
    runtime = await api.connect()
    runtime.send(NEXT + b"GET /ping HTTP/1.1\r\n\r\n")
    assert await runtime.ended()


async def test_a_runtime_that_never_reads_replies_is_not_read_either(api: Api) -> None:
    hostile = await api.connect()
    hostile.reader._transport.pause_reading()  # type: ignore[attr-defined]
    one = b"GET /2018-06-01/runtime/invocation/x/response HTTP/1.1\r\n\r\n"

    def full() -> bool:
        hostile.send(one * 20)
        return hostile.writer.transport.get_write_buffer_size() > 0

    await until(full)
    hostile.writer.transport.abort()


async def test_connections_end_with_a_restart(api: Api) -> None:
    runtime = await api.running()
    api.api.restart()
    assert await runtime.ended()
    await within(api.api.drained())
    again = await api.connect()
    again.send(NEXT)
    await until(lambda: api.events.ready == 2)
