"""How long a streamed chunk is under way, and how fast many are: `python -m benchmarks.streaming`.

The function writes the time of the machine's monotonic clock into each chunk, the client reads it off its socket. The
floor is the same runtime and the same client with nothing in between but an event loop that copies what it reads: no
sandbox, no protocol, no log. Then 200 MB as fast as they go, the pace lifted, and what the server's memory gained.
"""

import argparse
import asyncio
import io
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from lambent.testing.running_server import Server

MEGABYTE: Final = 1024 * 1024
RUNTIME: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
LOOP: Final = """#!/usr/bin/env INTERPRETER
import json, os, socket, time
host, _, port = os.environ["AWS_LAMBDA_RUNTIME_API"].rpartition(":")
api = socket.create_connection((host, int(port)))
api.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
file = api.makefile("rb")
def read():
    headers = {}
    file.readline()
    while (line := file.readline().strip()):
        name, _, value = line.decode().partition(": ")
        headers[name.lower()] = value
    return headers, file.read(int(headers.get("content-length", 0)))
while True:
    api.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    headers, event = read()
    event = json.loads(event)
    event = json.loads(event["body"]) if "body" in event else event
    api.sendall(b"POST /2018-06-01/runtime/invocation/%b/response HTTP/1.1\\r\\nHost: x\\r\\n"
                b"Transfer-Encoding: chunked\\r\\nContent-Type: text/plain\\r\\n"
                b"Lambda-Runtime-Function-Response-Mode: streaming\\r\\n\\r\\n"
                % headers["lambda-runtime-aws-request-id"].encode())
    for number in range(event["chunks"]):
        data = b"@%020d@" % time.monotonic_ns() + b"x" * event["bytes"]
        api.sendall(b"%x\\r\\n%b\\r\\n" % (len(data), data))
        time.sleep(event["pause"])
    api.sendall(b"0\\r\\n\\r\\n")
    read()
""".replace("INTERPRETER", RUNTIME)
ASK: Final = {"chunks": 2, "bytes": 0, "pause": 0.005}
STAMP: Final = re.compile(rb"@(\d{20})@")
END: Final = b"0\r\n\r\n"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--invocations", type=int, default=200)
    options.add_argument("--megabytes", type=int, default=200)
    asked = options.parse_args()
    _print("floor: a loop that copies", _floor(asked.invocations))
    with (
        tempfile.TemporaryDirectory() as home,
        Server.start(Path(home) / "data", "--quota", "stream_bytes_per_s=1000000000000") as server,
    ):
        address, invoke, url = _deployed(server)
        ways = (("InvokeWithResponseStream", invoke), ("function URL", url))
        for name, request in ways:
            _print(name, _latencies(address, request, asked.invocations))
        for name, request in ways:
            _throughput(name, server, request, asked.megabytes)


def _print(name: str, samples: tuple[list[float], list[float]]) -> None:
    for which, values in zip(("first chunk", "next chunk"), samples, strict=True):
        values.sort()
        p50, p99 = statistics.median(values), values[len(values) * 99 // 100]
        print(f"{name:28} {which}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, worst {values[-1]:.2f} ms")


Request = Callable[[dict[str, Any]], bytes]


def _latencies(address: tuple[str, int], request: Request, count: int) -> tuple[list[float], list[float]]:
    """Of the first chunk of each invocation, and of the second, in milliseconds."""
    first, second = [], []
    with socket.create_connection(address, timeout=20) as connection:
        for number in range(count + 20):
            connection.sendall(request(ASK))
            data = b""
            stamps: list[float] = []
            # A head may end like a body does.
            while not data.endswith(END) or len(stamps) < 2:
                data += connection.recv(65_536)
                now = time.monotonic_ns()
                stamps += [(now - int(each)) / 1e6 for each in STAMP.findall(data)[len(stamps) :]]
            if number >= 20:
                first.append(stamps[0])
                second.append(stamps[1])
    return first, second


def _throughput(name: str, server: Server, request: Request, megabytes: int) -> None:
    before = _peak_kb(server)
    asked = request({"chunks": megabytes, "bytes": MEGABYTE - 22, "pause": 0})
    size, end = 0, b""
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(asked)
        while not end.endswith(END):
            data = connection.recv(MEGABYTE)
            size += len(data)
            end = (end + data)[-8:]
    took = time.perf_counter() - began
    gained = (_peak_kb(server) - before) / 1024
    print(f"{name:28} {megabytes} MB: {took:.2f} s, {size / MEGABYTE / took:.0f} MB/s, memory +{gained:.1f} MB")


def _peak_kb(server: Server) -> int:
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _deployed(server: Server) -> tuple[tuple[str, int], Request, Request]:
    client = server.client("lambda")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("loop", date_time=(2026, 1, 1, 0, 0, 0))
        entry.external_attr = 0o100755 << 16
        archive.writestr(entry, LOOP)
    client.create_function(
        FunctionName="f",
        Runtime=RUNTIME,
        Role="arn:aws:iam::000000000000:role/r",
        Handler="app.handler",
        Code={"ZipFile": buffer.getvalue()},
        Timeout=60,
        MemorySize=1769,
        Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/loop"}},
    )
    client.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 0.05, "MaxAttempts": 400})
    reply = client.create_function_url_config(FunctionName="f", AuthType="NONE", InvokeMode="RESPONSE_STREAM")
    everybody = {"FunctionName": "f", "Principal": "*"}
    client.add_permission(StatementId="u", Action="lambda:InvokeFunctionUrl", FunctionUrlAuthType="NONE", **everybody)
    client.add_permission(StatementId="i", Action="lambda:InvokeFunction", InvokedViaFunctionUrl=True, **everybody)
    path = f"/_lambda-url/{reply['FunctionUrl'].split('//')[1].partition('.')[0]}/"
    scope = f"Credential=test/{time.strftime('%Y%m%d', time.gmtime())}/us-east-1/lambda/aws4_request"
    signed = f"Authorization: AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=00\r\n"
    streaming = "/2021-11-15/functions/f/response-streaming-invocations"
    return (
        ("127.0.0.1", server.port),
        lambda event: _post(streaming, signed, event),
        lambda event: _post(path, "Content-Type: application/json\r\n", event),
    )


def _post(path: str, headers: str, event: dict[str, Any]) -> bytes:
    body = json.dumps(event).encode()
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


# The floor


def _floor(count: int) -> tuple[list[float], list[float]]:
    with _copying() as address, tempfile.TemporaryDirectory() as home:
        loop = Path(home) / "loop"
        loop.write_text(LOOP)
        variables = os.environ | {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{address[1]}"}
        runtime = subprocess.Popen([sys.executable, str(loop)], env=variables, stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            return _latencies(address, lambda event: _post("/", "", event), count)
        finally:
            runtime.kill()
            runtime.wait()


@contextmanager
def _copying() -> Iterator[tuple[str, int]]:
    """A server in a thread that gives each event to the runtime and copies what that writes to who asked."""
    loop = asyncio.new_event_loop()
    between = _Between()
    server = loop.run_until_complete(loop.create_server(lambda: _Line(between), "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield server.sockets[0].getsockname()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    loop.close()


class _Between:
    runtime: Any = None
    parked = False
    client: Any = None
    event = b""

    def hand_over(self) -> None:
        if self.parked and self.event:
            event, self.event, self.parked = self.event, b"", False
            head = b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 1\r\nContent-Length: %d\r\n\r\n" % len(event)
            self.runtime.write(head + event)


class _Line(asyncio.Protocol):
    """Of the runtime or of the client."""

    def __init__(self, between: _Between) -> None:
        self._between = between
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        between = self._between
        if data.startswith(b"GET"):
            between.runtime, between.parked = self._transport, True
            between.hand_over()
        elif self._transport is not between.runtime:
            between.client, between.event = self._transport, data.partition(b"\r\n\r\n")[2]
            between.hand_over()
        else:
            between.client.write(data)
            if data.endswith(END):
                self._transport.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")


if __name__ == "__main__":
    main()
