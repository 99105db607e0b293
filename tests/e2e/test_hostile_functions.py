"""A function that does its worst to the server costs its neighbours little and the supervisor no memory.

Each attack runs for a while in one function while another is invoked; what the supervisor holds and how long the
neighbour waits is bounded. The bounds are wide: without its limit each attack here went over them by a factor. Each
runs for 1.5 s, because what it does to memory shows at once; tests/soak/test_log_flood.py writes for as long as it may.
"""

import json
import statistics
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lambent.testing.running_server import Server
from tests.e2e.census import eventually, resources
from tests.e2e.packages import create_function
from tests.e2e.test_sandbox_leaks import descendants

HOSTILE = """
import os, socket, threading, time

API = ("127.0.0.1", 9001)
SECONDS = 1.5

def handler(event, context):
    response = b"POST /2018-06-01/runtime/invocation/" + context.aws_request_id.encode() + b"/response HTTP/1.1\\r\\n"
    chunked = response + b"Transfer-Encoding: chunked\\r\\n\\r\\n1\\r\\nx\\r\\n"
    globals()[event](chunked)
    return "done"

def send(start, more, connections):
    end = time.time() + SECONDS
    def one():
        try:
            with socket.create_connection(API) as connection:
                threading.Thread(target=swallow, args=(connection,), daemon=True).start()
                connection.sendall(start)
                while time.time() < end:
                    connection.sendall(more)
        except OSError:
            pass
    threads = [threading.Thread(target=one, daemon=True) for _ in range(connections)]
    for each in threads:
        each.start()
    time.sleep(SECONDS + 0.2)

def swallow(connection):
    try:
        while connection.recv(1 << 16):
            pass
    except OSError:
        pass

def trailers(chunked):
    send(chunked + b"0\\r\\n", b"".join(b"x%d: %s\\r\\n" % (n, b"y" * 8000) for n in range(8)), 1)

def endless_trailer(chunked):
    send(chunked + b"0\\r\\nx: ", b"y" * 65536, 1)

def tiny_chunks(chunked):
    send(chunked, b"1\\r\\na\\r\\n" * 20000, 40)

def pipelines(chunked):
    send(b"", b"GET /ping HTTP/1.1\\r\\n\\r\\n" * 5000, 40)

def addresses(chunked):
    children = []
    for host in range(1, 5):
        if (pid := os.fork()) == 0:
            held = []
            try:
                for number in range(800):
                    held.append(socket.socket())
                    held[-1].bind((f"127.0.{host}.{number // 100 + 1}", 0))
                    held[-1].connect(("127.0.0.1", 4566))
            except OSError:
                pass
            time.sleep(SECONDS)
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)

def flood(chunked, seconds=SECONDS):
    line = b"x" * 1023 + b"\\n"
    end = time.time() + seconds
    while time.time() < end:
        os.write(1, line * 128)

def endpoint(chunked):
    end = time.time() + SECONDS
    head = b"POST /2015-03-31/functions HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Length: 100000000000\\r\\n\\r\\n"
    def one():
        try:
            with socket.create_connection(("127.0.0.1", 4566)) as connection:
                connection.sendall(head)
                while time.time() < end:
                    connection.sendall(b"y" * 65536)
        except OSError:
            pass
    threads = [threading.Thread(target=one, daemon=True) for _ in range(20)]
    for each in threads:
        each.start()
    time.sleep(SECONDS + 0.2)

def long_flood(chunked):
    flood(chunked, 18)

def empty_lines(chunked):
    end = time.time() + SECONDS
    while time.time() < end:
        os.write(1, b"\\n" * 65536)
"""

RESIDENT_KB = 100 * 1024
DESCRIPTORS = 400
TYPICAL_S = 1.0
"""Of the neighbour's invocations, their median: a busy machine delays single ones. A server that stalls for seconds
answers so few in the time of an attack that the stalls are the median."""

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def functions(server: Server) -> Server:
    client = server.client("lambda")
    create_function(client, "hostile", HOSTILE, Timeout=20, MemorySize=1769)
    create_function(client, "neighbour")
    return server


@pytest.mark.parametrize(
    "attack",
    ["trailers", "endless_trailer", "tiny_chunks", "pipelines", "addresses", "empty_lines", "flood", "endpoint"],
)
def test_a_hostile_function_hurts_only_itself(functions: Server, attack: str) -> None:
    if functions.sandbox == "process":
        pytest.skip("the process sandbox promises nothing")
    hurts_only_itself(functions, attack)


def hurts_only_itself(functions: Server, attack: str) -> None:
    client = functions.client("lambda")
    invoke(client, "neighbour", 0)
    before = resources(functions.pid)
    hostile = threading.Thread(target=invoke, args=(client, "hostile", attack), daemon=True)
    hostile.start()
    took: list[float] = []
    most = before
    while hostile.is_alive():
        took.append(invoke(client, "neighbour", 1))
        most = {key: max(most[key], value) for key, value in resources(functions.pid).items()}
    print(
        attack,
        {key: most[key] - before[key] for key in most},
        f"median {statistics.median(took) * 1000:.0f} ms, slowest {max(took) * 1000:.0f} ms",
    )
    assert most["resident_kb"] - before["resident_kb"] < RESIDENT_KB
    assert most["descriptors"] - before["descriptors"] < DESCRIPTORS
    assert statistics.median(took) < TYPICAL_S


LARGE = """
import time
def handler(event, context):
    time.sleep(max(0.0, event - time.time()))
    return "x" * 6_000_000
"""
TOGETHER = 16


def test_many_large_results_at_one_time_are_held_once_each(functions: Server) -> None:
    client = functions.client("lambda")
    create_function(client, "large", LARGE, Timeout=30, MemorySize=256)
    before = resources(functions.pid)["resident_kb"]
    together = time.time() + 1.0
    with ThreadPoolExecutor(TOGETHER) as threads:
        asked = [threads.submit(invoke, client, "large", together) for _ in range(TOGETHER)]
        most = before
        while not all(each.done() for each in asked):
            most = max(most, resources(functions.pid)["resident_kb"])
        for each in asked:
            each.result()
    # What the runtime sent and what the client is sent: not more copies than that.
    assert most - before < TOGETHER * 2 * 6_000 + RESIDENT_KB


FIRST_FUNCTION = 0x7000_0000
"""Numbers of users from here on are those of functions."""
BOMB = """
import os
print("bomb", flush=True)
while True:
    try:
        os.fork()
    except OSError:
        pass
"""


def test_a_fork_bomb_in_init_ends_with_the_time_limit_and_others_are_served(functions: Server) -> None:
    if functions.sandbox == "process":
        pytest.skip("the process sandbox promises nothing")
    client = functions.client("lambda")
    create_function(client, "bomb", BOMB, Timeout=1, MemorySize=256)
    bomb = threading.Thread(target=invoke, args=(client, "bomb", 1), daemon=True)
    bomb.start()
    took = []
    while bomb.is_alive():
        took.append(invoke(client, "neighbour", 1))
    assert statistics.median(took) < TYPICAL_S
    client.delete_function(FunctionName="bomb")
    assert not eventually(lambda: bombs(functions), timeout_s=10)


def bombs(server: Server) -> list[int]:
    """Users of functions who have more than a few processes, of this server: no other on this machine is meant."""
    users: Counter[int] = Counter()
    for pid in descendants(server.pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            users[Path(f"/proc/{pid}").stat().st_uid] += 1
    return [user for user, count in users.items() if user >= FIRST_FUNCTION and count > 20]


def invoke(client: Any, name: str, event: Any) -> float:
    """Seconds that it took."""
    begun = time.perf_counter()
    client.invoke(FunctionName=name, Payload=json.dumps(event).encode())["Payload"].read()
    return time.perf_counter() - begun
