"""Custom runtimes in real sandboxes: the function's own program, its layer's, and what is wrong with one."""

import base64
import io
import json
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lambent.testing.running_server import Server
from tests.e2e.packages import create_function
from tests.e2e.test_layers import layer

RUNTIME = "provided.al2023"
BOOTSTRAP = r"""#!/bin/bash
# Speaks the Runtime API with nothing but the shell.
api() { exec 3<>"/dev/tcp/${AWS_LAMBDA_RUNTIME_API%:*}/${AWS_LAMBDA_RUNTIME_API#*:}"; printf '%s' "$1" >&3; }
end=$'\r\n'
while :; do
    api "GET /2018-06-01/runtime/invocation/next HTTP/1.1${end}Host: api$end$end"
    while IFS= read -r line <&3; line=${line%$'\r'}; [ -n "$line" ]; do
        case ${line,,} in
            lambda-runtime-aws-request-id:*) id=${line#*: } ;;
            content-length:*) length=${line#*: } ;;
        esac
    done
    IFS= read -r -N "$length" event <&3
    echo "seen $event"
    of_python="${AWS_EXECUTION_ENV-}${PYTHONPATH-}${_LAMBDA_TELEMETRY_LOG_FD-}"
    reply="[\"$0\", \"$_HANDLER\", \"$PWD\", \"$of_python\", $event]"
    head="POST /2018-06-01/runtime/invocation/$id/response HTTP/1.1${end}Host: api$end"
    api "${head}Content-Length: ${#reply}$end$end$reply"
    IFS= read -r line <&3
done
"""


def package(mode: int = 0o755, content: str = BOOTSTRAP, name: str = "bootstrap") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = (0o100000 | mode) << 16
        archive.writestr(entry, content)
    return buffer.getvalue()


def invoked(client: Any, name: str, code: bytes, event: object = 1, **members: Any) -> tuple[Any, str | None, str]:
    create_function(client, name, Runtime=RUNTIME, Handler="any.thing", Code={"ZipFile": code}, **members)
    reply = client.invoke(FunctionName=name, Payload=json.dumps(event).encode(), LogType="Tail")
    log = base64.b64decode(reply["LogResult"]).decode()
    return json.loads(reply["Payload"].read()), reply.get("FunctionError"), log


@pytest.mark.parametrize("sandbox", ["native", "process"])
def test_the_functions_own_program_speaks_the_runtime_api(tmp_path: Path, sandbox: str) -> None:
    with Server.start(tmp_path / "data", *(() if sandbox == "native" else ("--sandbox", sandbox))) as server:
        answer, error, log = invoked(server.client("lambda"), "own", package(), {"a": [1]})
        assert error is None
        program, handler, folder, of_python, event = answer
        assert (handler, of_python, event) == ("any.thing", "", {"a": [1]})
        assert Path(program).parent == Path(folder)
        assert 'seen {"a": [1]}' in log
        with urllib.request.urlopen(f"{server.url}/_lambent/health", timeout=10) as health:
            assert RUNTIME in json.load(health)["runtimes"]


def test_a_program_of_a_layer_is_the_runtime_of_a_package_without_one(lambda_client: Any) -> None:
    arn = lambda_client.publish_layer_version(
        LayerName="shells", Content={"ZipFile": layer({"bootstrap": BOOTSTRAP}, executable=True)}
    )["LayerVersionArn"]
    answer, error, _ = invoked(lambda_client, "layered", package(name="data"), Layers=[arn])
    assert (answer[0], answer[2], error) == ("/opt/bootstrap", "/var/task", None)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (package(name="other"), "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"),
        (package(mode=0o644), "fork/exec /var/task/bootstrap: permission denied"),
        (package(content="\x7fELF and no more"), "fork/exec /var/task/bootstrap: exec format error"),
        (package(content="#!/no/such/shell\n"), "fork/exec /var/task/bootstrap: no such file or directory"),
    ],
    ids=["none", "closed", "nonsense", "no shell"],
)
def test_a_program_that_cannot_start_is_told_in_lambdas_words(
    lambda_client: Any, code: bytes, text: str, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id.replace(" ", "-")
    answer, error, log = invoked(lambda_client, f"broken-{name}", code)
    assert error == "Unhandled"
    assert answer["errorType"] == "Runtime.InvalidEntrypoint"
    assert answer["errorMessage"].endswith(f" Error: {text}")
    assert "Status: error\tError Type: Runtime.InvalidEntrypoint" in log
