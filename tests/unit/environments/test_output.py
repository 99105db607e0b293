"""From a pipe to lines, however the bytes arrive."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from lambent.environments.output import MAX_LINE_BYTES, Output, Turns
from lambent.testing.scripted_runtime import Echo, Next, Respond, Say, write_all
from tests.unit.environments.kit import Machine, until, within


class Pipe:
    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe()
        os.set_blocking(self.read_fd, False)
        self.lines: list[str] = []
        self.output = Output(self.read_fd, self.lines.append, Turns())

    async def write(self, data: bytes) -> None:
        """Like a process: blocks while the pipe is full."""
        await within(asyncio.to_thread(write_all, self.write_fd, data))


@pytest.fixture
async def pipe() -> AsyncIterator[Pipe]:
    made = Pipe()
    yield made
    made.output.close()
    os.close(made.read_fd)
    os.close(made.write_fd)


async def test_lines_are_put_together_and_bad_bytes_are_replaced(pipe: Pipe) -> None:
    for piece in (b"fir", b"st\nsec", "ond grüße\n".encode(), b"\xff\n", b"\n", b"open"):
        await pipe.write(piece)
        pipe.output.drain()
    assert pipe.lines == ["first\n", "second grüße\n", "�\n", "\n"]
    pipe.output.flush()
    assert pipe.lines[-1] == "open"


def test_floods_rest_one_after_another_and_a_single_one_for_twice_its_time() -> None:
    turns = Turns()
    rests = [turns.rest_after(0.1) for _ in range(4)]
    assert rests == pytest.approx([0.2, 0.5, 0.8, 1.1], abs=0.05)


async def test_a_flood_without_line_breaks_is_split_in_bounded_memory(pipe: Pipe) -> None:
    await pipe.write(b"x" * 5_000_000)
    await within(pipe.output.emptied())
    pipe.output.flush()
    assert sum(map(len, pipe.lines)) == 5_000_000
    assert max(map(len, pipe.lines)) <= MAX_LINE_BYTES + 64 * 1024


async def test_a_flood_of_empty_lines_lets_others_run(pipe: Pipe) -> None:
    writing = asyncio.create_task(pipe.write(b"\n" * 500_000))
    turns = 0
    while not writing.done():
        turns += 1
        await asyncio.sleep(0)
    await within(pipe.output.emptied())
    assert len(pipe.lines) == 500_000
    assert turns > 10


async def test_emptied_sees_what_was_there_and_does_not_wait_for_more(pipe: Pipe) -> None:
    await within(pipe.output.emptied())
    write: Callable[[bytes], Awaitable[None]] = pipe.write
    await write(b"x\n" * 30_000)
    await within(pipe.output.emptied())
    assert len(pipe.lines) == 30_000


async def test_the_end_comes_after_a_long_output_and_the_answer_does_not_wait() -> None:
    text = b"a line of the log\n" * 50_000
    async with Machine(((Next(), Say(text), Respond(b"1", then_next=True), Respond(), Echo()),)) as machine:
        assert (await machine.invoke()).payload == b"1"
        await until(lambda: machine.in_use() == 0)
        kinds = [line.partition(" RequestId")[0] for line in machine.log.lines[1:]]
        assert kinds == ["START", *["a line of the log\n"] * 50_000, "END", "REPORT"]


async def test_a_framed_message_is_one_event_after_what_was_printed_before(pipe: Pipe) -> None:
    message = "[ERROR] ValueError: grüße\nTraceback".encode()
    framed = b"\xa5\x5a\x00\x17" + len(message).to_bytes(4, "big") + bytes(8) + message
    for piece in (b"one\r\ntwo", framed[:9], framed[9:], b"three\n", framed + framed, framed[:20]):
        await pipe.write(piece)
        pipe.output.drain()
    pipe.output.finish()
    event = message.decode()
    assert pipe.lines == ["one\r\n", "two", event, "three\n", event, event, "[ERR"]
