"""Extensions of a running server: told of an update and of the server's end, and what they can still reach then."""

import json
from collections.abc import Callable
from typing import Any

from lambent.testing.running_server import Server
from tests.e2e.census import eventually
from tests.e2e.extension_kit import agent
from tests.e2e.packages import ECHO, create_function, wait_updated
from tests.e2e.test_layers import publish

AT_THE_END = """
    import boto3
    logs = boto3.client("logs")
    register("INVOKE", "SHUTDOWN")
    while next_event()["eventType"] == "INVOKE":
        pass
    logs.create_log_group(logGroupName="made-at-the-end")
    say("made it")
"""


def lines(client: Any, function: str) -> list[str]:
    reply = client.filter_log_events(logGroupName=f"/aws/lambda/{function}")
    return [event["message"] for event in reply["events"]]


def invoke(client: Any, name: str) -> Any:
    reply = client.invoke(FunctionName=name, Payload=b'{"a":1}')
    answer = json.loads(reply["Payload"].read())
    assert "FunctionError" not in reply, answer
    return answer


def test_extensions_are_told_when_the_server_stops_and_still_reach_aws(start_server: Callable[..., Server]) -> None:
    server = start_server()
    client = server.client("lambda")
    arn = publish(client, "agents", {"extensions/last": agent(AT_THE_END)}, executable=True)
    create_function(client, "last", ECHO, Layers=[arn], Timeout=30, MemorySize=512)
    assert invoke(client, "last") == {"a": 1}
    assert server.terminate() == 0
    logs = start_server().client("logs")
    assert [each["logGroupName"] for each in logs.describe_log_groups()["logGroups"]] == [
        "/aws/lambda/last",
        "made-at-the-end",
    ]
    assert "[last] made it" in [line.strip() for line in lines(logs, "last")]


def test_extensions_are_told_when_their_function_is_updated(server: Server, lambda_client: Any) -> None:
    arn = publish(lambda_client, "told", {"extensions/one": agent()}, executable=True)
    create_function(lambda_client, "told", ECHO, Layers=[arn])
    for _ in range(2):
        assert invoke(lambda_client, "told") == {"a": 1}
    lambda_client.update_function_configuration(FunctionName="told", MemorySize=192)
    wait_updated(lambda_client, "told")
    logs = server.client("logs")
    told = eventually(
        lambda: [line for line in lines(logs, "told") if "SHUTDOWN spindown" in line], timeout_s=10, until=bool
    )
    assert told
    assert invoke(lambda_client, "told") == {"a": 1}


def test_a_layer_without_the_executable_bit_says_permission_denied(lambda_client: Any) -> None:
    arn = publish(lambda_client, "denied", {"extensions/one": agent()})
    create_function(lambda_client, "denied", ECHO, Layers=[arn])
    reply = lambda_client.invoke(FunctionName="denied")
    assert reply["FunctionError"] == "Unhandled"
    body = json.loads(reply["Payload"].read())
    assert body["errorType"] == "Extension.LaunchError"
    assert body["errorMessage"].endswith("Error: fork/exec /opt/extensions/one: permission denied")
