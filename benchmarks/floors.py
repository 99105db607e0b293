"""One round of the floors and of the peers, into the same results."""

import sys

from benchmarks import cold_starts, load, runtime_floor
from benchmarks import measures as m
from benchmarks.lambent_server import must_answer
from benchmarks.peer import Peer, PeerAbsent
from benchmarks.plan import Plan
from benchmarks.samples import Results


def measure_floors(results: Results, plan: Plan) -> None:
    cold_starts.measure_floors(results, plan)
    runtimes = {m.AWSLAMBDARIC: runtime_floor.awslambdaric(), m.BOOTSTRAP: runtime_floor.our_bootstrap()}
    for name, runtime in runtimes.items():
        if name in results.absent:
            continue
        if runtime is None:
            results.absent[name] = "not in this checkout"
            continue
        try:
            alone = runtime_floor.run(runtime, runtimes=1, seconds=plan.seconds / 2)
            together = runtime_floor.run(runtime, runtimes=8, seconds=plan.seconds / 2)
        except RuntimeError as error:
            results.absent[name] = str(error).strip().splitlines()[-1][:200]
            continue
        results.add(m.WARM_P50.name, name, alone.each_ms)
        results.add(m.RATE.name, name, together.per_s)
        results.add("runtime CPU per invocation, us", name, together.runtime_cpu_us)


def measure_peer(results: Results, plan: Plan, peer: Peer) -> None:
    """A peer that fails is named as absent and not tried again."""
    if peer.name in results.absent:
        return
    try:
        peer.install()
        with peer.run(plan.cold_functions + 1) as running:
            requests = [load.invoke(name, port=running.port) for name in running.functions]
            cold = load.run(
                load.Load(
                    port=running.port,
                    requests=requests[1:],
                    count=len(requests) - 1,
                    seconds=60,
                    pause_s=plan.pause_s,
                )
            )
            must_answer(cold, "cold start")
            outcomes = []
            for connections in (1, 8):
                warm = load.run(
                    load.Load(
                        port=running.port,
                        requests=requests[:1],
                        connections=connections,
                        seconds=plan.seconds,
                        warmup=min(plan.warmup, 100) * connections,
                    )
                )
                must_answer(warm, f"{connections} clients")
                outcomes.append(warm)
    except (PeerAbsent, RuntimeError) as error:
        results.absent[peer.name] = " ".join(str(error).split())[:200]
        print(f"{peer.name}: {results.absent[peer.name]}", file=sys.stderr)
        return
    if peer.remark and peer.remark not in results.remarks:
        results.remarks.append(peer.remark)
    alone, together = outcomes
    results.add(m.COLD_P50.name, peer.name, *cold.latencies_ms)
    results.add(m.COLD_P99.name, peer.name, cold.percentile_ms(0.99))
    results.add(m.WARM_P50.name, peer.name, alone.percentile_ms(0.5))
    results.add(m.WARM_P99.name, peer.name, alone.percentile_ms(0.99))
    results.add(m.RATE.name, peer.name, together.per_s)
    results.add(m.RATE_P50.name, peer.name, together.percentile_ms(0.5))
    results.add(m.RATE_P99.name, peer.name, together.percentile_ms(0.99))
