"""Invocations beside bulk: with a line of output, with 5 MB in and out, and while a package of 50 MB is being created.

`python -m benchmarks.bulk` prints only these rows. For the last one each request leaves a millisecond after the answer
before it, for two seconds, in which the creation begins after half of one: a stall of 400 ms is one slow answer among a
thousand, so the slowest has a row of its own.
"""

import argparse
import os
import tempfile
import threading
import time
from pathlib import Path

from benchmarks import lambent_server, load, report, runtime_floor
from benchmarks import measures as m
from benchmarks.api import Api
from benchmarks.conditions import conditions
from benchmarks.lambent_server import must_answer
from benchmarks.plan import QUICK, Plan
from benchmarks.samples import Results
from lambent.testing.running_server import Server

PRINTING = "def handler(event, context):\n    print('one line')\n    return event\n"
ECHO_BYTES = 5_000_000
PACKAGE_BYTES = 50_000_000
PAUSE_S = 0.001
LEAD_S = 0.5
"""From the start of the load generator until the creation begins."""


def measure(results: Results, plan: Plan, *, sandbox: str) -> None:
    """One round, with a fresh server. Raises ServerFailed or RuntimeError."""
    with (
        tempfile.TemporaryDirectory(prefix="lambent-bench-") as folder,
        lambent_server.start(Path(folder), sandbox) as server,
    ):
        api = Api(server.port)
        try:
            for name, source in (("warm", runtime_floor.HANDLER), ("printing", PRINTING)):
                api.create(name, source=source)
                api.wait_active(name)
            _printing(results, server, plan)
            _echo(results, server, plan)
            _beside_a_creation(results, server, api)
        finally:
            api.close()


def _printing(results: Results, server: Server, plan: Plan) -> None:
    outcome = load.run(
        load.Load(
            port=server.port,
            requests=[load.invoke("printing", port=server.port)],
            connections=8,
            seconds=plan.seconds,
            warmup=plan.warmup * 8,
        )
    )
    must_answer(outcome, "printing")
    results.add(m.PRINT_RATE.name, m.LAMBENT, outcome.per_s)


def _echo(results: Results, server: Server, plan: Plan) -> None:
    outcome = load.run(
        load.Load(
            port=server.port,
            requests=[load.invoke("warm", _large_event(), port=server.port)],
            seconds=plan.seconds,
            warmup=3,
        )
    )
    must_answer(outcome, "5 MB")
    results.add(m.ECHO_P50.name, m.LAMBENT, outcome.percentile_ms(0.5))


def _beside_a_creation(results: Results, server: Server, api: Api) -> None:
    package = os.urandom(PACKAGE_BYTES)
    took: list[float] = []

    def create() -> None:
        time.sleep(LEAD_S)
        begun = time.perf_counter()
        api.create("large", content=package)
        api.wait_active("large")
        took.append(time.perf_counter() - begun)

    creating = threading.Thread(target=create)
    creating.start()
    outcome = load.run(
        load.Load(
            port=server.port,
            requests=[load.invoke("warm", port=server.port)],
            seconds=LEAD_S + 1.5,
            warmup=20,
            pause_s=PAUSE_S,
        )
    )
    creating.join()
    must_answer(outcome, "beside a creation")
    if not took:
        raise RuntimeError("the package of 50 MB could not be created")
    results.add(m.BESIDE_P99.name, m.LAMBENT, outcome.percentile_ms(0.99))
    results.add(m.BESIDE_WORST.name, m.LAMBENT, outcome.latencies_ms[-1])
    results.add(m.LARGE_CREATE.name, m.LAMBENT, took[0])


def measure_floors(results: Results, plan: Plan) -> None:
    bootstrap = runtime_floor.our_bootstrap()
    if bootstrap is None or m.BOOTSTRAP in results.absent:
        return
    printing = runtime_floor.run(bootstrap, runtimes=8, seconds=plan.seconds / 2, handler=PRINTING)
    results.add(m.PRINT_RATE.name, m.BOOTSTRAP, printing.per_s)
    echo = runtime_floor.run(bootstrap, runtimes=1, seconds=plan.seconds / 2, warmup=3, event=_large_event())
    results.add(m.ECHO_P50.name, m.BOOTSTRAP, echo.each_ms)


def _large_event() -> bytes:
    return b'{"text": "%b"}' % (b"x" * ECHO_BYTES)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bulk")
    parser.add_argument("--sandbox", default="auto")
    options = parser.parse_args()
    results, before = Results(), conditions()
    measure(results, QUICK, sandbox=options.sandbox)
    measure_floors(results, QUICK)
    report.show(results, [m.BOOTSTRAP], before)


if __name__ == "__main__":
    main()
