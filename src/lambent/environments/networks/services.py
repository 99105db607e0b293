"""A service of the host or its network, published at an address in a VPC.

Connections are accepted there, and carried on from here to where it is. Bytes go through as they are.
"""

import asyncio
import logging
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

logger = logging.getLogger(__name__)

_MOST_CONNECTIONS = 256
_CONNECT_S = 10.0
_CHUNK_BYTES = 65_536


class VpcService(NamedTuple):
    host: str
    """In the VPC."""
    port: int
    to_host: str
    to_port: int


def services(given: Sequence[tuple[str, str]]) -> tuple[VpcService, ...]:
    """From the setting, which has checked them."""
    return tuple(VpcService(*_split(published), *_split(target)) for published, target in given)


def _split(place: str) -> tuple[str, int]:
    host, _, port = place.rpartition(":")
    return host, int(port)


class Forwarder:
    """Takes over `listener`, which is not blocking."""

    def __init__(self, listener: socket.socket, service: VpcService) -> None:
        self._listener = listener
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._connections: set[asyncio.Task[None]] = set()
        self._loop.add_reader(listener, self._accept)

    async def close(self) -> None:
        self._loop.remove_reader(self._listener)
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            connection, _ = self._listener.accept()
            if len(self._connections) >= _MOST_CONNECTIONS:
                connection.close()
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._carry(connection))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _carry(self, connection: socket.socket) -> None:
        service = self._service
        try:
            async with asyncio.timeout(_CONNECT_S):
                reader, writer = await asyncio.open_connection(service.to_host, service.to_port)
        except (OSError, TimeoutError) as error:
            logger.warning(
                "%s:%s, published in a VPC, does not answer at %s:%s: %s", service.host, service.port,
                service.to_host, service.to_port, error,
            )  # fmt: skip
            connection.close()
            return
        with connection, suppress(OSError):
            try:
                await asyncio.gather(self._up(connection, writer), self._down(reader, connection))
            finally:
                writer.close()

    async def _up(self, connection: socket.socket, writer: asyncio.StreamWriter) -> None:
        while data := await self._loop.sock_recv(connection, _CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    async def _down(self, reader: asyncio.StreamReader, connection: socket.socket) -> None:
        while data := await reader.read(_CHUNK_BYTES):
            await self._loop.sock_sendall(connection, data)
        connection.shutdown(socket.SHUT_WR)
