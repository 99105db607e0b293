"""The AWS CLI as it comes from the registry: the commands of AWS's own tutorials, one after the other."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lambent.testing.running_server import Server
from tests.e2e.packages import RUNTIME, zip_of

AWS = Path(sys.executable).parent / "aws"
HANDLER = "def handler(event, context):\n    print('hello from the log')\n    return {'version': %r, 'got': event}\n"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)

pytestmark = pytest.mark.timeout(300)


class Cli:
    """`aws` in a folder of its own, with nothing of the user's configuration."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder = folder
        self.url = server.url
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_ENDPOINT_URL": server.url,
            "AWS_ACCESS_KEY_ID": "000000000000",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-west-2",
            "AWS_MAX_ATTEMPTS": "1",
        }

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(AWS), *command.split(), *arguments],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def __call__(self, command: str, *arguments: str) -> Any:
        """What it prints, as JSON; None when that is nothing. Fails with what it says on stderr."""
        done = self.run(command, *arguments)
        assert done.returncode == 0, f"aws {command}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def fails(self, command: str, *arguments: str) -> str:
        done = self.run(command, *arguments)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def package(self, version: str) -> str:
        (self.folder / "function.zip").write_bytes(zip_of({"app.py": HANDLER % version}))
        return "fileb://function.zip"

    def invoke(self, *arguments: str) -> tuple[Any, Any]:
        """The metadata and the payload."""
        reply = self("lambda invoke out.json", *arguments)
        text = (self.folder / "out.json").read_text()
        return reply, json.loads(text) if text else None


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    folder = tmp_path_factory.mktemp("cli")
    with Server.start(tmp_path_factory.mktemp("server") / "data") as server:
        yield Cli(folder, server)


def test_first_function(aws: Cli) -> None:
    """Create a role and a function, invoke it with its log, update, delete."""
    role = aws("iam create-role --role-name lambda-ex --assume-role-policy-document", TRUST)["Role"]["Arn"]
    aws("iam attach-role-policy --role-name lambda-ex --policy-arn", f"{MANAGED}/AWSLambdaBasicExecutionRole")
    made = aws(
        f"lambda create-function --function-name first --runtime {RUNTIME} --handler app.handler --role {role}",
        "--zip-file",
        aws.package("1"),
        "--environment",
        "Variables={STAGE=test}",
        "--tags",
        "team=a",
    )
    assert made["State"] == "Pending"
    aws("lambda wait function-active-v2 --function-name first")
    aws("lambda wait function-exists --function-name first")
    reply, payload = aws.invoke("--function-name", "first", "--log-type", "Tail", "--payload", '{"key": "value"}')
    assert payload == {"version": "1", "got": {"key": "value"}}
    assert "hello from the log" in base64.b64decode(reply["LogResult"]).decode()

    aws("lambda update-function-code --function-name first --zip-file", aws.package("2"))
    aws("lambda wait function-updated-v2 --function-name first")
    aws("lambda update-function-configuration --function-name first --timeout 10 --memory-size 256")
    aws("lambda wait function-updated --function-name first")
    assert aws.invoke("--function-name", "first")[1]["version"] == "2"
    described = aws("lambda get-function --function-name first")
    assert described["Configuration"]["Timeout"] == 10
    assert described["Tags"] == {"team": "a"}
    assert aws("lambda list-functions --query", "Functions[].FunctionName") == ["first"]
    assert aws("lambda get-function-configuration --function-name first")["LastUpdateStatus"] == "Successful"
    assert aws("lambda get-account-settings")["AccountUsage"]["FunctionCount"] == 1

    arn = described["Configuration"]["FunctionArn"]
    aws(f"lambda tag-resource --resource {arn} --tags stage=prod")
    aws(f"lambda untag-resource --resource {arn} --tag-keys team")
    assert aws(f"lambda list-tags --resource {arn}")["Tags"] == {"stage": "prod"}

    streams = aws("logs describe-log-streams --log-group-name /aws/lambda/first")["logStreams"]
    assert streams
    aws("lambda delete-function --function-name first")
    assert "ResourceNotFoundException" in aws.fails("lambda get-function --function-name first")


MANAGED = "arn:aws:iam::aws:policy/service-role"


@pytest.fixture
def function(aws: Cli) -> Iterator[str]:
    aws(
        f"lambda create-function --function-name f --runtime {RUNTIME} --handler app.handler",
        "--role",
        "arn:aws:iam::000000000000:role/lambda-ex",
        "--zip-file",
        aws.package("1"),
    )
    aws("lambda wait function-active-v2 --function-name f")
    yield "f"
    aws("lambda delete-function --function-name f")


def test_versions_and_an_alias_that_shifts_traffic(aws: Cli, function: str) -> None:
    assert aws("lambda publish-version --function-name f")["Version"] == "1"
    aws("lambda wait published-version-active --function-name f --qualifier 1")
    aws("lambda update-function-code --function-name f --zip-file", aws.package("2"))
    aws("lambda wait function-updated-v2 --function-name f")
    assert aws("lambda publish-version --function-name f --description second")["Version"] == "2"
    aws("lambda create-alias --function-name f --name live --function-version 1")
    aws("lambda update-alias --function-name f --name live --routing-config AdditionalVersionWeights={2=1.0}")
    assert aws.invoke("--function-name", "f:live")[1]["version"] == "2"
    aws("lambda update-alias --function-name f --name live --function-version 2 --routing-config {}")
    assert aws("lambda get-alias --function-name f --name live")["FunctionVersion"] == "2"
    assert [alias["Name"] for alias in aws("lambda list-aliases --function-name f")["Aliases"]] == ["live"]
    versions = aws("lambda list-versions-by-function --function-name f")["Versions"]
    assert [version["Version"] for version in versions] == ["$LATEST", "1", "2"]
    aws("lambda delete-alias --function-name f --name live")


def test_permissions(aws: Cli, function: str) -> None:
    added = aws(
        "lambda add-permission --function-name f --statement-id s3 --action lambda:InvokeFunction",
        *("--principal", "s3.amazonaws.com", "--source-arn", "arn:aws:s3:::bucket", "--source-account", "000000000000"),
    )
    policy = json.loads(aws("lambda get-policy --function-name f")["Policy"])
    assert policy["Statement"] == [json.loads(added["Statement"])]
    aws("lambda remove-permission --function-name f --statement-id s3")
    assert "ResourceNotFoundException" in aws.fails("lambda get-policy --function-name f")


def test_a_layer(aws: Cli, function: str) -> None:
    (aws.folder / "layer.zip").write_bytes(zip_of({"python/greeting.py": "TEXT = 'from the layer'\n"}))
    layer = aws(
        "lambda publish-layer-version --layer-name l --zip-file fileb://layer.zip --compatible-runtimes", RUNTIME
    )
    (aws.folder / "function.zip").write_bytes(
        zip_of({"app.py": "import greeting\ndef handler(event, context):\n    return greeting.TEXT\n"})
    )
    aws("lambda update-function-configuration --function-name f --layers", layer["LayerVersionArn"])
    aws("lambda wait function-updated-v2 --function-name f")
    aws("lambda update-function-code --function-name f --zip-file fileb://function.zip")
    aws("lambda wait function-updated-v2 --function-name f")
    assert aws.invoke("--function-name", "f")[1] == "from the layer"
    assert [item["LayerName"] for item in aws("lambda list-layers")["Layers"]] == ["l"]
    assert aws("lambda get-layer-version --layer-name l --version-number 1")["Version"] == 1
    aws("lambda delete-layer-version --layer-name l --version-number 1")


def test_concurrency_events_and_a_url(aws: Cli, function: str) -> None:
    aws("lambda put-function-concurrency --function-name f --reserved-concurrent-executions 5")
    assert aws("lambda get-function-concurrency --function-name f") == {"ReservedConcurrentExecutions": 5}
    aws("lambda delete-function-concurrency --function-name f")
    aws("lambda put-function-event-invoke-config --function-name f --maximum-retry-attempts 0")
    config = aws("lambda get-function-event-invoke-config --function-name f")
    assert config["MaximumRetryAttempts"] == 0
    reply, _ = aws.invoke("--function-name", "f", "--invocation-type", "Event", "--payload", "{}")
    assert reply["StatusCode"] == 202
    url = aws("lambda create-function-url-config --function-name f --auth-type NONE")["FunctionUrl"]
    assert aws("lambda get-function-url-config --function-name f")["FunctionUrl"] == url
    aws("lambda delete-function-url-config --function-name f")


def test_an_event_source_mapping(aws: Cli, function: str) -> None:
    # Of all services it is SQS whose endpoint version 1 of the CLI does not take from the environment.
    sqs = f"--endpoint-url {aws.url} sqs"
    queue = aws(f"{sqs} create-queue --queue-name jobs --attributes VisibilityTimeout=60")["QueueUrl"]
    arn = aws(f"{sqs} get-queue-attributes --queue-url {queue} --attribute-names QueueArn")["Attributes"]["QueueArn"]
    made = aws(f"lambda create-event-source-mapping --function-name f --event-source-arn {arn} --no-enabled")
    assert made["BatchSize"] == 10
    listed = aws("lambda list-event-source-mappings --function-name f")["EventSourceMappings"]
    assert [mapping["UUID"] for mapping in listed] == [made["UUID"]]
    aws(f"lambda update-event-source-mapping --uuid {made['UUID']} --batch-size 5")
    deleted = aws(f"lambda delete-event-source-mapping --uuid {made['UUID']}")
    assert deleted["State"] == "Deleting"


def test_an_error_is_shown_with_its_code(aws: Cli) -> None:
    said = aws.fails("lambda invoke --function-name missing out.json")
    assert "ResourceNotFoundException" in said
    assert "Function not found: arn:aws:lambda:us-west-2:000000000000:function:missing" in said
