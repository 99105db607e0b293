"""A function that invokes itself from inside its sandbox is stopped: the SDK there carries the trace header on."""

import json
from typing import Any

from lambent.invocation.trace import invocations
from lambent.testing.running_server import Server
from tests.e2e.census import eventually
from tests.e2e.packages import create_function

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
AGAIN = """
import boto3

client = boto3.client("lambda")

def handler(event, context):
    print("generation", event)
    client.invoke(FunctionName=context.function_name, InvocationType="Event", Payload=str(event + 1))
"""
SENDS = """
import boto3

sqs = boto3.client("sqs")

def handler(event, context):
    sqs.send_message(QueueUrl=event, MessageBody="x")
"""
COLLECTS = """
import json

def handler(event, context):
    print("stopped", json.dumps(event))
"""


def lines(logs: Any, name: str, word: str) -> list[str]:
    """What follows the word, of each line that begins with it."""
    try:
        found = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    messages = (event["message"] for event in found)
    return [message.removeprefix(word) for message in messages if message.startswith(word)]


def test_a_function_that_invokes_itself_runs_sixteen_times(server: Server) -> None:
    client, logs = server.client("lambda"), server.client("logs")
    create_function(client, "again", AGAIN, Timeout=30)
    create_function(client, "collects", COLLECTS)
    destination = {"OnFailure": {"Destination": ARN + "collects"}}
    client.put_function_event_invoke_config(FunctionName="again", DestinationConfig=destination)
    client.invoke(FunctionName="again", InvocationType="Event", Payload=b"0")
    (record,) = map(json.loads, eventually(lambda: lines(logs, "collects", "stopped "), timeout_s=40, until=bool))
    assert record["requestPayload"] == 16
    assert record["requestContext"]["condition"] == "RecursiveInvocation"
    assert record["requestContext"]["approximateInvokeCount"] == 0
    generations = eventually(
        lambda: lines(logs, "again", "generation "), timeout_s=10, until=lambda found: len(found) > 15
    )
    assert sorted(map(int, generations)) == list(range(16))


def test_a_message_that_a_function_sends_carries_its_chain(server: Server) -> None:
    client, sqs = server.client("lambda"), server.client("sqs")
    create_function(client, "sends", SENDS, Timeout=30)
    queue = sqs.create_queue(QueueName="chain")["QueueUrl"]
    assert "FunctionError" not in client.invoke(FunctionName="sends", Payload=json.dumps(queue))
    (message,) = sqs.receive_message(QueueUrl=queue, MessageSystemAttributeNames=["AWSTraceHeader"])["Messages"]
    assert invocations(message["Attributes"]["AWSTraceHeader"], ARN + "sends") == 1
