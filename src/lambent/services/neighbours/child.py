"""The process that runs moto: `python -m lambent.services.neighbours.child FD BYTES [buckets]`. With `topics`,
`rules` and `buckets`, which it imports, it is all that imports moto.

One request is one thread, because some of them wait (a long poll of SQS). The end of the socket is the end of the
server, also of a killed one, and then this process ends too. A request may carry a seed and a moment: what moto makes
up for it (ids, keys, dates) is then the same each time. Queues and functions are the server's: what moto would
deliver to its own goes back over the same socket (`outward`). What functions send gets here, so from here no address is
reached and no program started (`isolation`), and it ends when it holds more than BYTES (`memory`).
"""

import io
import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import moto.iam.models
from flask import Flask
from moto.core.request import (
    PRESERVED_HEADER_NAMES_ENVIRON_KEY,
    environ_key_for_header,
    should_preserve_original_header_name,
)
from moto.moto_api._internal import mock_random
from moto.moto_api._internal.moto_random import MotoRandom
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.utilities.utils import get_partition

from lambent.aws.outside import REPLY_BYTES
from lambent.services.neighbours import frames
from lambent.services.neighbours.isolation import REFUSED, isolate
from lambent.services.neighbours.memory import MemoryLimit
from lambent.services.neighbours.outward import NoAnswer, Outward

logger = logging.getLogger(__name__)

THREADS: Final = 1024
"""Of all callers together; `neighbours` bounds each one."""
NICENESS: Final = 10
OOM_SCORE: Final = "500"
"""When memory runs out, this process goes before the server and before functions."""

_fixed = threading.local()


class UnknownService(LookupError):
    """moto has none of this name."""


class Dispatcher(DomainDispatcherApplication):
    """moto's own, without the paths by which moto itself is driven."""

    def __init__(self, outward: Outward | None = None) -> None:
        super().__init__(create_backend_app)
        self._outward = outward

    def get_application(self, environ: dict[str, Any]) -> Flask:
        host = self.infer_service_region_host(environ, environ["PATH_INFO"])
        with self.lock:
            backend = None if host is None else self.get_backend_for_host(host)
            if backend is None or backend in REFUSED:
                raise UnknownService(host)
            if backend not in self.app_instances:
                try:
                    self.app_instances[backend] = self.create_app(backend)
                    self._lead_outward(backend)
                except ImportError as error:
                    raise UnknownService(f"{host}: {error}") from error
            return self.app_instances[backend]

    def _lead_outward(self, backend: str) -> None:
        # Here and not above: each of them imports its part of moto, which the first call to another need not wait for.
        if self._outward is not None and backend == "sns":
            from lambent.services.neighbours import topics

            topics.install(self._outward)
        if self._outward is not None and backend == "events":
            from lambent.services.neighbours import rules

            rules.install(self._outward)


class RandomByThread(MotoRandom):
    """Seeded for the request of a thread, when that asked for it."""

    def random(self) -> float:
        source: Random | None = getattr(_fixed, "random", None)
        return super().random() if source is None else source.random()

    def getrandbits(self, k: int, /) -> int:
        source: Random | None = getattr(_fixed, "random", None)
        return super().getrandbits(k) if source is None else source.getrandbits(k)


def utcnow() -> datetime:
    """Takes the place of moto's in IAM."""
    moment: datetime | None = getattr(_fixed, "moment", None)
    return (moment or datetime.now(UTC)).replace(tzinfo=None)


@contextmanager
def _repeatable(seed: str | None, moment: float | None) -> Iterator[None]:
    if seed is None or moment is None:
        yield
        return
    _fixed.random, _fixed.moment = Random(int(seed, 16)), datetime.fromtimestamp(moment, UTC)
    try:
        yield
    finally:
        _fixed.random = _fixed.moment = None


class Child:
    def __init__(self, channel: socket.socket, memory: MemoryLimit, *, their_buckets: bool = False) -> None:
        self._channel = channel
        self._memory = memory
        self._outward = Outward(self._send)
        self._dispatcher = Dispatcher(self._outward)
        if their_buckets:
            # Before anything that takes moto's buckets is imported. Here: a server without S3 of its own needs moto's.
            from lambent.services.neighbours import buckets

            buckets.install(self._outward)
        self._sending = threading.Lock()

    def run(self) -> None:
        """Until the server ends."""
        pool = ThreadPoolExecutor(THREADS)
        while (frame := frames.receive(self._channel)) is not None:
            head, body = frame
            if "called" in head:
                self._outward.answered(head, body)
                continue
            pool.submit(self._answer, head, body).add_done_callback(partial(self._reply, head))

    def _answer(self, head: frames.Head, body: bytes) -> tuple[dict[str, Any], bytes]:
        started: list[tuple[str, list[tuple[str, str]]]] = []
        self._outward.serves(head)

        def start_response(status: str, headers: list[tuple[str, str]], _error: Any = None) -> None:
            started.append((status, headers))

        # What moto makes for each account, it makes before the seed counts.
        iam = moto.iam.models.iam_backends[head["account"]][get_partition(head["region"])]
        policy = iam.managed_policies.get(head.get("policy", ""))
        if policy is not None:
            policy.next_version_num = head["version"]
        with _repeatable(head.get("seed"), head.get("moment")):
            parts = self._dispatcher(_environ(head, body), start_response)
            try:
                content = b"".join(parts)
            finally:
                if hasattr(parts, "close"):
                    parts.close()
        status, headers = started[-1]
        if len(content) > REPLY_BYTES:
            # Refused here: the server would hold the whole of it to find out.
            text = f"a reply of more than {REPLY_BYTES} bytes is not passed on: read the object in ranges"
            raise NotImplementedError(text)
        return {"status": int(status.partition(" ")[0]), "headers": headers}, content

    def _reply(self, asked: frames.Head, answer: "Future[tuple[dict[str, Any], bytes]]") -> None:
        error = answer.exception()
        head, body = _failure(asked, error) if error is not None else answer.result()
        try:
            opening = frames.opening({"id": asked["id"], **head}, len(body))
        except TypeError as unwritable:
            # A header that is no text: without a reply its caller would wait for ever.
            head, body = _failure(asked, unwritable)
            opening = frames.opening({"id": asked["id"], **head}, len(body))
        self._memory.check()
        self._write(opening, body)

    def _send(self, head: frames.Head, body: bytes) -> None:
        self._write(frames.opening(head, len(body)), body)

    def _write(self, opening: bytes, body: bytes) -> None:
        with self._sending:
            self._channel.sendall(opening)
            self._channel.sendall(body)


def _failure(asked: frames.Head, error: BaseException) -> tuple[dict[str, Any], bytes]:
    if isinstance(error, UnknownService):
        logger.warning("moto does not answer %s", error)
        return {"failure": "unknown"}, b""
    if isinstance(error, NotImplementedError):
        return {"failure": "not built", "message": str(error)}, b""
    if isinstance(error, NoAnswer):
        return {"failure": "undelivered", "message": str(error)}, b""
    logger.error("moto failed at %s %s", asked["service"], asked["path"], exc_info=error)
    return {"failure": "failed", "message": f"{type(error).__name__}: {error}"}, b""


def _environ(head: frames.Head, body: bytes) -> dict[str, Any]:
    """The request as WSGI and moto want it. The account and the region are those of the head, whatever was sent."""
    path, query = head["path"], head["query"]
    preserved: dict[str, str] = {}
    environ: dict[str, Any] = {
        "REQUEST_METHOD": head["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": f"{path}?{query}" if query else path,
        "REQUEST_URI": f"{path}?{query}" if query else path,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "CONTENT_LENGTH": str(len(body)),
        PRESERVED_HEADER_NAMES_ENVIRON_KEY: preserved,
    }
    headers: Mapping[str, str] = head["headers"]
    for name, value in headers.items():
        if name in ("content-length", "transfer-encoding"):
            continue
        key = environ_key_for_header(name)
        if "_" not in name:
            environ[key] = value
        elif should_preserve_original_header_name(name):
            preserved[key] = name
            environ.setdefault(key, value)
    environ["HTTP_X_MOTO_ACCOUNT_ID"] = head["account"]
    # moto takes the region, the service and the user from here, and before that from a User-Agent that names one.
    environ["HTTP_AUTHORIZATION"] = head["authorization"]
    environ["HTTP_USER_AGENT"] = environ.get("HTTP_USER_AGENT", "").replace("region/", "region-")
    return environ


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.setblocking(True)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    os.nice(NICENESS)
    # Where the server may write nowhere but in its data dir, it does without.
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(OOM_SCORE)
    vars(moto.iam.models)["utcnow"] = utcnow
    mock_random.__class__ = RandomByThread
    isolate()
    memory = MemoryLimit(int(sys.argv[2]))
    memory.impose(THREADS)
    try:
        Child(channel, memory, their_buckets="buckets" in sys.argv[3:]).run()
    except MemoryError:
        memory.end()
    # Threads may be in the middle of a long poll for nobody.
    os._exit(0)


if __name__ == "__main__":
    main()
