"""Floors of a cold start: a bare process that connects to a socket and says hello. No sandbox, no HTTP, no log.

Exec'd, already waiting, or forked: what no platform of ours can beat when it executes, takes from a pool, or forks.
"""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.conditions import unshared_mb

_HELLO = "s=socket.create_connection(('127.0.0.1',int({port})))\ns.sendall(b'hello')\n"
EXECUTED = "import socket,sys\n" + _HELLO.format(port="sys.argv[1]")
WAITING = "import socket,sys\nport=sys.stdin.readline()\n" + _HELLO.format(port="port") + "sys.stdin.read()\n"
ZYGOTE = """
import os, signal, socket, sys, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while port := sys.stdin.readline():
    if os.fork() == 0:
        s = socket.create_connection(("127.0.0.1", int(port)))
        s.sendall(b"hello")
        s.recv(1)
        os._exit(0)
"""


def executed_ms(interpreter: str, count: int, pause_s: float) -> Iterator[float]:
    """Milliseconds from spawn to the first byte, `count` times, with quiet time between."""
    with _listening() as (listener, port):
        for _ in range(count):
            time.sleep(pause_s)
            begun = time.perf_counter()
            with _python(interpreter, EXECUTED, port) as process:
                _hello(listener).close()
                yield (time.perf_counter() - begun) * 1000
                process.wait(timeout=10)


def waiting_ms(interpreter: str, count: int, pause_s: float) -> Iterator[float]:
    """From a word to a process that waits to its first byte."""
    with _listening() as (listener, port):
        for _ in range(count):
            with _python(interpreter, WAITING) as process:
                assert process.stdin is not None
                time.sleep(max(pause_s, 0.1))
                begun = time.perf_counter()
                process.stdin.write(f"{port}\n")
                process.stdin.flush()
                _hello(listener).close()
                yield (time.perf_counter() - begun) * 1000
                process.stdin.close()
                process.wait(timeout=10)


def forked_ms(interpreter: str, count: int, pause_s: float) -> Iterator[float]:
    """From a word to a process that forks to the first byte of its child."""
    with _listening() as (listener, port), _zygote(interpreter) as zygote:
        for _ in range(count):
            time.sleep(pause_s)
            begun = time.perf_counter()
            _fork(zygote, port)
            _hello(listener).close()
            yield (time.perf_counter() - begun) * 1000


def forks(interpreter: str, count: int) -> tuple[float, float]:
    """(seconds until `count` forks have all said hello, MB that each does not share)."""
    with _listening() as (listener, port), _zygote(interpreter) as zygote:
        begun = time.perf_counter()
        for _ in range(count):
            _fork(zygote, port)
        connections = [_hello(listener) for _ in range(count)]
        elapsed_s = time.perf_counter() - begun
        memory_mb = unshared_mb(zygote.pid) / count
        for connection in connections:
            connection.close()
    return elapsed_s, memory_mb


@contextmanager
def _listening() -> Iterator[tuple[socket.socket, str]]:
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        listener.settimeout(30)
        yield listener, str(listener.getsockname()[1])


@contextmanager
def _zygote(interpreter: str) -> Iterator["subprocess.Popen[str]"]:
    with _python(interpreter, ZYGOTE) as process:
        assert process.stdin is not None
        time.sleep(0.1)
        yield process
        process.stdin.close()
        process.wait(timeout=10)


def _fork(zygote: "subprocess.Popen[str]", port: str) -> None:
    assert zygote.stdin is not None
    zygote.stdin.write(f"{port}\n")
    zygote.stdin.flush()


def _hello(listener: socket.socket) -> socket.socket:
    connection, _address = listener.accept()
    connection.settimeout(10)
    connection.recv(16)
    return connection


def _python(interpreter: str, program: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([interpreter, "-I", "-S", "-c", program, *arguments], stdin=subprocess.PIPE, text=True)
