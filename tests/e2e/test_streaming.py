"""Streamed responses from real sandboxes: out at once, in flat memory, and nothing left of readers that leave."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lambent.testing.running_server import Server
from tests.e2e.conftest import SANDBOX
from tests.e2e.streaming_kit import create_streaming

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
MEGABYTE = 1024 * 1024
FAST = ("--quota", "stream_bytes_per_s=1000000000000")


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that slows no stream down, with the function `f`."""
    data_dir = tmp_path_factory.mktemp("streaming") / "data"
    with Server.start(data_dir, "--sandbox", SANDBOX, *FAST) as server:
        if server.sandbox == "process":
            pytest.skip("the process sandbox has no /var/task, where the wrapper is")
        create_streaming(server.client("lambda"), "f")
        yield server


def events(server: Server, *parts: dict[str, Any], **event: Any) -> Iterator[dict[str, Any]]:
    payload = json.dumps({"parts": parts} | event)
    reply = server.client("lambda").invoke_with_response_stream(FunctionName="f", Payload=payload)
    return iter(reply["EventStream"])


def memory_kb(server: Server) -> tuple[int, int]:
    """What the server has now, and at most had."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines)
    return int(found["VmRSS"].split()[0]), int(found["VmHWM"].split()[0])


def test_a_handler_that_waits_for_the_clients_acknowledgement_gets_it(fast: Server) -> None:
    """Out of band, after its first chunk: a server that buffers would deadlock."""
    stream = events(fast, {"text": "one"}, {"until_tagged": "read", "arn": ARN + "f"}, {"text": "two"})
    assert next(stream) == {"PayloadChunk": {"Payload": b"one"}}
    fast.client("lambda").tag_resource(Resource=ARN + "f", Tags={"read": "yes"})
    assert list(stream) == [{"PayloadChunk": {"Payload": b"two"}}, {"InvokeComplete": {}}]


def test_200_megabytes_pass_through_flat_memory(fast: Server) -> None:
    list(events(fast, {"size": MEGABYTE, "count": 4}))
    before, _ = memory_kb(fast)
    size = sum(
        len(event["PayloadChunk"]["Payload"])
        for event in events(fast, {"size": MEGABYTE, "count": 200})
        if "PayloadChunk" in event
    )
    assert size == 200 * MEGABYTE
    assert memory_kb(fast)[1] - before < 16 * 1024


def test_more_is_cut_off_there(fast: Server) -> None:
    *chunks, end = events(fast, {"size": MEGABYTE, "count": 201})
    assert sum(len(event["PayloadChunk"]["Payload"]) for event in chunks) == 200 * MEGABYTE
    assert "Function.ResponseSizeTooLarge" in end["InvokeComplete"]["ErrorDetails"]


def test_how_a_process_ended_in_the_middle_is_told(fast: Server) -> None:
    chunk, end = events(fast, {"text": "one"}, {"exit": 3})
    assert chunk == {"PayloadChunk": {"Payload": b"one"}}
    assert "exit status 3" in end["InvokeComplete"]["ErrorDetails"]


def test_readers_who_stop_reading_and_leave_cost_nothing(fast: Server) -> None:
    client = fast.client("lambda")
    url = client.create_function_url_config(FunctionName="f", AuthType="NONE", InvokeMode="RESPONSE_STREAM")
    everybody = {"FunctionName": "f", "Principal": "*"}
    client.add_permission(StatementId="u", Action="lambda:InvokeFunctionUrl", FunctionUrlAuthType="NONE", **everybody)
    client.add_permission(StatementId="i", Action="lambda:InvokeFunction", InvokedViaFunctionUrl=True, **everybody)
    body = json.dumps({"parts": [{"size": MEGABYTE, "count": 100}]}).encode()
    head = f"POST / HTTP/1.1\r\nHost: {urlsplit(url['FunctionUrl']).netloc}\r\nContent-Type: application/json\r\n"
    before, _ = memory_kb(fast)
    readers = [socket.create_connection(("127.0.0.1", fast.port), timeout=20) for _ in range(6)]
    for reader in readers:
        reader.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    for reader in readers:
        assert reader.recv(15) == b"HTTP/1.1 200 OK"
    # All six are full now, and none of it is here.
    assert memory_kb(fast)[1] - before < 32 * 1024
    for reader in readers:
        reader.close()
    deadline = time.monotonic() + 20
    while _busy(fast) > 0:
        assert time.monotonic() < deadline, "invocations without a reader do not end"
        time.sleep(0.02)
    assert list(events(fast, {"text": "one"})) == [{"PayloadChunk": {"Payload": b"one"}}, {"InvokeComplete": {}}]


def _busy(server: Server) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", "/_lambent/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    (line,) = (line for line in text.splitlines() if line.startswith('lambent_environments{state="busy"}'))
    return int(line.split()[-1])
