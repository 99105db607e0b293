"""serverless-offline on serverless 3 (the last that runs without an account): Node, in one process or in threads."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks.peer import PeerAbsent, RunningPeer, free_port, install, served

PACKAGES = {"serverless": "3.40.0", "serverless-offline": "13.9.0"}


class ServerlessOffline:
    remark = (
        "serverless-offline " + PACKAGES["serverless-offline"] + ": Node functions in its own process or its threads, "
        "no isolation, no limits, no log service"
    )

    def __init__(self, output: Path, *, in_process: bool) -> None:
        self.name = "serverless-offline " + ("in-process" if in_process else "threads")
        self._in_process = in_process
        self._folder = output / "serverless"

    def install(self) -> None:
        if shutil.which("node") is None or shutil.which("npm") is None:
            raise PeerAbsent("needs node and npm")
        if all(self._installed(name) == version for name, version in PACKAGES.items()):
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "package.json").write_text('{"private": true}\n')
        wanted = [f"{name}@{version}" for name, version in PACKAGES.items()]
        install("npm", ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", *wanted], self._folder)

    def _installed(self, name: str) -> str | None:
        try:
            package = json.loads((self._folder / "node_modules" / name / "package.json").read_text())
        except (OSError, ValueError):
            return None
        version: str | None = package.get("version")
        return version

    @contextlib.contextmanager
    def run(self, functions: int) -> Iterator[RunningPeer]:
        names = [f"f{number}" for number in range(functions)]
        handlers = self._folder / "handlers"
        handlers.mkdir(exist_ok=True)
        for name in names:
            (handlers / f"{name}.js").write_text("exports.handler = async (event) => event;\n")
        service = {
            "service": "bench",
            "frameworkVersion": "3",
            "provider": {"name": "aws", "runtime": "nodejs20.x", "stage": "dev", "region": "us-east-1"},
            "plugins": ["serverless-offline"],
            "functions": {name: {"handler": f"handlers/{name}.handler", "timeout": 30} for name in names},
        }
        (self._folder / "serverless.json").write_text(json.dumps(service))
        port = free_port()
        argv = ["node", "node_modules/serverless/bin/serverless.js", "offline", "start", "--config", "serverless.json"]
        argv += ["--host", "127.0.0.1", "--httpPort", str(free_port()), "--lambdaPort", str(port)]
        argv += ["--useInProcess"] if self._in_process else []
        home = self._folder / "home"
        home.mkdir(exist_ok=True)
        variables = {"HOME": str(home), "SLS_TELEMETRY_DISABLED": "1", "SLS_NOTIFICATIONS_MODE": "off", "CI": "1"}
        with served(argv, folder=self._folder, variables=variables, port=port):
            yield RunningPeer(port, [f"bench-dev-{name}" for name in names])
