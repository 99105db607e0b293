"""The few calls of the Lambda API that preparing a benchmark needs, over one plain keep-alive connection."""

import base64
import http.client
import io
import json
import sys
import time
import zipfile
from typing import Any

RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
HELLO = "def handler(event, context):\n    return event\n"
ONE_CPU_MB = 1769
"""Memory that gives a whole vCPU; with less, the quota of the function is measured and not the platform."""
PATH = "/2015-03-31/functions"


class Api:
    def __init__(self, port: int) -> None:
        self._port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def create(
        self, name: str, *, memory_mb: int = ONE_CPU_MB, source: str = HELLO, content: bytes | None = None
    ) -> None:
        """A hello-world function whose package no other function has; `content` lies beside it."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(zipfile.ZipInfo("app.py"), f"# {name}\n{source}")
            if content is not None:
                archive.writestr(zipfile.ZipInfo("content"), content)
        self._call(
            "POST",
            PATH,
            {
                "FunctionName": name,
                "Runtime": RUNTIME,
                "Role": "arn:aws:iam::000000000000:role/bench",
                "Handler": "app.handler",
                "MemorySize": memory_mb,
                "Timeout": 30,
                "Code": {"ZipFile": base64.b64encode(buffer.getvalue()).decode()},
            },
        )

    def wait_active(self, name: str, timeout_s: float = 15.0) -> None:
        deadline = time.perf_counter() + timeout_s
        while True:
            state = self._call("GET", f"{PATH}/{name}/configuration").get("State", "Active")
            if state == "Active":
                return
            if state != "Pending" or time.perf_counter() > deadline:
                raise RuntimeError(f"{name} is {state}")
            time.sleep(0.001)

    def cold_starts(self, name: str) -> list[dict[str, Any]]:
        """Of a function, newest first, as the server remembers them."""
        found: list[dict[str, Any]] = self._call("GET", f"/_lambent/cold-starts?FunctionName={name}")["ColdStarts"]
        return found

    def close(self) -> None:
        self._connection.close()

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self._connection.request(
            method,
            path,
            body=json.dumps(body) if body is not None else None,
            headers={
                "X-Amz-Date": now,
                "Content-Type": "application/json",
                "Authorization": f"AWS4-HMAC-SHA256 Credential=000000000000/{now[:8]}/us-east-1/lambda/aws4_request, "
                f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}",
            },
        )
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:500].decode(errors='replace')}")
        parsed: dict[str, Any] = json.loads(content)
        return parsed
