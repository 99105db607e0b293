"""MiniStack: functions as bare subprocesses of an AWS emulator in Python."""

import contextlib
import http.client
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.api import Api
from benchmarks.peer import PeerAbsent, RunningPeer, free_port, install, served

VERSION = "1.5.33"
LOGGING = "def handler(event, context):\n    print('x')\n    return event\n"
"""MiniStack waits 50 ms for the log of a function that writes none: with a line it is at its best, 6 ms, not 52."""


class MiniStack:
    name = "MiniStack"
    remark = f"MiniStack {VERSION}: its function writes a log line, without which each invocation takes 50 ms longer"

    def __init__(self, output: Path) -> None:
        self._folder = output / "ministack"

    def install(self) -> None:
        # Its own version marker: asking pip takes longer than the rest of the check.
        marker = self._folder / f"installed-{VERSION}"
        if marker.exists():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        install("venv", [sys.executable, "-m", "venv", str(self._folder)], self._folder)
        install("pip", [str(self._folder / "bin" / "pip"), "install", "-q", f"ministack=={VERSION}"], self._folder)
        marker.touch()

    @contextlib.contextmanager
    def run(self, functions: int) -> Iterator[RunningPeer]:
        port = free_port()
        data = self._folder / "data"
        data.mkdir(exist_ok=True)
        variables = {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "LOG_LEVEL": "ERROR",
            "LAMBDA_EXECUTOR": "local",
            "HOME": str(data),
            "TMPDIR": str(data),
            "S3_DATA_DIR": str(data / "s3"),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        with served([str(self._folder / "bin" / "ministack")], folder=data, variables=variables, port=port):
            api = Api(port)
            try:
                names = [f"f{number}" for number in range(functions)]
                for name in names:
                    api.create(name, source=LOGGING)
                for name in names:
                    api.wait_active(name)
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                raise PeerAbsent(f"MiniStack created no functions: {error}") from error
            finally:
                api.close()
            yield RunningPeer(port, names)
