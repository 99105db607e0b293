"""Name look-ups of sandboxes: questions that arrive in a router are asked of the host's own name servers.

Bytes go through as they are. A question is asked from a socket of its own, so an answer can only be to it, of the first
server that gives one. Without a server, or an answer of one, the answer is SERVFAIL: no function waits for nothing.
"""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)

PORT = 53
RESOLV_CONF = Path("/etc/resolv.conf")
_MOST_QUESTIONS, _MOST_CONNECTIONS = 512, 64
"""At one time, of all sandboxes. Beyond that one of who has most is not answered; a resolver asks again."""
_QUESTION_BYTES, _HEADER_BYTES = 4096, 12
_PER_SERVER_S, _CONNECTION_S = 2.0, 10.0
_MOST_SERVERS = 3
_CHUNK_BYTES = 16_384


class NameServers:
    """Of the host, as its resolv.conf says now."""

    def __init__(self, path: Path = RESOLV_CONF) -> None:
        self._path = path
        self._read: tuple[int, int] | None = None
        self._servers: tuple[str, ...] = ()

    def __call__(self) -> Sequence[str]:
        try:
            stat = self._path.stat()
            if self._read != (stat.st_mtime_ns, stat.st_ino):
                self._servers = parse(self._path.read_text(encoding="utf-8", errors="replace"))
                self._read = (stat.st_mtime_ns, stat.st_ino)
        except OSError:
            self._servers = ()
        return self._servers


def parse(resolv_conf: str) -> tuple[str, ...]:
    """The addresses of name servers; the loopback where it names none, as resolvers do."""
    words = [line.split() for line in resolv_conf.splitlines()]
    found = tuple(each[1] for each in words if len(each) > 1 and each[0] == "nameserver")
    return found[:_MOST_SERVERS] or ("127.0.0.1",)


def failed(question: bytes) -> bytes:
    """SERVFAIL for it."""
    flags = int.from_bytes(question[2:4]) | 0x8082
    return question[:2] + (flags & ~0x000D).to_bytes(2) + question[4:]


class DnsRelay:
    def __init__(self, datagrams: socket.socket, listener: socket.socket, servers: Callable[[], Sequence[str]]) -> None:
        """Takes over both sockets, which are not blocking."""
        self._datagrams = datagrams
        self._listener = listener
        self._servers = servers
        self._loop = asyncio.get_running_loop()
        self._questions = _Places(_MOST_QUESTIONS)
        self._connections = _Places(_MOST_CONNECTIONS)
        self._loop.add_reader(datagrams, self._asked)
        self._loop.add_reader(listener, self._accept)

    async def close(self) -> None:
        self._loop.remove_reader(self._datagrams)
        self._loop.remove_reader(self._listener)
        tasks = (*self._questions.tasks, *self._connections.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._datagrams.close()
        self._listener.close()

    def _asked(self) -> None:
        with suppress(OSError):
            question, client = self._datagrams.recvfrom(_QUESTION_BYTES)
            if len(question) >= _HEADER_BYTES and self._questions.has_room(client[0]):
                self._questions.take(client[0], self._loop.create_task(self._answer(question, client)))

    async def _answer(self, question: bytes, client: tuple[str, int]) -> None:
        answer = None
        for server in self._servers():
            with suppress(OSError, TimeoutError):
                answer = await self._ask(server, question)
                break
        with suppress(OSError):  # It is gone, or its queue is full.
            self._datagrams.sendto(answer or failed(question), client)

    async def _ask(self, server: str, question: bytes) -> bytes:
        answer: asyncio.Future[bytes] = self._loop.create_future()
        transport, _ = await self._loop.create_datagram_endpoint(
            lambda: _Question(answer, question[:2]), remote_addr=(server, PORT)
        )
        try:
            transport.sendto(question)
            async with asyncio.timeout(_PER_SERVER_S):
                return await answer
        finally:
            transport.close()

    def _accept(self) -> None:
        with suppress(OSError):
            connection, client = self._listener.accept()
            if not self._connections.has_room(client[0]):
                connection.close()
                return
            connection.setblocking(False)
            self._connections.take(client[0], self._loop.create_task(self._relay(connection)))

    async def _relay(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, TimeoutError):
            async with asyncio.timeout(_CONNECTION_S):
                for server in self._servers():
                    with suppress(OSError):
                        reader, writer = await asyncio.open_connection(server, PORT)
                        break
                else:
                    return
                try:
                    await asyncio.gather(
                        self._copy_up(connection, writer),
                        self._copy_down(reader, connection),
                    )
                finally:
                    writer.close()

    async def _copy_up(self, connection: socket.socket, writer: asyncio.StreamWriter) -> None:
        while data := await self._loop.sock_recv(connection, _CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    async def _copy_down(self, reader: asyncio.StreamReader, connection: socket.socket) -> None:
        while data := await reader.read(_CHUNK_BYTES):
            await self._loop.sock_sendall(connection, data)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


class _Question(asyncio.DatagramProtocol):
    def __init__(self, answer: "asyncio.Future[bytes]", number: bytes) -> None:
        self._answer = answer
        self._number = number

    def datagram_received(self, data: bytes, addr: object) -> None:
        if data[:2] == self._number and not self._answer.done():
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)


class _Places:
    """Of a limited number of tasks: when there are no more, who has most of them loses its oldest to who has fewer."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.tasks: dict[asyncio.Task[None], str] = {}

    def has_room(self, client: str) -> bool:
        if len(self.tasks) < self._most:
            return True
        held = Counter(self.tasks.values())
        greedy, most = held.most_common(1)[0]
        if held[client] + 1 >= most:
            return False
        oldest = next(task for task, each in self.tasks.items() if each == greedy)
        del self.tasks[oldest]
        oldest.cancel()
        return True

    def take(self, client: str, task: "asyncio.Task[None]") -> None:
        self.tasks[task] = client
        task.add_done_callback(lambda done: self.tasks.pop(done, None))
