"""Listeners: the public one, and one inside each sandbox, all with the same protocol, limits and clock tick.

uvicorn gives the HTTP; its server, signals and reloads are left aside, because this process has listeners that come
and go by the hundred.
"""

import asyncio
import logging
import socket
from email.utils import formatdate
from time import time
from typing import Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lambent.gateway.app import AsgiApp, Front
from lambent.gateway.connection import Clients, Connection, Limits, Shared
from lambent.gateway.hosts import check_bind

logger = logging.getLogger(__name__)

BACKLOG: Final = 2048
TICK_S: Final = 1.0


class Listener:
    """Connections to one socket. `close` ends it at once; safe to call twice."""

    def __init__(self, server: "HttpServer", acceptor: asyncio.Server, clients: Clients) -> None:
        self._server = server
        self._acceptor = acceptor
        self._clients = clients

    @property
    def port(self) -> int:
        port: int = self._acceptor.sockets[0].getsockname()[1]
        return port

    def url(self, host: str) -> str:
        """`host` is a name or an address that leads here."""
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def stop_accepting(self) -> None:
        """Idle connections end; those that are being answered end with their answer."""
        self._acceptor.close()
        for connection in list(self._clients.connections):
            connection.shutdown()

    def close(self) -> None:
        self._server.forget(self)
        self._acceptor.close()
        for connection in list(self._clients.connections):
            connection.transport.abort()

    def check(self, now: float) -> None:
        for connection in list(self._clients.connections):
            connection.check(now)


class HttpServer:
    """All listeners of this process. Made and used on the running loop."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits or Limits()
        self._state = Shared()
        self._listeners: set[Listener] = set()
        self._public: set[Listener] = set()
        self._config = Config(
            _no_app,
            http=HttpToolsProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_keep_alive=self._limits.keep_alive_s,
        )
        self._config.load()
        self._timer: asyncio.TimerHandle | None = None
        self._tick()

    async def listen(self, app: AsgiApp, host: str, port: int) -> Listener:
        """Serve `app` on a loopback address; port 0 takes a free one.

        Raises `hosts.UnsafeBind`, and `OSError` for example when the port is in use.
        """
        check_bind(host)
        # As bytes: for text it imports the IDNA codec.
        family, _, _, _, address = socket.getaddrinfo(
            host.encode() if host.isascii() else host, port, type=socket.SOCK_STREAM
        )[0]
        check_bind(str(address[0]))
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setblocking(False)
            listener.bind(address)
            listener.listen(BACKLOG)
            served = await self.serve(app, listener)
        except BaseException:
            listener.close()
            raise
        self._public.add(served)
        return served

    async def serve(self, app: AsgiApp, listener: socket.socket, limits: Limits | None = None) -> Listener:
        """Serve `app` on a listening socket, which is the server's from now on."""
        clients = Clients(app, limits or self._limits, app.direct if isinstance(app, Front) else None)
        config, state, loop = self._config, self._state, self._loop
        acceptor = await loop.create_server(
            lambda: Connection(clients, config, state, loop), sock=listener, backlog=BACKLOG
        )
        served = Listener(self, acceptor, clients)
        self._listeners.add(served)
        return served

    def forget(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        self._public.discard(listener)

    async def drain(self, grace_s: float) -> None:
        """Take no more requests from outside, let those that are here finish for `grace_s`, then cut.

        Listeners inside sandboxes go on: a function that is finishing, and an extension that is told of the end, may
        still need their endpoint.
        """
        for listener in list(self._public):
            listener.stop_accepting()
        tasks = set(self._state.tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_s)
            if late:
                logger.warning("%d requests were cut at shutdown", len(late))
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1)
        for listener in list(self._public):
            listener.close()

    async def close(self, grace_s: float) -> None:
        """`drain`, and end the rest."""
        await self.drain(grace_s)
        for listener in list(self._listeners):
            listener.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        date = formatdate(time(), usegmt=True).encode()
        self._state.default_headers = [(b"date", date)]
        self._state.header_lines = b"date: %b\r\n" % date
        now = self._loop.time()
        for listener in list(self._listeners):
            listener.check(now)
        self._timer = self._loop.call_later(TICK_S, self._tick)


async def _no_app(scope: object, receive: object, send: object) -> None:
    """uvicorn wants an application in its settings; ours are given per listener."""
    raise AssertionError("a connection without its application")
