"""Restores of a function whose Init makes an S3 client, beside its cold start: `python -m benchmarks.snapstart`.

First invocations over raw HTTP, in one run: of versions with SnapStart that were just published, a copy of which waits;
of several at once, most of which have to be copied first; and of the same function without SnapStart, executed by a
server that prepares nothing. That each was what it is meant to be is read from the server's own records.
"""

import argparse
import io
import json
import statistics
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import load
from benchmarks.api import ONE_CPU_MB, Api
from lambent.testing.running_server import Server

SOURCE = """
import time
import boto3
s3 = boto3.client("s3")
def handler(event, context):
    time.sleep(event)
    return event
"""
THREADED = f"""
import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
{SOURCE}"""
WITH_SNAPSHOTS = ("python3.14", "python3.13", "python3.12")
AT_ONCE, BUSY_S = 4, 0.5


def main() -> None:
    options = _options()
    with _server(options.sandbox) as server:
        waiting = _restored(server, options.functions, options.pause)
        copied = _at_once(server)
    with _server(options.sandbox, "--prewarm", "off") as server:
        executed = _executed(server, options.functions, options.pause)
    saved: Sequence[float] = ()
    if options.criu is not None:
        with _server(options.sandbox, "--criu", options.criu) as server:
            saved = _restored(server, options.functions, options.pause, THREADED)
    _print("restored, a copy waits", waiting)
    if saved:
        _print("the same by CRIU", saved)
    _print(f"restored, {AT_ONCE} at once", copied)
    _print("cold start, executed", executed)


def _restored(server: Server, functions: int, pause_s: float, source: str = SOURCE) -> Sequence[float]:
    names = [f"snap-{number}" for number in range(functions)]
    _publish(server, names, source)
    time.sleep(1.0)
    latencies = _invoke(server, [f"{name}:1" for name in names], pause_s)
    _check(server, names, "restored")
    return latencies


def _at_once(server: Server) -> Sequence[float]:
    """The function keeps its environments busy, so that each invocation needs one of its own."""
    _publish(server, ["snap-many"])
    time.sleep(1.0)
    request = load.invoke("snap-many:1", str(BUSY_S).encode(), port=server.port)
    outcome = load.run(
        load.Load(port=server.port, requests=[request], connections=AT_ONCE, count=AT_ONCE, seconds=60, once=True)
    )
    _check(server, ["snap-many"], "restored")
    return [latency - BUSY_S * 1000 for latency in outcome.latencies_ms]


def _executed(server: Server, functions: int, pause_s: float) -> Sequence[float]:
    names = [f"plain-{number}" for number in range(functions)]
    for name in names:
        _create(server, name, snap_start=False)
    latencies = _invoke(server, names, pause_s)
    _check(server, names, "executed")
    return latencies


def _publish(server: Server, names: Sequence[str], source: str = SOURCE) -> None:
    client = server.client("lambda")
    for name in names:
        _create(server, name, snap_start=True, source=source)
        client.publish_version(FunctionName=name)
    for name in names:
        while (found := client.get_function_configuration(FunctionName=name, Qualifier="1"))["State"] == "Pending":
            time.sleep(0.02)
        if found["SnapStart"]["OptimizationStatus"] != "On":
            raise RuntimeError(f"{name} has no snapshot: {found.get('StateReason')}")


def _create(server: Server, name: str, *, snap_start: bool, source: str = SOURCE) -> None:
    client = server.client("lambda")
    client.create_function(
        FunctionName=name,
        Runtime=_runtime(server),
        Role="arn:aws:iam::000000000000:role/bench",
        Handler="app.handler",
        Code={"ZipFile": _package(name, source)},
        MemorySize=ONE_CPU_MB,
        Timeout=30,
        SnapStart={"ApplyOn": "PublishedVersions" if snap_start else "None"},
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 400})


def _package(name: str, source: str) -> bytes:
    """No other function has it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("app.py"), f"# {name}\n{source}")
    return buffer.getvalue()


def _runtime(server: Server) -> str:
    with urllib.request.urlopen(f"{server.url}/_lambent/health", timeout=10) as answer:
        runtimes = json.loads(answer.read())["runtimes"]
    return next(name for name in WITH_SNAPSHOTS if name in runtimes)


def _invoke(server: Server, names: Sequence[str], pause_s: float) -> Sequence[float]:
    requests = [load.invoke(name, b"0", port=server.port) for name in names]
    outcome = load.run(
        load.Load(port=server.port, requests=requests, count=len(requests), seconds=120, pause_s=pause_s)
    )
    if outcome.errors:
        raise RuntimeError(f"{outcome.errors} invocations failed: {outcome.first_error}")
    return outcome.latencies_ms


def _check(server: Server, names: Sequence[str], how: str) -> None:
    api = Api(server.port)
    try:
        for name in names:
            others = [each["how"] for each in api.cold_starts(name) if each["how"] != how]
            if others:
                raise RuntimeError(f"{name} was {others}, not {how}")
    finally:
        api.close()


def _print(what: str, latencies: Sequence[float]) -> None:
    ordered = sorted(latencies)
    p90 = ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))]
    print(f"{what:26} n={len(ordered):3}  p50 {statistics.median(ordered):7.1f} ms   p90 {p90:7.1f} ms")


@contextmanager
def _server(sandbox: str, *flags: str) -> Iterator[Server]:
    with (
        tempfile.TemporaryDirectory(prefix="lambent-bench-") as folder,
        Server.start(Path(folder, "data"), "--sandbox", sandbox, *flags) as server,
    ):
        yield server


def _options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sandbox", default="auto")
    parser.add_argument("--criu", help="a path, or auto: measure restores by it too")
    parser.add_argument("--functions", type=int, default=10)
    parser.add_argument("--pause", type=float, default=0.2, help="seconds before each invocation")
    return parser.parse_args()


if __name__ == "__main__":
    main()
