"""`python -m benchmarks`: all measures, floors and peers, rounds interleaved, one table on stdout."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks import bulk, cold_starts, events, floors, lambent_server, report
from benchmarks import measures as m
from benchmarks.conditions import conditions
from benchmarks.ministack import MiniStack
from benchmarks.peer import Peer
from benchmarks.plan import QUICK, Plan
from benchmarks.samples import Results
from benchmarks.serverless_offline import ServerlessOffline
from lambent.testing.running_server import ServerFailed


def main() -> int:
    options = _options()
    plan = QUICK if options.quick else Plan()
    if options.rounds:
        plan = replace(plan, rounds=options.rounds)
    output = Path(options.output).resolve()
    peers: list[Peer] = []
    if not options.no_peers:
        peers = [
            ServerlessOffline(output, in_process=True),
            ServerlessOffline(output, in_process=False),
            MiniStack(output),
        ]
    before = conditions()
    results = Results()
    for number in range(1, plan.rounds + 1):
        _say(f"round {number} of {plan.rounds}: Lambent")
        try:
            lambent_server.measure(results, plan, sandbox=options.sandbox)
            cold_starts.measure(results, plan, sandbox=options.sandbox)
            events.measure(results, plan, sandbox=options.sandbox)
            bulk.measure(results, plan, sandbox=options.sandbox)
        except (ServerFailed, RuntimeError) as error:
            if not options.floors_only:
                print(f"Lambent could not be measured: {error}", file=sys.stderr)
                return 1
            results.absent[m.LAMBENT] = " ".join(str(error).split())[:200]
        _say(f"round {number} of {plan.rounds}: floors")
        floors.measure_floors(results, plan)
        events.measure_floors(results)
        bulk.measure_floors(results, plan)
        for peer in peers:
            _say(f"round {number} of {plan.rounds}: {peer.name}")
            floors.measure_peer(results, plan, peer)
    if options.json:
        print(json.dumps({"conditions": before.as_dict(), **results.as_json()}, indent=1))
    else:
        others = [m.BARE_PROCESS, m.BOOTSTRAP, m.AWSLAMBDARIC, m.BARE_SQLITE, *(peer.name for peer in peers)]
        report.show(results, others, before)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed of Lambent, floors and peers.")
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, help="default 3")
    parser.add_argument("--json", action="store_true", help="all samples, as JSON")
    parser.add_argument("--sandbox", default="auto", help="the driver to measure")
    parser.add_argument("--no-peers", action="store_true", help="without serverless-offline and MiniStack")
    parser.add_argument("--floors-only", action="store_true", help="go on when Lambent itself does not start")
    parser.add_argument("--output", default="bench-output", help="folder for installed peers")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
