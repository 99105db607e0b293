"""The main job over the real command: boto3 outside, boto3 inside, the log, every form of failure."""

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.testing.running_server import Server
from tests.e2e.packages import ECHO, create_function, wait_updated, zip_of

CALLS_ANOTHER = """
import boto3, json
client = boto3.client("lambda")
def handler(event, context):
    reply = client.invoke(FunctionName=event["name"], Payload=json.dumps(event["event"]))
    return json.load(reply["Payload"])
"""

ASKS_WITH_OTHER_KEYS = """
import boto3, os, urllib.error, urllib.request
from botocore.exceptions import ClientError
own = {"aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"], "aws_session_token": os.environ["AWS_SESSION_TOKEN"]}
def handler(event, context):
    answers = []
    for keys in ({"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE"}, own):
        try:
            boto3.client("lambda", aws_secret_access_key="wrong", **keys).list_functions()
            answers.append(200)
        except ClientError as error:
            answers.append(error.response["ResponseMetadata"]["HTTPStatusCode"])
    for path in ("/_lambent/health", "/_lambent/reset", "/2015-03-31/functions"):
        try:
            answers.append(urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + path, timeout=5).status)
        except urllib.error.HTTPError as error:
            answers.append(error.code)
    return answers
"""


def invoke(client: Any, name: str, event: Any = None, **parameters: Any) -> tuple[Any, dict[str, Any]]:
    """The JSON of the payload, and the reply."""
    reply = client.invoke(FunctionName=name, Payload=json.dumps(event).encode(), **parameters)
    return json.loads(reply["Payload"].read() or b"null"), reply


def test_create_invoke_and_read_the_log(server: Server, lambda_client: Any) -> None:
    create_function(
        lambda_client, "hello", "def handler(event, context):\n    print('hello', event)\n    return event\n"
    )
    payload, reply = invoke(lambda_client, "hello", {"a": [1, "ä"]}, LogType="Tail")
    assert payload == {"a": [1, "ä"]}
    assert reply["ExecutedVersion"] == "$LATEST"
    tail = base64.b64decode(reply["LogResult"]).decode()
    assert tail.startswith(f"START RequestId: {reply['ResponseMetadata']['RequestId']} Version: $LATEST\n")
    assert "\tInit Duration: " in tail
    logs = server.client("logs")
    messages = "".join(read_log(logs, "/aws/lambda/hello", until="REPORT"))
    assert tail in messages
    assert messages.startswith("INIT_START Runtime Version: python:3.")


def read_log(logs: Any, group: str, until: str) -> list[str]:
    deadline = time.monotonic() + 10
    while True:
        messages = [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]
        if any(until in message for message in messages) or time.monotonic() > deadline:
            return messages
        time.sleep(0.05)


def test_boto3_in_a_function_reaches_this_server(lambda_client: Any) -> None:
    create_function(lambda_client, "inner", ECHO)
    create_function(lambda_client, "outer", CALLS_ANOTHER, Timeout=30, MemorySize=512)
    payload, _ = invoke(lambda_client, "outer", {"name": "inner", "event": {"deep": True}})
    assert payload == {"deep": True}


def test_a_sandbox_accepts_only_its_own_credentials_and_no_admin_path(lambda_client: Any) -> None:
    create_function(lambda_client, "stranger", ASKS_WITH_OTHER_KEYS, Timeout=30, MemorySize=512)
    payload, reply = invoke(lambda_client, "stranger")
    assert "FunctionError" not in reply, payload
    assert all(code in (403, 404) for code in payload), payload


def test_new_code_serves_after_an_update(lambda_client: Any) -> None:
    create_function(lambda_client, "updated", "def handler(event, context): return 'old'")
    assert invoke(lambda_client, "updated")[0] == "old"
    code = zip_of({"app.py": "def handler(event, context): return 'new'"})
    lambda_client.update_function_code(FunctionName="updated", ZipFile=code)
    wait_updated(lambda_client, "updated")
    assert invoke(lambda_client, "updated")[0] == "new"


def test_parallel_invocations_all_answer(lambda_client: Any) -> None:
    create_function(
        lambda_client, "parallel", "import time\ndef handler(event, context):\n    time.sleep(0.2)\n    return event"
    )
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda number: invoke(lambda_client, "parallel", number)[0], range(40)))
    assert answers == list(range(40))


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        ({"FunctionName": "nobody"}, 404, "ResourceNotFoundException"),
        ({"Payload": b"{"}, 400, "InvalidRequestContentException"),
        ({"Payload": b"1" * 6_291_457}, 413, "RequestEntityTooLargeException"),
        ({"Qualifier": "7"}, 404, "ResourceNotFoundException"),
    ],
)
def test_refusals(lambda_client: Any, parameters: dict[str, Any], status: int, code: str) -> None:
    try:
        lambda_client.get_function(FunctionName="refuses")
    except ClientError:
        create_function(lambda_client, "refuses", ECHO)
    with pytest.raises(ClientError) as failure:
        lambda_client.invoke(**({"FunctionName": "refuses"} | parameters))
    response = failure.value.response
    assert (response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]) == (status, code)
