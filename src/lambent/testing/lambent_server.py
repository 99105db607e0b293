"""What a test gets of `lambent.testing.server`: clients, functions from folders or texts, their logs, a clean slate."""

import json
import os
import platform
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lambent.packaging import archive, requirements
from lambent.packaging.handlers import guess
from lambent.testing.running_server import Server

ROLE: Final = "arn:aws:iam::000000000000:role/lambent-test"
FUNCTION_S: Final = 30
WAIT: Final = {"Delay": 0.01, "MaxAttempts": 6000}

Source = str | Path | Mapping[str, str]


class FunctionFailed(AssertionError):
    """The function answered with an error: `type`, the message, and the end of its log."""

    def __init__(self, kind: str, message: str, log: Sequence[str]) -> None:
        super().__init__(f"{kind}: {message}\n" + "".join(log))
        self.type = kind
        self.message = message


@dataclass(frozen=True, slots=True)
class Deployed:
    """A function that is Active."""

    server: "LambentServer"
    name: str
    arn: str

    def invoke(self, payload: object = None) -> Any:
        """Its answer, parsed. Raises `FunctionFailed`."""
        reply = self.server.client("lambda").invoke(FunctionName=self.name, Payload=json.dumps(payload))
        answer = json.loads(reply["Payload"].read() or b"null")
        if "FunctionError" in reply:
            error = answer if isinstance(answer, dict) else {}
            said = self.server.logs(self.name)[-50:]
            raise FunctionFailed(error.get("errorType", "Unknown"), error.get("errorMessage", ""), said)
        return answer

    def send(self, payload: Any = None) -> str:
        """Invoke it as Event: accepted, and attempted soon. Returns the request id, the same for all attempts."""
        client = self.server.client("lambda")
        sent = client.invoke(FunctionName=self.name, InvocationType="Event", Payload=json.dumps(payload).encode())
        return str(sent["ResponseMetadata"]["RequestId"])

    def logs(self) -> list[str]:
        return self.server.logs(self.name)


class LambentServer:
    """A running server with its own port and data, for tests. Credentials of its clients need not be set."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._runtime: str | None = None

    @classmethod
    def start(cls, folder: Path, arguments: Sequence[str] = (), timeout_s: float = 30.0) -> Self:
        """Raises `running_server.ServerFailed`. Its data and its log are in `folder`."""
        command = (sys.executable, "-P", "-m", "lambent")
        flags = ("--allow-reset", "--virtual-clock", *arguments)
        return cls(Server.start(folder / "data", *flags, command=command, timeout_s=timeout_s))

    @property
    def url(self) -> str:
        """For AWS_ENDPOINT_URL."""
        return self._server.url

    @property
    def sandbox(self) -> str:
        """The driver that functions run in; `process` isolates little."""
        return self._server.sandbox

    def client(self, service: str, *, account: str = "000000000000", region: str = "us-east-1") -> Any:
        """An unmodified boto3 client, without retries. The same one each time."""
        return self._server.client(service, account=account, region=region, read_timeout_s=930.0)

    def deploy(
        self, source: Source, *, name: str, handler: str | None = None, runtime: str | None = None, **members: Any
    ) -> Deployed:
        """Create the function `name`, or update it; wait until it is Active.

        `source`: a folder (with its requirements.txt), the text of one Python module, or texts by file name. `members`
        are further ones of CreateFunction, as `Timeout=5` or `Environment={"Variables": {...}}`. Raises
        `packaging.folder.PackagingError` and botocore's `ClientError`.
        """
        runtime = runtime or self._own_runtime()
        with _folder_of(source) as folder:
            needed = folder / requirements.FILE
            python = runtime.removeprefix("python")
            below = requirements.installed(needed, python) if needed.is_file() and python != runtime else None
            handler = handler or guess(folder)
            package = archive.of_folder(folder, below)
        client = self.client("lambda")
        settings = {"Runtime": runtime, "Handler": handler, "Role": ROLE, "Timeout": FUNCTION_S} | members
        arn = self._create(client, name, package, settings)
        if arn is None:
            arn = self._update(client, name, package, settings)
        return Deployed(self, name, arn)

    def logs(self, function: str) -> list[str]:
        """The messages in the function's log, oldest first, each with its line ends."""
        client = self.client("logs")
        try:
            pages = client.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function}")
            return [event["message"] for page in pages for event in page["events"]]
        except client.exceptions.ResourceNotFoundException:
            # It has not run yet.
            return []

    def reset(self) -> None:
        """Drop everything of every account: functions, logs, and whatever else the server keeps."""
        request = urllib.request.Request(f"{self.url}/_lambent/reset", method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()

    def advance(self, seconds: float, *, wait_s: float = 30.0) -> None:
        """Let the time by which events are retried and grow old go on, through all that becomes due on the way.

        What was invoked as Event before has had its attempt and its destinations then. Running functions, logs and
        other services keep to real time. Raises TimeoutError when something is under way after `wait_s`.
        """
        sent = json.dumps({"Seconds": seconds, "WaitSeconds": wait_s}).encode()
        request = AWSRequest("POST", f"{self.url}/_lambent/clock", data=sent)
        SigV4Auth(Credentials("000000000000", "secret"), "lambda", "us-east-1").add_auth(request)
        headers = {**request.headers, "Content-Type": "application/json"}
        posted = urllib.request.Request(request.url, sent, headers, method="POST")
        with urllib.request.urlopen(posted, timeout=wait_s + 30) as answer:
            under_way = json.load(answer)["UnderWay"]
        if under_way:
            raise TimeoutError(f"{under_way} events or deliveries are still under way after {wait_s:g} s")

    def server_log(self) -> str:
        """What the server itself said on stderr."""
        return self._server.log()

    def stop(self) -> None:
        self._server.terminate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _create(self, client: Any, name: str, package: bytes, settings: Mapping[str, Any]) -> str | None:
        """The ARN; None when there is such a function."""
        architecture = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
        create = {"Architectures": [architecture], **settings}
        try:
            made = client.create_function(FunctionName=name, Code={"ZipFile": package}, **create)
        except client.exceptions.ResourceConflictException:
            return None
        client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=WAIT)
        return str(made["FunctionArn"])

    def _update(self, client: Any, name: str, package: bytes, settings: Mapping[str, Any]) -> str:
        waiter = client.get_waiter("function_updated_v2")
        waiter.wait(FunctionName=name, WaiterConfig=WAIT)
        client.update_function_configuration(FunctionName=name, **_updatable(settings))
        waiter.wait(FunctionName=name, WaiterConfig=WAIT)
        updated = client.update_function_code(FunctionName=name, ZipFile=package)
        waiter.wait(FunctionName=name, WaiterConfig=WAIT)
        return str(updated["FunctionArn"])

    def _own_runtime(self) -> str:
        """That of the Python of the tests where the server has it, else its newest."""
        if self._runtime is None:
            with urllib.request.urlopen(f"{self.url}/_lambent/health", timeout=30) as answer:
                served = [name for name in json.load(answer)["runtimes"] if name.startswith("python")]
            own = "python" + ".".join(platform.python_version_tuple()[:2])
            if not served:
                raise RuntimeError("the server has no Python runtime; see: lambent doctor")
            self._runtime = own if own in served else served[-1]
        return self._runtime


def _updatable(settings: Mapping[str, Any]) -> dict[str, Any]:
    created_only = {"Architectures", "Tags", "Publish", "PackageType", "CodeSigningConfigArn", "TenancyConfig"}
    return {name: value for name, value in settings.items() if name not in created_only}


@contextmanager
def _folder_of(source: Source) -> Iterator[Path]:
    if isinstance(source, Path) or (isinstance(source, str) and "\n" not in source and Path(source).is_dir()):
        yield Path(source)
        return
    texts = {"app.py": source} if isinstance(source, str) else source
    with tempfile.TemporaryDirectory(prefix="lambent-test-") as made:
        for name, text in texts.items():
            place = Path(made) / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        yield Path(made)


@contextmanager
def removed(folder: Path) -> Iterator[Path]:
    """Remove `folder` at the end. Through sudo the server is the user who called, and has to pass through it."""
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        for place, _, _ in os.walk(folder):
            # Unpacked packages are read-only.
            os.chmod(place, 0o700)
        shutil.rmtree(folder, ignore_errors=True)
