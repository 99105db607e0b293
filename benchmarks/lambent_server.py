"""Lambent itself: one fresh server and data dir per round, all of its measures, over raw HTTP."""

import compileall
import functools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import lambent
from benchmarks import load
from benchmarks import measures as m
from benchmarks.api import Api
from benchmarks.conditions import cpu_s, descendants, memory_mb
from benchmarks.plan import Plan
from benchmarks.samples import Results
from lambent.testing.running_server import COMMAND, Server

FAST = ("--account-concurrency", "10000")
"""An account of 1,000 may begin 10,000 invocations a second, as on AWS: less than what is measured here."""


def measure(results: Results, plan: Plan, *, sandbox: str) -> None:
    """One round, with a first start before it. Raises ServerFailed or RuntimeError: there is nothing to print then."""
    with tempfile.TemporaryDirectory(prefix="lambent-bench-") as folder:
        with start(Path(folder), sandbox) as server:
            results.add(m.FIRST_READY.name, m.LAMBENT, server.ready_s)
            time.sleep(plan.idle_s)
            results.add(m.FIRST_IDLE_RSS.name, m.LAMBENT, sum(_idle_rss(server)[:2]))
            begun = time.perf_counter()
            server.terminate()
            results.add(m.STOP.name, m.LAMBENT, time.perf_counter() - begun)
        with start(Path(folder), sandbox) as server:
            results.add(m.READY.name, m.LAMBENT, server.ready_s)
            remark = f"Sandbox: {server.sandbox}, not native"
            if server.sandbox != "native" and remark not in results.remarks:
                results.remarks.append(remark)
            time.sleep(plan.idle_s)
            _idle_memory(results, server)
            _create(results, server, plan)
            _warm(results, server, plan)
            results.add(m.LOADED_RSS.name, m.LAMBENT, memory_mb(server.pid)[0])


def _idle_memory(results: Results, server: Server) -> None:
    supervisor, launcher, others = _idle_rss(server)
    results.add(m.IDLE_RSS.name, m.LAMBENT, supervisor + launcher)
    results.add(m.IDLE_SUPERVISOR_RSS.name, m.LAMBENT, supervisor)
    results.add(m.IDLE_LAUNCHER_RSS.name, m.LAMBENT, launcher)
    results.add(m.IDLE_OTHERS_RSS.name, m.LAMBENT, others)
    results.add(m.IDLE_PSS.name, m.LAMBENT, sum(memory_mb(pid)[1] for pid in descendants(server.pid)))


def _idle_rss(server: Server) -> tuple[float, float, float]:
    """Of the supervisor, of the launcher, which is its child, and of what that keeps: in MB, shared pages in each."""
    supervisor, *others = (memory_mb(pid)[0] for pid in descendants(server.pid))
    return supervisor, sum(others[:1]), sum(others[1:])


def _create(results: Results, server: Server, plan: Plan) -> None:
    names = [f"created-{number}" for number in range(plan.cold_functions)]
    api = Api(server.port)
    try:
        for name in names:
            begun = time.perf_counter()
            api.create(name)
            api.wait_active(name)
            results.add(m.CREATE.name, m.LAMBENT, (time.perf_counter() - begun) * 1000)
        for name, memory_mb in (("warm", 1769), ("small", 128)):
            api.create(name, memory_mb=memory_mb)
            api.wait_active(name)
    finally:
        api.close()


def _warm(results: Results, server: Server, plan: Plan) -> None:
    def send(name: str, connections: int) -> load.Outcome:
        outcome = load.run(
            load.Load(
                port=server.port,
                requests=[load.invoke(name, port=server.port)],
                connections=connections,
                seconds=plan.seconds,
                warmup=plan.warmup * connections,
            )
        )
        must_answer(outcome, name)
        return outcome

    alone = send("warm", 1)
    results.add(m.WARM_P50.name, m.LAMBENT, alone.percentile_ms(0.5))
    results.add(m.WARM_P99.name, m.LAMBENT, alone.percentile_ms(0.99))
    results.add(m.SMALL_P50.name, m.LAMBENT, send("small", 1).percentile_ms(0.5))
    before = cpu_s(server.pid)
    together = send("warm", 8)
    answered = len(together.latencies_ms) + plan.warmup * 8
    results.add(m.CPU_PER_INVOKE.name, m.LAMBENT, (cpu_s(server.pid) - before) / answered * 1e6)
    results.add(m.RATE.name, m.LAMBENT, together.per_s)
    results.add(m.RATE_P50.name, m.LAMBENT, together.percentile_ms(0.5))
    results.add(m.RATE_P99.name, m.LAMBENT, together.percentile_ms(0.99))
    results.add("load generator CPU, 8 clients", m.LAMBENT, together.cpu_s / together.elapsed_s * 100)


def start(folder: Path, sandbox: str, *flags: str, command: Sequence[str] = (str(COMMAND),)) -> Server:
    _have_bytecode()
    return Server.start(folder / "data", "--sandbox", sandbox, *FAST, *flags, command=command)


@functools.cache
def _have_bytecode() -> None:
    """As installations do. A checkout has none where PYTHONDONTWRITEBYTECODE is set, and takes 0.2 s more to start."""
    for folder in lambent.__path__:
        compileall.compile_dir(folder, quiet=2)


def must_answer(outcome: load.Outcome, what: str) -> None:
    if outcome.errors or not outcome.latencies_ms:
        raise RuntimeError(f"{what}: {outcome.errors} errors, the first: {outcome.first_error}")
