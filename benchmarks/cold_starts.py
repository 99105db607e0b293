"""Cold starts by origin, bursts, and what idle environments hold: a fresh server for each, over raw HTTP.

`--prewarm` chooses the origin: `auto` has sandboxes waiting, `0` leaves forks of the zygote, `off` executes. That it
was so is read from the server's own record of each start.
"""

import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from benchmarks import load, process_floor, runtime_floor
from benchmarks import measures as m
from benchmarks.api import HELLO, ONE_CPU_MB, Api
from benchmarks.conditions import cgroups_mb, unshared_mb
from benchmarks.lambent_server import must_answer, start
from benchmarks.plan import Plan
from benchmarks.samples import Results
from lambent.testing.running_server import Server

SLEEPER = "import time\ndef handler(event, context):\n    time.sleep(event)\n    return event\n"
MANY_S = 12.0
"""How long each of many environments is kept busy, so that none is used twice."""
FROZEN_S = 0.030
"""A pause between invocations after which the environment is frozen."""
AWAKE = Path(__file__).with_name("awake.py")
LATENCIES = (
    ("auto", "pooled", m.COLD_P50, m.COLD_P99),
    ("0", "forked", m.FORK_P50, m.FORK_P99),
    ("off", "executed", m.EXEC_P50, m.EXEC_P99),
)
MEMORY = (
    ("2", m.POOL_MEMORY, m.POOL_USS),
    ("0", m.FORK_MEMORY, m.FORK_USS),
    ("off", m.EXEC_MEMORY, m.EXEC_USS),
)
"""With a fixed number waiting: what `auto` adds for a while would be counted as well."""


def measure(results: Results, plan: Plan, *, sandbox: str) -> None:
    """One round. Raises ServerFailed or RuntimeError."""
    for prewarm, how, p50, p99 in LATENCIES:
        with _server(sandbox, "--prewarm", prewarm) as server:
            latencies = _cold(server, plan, how, results)
            results.add(p50.name, m.LAMBENT, *latencies)
            results.add(p99.name, m.LAMBENT, latencies[min(len(latencies) - 1, int(0.99 * len(latencies)))])
            if how == "pooled":
                results.add(m.BURST.name, m.LAMBENT, _burst(server, plan))
                results.add(m.THAW.name, m.LAMBENT, _thaw(server, sandbox))
    for prewarm, memory, uss in MEMORY:
        with _server(sandbox, "--prewarm", prewarm) as server:
            results.add(uss.name, m.LAMBENT, _environment_mb(server, plan))
            # The median: the first one of a server without a stock is executed, whatever the others are.
            results.add(memory.name, m.LAMBENT, *_median(cgroups_mb(server.pid)))
    if plan.many:
        # One function leaves an eighth of the places to others.
        with _server(sandbox, "--max-environments", str(plan.many * 5 // 4 + 20)) as server:
            results.add(m.MANY.name, m.LAMBENT, _many(server, plan, results))


def measure_floors(results: Results, plan: Plan) -> None:
    """The same by bare processes."""
    interpreter = runtime_floor.base_interpreter()
    for p50, p99, starts in (
        (m.COLD_P50, m.COLD_P99, process_floor.waiting_ms),
        (m.FORK_P50, m.FORK_P99, process_floor.forked_ms),
        (m.EXEC_P50, m.EXEC_P99, process_floor.executed_ms),
    ):
        latencies = sorted(starts(interpreter, plan.cold_functions, plan.pause_s))
        results.add(p50.name, m.BARE_PROCESS, *latencies)
        results.add(p99.name, m.BARE_PROCESS, latencies[min(len(latencies) - 1, int(0.99 * len(latencies)))])
    elapsed_s, held_mb = process_floor.forks(interpreter, plan.burst)
    results.add(m.BURST.name, m.BARE_PROCESS, 1.0 + elapsed_s)
    results.add(m.FORK_USS.name, m.BARE_PROCESS, held_mb)
    if plan.many:
        results.add(m.MANY.name, m.BARE_PROCESS, process_floor.forks(interpreter, plan.many)[0])


def _cold(server: Server, plan: Plan, how: str, results: Results) -> list[float]:
    """Latencies of first invocations, ascending; all of functions that were never invoked."""
    names = ["first", *(f"cold-{number}" for number in range(plan.cold_functions))]
    _create(server, *names)
    # The zygote comes with the first; a stock is there before it.
    _invoke(server, names[:1], 0.0)
    time.sleep(plan.idle_s)
    outcome = _invoke(server, names[1:], plan.pause_s)
    origins = Counter(event["how"] for name in names[1:] for event in _cold_starts(server, name))
    if set(origins) != {how}:
        remark = f"Of the cold starts meant to be {how}, some were not: {dict(origins)}"
        if remark not in results.remarks:
            results.remarks.append(remark)
    return list(outcome.latencies_ms)


def _burst(server: Server, plan: Plan) -> float:
    """Seconds until the last of `plan.burst` simultaneous invocations of a fresh function is answered."""
    _create(server, "burst", source=SLEEPER)
    time.sleep(1.0)
    request = load.invoke("burst", b"1", port=server.port)
    outcome = load.run(
        load.Load(port=server.port, requests=[request], connections=plan.burst, count=plan.burst, seconds=60, once=True)
    )
    must_answer(outcome, "burst")
    return outcome.latencies_ms[-1] / 1000


def _many(server: Server, plan: Plan, results: Results) -> float:
    """Seconds until the handler runs in `plan.many` environments of one function, asked for at once."""
    _create(server, "many", source=SLEEPER, memory_mb=128)
    time.sleep(1.0)
    request = load.invoke("many", str(MANY_S).encode(), port=server.port)
    outcome = load.run(
        load.Load(port=server.port, requests=[request], connections=plan.many, count=plan.many, seconds=120, once=True)
    )
    must_answer(outcome, "many environments")
    with urlopen(f"{server.url}/_lambent/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    made = sum(int(line.split()[1]) for line in lines if line.startswith("lambent_environments{"))
    if made < plan.many:
        results.remarks.append(f"Only {made} environments were made, some were used twice")
    return outcome.latencies_ms[-1] / 1000 - MANY_S


def _thaw(server: Server, sandbox: str) -> float:
    """Milliseconds that an invocation of a frozen environment takes longer than of one that is idle for as long."""
    medians: list[list[float]] = [[], []]
    with (
        tempfile.TemporaryDirectory(prefix="lambent-bench-") as folder,
        start(Path(folder), sandbox, command=(sys.executable, str(AWAKE))) as awake,
    ):
        for each in (server, awake):
            _create(each, "thaw")
        for _ in range(5):
            for each, found in zip((server, awake), medians, strict=True):
                requests = [load.invoke("thaw", port=each.port)]
                plan = load.Load(port=each.port, requests=requests, seconds=0.8, warmup=3, pause_s=FROZEN_S)
                outcome = load.run(plan)
                must_answer(outcome, "thaw")
                found.append(outcome.percentile_ms(0.5))
    return statistics.median(medians[0]) - statistics.median(medians[1])


def _environment_mb(server: Server, plan: Plan) -> float:
    """What one idle environment holds for itself: both of its processes, without pages that others map as well."""
    names = [f"held-{number}" for number in range(11)]
    _create(server, *names)
    _invoke(server, names[:1], 0.0)
    time.sleep(plan.idle_s)
    before = unshared_mb(server.pid)
    _invoke(server, names[1:], plan.pause_s)
    time.sleep(plan.idle_s)
    return (unshared_mb(server.pid) - before) / (len(names) - 1)


def _median(values: Sequence[float]) -> Sequence[float]:
    """None where the machine has no such cgroups."""
    return [statistics.median(values)] if values else []


@contextmanager
def _server(sandbox: str, *flags: str) -> Iterator[Server]:
    with (
        tempfile.TemporaryDirectory(prefix="lambent-bench-") as folder,
        start(Path(folder), sandbox, *flags) as server,
    ):
        yield server


def _invoke(server: Server, names: list[str], pause_s: float) -> load.Outcome:
    requests = [load.invoke(name, port=server.port) for name in names]
    outcome = load.run(load.Load(port=server.port, requests=requests, count=len(requests), seconds=60, pause_s=pause_s))
    must_answer(outcome, "cold start")
    return outcome


def _create(server: Server, *names: str, source: str = HELLO, memory_mb: int = ONE_CPU_MB) -> None:
    api = Api(server.port)
    try:
        for name in names:
            api.create(name, source=source, memory_mb=memory_mb)
        for name in names:
            api.wait_active(name)
    finally:
        api.close()


def _cold_starts(server: Server, name: str) -> list[dict[str, object]]:
    api = Api(server.port)
    try:
        return api.cold_starts(name)
    finally:
        api.close()
