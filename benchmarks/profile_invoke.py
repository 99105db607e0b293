"""Where the supervisor spends its time under a warm load: `python -m benchmarks.profile_invoke`.

Samples from inside with a signal-driven timer: the server is started through a few lines that hook `SIGPROF` before
`lambent up` takes over, so that no privilege, tool or change of the server is needed. Prints shares of CPU time by
function and by line.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks import load
from benchmarks.api import Api
from benchmarks.conditions import cpu_s
from benchmarks.lambent_server import FAST
from lambent.testing.running_server import Server

SAMPLER = Path(__file__).with_name("sampler.py")


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="lambent-profile-") as folder:
        written = Path(folder, "profile.json")
        # The data dir must exist already: it is the one place where the confined supervisor may write.
        data_dir = Path(folder, "data")
        data_dir.mkdir()
        written = data_dir / "profile.json"
        with Server.start(
            data_dir,
            "--sandbox",
            options.sandbox,
            *FAST,
            command=(sys.executable, str(SAMPLER)),
            variables={"LAMBENT_PROFILE_OUTPUT": str(written)},
        ) as server:
            api = Api(server.port)
            api.create("profiled")
            api.wait_active("profiled")
            api.close()
            before = cpu_s(server.pid)
            outcome = load.run(
                load.Load(
                    port=server.port,
                    requests=[load.invoke("profiled", port=server.port)],
                    connections=options.connections,
                    seconds=options.seconds,
                    warmup=500,
                )
            )
            cpu_us = (cpu_s(server.pid) - before) / (len(outcome.latencies_ms) + 500) * 1e6
        print(
            f"{outcome.per_s:,.0f}/s, p50 {outcome.percentile_ms(0.5):.3f} ms, "
            f"p99 {outcome.percentile_ms(0.99):.3f} ms, errors {outcome.errors}"
        )
        print(f"supervisor: {cpu_us:.0f} us CPU per invocation, sampling included")
        show(json.loads(written.read_text()), options.lines, cpu_us)


def show(profile: dict[str, dict[str, int]], lines: int, cpu_us: float) -> None:
    total = sum(profile["own"].values()) or 1
    for kind, title in (("own", "in the function itself"), ("under", "in it and what it calls"), ("line", "by line")):
        print(f"\n{title} (share of {total} samples; us per invocation)")
        for where, count in sorted(profile[kind].items(), key=lambda each: -each[1])[:lines]:
            print(f"  {count / total:6.1%} {count / total * cpu_us:7.1f}  {where}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile_invoke")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--lines", type=int, default=40)
    parser.add_argument("--sandbox", default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    main()
