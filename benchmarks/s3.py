"""1 MB PUTs and GETs of S3 beside a plain file server, and many small PUTs: `python -m benchmarks.s3`.

Both servers have one process and flush what they take; uvicorn's answers with the file alone, knows no signature and
computes no digest. Requests are presigned and sent over raw HTTP by threads with a connection each.
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
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from lambent.testing.running_server import Server

MEGABYTE = 1024 * 1024
Sign = Callable[[str, str], str]


def main() -> None:
    options = _options()
    with _plain() as url:
        plain = _measured(url, lambda _verb, key: f"{url}/{key}", options.seconds, options.clients)
    with tempfile.TemporaryDirectory() as folder, Server.start(Path(folder) / "data") as server:
        client = server.client("s3")
        client.create_bucket(Bucket="speed")

        def sign(verb: str, key: str) -> str:
            signed: str = client.generate_presigned_url(
                f"{verb.lower()}_object", Params={"Bucket": "speed", "Key": key}, ExpiresIn=3600
            )
            return signed

        ours = _measured(server.url, sign, options.seconds, options.clients)
        small = _rate(server.url, sign, "PUT", b"x" * 1000, options.seconds, options.clients)
    for name, of_plain, of_ours in zip(("PUT", "GET"), plain, ours, strict=True):
        print(f"{name} of 1 MB: {of_ours:.0f}/s, plain file server {of_plain:.0f}/s: {of_plain / of_ours:.2f} times")
    print(f"PUT of 1 KB: {small:.0f}/s by {options.clients} clients")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", type=int, default=8)
    return parser.parse_args()


def _measured(url: str, sign: Sign, seconds: float, clients: int) -> tuple[float, float]:
    body = os.urandom(MEGABYTE)
    puts = _rate(url, sign, "PUT", body, seconds, clients)
    return puts, _rate(url, sign, "GET", None, seconds, clients)


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
def _plain() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        listening.set_inheritable(True)
        command = [sys.executable, "-m", "uvicorn", "--fd", str(listening.fileno()), "--no-access-log"]
        process = subprocess.Popen(
            [*command, "--log-level", "warning", "benchmarks.plain_files:app"],
            env={**os.environ, "PLAIN_FILES": folder},
            pass_fds=[listening.fileno()],
        )
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            process.terminate()
            process.wait(10)


if __name__ == "__main__":
    main()
