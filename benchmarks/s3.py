"""1 MB PUTs and GETs of S3 beside a plain file server, and many small PUTs: `python -m benchmarks.s3`.

The plain server is uvicorn with the file alone (`plain_files`): it knows no signature, computes no digest and keeps no
row. It is measured twice: as it is, and with the flushes without which a power cut takes an answered PUT back. All have
one process, the same clients and the same keys, which are written again and again. Requests are presigned and sent over
raw HTTP by threads with a connection each. The rounds take turns; shown are medians, and the CPU time of the server.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.conditions import cpu_s
from lambent.testing.running_server import Server

KINDS = {"PUT of 1 MB": ("PUT", 1024 * 1024), "GET of 1 MB": ("GET", 0), "PUT of 1 KB": ("PUT", 1000)}
"""In this order: what is got is what was put before."""
Sign = Callable[[str, str], str]


def main() -> None:
    options = _options()
    found: dict[tuple[str, str], list[Rate]] = {}
    for _ in range(options.rounds):
        for name, flushed in (("plain", False), ("flushed", True)):
            with _plain(flushed) as (url, pid):

                def path(_verb: str, key: str, url: str = url) -> str:
                    return f"{url}/{key}"

                _measure(found, name, Target(url, pid, path), options)
        with tempfile.TemporaryDirectory() as folder, Server.start(Path(folder) / "data") as server:
            _measure(found, "ours", Target(server.url, server.pid, _presigned(server)), options)
    medians = {key: sorted(rates)[len(rates) // 2] for key, rates in found.items()}
    for what in KINDS:
        ours = medians[what, "ours"]
        line = f"{what}: {ours}"
        for name, said in (("plain", "plain file server"), ("flushed", "the same with flushes")):
            floor = medians[what, name]
            line += f"; {said} {floor}: {floor.per_s / ours.per_s:.2f} times"
        print(line)


@dataclass(frozen=True, slots=True, order=True)
class Rate:
    per_s: float
    cpu_ms: float

    def __str__(self) -> str:
        return f"{self.per_s:.0f}/s, {self.cpu_ms:.2f} ms of CPU"


@dataclass(frozen=True, slots=True)
class Target:
    url: str
    pid: int
    sign: Sign


def _presigned(server: Server) -> Sign:
    client = server.client("s3")
    client.create_bucket(Bucket="speed")

    def sign(verb: str, key: str) -> str:
        signed: str = client.generate_presigned_url(
            f"{verb.lower()}_object", Params={"Bucket": "speed", "Key": key}, ExpiresIn=3600
        )
        return signed

    return sign


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=8)
    return parser.parse_args()


def _measure(found: dict[tuple[str, str], list[Rate]], name: str, target: Target, options: argparse.Namespace) -> None:
    for what, (verb, size) in KINDS.items():
        body = os.urandom(size) if size else None
        before = cpu_s(target.pid)
        per_s = _rate(target.url, target.sign, verb, body, options.seconds, options.clients)
        used = cpu_s(target.pid) - before
        found.setdefault((what, name), []).append(Rate(per_s, used / (per_s * options.seconds) * 1000))


def _rate(url: str, sign: Sign, verb: str, body: bytes | None, seconds: float, clients: int) -> float:
    """Requests per second. Each client has a key of its own."""
    counts = [0] * clients
    signed = [sign(verb, f"k{number}") for number in range(clients)]
    end = time.monotonic() + seconds

    def work(number: int) -> None:
        place = urlsplit(url)
        connection = HTTPConnection(place.hostname or "", place.port, timeout=60)
        target = urlsplit(signed[number])
        path = f"{target.path}?{target.query}" if target.query else target.path
        while time.monotonic() < end:
            connection.request(verb, path, body)
            reply = connection.getresponse()
            reply.read()
            if reply.status != 200:
                raise RuntimeError(f"{verb}: {reply.status}")
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


@contextmanager
def _plain(flushed: bool) -> Iterator[tuple[str, int]]:
    with tempfile.TemporaryDirectory() as folder, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        listening.set_inheritable(True)
        command = [sys.executable, "-m", "uvicorn", "--fd", str(listening.fileno()), "--no-access-log"]
        process = subprocess.Popen(
            [*command, "--log-level", "warning", "benchmarks.plain_files:app"],
            env={**os.environ, "PLAIN_FILES": folder, "PLAIN_FLUSHED": str(int(flushed))},
            pass_fds=[listening.fileno()],
        )
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", process.pid
        finally:
            process.terminate()
            process.wait(10)


if __name__ == "__main__":
    main()
