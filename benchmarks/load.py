"""Load generator: closed loop of N keep-alive connections on raw sockets, in a process of its own.

Knows just enough HTTP/1.1 to see where an answer ends (content-length or chunked). Bounded in count and in time.
`run` starts it as `python -m benchmarks.load`, a JSON plan on stdin, a JSON report on stdout.
"""

import asyncio
import base64
import json
import subprocess
import sys
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import uvloop

SIGNATURE = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to send. Connection c sends `requests[c]`, then every n-th after it, round and round."""

    port: int
    requests: Sequence[bytes]
    connections: int = 1
    count: int | None = None
    """Stop after this many measured answers; None: only time ends it."""
    seconds: float = 5.0
    """Stop after this time, warm-up not included."""
    warmup: int = 0
    """Answers over all connections before measuring begins."""
    pause_s: float = 0.0
    """Quiet time before each request, not part of the latency."""
    once: bool = False
    """Each connection sends one request."""
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    latencies_ms: tuple[float, ...]
    """Ascending."""
    errors: int
    """Answers that were neither 200 nor 202, function errors, and broken connections."""
    first_error: str
    elapsed_s: float
    cpu_s: float
    """CPU time of the generator itself while measuring."""

    @property
    def per_s(self) -> float:
        return len(self.latencies_ms) / self.elapsed_s if self.elapsed_s else 0.0

    def percentile_ms(self, share: float) -> float:
        """`share` of 1; NaN without samples."""
        if not self.latencies_ms:
            return float("nan")
        return self.latencies_ms[min(len(self.latencies_ms) - 1, int(share * len(self.latencies_ms)))]


def post(path: str, body: bytes, *, port: int, account: str = "000000000000", headers: str = "") -> bytes:
    """A POST as an AWS client sends it: shaped like SigV4, signed with zeros. Each of `headers` ends its line."""
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Amz-Date: {now}\r\n"
        f"Authorization: AWS4-HMAC-SHA256 Credential={account}/{now[:8]}/us-east-1/lambda/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={SIGNATURE}\r\n"
        f"Content-Type: application/json\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def invoke(function: str, body: bytes = b'{"key":"value"}', *, port: int) -> bytes:
    return post(f"/2015-03-31/functions/{function}/invocations", body, port=port)


def event(function: str, body: bytes = b'{"key":"value"}', *, port: int) -> bytes:
    path = f"/2015-03-31/functions/{function}/invocations"
    return post(path, body, port=port, headers="X-Amz-Invocation-Type: Event\r\n")


def run(load: Load) -> Outcome:
    """Run it in its own process and wait. Raises RuntimeError when the generator fails."""
    plan = {
        "port": load.port,
        "host": load.host,
        "requests": [base64.b64encode(request).decode() for request in load.requests],
        "connections": load.connections,
        "count": load.count,
        "seconds": load.seconds,
        "warmup": load.warmup,
        "pause_s": load.pause_s,
        "once": load.once,
    }
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        input=json.dumps(plan),
        stdout=subprocess.PIPE,
        text=True,
        timeout=load.seconds + 60,
        check=False,
    )
    if finished.returncode:
        raise RuntimeError(f"load generator ended with {finished.returncode}")
    report = json.loads(finished.stdout)
    return Outcome(**{**report, "latencies_ms": tuple(report["latencies_ms"])})


class _Generator:
    def __init__(self, plan: dict[str, Any], done: asyncio.Future[None]) -> None:
        self.plan = plan
        self.done = done
        self.requests = [base64.b64decode(request) for request in plan["requests"]]
        self.warmup: int = plan["warmup"]
        self.count: int | None = plan["count"]
        self.latencies_ns = array("Q")
        self.errors = 0
        self.first_error = ""
        self.begun_ns = 0
        self.ended_ns = 0
        self.cpu_begun_s = 0.0
        self.cpu_s = 0.0

    def begin(self) -> None:
        self.begun_ns = time.perf_counter_ns()
        self.cpu_begun_s = time.process_time()
        asyncio.get_running_loop().call_later(self.plan["seconds"], self.end)

    def end(self) -> None:
        if not self.done.done():
            self.ended_ns = time.perf_counter_ns()
            self.cpu_s = time.process_time() - self.cpu_begun_s
            self.done.set_result(None)

    def answered(self, sent_ns: int) -> None:
        if self.done.done():
            return
        if self.warmup > 0:
            self.warmup -= 1
            if self.warmup == 0:
                self.begin()
            return
        self.latencies_ns.append(time.perf_counter_ns() - sent_ns)
        if self.count is not None and len(self.latencies_ns) >= self.count:
            self.end()

    def failed(self, what: str) -> None:
        self.errors += 1
        self.first_error = self.first_error or what[:300]
        if self.errors >= 1000:
            self.end()

    def report(self) -> dict[str, Any]:
        return {
            "latencies_ms": sorted(round(each / 1e6, 4) for each in self.latencies_ns),
            "errors": self.errors,
            "first_error": self.first_error,
            "elapsed_s": (self.ended_ns - self.begun_ns) / 1e9 if self.begun_ns else 0.0,
            "cpu_s": self.cpu_s,
        }


class _Client(asyncio.Protocol):
    def __init__(self, generator: _Generator, first: int) -> None:
        self.generator = generator
        self.position = first
        self.buffer = b""
        self.sent_ns = 0
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)
        self.next()

    def next(self) -> None:
        if pause_s := self.generator.plan["pause_s"]:
            asyncio.get_running_loop().call_later(pause_s, self.send)
        else:
            self.send()

    def send(self) -> None:
        assert self.transport is not None
        if self.generator.done.done():
            return
        requests = self.generator.requests
        request = requests[self.position % len(requests)]
        self.position += self.generator.plan["connections"]
        self.sent_ns = time.perf_counter_ns()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        buffer = self.buffer = self.buffer + data if self.buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = buffer[:end].lower()
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            stop = head.find(b"\r\n", at + 17)
            length = int(head[at + 17 : stop if stop > 0 else end])
            if len(buffer) < end + 4 + length:
                return
        elif b"\r\ntransfer-encoding: chunked" in head and not buffer.endswith(b"0\r\n\r\n"):
            return
        self.buffer = b""
        if not head.startswith((b"http/1.1 200", b"http/1.1 202")) or b"x-amz-function-error" in head:
            self.generator.failed(buffer.decode(errors="replace"))
        self.generator.answered(self.sent_ns)
        if not self.generator.plan["once"]:
            self.next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.generator.done.done():
            self.generator.failed(f"connection lost: {error}")
            asyncio.get_running_loop().call_later(0.1, self.generator.end)


async def _generate(plan: dict[str, Any]) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    generator = _Generator(plan, done)
    if not generator.warmup:
        generator.begin()

    for number in range(plan["connections"]):
        await loop.create_connection(partial(_Client, generator, number), plan["host"], plan["port"])
    # Warm-up has a limit too: a server that never answers must not hang the benchmark.
    async with asyncio.timeout(plan["seconds"] + 30):
        await done
    return generator.report()


def main() -> None:
    print(json.dumps(uvloop.run(_generate(json.load(sys.stdin)))))


if __name__ == "__main__":
    main()
