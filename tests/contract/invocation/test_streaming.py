"""Streamed responses over real sockets: botocore's own reader of event streams, and function URLs."""

import asyncio
import base64
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from lambent.functions.quotas import Quotas
from lambent.functions.records import ReservedConcurrency
from lambent.invocation.url_stream import PRELUDE_TYPE
from lambent.testing.scripted_runtime import (
    Action,
    Begin,
    Chunk,
    Die,
    Echo,
    Fail,
    Finish,
    Hang,
    Next,
    Respond,
    Say,
    WaitFor,
)
from lambent.testing.served import http_client
from tests.contract.invocation.test_function_url import ORIGIN, Reply, Urls, serving
from tests.unit.environments.kit import until, within

ERROR = b'{"errorMessage":"late","errorType":"Late"}'
LATE = Finish(
    (
        ("Lambda-Runtime-Function-Error-Type", "Function.Late"),
        ("Lambda-Runtime-Function-Error-Body", base64.b64encode(ERROR).decode()),
    )
)
MEGABYTE = 1024 * 1024


class Caller:
    """A blocking client, used in threads; each call has one of its own."""

    def __init__(self, urls: Urls) -> None:
        self._port = urls.port

    async def events(self, **parameters: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The reply, and all events of it."""

        def call() -> tuple[dict[str, Any], list[dict[str, Any]]]:
            with closing(http_client("lambda", self._port)) as client:
                reply = client.invoke_with_response_stream(**({"FunctionName": "f"} | parameters))
                return reply, list(reply["EventStream"])

        return await within(asyncio.to_thread(call))


def payload(events: list[dict[str, Any]]) -> bytes:
    return b"".join(event["PayloadChunk"]["Payload"] for event in events[:-1])


async def test_a_chunk_is_read_while_the_handler_waits_for_its_acknowledgement(tmp_path: Path) -> None:
    """A server that buffers would deadlock."""
    acknowledged = asyncio.Event()
    script = (Next(), Begin(), Chunk(b"one"), WaitFor(acknowledged), Chunk(b"two"), Finish(), Echo())
    async with serving(tmp_path, script) as urls:
        with closing(http_client("lambda", urls.port)) as client:
            reply = await within(asyncio.to_thread(client.invoke_with_response_stream, FunctionName="f"))
            events = iter(reply["EventStream"])
            assert await within(asyncio.to_thread(next, events)) == {"PayloadChunk": {"Payload": b"one"}}
            acknowledged.set()
            assert await within(asyncio.to_thread(list, events)) == [
                {"PayloadChunk": {"Payload": b"two"}},
                {"InvokeComplete": {}},
            ]


async def test_the_reply_says_what_ran_and_the_end_has_the_log(tmp_path: Path) -> None:
    async with serving(tmp_path, (Next(), Say(b"hello\n"), Begin(), Chunk(b"one"), Finish(), Echo())) as urls:
        reply, events = await Caller(urls).events(LogType="Tail")
        assert (reply["StatusCode"], reply["ExecutedVersion"]) == (200, "$LATEST")
        assert reply["ResponseStreamContentType"] == "application/vnd.amazon.eventstream"
        headers = reply["ResponseMetadata"]["HTTPHeaders"]
        assert (headers["transfer-encoding"], headers["x-amzn-trace-id"][:7]) == ("chunked", "Root=1-")
        log = base64.b64decode(events[-1]["InvokeComplete"]["LogResult"])
        assert (b"hello" in log, b"REPORT RequestId" in log) == (True, True)


async def test_a_function_that_does_not_stream_is_one_chunk(tmp_path: Path) -> None:
    async with serving(tmp_path, (Echo(),)) as urls:
        _, events = await Caller(urls).events(Payload=b'{"a":1}')
        assert events == [{"PayloadChunk": {"Payload": b'{"a":1}'}}, {"InvokeComplete": {}}]


@pytest.mark.parametrize(
    ("script", "sent", "details"),
    [
        ((Fail(ERROR),), b"", ERROR.decode()),
        ((Begin(), Chunk(b"one"), LATE), b"one", ERROR.decode()),
        ((Begin(), Chunk(b"one"), Die(9)), b"one", "Runtime exited with error: signal: killed"),
    ],
)
async def test_how_a_function_failed_is_told_at_the_end(
    tmp_path: Path, script: tuple[Action, ...], sent: bytes, details: str
) -> None:
    async with serving(tmp_path, (Next(), *script, Echo())) as urls:
        _, events = await Caller(urls).events()
        complete = events[-1]["InvokeComplete"]
        assert (payload(events), complete["ErrorCode"]) == (sent, "Unhandled")
        assert details in complete["ErrorDetails"]


async def test_a_failure_of_the_platform_in_the_middle_is_an_error_of_the_stream(tmp_path: Path) -> None:
    async with serving(tmp_path, (Next(), Begin(), Chunk(b"one"), Hang())) as urls:
        with closing(http_client("lambda", urls.port)) as client:
            reply = await within(asyncio.to_thread(client.invoke_with_response_stream, FunctionName="f"))
            events = iter(reply["EventStream"])
            assert await within(asyncio.to_thread(next, events)) == {"PayloadChunk": {"Payload": b"one"}}
            urls.machine.environment.stop()
            with pytest.raises(EventStreamError) as raised:
                await within(asyncio.to_thread(list, events))
            reply["EventStream"].close()
            assert raised.value.response["Error"]["Code"] == "ServiceException"


async def test_a_dry_run_has_no_stream(tmp_path: Path) -> None:
    async with serving(tmp_path, (Hang(),)) as urls:
        reply, events = await Caller(urls).events(InvocationType="DryRun")
        assert (reply["StatusCode"], events) == (204, [])
        with pytest.raises(ClientError) as refused:
            await Caller(urls).events(InvocationType="Event")
        assert refused.value.response["Error"]["Code"] == "ValidationException"


async def test_what_is_refused_before_the_function_runs_is_an_error_as_always(tmp_path: Path) -> None:
    async with serving(tmp_path, (Echo(),)) as urls:
        for parameters, code in (
            ({"FunctionName": "g"}, "ResourceNotFoundException"),
            ({"Payload": b"{"}, "InvalidRequestContentException"),
        ):
            with pytest.raises(ClientError) as refused:
                await Caller(urls).events(**parameters)
            assert refused.value.response["Error"]["Code"] == code
        await urls.attach(ReservedConcurrency(0))
        with pytest.raises(ClientError) as refused:
            await Caller(urls).events()
        assert refused.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"


async def test_plain_invoke_gets_a_streamed_response_whole(tmp_path: Path) -> None:
    async with serving(tmp_path, (Next(), Begin(), Chunk(b"one"), Chunk(b"two"), Finish(), Echo())) as urls:
        with closing(http_client("lambda", urls.port)) as client:
            reply = await asyncio.to_thread(client.invoke, FunctionName="f")
            assert reply["Payload"].read() == b"onetwo"


# Function URLs


async def fetched(root: Path, *script: Action, method: str = "GET", **parameters: Any) -> Reply:
    async with serving(root, (Next(), *script, Echo())) as urls:
        host = await urls.url(InvokeMode="RESPONSE_STREAM", **parameters)
        return await urls.send(host, method, origin=ORIGIN)


PRELUDE = Begin(PRELUDE_TYPE)
HEAD = json.dumps({"statusCode": 201, "headers": {"X-A": "1", "content-type": "text/csv"}, "cookies": ["a=1", "b=2"]})


async def test_the_prelude_becomes_status_headers_and_cookies(tmp_path: Path) -> None:
    reply = await fetched(tmp_path, PRELUDE, Chunk(HEAD.encode() + b"\0" * 8 + b"one"), Chunk(b"two"), Finish())
    assert (reply.status, reply.header("x-a"), reply.header("content-type")) == (201, "1", "text/csv")
    assert [value for name, value in reply.headers if name.lower() == "set-cookie"] == ["a=1", "b=2"]
    assert (reply.body, reply.header("transfer-encoding")) == (b"onetwo", "chunked")


async def test_a_prelude_may_come_in_pieces(tmp_path: Path) -> None:
    parts = [Chunk(bytes((each,))) for each in HEAD.encode() + b"\0" * 8 + b"body"]
    reply = await fetched(tmp_path, PRELUDE, *parts, Finish())
    assert (reply.status, reply.body) == (201, b"body")


async def test_without_a_prelude_the_reply_is_a_200_of_the_runtimes_type(tmp_path: Path) -> None:
    reply = await fetched(tmp_path, Begin("text/html"), Chunk(b"<p>"), Finish())
    assert (reply.status, reply.header("content-type"), reply.body) == (200, "text/html", b"<p>")


async def test_a_function_that_does_not_stream_is_sent_as_it_answered(tmp_path: Path) -> None:
    answer = b'{"statusCode":201,"body":"x"}'
    reply = await fetched(tmp_path, Respond(answer, headers=(("Content-Type", "application/json"),)))
    assert (reply.status, reply.header("content-type"), reply.body) == (200, "application/json", answer)


@pytest.mark.parametrize(
    "script",
    [
        (Fail(),),
        (PRELUDE, Chunk(b"no end"), Finish()),
        (PRELUDE, Chunk(b"[]" + b"\0" * 8), Finish()),
        (PRELUDE, Chunk(b'{"statusCode":"x"}' + b"\0" * 8), Finish()),
        (PRELUDE, Chunk(b"x" * 100_000), Finish()),
        (PRELUDE, Chunk(b"{"), LATE),
    ],
)
async def test_what_has_no_head_is_a_bad_gateway(tmp_path: Path, script: tuple[Action, ...]) -> None:
    reply = await fetched(tmp_path, *script)
    assert (reply.status, reply.body) == (502, b"Internal Server Error")


async def test_cors_of_the_url_is_added(tmp_path: Path) -> None:
    reply = await fetched(tmp_path, Begin(), Chunk(b"x"), Finish(), Cors={"AllowOrigins": [ORIGIN]})
    assert reply.header("access-control-allow-origin") == ORIGIN


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_what_has_no_body_has_none(tmp_path: Path, method: str, status: int) -> None:
    head = json.dumps({"statusCode": status}).encode() + b"\0" * 8
    reply = await fetched(tmp_path, PRELUDE, Chunk(head + b"one"), Chunk(b"two"), Finish(), method=method)
    assert (reply.status, reply.body) == (status, b"")


async def test_a_buffered_url_sends_the_response_whole(tmp_path: Path) -> None:
    async with serving(tmp_path, (Next(), Begin(), Chunk(b'"one'), Chunk(b'two"'), Finish(), Echo())) as urls:
        reply = await urls.send(await urls.url())
        assert (reply.body, reply.header("content-length")) == (b"onetwo", "6")


async def begun(urls: Urls, version: str = "1.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str]:
    """A connection to a streaming URL, after the head of its reply."""
    host = await urls.url(InvokeMode="RESPONSE_STREAM")
    reader, writer = await asyncio.open_connection("127.0.0.1", urls.port, limit=1024)
    writer.write(f"GET / HTTP/{version}\r\nHost: {host}\r\n\r\n".encode())
    head = (await within(reader.readuntil(b"\r\n\r\n"))).decode()
    return reader, writer, head.lower()


async def test_the_head_leaves_before_the_first_byte_of_the_body(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    script = (Next(), PRELUDE, Chunk(HEAD.encode() + b"\0" * 8), WaitFor(go_on), Chunk(b"x"), Finish(), Echo())
    async with serving(tmp_path, script) as urls:
        reader, writer, head = await begun(urls)
        assert head.startswith("http/1.1 201")
        go_on.set()
        assert await within(reader.readuntil(b"0\r\n\r\n")) == b"1\r\nx\r\n0\r\n\r\n"
        writer.close()


@pytest.mark.parametrize("end", [LATE, Die(9)])
async def test_an_error_in_the_middle_ends_the_connection_without_the_end_of_the_body(
    tmp_path: Path, end: Action
) -> None:
    async with serving(tmp_path, (Next(), Begin(), Chunk(b"one"), end, Echo())) as urls:
        reader, writer, _ = await begun(urls)
        assert await within(reader.read()) == b"3\r\none\r\n"
        writer.close()


async def test_for_http_1_0_the_body_ends_with_the_connection(tmp_path: Path) -> None:
    async with serving(tmp_path, (Next(), Begin(), Chunk(b"one"), Finish(), Echo())) as urls:
        reader, writer, head = await begun(urls, "1.0")
        assert "transfer-encoding" not in head
        assert await within(reader.read()) == b"one"
        writer.close()


async def test_a_reader_that_disappears_stops_neither_the_function_nor_the_return_of_its_lease(tmp_path: Path) -> None:
    many = [Chunk(b"x" * 65_536)] * 256
    async with serving(tmp_path, (Next(), Begin(), *many, Finish(), Echo())) as urls:
        _, writer, _ = await begun(urls)
        await until(lambda: urls.machine.environment.domain.api.outflow is not None)
        writer.transport.abort()
        await until(lambda: urls.machine.concurrency.in_use("123456789012", "us-east-1") == 0)
        assert [line for line in urls.machine.log.lines if line.startswith("REPORT")]
        assert urls.machine.environment.usable


async def test_a_slow_reader_holds_the_runtime_back(tmp_path: Path) -> None:
    many = [Chunk(b"x" * 65_536)] * 512
    script: tuple[Action, ...] = (Next(), Begin(), *many, Finish(), Echo())
    async with serving(tmp_path, script, Quotas(stream_bytes_per_s=1 << 40)) as urls:
        reader, writer, _ = await begun(urls)
        outflow = urls.machine.environment.domain.api.outflow
        assert outflow is not None
        sent = -1
        while sent != outflow.sent_bytes:
            sent = outflow.sent_bytes
            for _ in range(2000):
                await asyncio.sleep(0)
        # The rest is in the sockets of reader and runtime.
        assert sent < 16 * MEGABYTE
        size = 0
        while data := await within(reader.read(MEGABYTE)):
            size += len(data)
            if data.endswith(b"0\r\n\r\n"):
                break
        assert size > 32 * MEGABYTE
        writer.close()
