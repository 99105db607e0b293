"""A function that invokes itself from inside its sandbox is stopped: the SDK there carries the trace header on."""

import json
from typing import Any
from urllib.request import Request, urlopen

from lambent.invocation.trace import invocations
from lambent.testing.running_server import Server
from tests.e2e.census import eventually
from tests.e2e.packages import create_function

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
SIGNED = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=00"
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
FORWARDS = """
import boto3

client = boto3.client("{service}")

def handler(event, context):
    print("again")
    client.{call}**{{"MessageBody" if "{service}" == "sqs" else "Message": "x"}})
"""
UPLOADS = """
import boto3

s3 = boto3.client("s3")

def handler(event, context):
    print("again")
    s3.put_object(Bucket="round", Key="again", Body=b"x")
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


def test_a_loop_through_a_queue_is_stopped(server: Server) -> None:
    client, sqs = server.client("lambda"), server.client("sqs")
    queue = sqs.create_queue(QueueName="round")["QueueUrl"]
    create_function(client, "queued", FORWARDS.format(service="sqs", call=f"send_message(QueueUrl={queue!r}, "))
    client.create_event_source_mapping(
        FunctionName="queued", EventSourceArn="arn:aws:sqs:us-east-1:000000000000:round", BatchSize=1
    )
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    assert_stopped(server, "queued")


def test_a_loop_through_a_topic_is_stopped(server: Server) -> None:
    client, sns = server.client("lambda"), server.client("sns")
    topic = sns.create_topic(Name="round")["TopicArn"]
    create_function(client, "told", FORWARDS.format(service="sns", call=f"publish(TopicArn={topic!r}, "))
    permission = {"Action": "lambda:InvokeFunction", "Principal": "sns.amazonaws.com", "SourceArn": topic}
    client.add_permission(FunctionName="told", StatementId="topic", **permission)
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=ARN + "told")
    sns.publish(TopicArn=topic, Message="x")
    assert_stopped(server, "told")


def test_a_loop_through_a_bucket_is_stopped(server: Server) -> None:
    client, s3 = server.client("lambda"), server.client("s3")
    s3.create_bucket(Bucket="round")
    create_function(client, "uploads", UPLOADS, Timeout=30)
    permission = {"Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com", "SourceArn": "arn:aws:s3:::round"}
    client.add_permission(FunctionName="uploads", StatementId="bucket", **permission)
    rule = {"LambdaFunctionArn": ARN + "uploads", "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket="round", NotificationConfiguration={"LambdaFunctionConfigurations": [rule]}
    )
    s3.put_object(Bucket="round", Key="first", Body=b"x")
    assert_stopped(server, "uploads")


def assert_stopped(server: Server, name: str) -> None:
    """The seventeenth is counted, and no other one ran."""

    signed = {"Authorization": SIGNED}
    asked = Request(f"{server.url}/_lambent/function-metrics?FunctionName={name}", headers=signed)

    def dropped() -> bool:
        with urlopen(asked, timeout=10) as reply:
            return b"RecursiveInvocationsDropped" in reply.read()

    eventually(dropped, timeout_s=40, until=bool)
    logs = server.client("logs")
    runs = eventually(lambda: lines(logs, name, "again"), timeout_s=10, until=lambda found: len(found) > 15)
    assert len(runs) == 16
