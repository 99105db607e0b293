"""How soon a saved file answers: from the close of the file to the reply of the first invocation with the new code.

`python -m benchmarks.watch [--requirements FILE] [--rounds N]`. Beside it the floors of the same server: a warm
invocation, and UpdateFunctionCode with an invocation right after it by boto3, without any folder, watching or command.
"""

import argparse
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from lambent.testing.running_server import COMMAND, Server

NAME = "watched"
TARGET_MS = 100.0
LONGEST_S = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--requirements", type=Path, help="A requirements.txt that the function has.")
    parser.add_argument("--files-mb", type=int, default=0, help="Files of its own beside the module, incompressible.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lambent-watch-") as made:
        work = Path(made)
        work.chmod(0o711)
        with Server.start(work / "data") as server:
            client = server.client("lambda")
            folder = work / NAME
            folder.mkdir()
            if options.requirements is not None:
                shutil.copy(options.requirements, folder / "requirements.txt")
            for number in range(10 * options.files_mb):
                (folder / f"data{number}.bin").write_bytes(os.urandom(100_000))
            save(folder, 0)
            with_watch = watched(server, client, folder, options.rounds)
            found = client.get_function_configuration(FunctionName=NAME)
            size, beside = found["CodeSize"], sum(layer["CodeSize"] for layer in found.get("Layers", ()))
            warm = [timed(lambda: invoke(client)) for _ in range(options.rounds)]
            by_api = [timed(partial(update, client, n)) for n in range(10_000, 10_000 + options.rounds)]
    print(f"package {size / 1e3:.1f} KB, layer {beside / 1e6:.2f} MB")
    load = " ".join(f"{each:.2f}" for each in os.getloadavg())
    print(f"load average {load}, sandbox {server.sandbox}, {options.rounds} rounds, target {TARGET_MS:.0f} ms")
    for what, found in (
        ("saved file to reply with new code", with_watch),
        ("floor: update by boto3 to reply", by_api),
        ("floor: warm invocation", warm),
    ):
        worst = sorted(found)[int(len(found) * 0.95)]
        print(f"{what:<36} median {statistics.median(found):7.1f} ms   p95 {worst:7.1f} ms")


def watched(server: Server, client: Any, folder: Path, rounds: int) -> list[float]:
    log = folder.with_suffix(".log")
    variables = {**os.environ, "LAMBENT_ENDPOINT": server.url, "PYTHONUNBUFFERED": "1"}
    with log.open("w", encoding="utf-8") as out:
        command = [str(COMMAND), "deploy", str(folder), "--name", NAME, "--watch"]
        process = subprocess.Popen(command, env=variables, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + LONGEST_S
        while "watching" not in log.read_text(encoding="utf-8"):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the command does not watch: {log.read_text(encoding='utf-8')}")
            time.sleep(0.05)
        return [_round(client, folder, number) for number in range(1, rounds + 1)]
    finally:
        process.terminate()
        process.wait(timeout=20)


def _round(client: Any, folder: Path, number: int) -> float:
    save(folder, number)
    begun = time.perf_counter()
    while invoke(client) != number:
        if time.perf_counter() - begun > LONGEST_S:
            sys.exit(f"round {number}: the new code does not come")
    return (time.perf_counter() - begun) * 1000


def save(folder: Path, number: int) -> None:
    (folder / "app.py").write_text(source(number), encoding="utf-8")


def source(number: int) -> str:
    return f"def handler(event, context):\n    return {number}\n"


def update(client: Any, number: int) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as package:
        package.writestr("app.py", source(number))
    client.update_function_code(FunctionName=NAME, ZipFile=out.getvalue())
    while invoke(client) != number:
        pass


def invoke(client: Any) -> Any:
    return json.loads(client.invoke(FunctionName=NAME)["Payload"].read())


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


if __name__ == "__main__":
    main()
