"""Delivery of one portion of events to a port inside the sandbox, by HTTP or by TCP.

The peer is hostile: it may accept and never read, answer without end, or not in HTTP. One portion is held, replies are
read up to a bound, and the caller sets the time; nothing is retried here.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import httptools

from lambent.environments.telemetry.subscription import Destination

MAX_REPLY_BYTES = 64 * 1024
"""Of a reply whose end nobody waits for: what counts is its status."""

Connect = Callable[[int], Awaitable[socket.socket]]
"""A non-blocking connection to a port of the loopback inside; raises OSError."""


class Undelivered(Exception):
    """The subscriber did not take the events; the argument says why."""


class Delivery(Protocol):
    async def send(self, events: Sequence[bytes]) -> None:
        """Raises Undelivered and OSError. May be cancelled at any time."""
        ...

    def close(self) -> None: ...


def delivery_to(destination: Destination, connect: Connect) -> Delivery:
    return (HttpDelivery if destination.protocol == "HTTP" else TcpDelivery)(destination, connect)


class HttpDelivery:
    """Each portion is a JSON array in a request on a connection of its own."""

    def __init__(self, destination: Destination, connect: Connect) -> None:
        self._destination = destination
        self._connect = connect

    async def send(self, events: Sequence[bytes]) -> None:
        to = self._destination
        body = b"[" + b",".join(events) + b"]"
        head = (
            f"{to.method} {to.path} HTTP/1.1\r\nHost: {to.host}:{to.port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        loop = asyncio.get_running_loop()
        with await self._connect(to.port) as connection:
            await loop.sock_sendall(connection, head.encode() + body)
            status = await _status(loop, connection)
        if status >= 400:
            raise Undelivered(f"the subscriber answered with status {status}")

    def close(self) -> None:
        """Nothing is kept between portions."""


class TcpDelivery:
    """Each event is a line on one connection, which is made again after it broke."""

    def __init__(self, destination: Destination, connect: Connect) -> None:
        self._port = destination.port
        self._connect = connect
        self._connection: socket.socket | None = None

    async def send(self, events: Sequence[bytes]) -> None:
        connection = self._connection
        if connection is None or _has_ended(connection):
            self.close()
            connection = await self._connect(self._port)
        self._connection = None
        try:
            await asyncio.get_running_loop().sock_sendall(connection, b"\n".join(events) + b"\n")
        except BaseException:
            # Half a line may have gone out: what follows on this connection could not be read.
            connection.close()
            raise
        self._connection = connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _has_ended(connection: socket.socket) -> bool:
    """Whether the peer has closed; what it sends is read, within bounds, and forgotten."""
    try:
        for _ in range(16):
            if not connection.recv(MAX_REPLY_BYTES):
                return True
    except BlockingIOError:
        return False
    except OSError:
        return True
    # It sends without end, which is no way to treat a log.
    return True


class _Reply:
    """What the parser calls back."""

    complete = False

    def on_message_complete(self) -> None:
        self.complete = True


async def _status(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> int:
    reply = _Reply()
    parser = httptools.HttpResponseParser(reply)
    size = 0
    try:
        while not reply.complete and size < MAX_REPLY_BYTES:
            data = await loop.sock_recv(connection, MAX_REPLY_BYTES)
            if not data:
                break
            size += len(data)
            parser.feed_data(data)
        status: int = parser.get_status_code()
    except httptools.HttpParserError as error:
        raise Undelivered("the subscriber's answer is not HTTP") from error
    if not status:
        raise Undelivered("the subscriber closed the connection without an answer")
    return status
