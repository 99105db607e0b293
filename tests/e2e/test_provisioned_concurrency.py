"""Provisioned concurrency of a running server: environments that are there before anybody calls."""

import json
import time
from typing import Any

from lambent.testing.running_server import Server
from tests.e2e.packages import create_function

TELLS = """
import os, time
BORN = time.time()

def handler(event, context):
    return [os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], BORN, context.log_stream_name]
"""
BREAKS = "raise RuntimeError('no')"


def ask(client: Any, name: str, qualifier: str) -> list[Any]:
    reply = client.invoke(FunctionName=name, Qualifier=qualifier)
    answer: list[Any] = json.loads(reply["Payload"].read())
    return answer


def settled(client: Any, name: str, qualifier: str) -> dict[str, Any]:
    """Not IN_PROGRESS any more, within 20 s."""
    deadline = time.monotonic() + 20
    while True:
        reply: dict[str, Any] = client.get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)
        if reply["Status"] != "IN_PROGRESS" or time.monotonic() > deadline:
            return reply
        time.sleep(0.05)


def provision(client: Any, name: str, source: str, executions: int = 1) -> dict[str, Any]:
    create_function(client, name, source, Publish=True)
    client.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=executions
    )
    return settled(client, name, "1")


def test_a_call_finds_an_environment_that_was_initialised_before(server: Server, lambda_client: Any) -> None:
    reply = provision(lambda_client, "ready", TELLS)
    assert (reply["Status"], reply["AvailableProvisionedConcurrentExecutions"]) == ("READY", 1)
    before = time.time()
    kind, born, _ = ask(lambda_client, "ready", "1")
    assert kind == "provisioned-concurrency"
    assert born < before
    assert ask(lambda_client, "ready", "$LATEST")[0] == "on-demand"


def test_a_function_that_cannot_start_says_so(lambda_client: Any) -> None:
    reply = provision(lambda_client, "broken", BREAKS, 2)
    assert (reply["Status"], reply["StatusReason"]) == ("FAILED", "FUNCTION_ERROR_INIT_FAILURE")
    assert reply["AvailableProvisionedConcurrentExecutions"] == 0


def test_environments_are_made_again_after_a_crash(start_server: Any) -> None:
    server = start_server()
    provision(server.client("lambda"), "again", TELLS)
    server.kill()
    client = start_server().client("lambda")
    assert settled(client, "again", "1")["Status"] == "READY"
    before = time.time()
    kind, born, _ = ask(client, "again", "1")
    assert (kind, born < before) == ("provisioned-concurrency", True)
