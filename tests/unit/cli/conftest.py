"""A command run in this process, and a scripted server for it to call."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Outcome:
    code: int
    out: str
    err: str


@dataclass
class ScriptedServer:
    """Answers by (method, path without query); what it was asked is kept."""

    url: str = ""
    answers: dict[tuple[str, str], tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def answer(
        self, method: str, path: str, content: Any, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.answers[method, path] = (status, headers or {}, body)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    script = ScriptedServer()

    class Handler(BaseHTTPRequestHandler):
        def reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            script.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            unknown: tuple[int, dict[str, str], bytes] = (404, {}, b"")
            status, headers, content = script.answers.get((self.command, self.path.partition("?")[0]), unknown)
            self.send_response(status)
            for name, value in {"content-length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = reply

        def log_message(self, format: str, *args: object) -> None: ...

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{listener.server_port}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield script
    listener.shutdown()
    listener.server_close()
    thread.join(timeout=5)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Run `lambent` with arguments as the console script would; its exit code and what it printed."""
    from lambent.cli.main import main

    for name in ("LAMBENT_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_LAMBDA", "AWS_SESSION_TOKEN", "SHELL"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> Outcome:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return Outcome(int(caught.value.code or 0), out, err)

    return call


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """`lambent up` sets up logging for its process; here it must not outlive the test and its captured streams."""
    root, ours = logging.getLogger(), logging.getLogger("lambent")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])
