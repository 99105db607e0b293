"""Responses that reach a sink while the runtime still writes them: order, errors, limits and back-pressure."""

import asyncio
import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import orjson
import pytest

from lambent.environments.request import Answer, InvokeResult, ResponseHead
from lambent.functions.quotas import Quotas
from lambent.testing.manual_clock import ManualClock
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
    Send,
    WaitFor,
)
from tests.unit.environments.kit import REQUEST_ID, Machine, function_version, request, until, within

HEAD = (
    f"POST /2018-06-01/runtime/invocation/{REQUEST_ID}/response HTTP/1.1\r\nHost: x\r\n"
    "Transfer-Encoding: chunked\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n\r\n"
)


@dataclass
class ListSink:
    """A ResponseSink that keeps what it gets, and takes nothing more from `room` bytes on."""

    room: int = 1 << 40
    head: ResponseHead | None = None
    body: bytearray = field(default_factory=bytearray)
    ends: list[Answer | None] = field(default_factory=list)
    go_on: Callable[[], None] = lambda: None

    def begin(self, head: ResponseHead) -> None:
        assert self.head is None
        self.head = head

    def chunk(self, data: bytes) -> bool:
        assert not self.ends
        self.body += data
        return len(self.body) < self.room

    def resumes(self, call: Callable[[], None]) -> None:
        self.go_on = call

    def end(self, error: Answer | None) -> None:
        self.ends.append(error)


async def streamed(sink: ListSink, *script: Action, keep_tail: bool = False) -> InvokeResult:
    async with Machine(((Next(), *script, Echo()),)) as machine:
        version = function_version(timeout_s=60)
        return await machine.invoke(sink=sink, keep_tail=keep_tail, version=version)


async def test_bytes_reach_the_sink_before_the_response_is_complete() -> None:
    sink, acknowledged = ListSink(), asyncio.Event()
    async with Machine(
        ((Next(), Begin(), Chunk(b"one"), WaitFor(acknowledged), Chunk(b"two"), Finish(), Echo()),)
    ) as machine:
        call = asyncio.create_task(machine.invoke(sink=sink))
        await until(lambda: sink.body == b"one")
        assert (sink.head, sink.ends, call.done()) == (ResponseHead("text/plain", streaming=True), [], False)
        acknowledged.set()
        assert await within(call) == InvokeResult(b"", None, None, 6)
        assert (bytes(sink.body), sink.ends) == (b"onetwo", [None])
        # The next one, without a sink, is as always.
        await until(lambda: machine.environment.usable)
        assert (await machine.invoke(b'{"a":1}')).payload == b'{"a":1}'


async def test_the_response_of_a_runtime_that_does_not_stream_is_one_chunk() -> None:
    sink = ListSink()
    result = await streamed(sink, Respond(b'"all"', headers=(("Content-Type", "application/json"),)))
    assert (sink.head, bytes(sink.body), sink.ends) == (
        ResponseHead("application/json", streaming=False),
        b'"all"',
        [None],
    )
    assert result == InvokeResult(b"", None, None, 5)


async def test_an_error_before_the_response_ends_a_sink_that_has_not_begun() -> None:
    sink = ListSink()
    result = await streamed(sink, Fail(b"{}", "Function.ValueError"))
    assert (sink.head, sink.ends, result.error_type) == (
        None,
        [Answer(b"{}", "Function.ValueError")],
        "Function.ValueError",
    )


async def test_an_error_in_the_trailers_ends_the_sink_after_what_was_sent() -> None:
    sink, body = ListSink(), base64.b64encode(b'{"errorMessage":"late"}').decode()
    trailers = (("Lambda-Runtime-Function-Error-Type", "Function.Late"), ("Lambda-Runtime-Function-Error-Body", body))
    result = await streamed(sink, Begin(), Chunk(b"abc"), Finish(trailers))
    assert (bytes(sink.body), sink.ends) == (b"abc", [Answer(b'{"errorMessage":"late"}', "Function.Late")])
    assert (result.error_type, result.streamed_bytes) == ("Function.Late", 3)


async def test_a_runtime_that_dies_in_the_middle_ends_the_sink_with_why() -> None:
    sink = ListSink()
    result = await streamed(sink, Begin(), Chunk(b"abc"), Die(9))
    assert (bytes(sink.body), result.error_type, result.streamed_bytes) == (b"abc", "Runtime.ExitError", 3)
    assert [end and end.error_type for end in sink.ends] == ["Runtime.ExitError"]


async def test_a_function_that_streams_too_long_is_stopped_at_its_timeout() -> None:
    sink, clock, hang = ListSink(room=1), ManualClock(), Hang()
    async with Machine(((Next(), Begin(), Chunk(b"abc"), hang), (Echo(),)), clock=clock) as machine:
        call = asyncio.create_task(machine.invoke(sink=sink, version=function_version(timeout_s=3)))
        await until(lambda: sink.body == b"abc")
        await clock.advance(3)
        result = await within(call)
        assert (result.error_type, result.streamed_bytes) == ("Sandbox.Timedout", 3)
        assert [end and end.error_type for end in sink.ends] == ["Sandbox.Timedout"]


async def test_a_response_over_the_limit_is_cut_there() -> None:
    sink = ListSink()
    script: Sequence[Action] = (Next(), Begin(), Chunk(b"abc"), Chunk(b"defg"), Chunk(b"h"), Finish(), Echo())
    async with Machine((script,), quotas=Quotas(max_streamed_bytes=5)) as machine:
        result = await machine.invoke(sink=sink)
        assert (bytes(sink.body), result.error_type) == (b"abcde", "Function.ResponseSizeTooLarge")
        assert orjson.loads(result.payload)["errorMessage"].endswith("(5 bytes).")
        # The environment stays.
        await until(lambda: machine.environment.usable)
        assert (await machine.invoke(b"1")).payload == b"1"


async def test_nothing_is_read_while_the_sink_takes_no_more() -> None:
    sink = ListSink(room=1)
    many = [Chunk(b"x" * 65536) for _ in range(1024)]
    async with Machine(((Next(), Begin(), *many, Finish(), Echo()),)) as machine:
        call = asyncio.create_task(machine.invoke(sink=sink, version=function_version(timeout_s=60)))
        await until(lambda: bool(sink.body))
        before = len(sink.body)
        for _ in range(1000):
            await asyncio.sleep(0)
        assert len(sink.body) == before < 1024 * 1024
        sink.room = 1 << 40
        sink.go_on()
        await within(call)
        assert len(sink.body) == 1024 * 65536


async def test_chunks_of_a_byte_do_not_make_a_call_each() -> None:
    class Counting(ListSink):
        calls = 0

        def chunk(self, data: bytes) -> bool:
            self.calls += 1
            return super().chunk(data)

    sink = Counting()
    await streamed(sink, Begin(), Send(b"1\r\nx\r\n" * 10_000), Finish())
    assert (bytes(sink.body), sink.calls < 100) == (b"x" * 10_000, True)


async def test_with_the_log_tail_the_sink_ends_first_and_the_result_comes_with_the_report() -> None:
    sink = ListSink()
    result = await streamed(sink, Begin(), Chunk(b"abc"), Finish(), keep_tail=True)
    assert result.log_tail is not None
    assert (b"REPORT RequestId" in result.log_tail, sink.ends) == (True, [None])


@pytest.mark.parametrize("action", ["response", "error"])
async def test_a_second_answer_beside_a_response_that_streams_is_refused(action: str) -> None:
    sink, done = ListSink(), asyncio.Event()
    async with Machine(((Next(), Begin(), Chunk(b"abc"), WaitFor(done), Finish(), Echo()),)) as machine:
        call = asyncio.create_task(machine.invoke(sink=sink))
        await until(lambda: sink.body == b"abc")
        reader, writer = await asyncio.open_connection(*machine.driver.sandboxes[0].runtimes[0].address)
        path = f"/2018-06-01/runtime/invocation/{REQUEST_ID}/{action}"
        writer.write(f"POST {path} HTTP/1.1\r\nContent-Length: 1\r\n\r\n1".encode())
        assert b"403" in await within(reader.readline())
        writer.close()
        done.set()
        assert (await within(call)).error_type is None
        assert (bytes(sink.body), sink.ends) == (b"abc", [None])


async def test_a_response_whose_connection_ends_early_is_truncated_when_the_runtime_goes_on() -> None:
    sink = ListSink()
    async with Machine(((Next(), Hang()),)) as machine:
        call = asyncio.create_task(machine.invoke(sink=sink))
        sandbox = await until_sandbox(machine)
        await until(lambda: machine.environment.domain.api.state == "Running")
        _, writer = await asyncio.open_connection(*sandbox)
        writer.write(HEAD.encode() + b"3\r\nabc\r\n")
        await until(lambda: sink.body == b"abc")
        writer.close()
        _, writer = await asyncio.open_connection(*sandbox)
        writer.write(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n")
        result = await within(call)
        assert (result.error_type, result.streamed_bytes) == ("Runtime.TruncatedResponse", 3)
        writer.close()


async def until_sandbox(machine: Machine) -> tuple[str, int]:
    await until(lambda: bool(machine.driver.sandboxes) and bool(machine.driver.sandboxes[0].runtimes))
    return machine.driver.sandboxes[0].runtimes[0].address


async def test_who_asks_without_a_sink_gets_what_a_runtime_streams_as_one() -> None:
    async with Machine(((Next(), Begin(), Chunk(b"abc"), Chunk(b"def"), Finish(), Echo()),)) as machine:
        result = await within(machine.router.invoke(function_version(), request()))
        assert result == InvokeResult(b"abcdef")
