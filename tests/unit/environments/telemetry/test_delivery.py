"""What a hostile subscriber costs: an attempt, and no more than it was promised."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from lambent.environments.telemetry.delivery import MAX_REPLY_BYTES, HttpDelivery, TcpDelivery, Undelivered
from lambent.environments.telemetry.subscription import Destination
from tests.unit.environments.kit import within
from tests.unit.environments.telemetry.kit import connect

EVENTS = [b'{"a":1}', b'{"b":2}']


@contextlib.asynccontextmanager
async def peer(answer: Callable[[asyncio.StreamWriter], None]) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        with contextlib.suppress(OSError):
            answer(writer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


def http(port: int) -> HttpDelivery:
    return HttpDelivery(Destination(protocol="HTTP", port=port, host="sandbox"), connect)


@pytest.mark.parametrize("status", [200, 202, 302])
async def test_any_answer_that_is_no_error_is_taken_for_one(status: int) -> None:
    async with peer(lambda writer: writer.write(b"HTTP/1.1 %d X\r\n\r\n" % status)) as port:
        await within(http(port).send(EVENTS))


async def test_an_endless_answer_is_not_read_to_its_end() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
    async with peer(lambda writer: writer.write(head + bytes(4 * MAX_REPLY_BYTES))) as port:
        await within(http(port).send(EVENTS))


async def test_endless_headers_are_not_read_to_their_end() -> None:
    async with peer(lambda writer: writer.write(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100_000)) as port:
        await within(http(port).send(EVENTS))


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0\r\n", b"\x00" * 100, b"HTTP/1.1 500 X\r\n\r\n", b"HTTP/1.1 404 X\r\n\r\n"]
)
async def test_no_answer_no_http_and_errors_are_failures(answer: bytes) -> None:
    async with peer(lambda writer: writer.write(answer)) as port:
        with pytest.raises(Undelivered):
            await within(http(port).send(EVENTS))


async def test_a_port_where_nobody_listens_is_a_failure() -> None:
    with pytest.raises(ConnectionRefusedError):
        await within(http(1).send(EVENTS))


async def test_a_broken_connection_of_tcp_is_made_again() -> None:
    seen: list[bytes] = []
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readline())
        writer.close()
        await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    delivery = TcpDelivery(Destination(protocol="TCP", port=server.sockets[0].getsockname()[1]), connect)
    for event in EVENTS:
        ended.clear()
        await within(delivery.send([event]))
        await within(ended.wait())
    assert seen == [event + b"\n" for event in EVENTS]
    delivery.close()
    server.close()


async def test_a_delivery_that_is_given_up_leaves_no_connection() -> None:
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for delivery in (http(port), TcpDelivery(Destination(protocol="TCP", port=port), connect)):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await delivery.send([bytes(50_000_000)])
        delivery.close()
    for writer in held:
        writer.close()
    server.close()
