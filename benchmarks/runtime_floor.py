"""Floor of the data path: a runtime looping against the smallest possible Runtime API, with no front door.

Whatever a platform adds can only be slower than this. The API is a raw protocol that answers `/next` at once, always
with the same event, and counts the responses. `run` starts it as `python -m benchmarks.runtime_floor`, plan on stdin.
"""

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import uvloop

HANDLER = "def handler(event, context):\n    return event\n"
EVENT = b'{"key":"value"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A runtime as a bare process: no sandbox. Its code folder becomes the working directory."""

    argv: Sequence[str]
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Loop:
    invocations: int
    elapsed_s: float
    api_cpu_us: float
    """CPU of the API per invocation."""
    runtime_cpu_us: float

    @property
    def per_s(self) -> float:
        return self.invocations / self.elapsed_s

    @property
    def each_ms(self) -> float:
        """Time of one invocation in the loop of one runtime."""
        return 1000 / self.per_s


def awslambdaric() -> Runtime:
    """AWS's own runtime interface client for Python, from the registry."""
    return Runtime(argv=(sys.executable, "-m", "awslambdaric", "app.handler"), variables=_variables())


def our_bootstrap() -> Runtime | None:
    """Lambent's bootstrap, started as in a sandbox; None when this checkout has none."""
    spec = importlib.util.find_spec("lambent.runtimes.python")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    script = next((path for each in folders if (path := Path(each, "bootstrap", "bootstrap.py")).exists()), None)
    if script is None:
        return None
    variables = {**_variables(), "LAMBDA_RUNTIME_DIR": str(script.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    return Runtime(argv=(base_interpreter(), "-S", str(script)), variables=variables)


def base_interpreter() -> str:
    """The interpreter behind the virtual environment: what a sandbox runs."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return str(Path(sys.base_prefix, "bin", version))


def _variables() -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "_HANDLER": "app.handler",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_NAME": "floor",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/floor",
        "AWS_LAMBDA_LOG_STREAM_NAME": "floor",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    }


def run(
    runtime: Runtime,
    *,
    runtimes: int,
    seconds: float,
    warmup: int = 200,
    handler: str = HANDLER,
    event: bytes = EVENT,
) -> Loop:
    """Loop `runtimes` processes at once for `seconds`. Raises RuntimeError when they do not invoke."""
    with tempfile.TemporaryDirectory(prefix="lambent-floor-") as folder:
        Path(folder, "app.py").write_text(handler)
        plan = {
            "argv": list(runtime.argv),
            "variables": {**runtime.variables, "LAMBDA_TASK_ROOT": folder},
            "folder": folder,
            "runtimes": runtimes,
            "seconds": seconds,
            "warmup": warmup,
            "event": event.decode(),
        }
        finished = subprocess.run(
            [sys.executable, "-m", "benchmarks.runtime_floor"],
            input=json.dumps(plan),
            capture_output=True,
            text=True,
            timeout=seconds + 60,
            check=False,
        )
    if finished.returncode:
        raise RuntimeError(f"{runtime.argv[0]}: {finished.stderr[-2000:]}")
    return Loop(**json.loads(finished.stdout))


class _Api:
    def __init__(self, plan: dict[str, Any], done: asyncio.Future[None]) -> None:
        self.plan = plan
        self.done = done
        self.warmup: int = plan["warmup"]
        self.invocations = 0
        self.begun = self.ended = 0.0
        self.cpu = self.runtime_cpu = 0.0
        self.pids: list[int] = []
        event: bytes = plan["event"].encode()
        deadline_ms = int(time.time() * 1000) + 600_000
        self.next_answer = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Lambda-Runtime-Aws-Request-Id: 00000000-0000-4000-8000-000000000000\r\n"
            b"Lambda-Runtime-Deadline-Ms: %d\r\n"
            b"Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:000000000000:function:floor\r\n"
            b"Lambda-Runtime-Trace-Id: Root=1-00000000-000000000000000000000000;Sampled=0\r\n"
            b"Content-Length: %d\r\n\r\n" % (deadline_ms, len(event))
        )
        self.next_answer += event
        self.accepted = b'HTTP/1.1 202 Accepted\r\nContent-Length: 16\r\n\r\n{"status":"OK"}\n'

    def responded(self) -> None:
        if self.warmup:
            self.warmup -= 1
            if self.warmup == 0:
                self.begun = time.perf_counter()
                self.cpu = time.process_time()
                self.runtime_cpu = self._runtimes_cpu_s()
                asyncio.get_running_loop().call_later(self.plan["seconds"], self._end)
            return
        if not self.done.done():
            self.invocations += 1

    def _end(self) -> None:
        self.ended = time.perf_counter()
        self.cpu = time.process_time() - self.cpu
        self.runtime_cpu = self._runtimes_cpu_s() - self.runtime_cpu
        self.done.set_result(None)

    def _runtimes_cpu_s(self) -> float:
        """Nanoseconds on a core, summed by the scheduler: clock ticks are too coarse for a short loop."""
        total = 0
        for pid in self.pids:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                total += int((thread / "schedstat").read_text().split()[0])
        return total / 1e9


class _RuntimeApi(asyncio.Protocol):
    def __init__(self, api: _Api) -> None:
        self.api = api
        self.buffer = b""
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        buffer = self.buffer + data if self.buffer else data
        while True:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                break
            if buffer.startswith(b"GET "):
                self.transport.write(self.api.next_answer)
                buffer = buffer[end + 4 :]
                continue
            head = buffer[:end].lower()
            at = head.find(b"\r\ncontent-length:")
            stop = head.find(b"\r\n", at + 17)
            length = int(head[at + 17 : stop if stop > 0 else end])
            if len(buffer) < end + 4 + length:
                break
            if not head.split(b" ", 2)[1].endswith(b"/response"):
                print(buffer[:2000].decode(errors="replace"), file=sys.stderr)
                os._exit(1)
            self.transport.write(self.api.accepted)
            self.api.responded()
            buffer = buffer[end + 4 + length :]
        self.buffer = buffer


async def _loop(plan: dict[str, Any]) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    api = _Api(plan, done)
    server = await loop.create_server(lambda: _RuntimeApi(api), "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    variables = {**plan["variables"], "AWS_LAMBDA_RUNTIME_API": f"{address[0]}:{address[1]}"}
    processes = _start(plan, variables)
    api.pids = [process.pid for process in processes]
    try:
        async with asyncio.timeout(plan["seconds"] + 30):
            await done
    finally:
        for process in processes:
            process.kill()
            process.wait()
        server.close()
    return {
        "invocations": api.invocations,
        "elapsed_s": api.ended - api.begun,
        "api_cpu_us": api.cpu / api.invocations * 1e6,
        "runtime_cpu_us": api.runtime_cpu / api.invocations * 1e6,
    }


def _start(plan: dict[str, Any], variables: dict[str, str]) -> list["subprocess.Popen[bytes]"]:
    return [
        subprocess.Popen(plan["argv"], env=variables, cwd=plan["folder"], stdin=subprocess.DEVNULL, stdout=sys.stderr)
        for _ in range(plan["runtimes"])
    ]


def main() -> None:
    print(json.dumps(uvloop.run(_loop(json.load(sys.stdin)))))


if __name__ == "__main__":
    main()
