"""What the start of a sandbox costs, by kind and phase, without the server: `python -m benchmarks.sandbox_starts`.

As root. Medians and 90th percentiles in ms of prepare, assign and start (until the runtime asks for its first event),
and CPU of all processes per environment, beside the floor of the same run: a bare `python -I -S -c pass`.
"""

import argparse
import asyncio
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lambent.environments.events import HowStarted
from lambent.environments.sandbox.native import NativeDriver
from lambent.environments.sandbox.ports import Preparation, SandboxSpec
from lambent.launcher import starting
from lambent.runtimes.interpreters import Interpreter
from lambent.runtimes.python.files import runtime_files
from lambent.runtimes.python.runtime import PythonRuntime
from lambent.runtimes.variables import Process

_HANDLER = "def handler(event, context):\n    return 'hello'\n"
_ACCOUNT = "123456789012"
_PHASES = ("prepare", "assign", "start", "stop", "all")


def _runtime() -> PythonRuntime:
    prefix, version = Path(sys.base_prefix), f"{sys.version_info.major}.{sys.version_info.minor}"
    executable = (prefix / f"bin/python{version}").resolve()
    return PythonRuntime(f"python{version}", Interpreter(version, sys.version_info.micro, prefix, executable))


def _spec(home: Path, runtime: PythonRuntime, memory_mb: int) -> SandboxSpec:
    code = home / "packages/code"
    code.mkdir(exist_ok=True)
    (code / "main.py").write_text(_HANDLER)
    process = Process(
        runtime=runtime.identifier,
        handler="main.handler",
        function_name="f",
        function_version="$LATEST",
        memory_mb=memory_mb,
        region="eu-west-1",
        log_group="/aws/lambda/f",
        log_stream="s",
        access_key_id="A",
        secret_access_key="S",
        session_token="T",
    )
    return SandboxSpec(
        environment_id="env",
        command=runtime.command(process),
        code_dir=code,
        lang_prefix=runtime.prefix,
        memory_mb=memory_mb,
        cpus=1.0,
        tmp_mb=512,
        account=_ACCOUNT,
        runtime=runtime.start,
        must_exec=False,
    )


async def _cycle(driver: NativeDriver, spec: SandboxSpec, how: HowStarted) -> tuple[float, ...]:
    loop = asyncio.get_running_loop()
    runtime = None if how is HowStarted.EXECUTED else spec.runtime
    marks = [time.perf_counter()]
    prepared = await driver.prepare(Preparation(runtime, _ACCOUNT if how is HowStarted.FORKED else None))
    marks.append(time.perf_counter())
    sandbox = await prepared.assign(spec)
    marks.append(time.perf_counter())
    accepting = loop.create_task(loop.sock_accept(sandbox.runtime_api[0]))
    await sandbox.start()
    connection, _ = await accepting
    with connection:
        await loop.sock_recv(connection, 4096)
        marks.append(time.perf_counter())
        await sandbox.stop()
    marks.append(time.perf_counter())
    pairs = itertools.pairwise(marks)
    prepare, assign, start, stop = ((after - before) * 1000 for before, after in pairs)
    first = assign + start if how is HowStarted.POOLED else prepare + assign + start
    return prepare, assign, start, stop, first


def _children_ms(pid: int) -> float:
    """CPU of a process and of all its children that it has reaped."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(fields[index]) for index in (11, 12, 13, 14)) * 10.0


def _floor_ms() -> float:
    began = time.perf_counter()
    subprocess.run([sys.base_prefix + f"/bin/python3.{sys.version_info.minor}", "-I", "-S", "-c", "pass"], check=True)
    return (time.perf_counter() - began) * 1000


async def measure(count: int, memory_mb: int, kinds: list[HowStarted]) -> None:
    with tempfile.TemporaryDirectory(prefix="lambent-bench-") as folder:
        home, runtime = Path(folder), _runtime()
        (home / "packages").mkdir()
        launcher = starting.begin(
            data_dir=home,
            packages_dir=home / "packages",
            prefixes=[runtime.prefix],
            runtimes=[runtime.start],
            runtime_entries=runtime_files(),
        ).await_ready()
        driver = NativeDriver(launcher)
        spec = _spec(home, runtime, memory_mb)
        await driver.start_zygote(_ACCOUNT, runtime.start)
        print(f"{'':10}" + "".join(f"{name:>16}" for name in _PHASES) + f"{'CPU':>8}")
        for how in kinds:
            await _cycle(driver, spec, how)
            cpu = _children_ms(launcher._process.pid) + time.process_time() * 1000
            rows = [await _cycle(driver, spec, how) for _ in range(count)]
            cpu = _children_ms(launcher._process.pid) + time.process_time() * 1000 - cpu
            columns = list(zip(*rows, strict=True))
            cells = [f"{statistics.median(c):7.2f} {statistics.quantiles(c, n=10)[-1]:7.2f}" for c in columns]
            print(f"{how:10}" + "".join(f"{cell:>16}" for cell in cells) + f"{cpu / count:8.2f}")
        print(f"floor {statistics.median(_floor_ms() for _ in range(20)):.2f} ms: python -I -S -c pass")
        await driver.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--memory", type=int, default=128)
    parser.add_argument("--kinds", nargs="*", type=HowStarted, default=["executed", "pooled", "forked"])
    chosen = parser.parse_args()
    asyncio.run(measure(chosen.count, chosen.memory, list(map(HowStarted, chosen.kinds))))
