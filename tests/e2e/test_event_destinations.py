"""Results of events in queues, topics, buses and buckets of the same server, as their owner would find them."""

import json
from typing import Any

import pytest

from lambent.testing.running_server import Server
from tests.e2e.census import eventually
from tests.e2e.packages import create_function

ACCOUNT = "000000000000"
REGION = "us-east-1"

pytestmark = pytest.mark.timeout(120)

SOMETIMES = """
def handler(event, context):
    if event == "fail":
        raise ValueError("as told")
    return {"was": event}
"""


@pytest.fixture(scope="module")
def queue(server: Server) -> Any:
    return Queue(server, "results")


class Queue:
    def __init__(self, server: Server, name: str) -> None:
        self.client = server.client("sqs")
        self.url = self.client.create_queue(QueueName=name)["QueueUrl"]
        self.arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"

    def message(self) -> dict[str, Any]:
        """The one message that comes, removed from the queue."""

        def received() -> list[Any]:
            reply = self.client.receive_message(
                QueueUrl=self.url, MessageAttributeNames=["All"], AttributeNames=["All"], MaxNumberOfMessages=10
            )
            found: list[Any] = reply.get("Messages", [])
            return found

        (message,) = eventually(received, timeout_s=30, until=bool)
        self.client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        found: dict[str, Any] = message
        return found


def invoke(server: Server, name: str, payload: Any, **configuration: Any) -> str:
    """The request id of an event for a function with this configuration, made when it is not there."""
    client = server.client("lambda")
    try:
        client.get_function(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        create_function(client, name, SOMETIMES)
    client.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0, **configuration)
    reply = client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(payload).encode())
    reply["Payload"].read()
    request_id: str = reply["ResponseMetadata"]["RequestId"]
    return request_id


def test_a_success_arrives_in_a_queue(server: Server, queue: Queue) -> None:
    destinations = {"OnSuccess": {"Destination": queue.arn}}
    request_id = invoke(server, "to-queue", 1, DestinationConfig=destinations)
    message = queue.message()
    record = json.loads(message["Body"])
    assert record["requestContext"]["requestId"] == request_id
    assert record["requestContext"]["condition"] == "Success"
    assert record["responsePayload"] == {"was": 1}
    assert message["Attributes"]["AWSTraceHeader"].startswith("Root=1-")


def test_a_failure_arrives_in_the_dead_letter_queue(server: Server) -> None:
    dead = Queue(server, "dead")
    client = server.client("lambda")
    create_function(client, "dies", SOMETIMES, DeadLetterConfig={"TargetArn": dead.arn})
    request_id = invoke(server, "dies", "fail")
    message = dead.message()
    assert message["Body"] == '"fail"'
    attributes = message["MessageAttributes"]
    assert attributes["RequestID"]["StringValue"] == request_id
    assert (attributes["ErrorCode"]["DataType"], attributes["ErrorCode"]["StringValue"]) == ("Number", "200")
    assert attributes["ErrorMessage"]["StringValue"] == "as told"


def test_a_failure_arrives_in_a_bucket(server: Server) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="failures")
    failures = {"OnFailure": {"Destination": "arn:aws:s3:::failures"}}
    request_id = invoke(server, "to-bucket", "fail", DestinationConfig=failures)
    (stored,) = eventually(lambda: s3.list_objects_v2(Bucket="failures").get("Contents", []), timeout_s=30, until=bool)
    assert stored["Key"].startswith("aws/lambda/async/to-bucket/20")
    with s3.get_object(Bucket="failures", Key=stored["Key"])["Body"] as body:
        assert json.load(body)["requestContext"]["requestId"] == request_id


def test_a_success_arrives_through_a_topic(server: Server, queue: Queue) -> None:
    sns = server.client("sns")
    topic = sns.create_topic(Name="results")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue.arn)
    request_id = invoke(server, "to-topic", 2, DestinationConfig={"OnSuccess": {"Destination": topic}})
    envelope = json.loads(queue.message()["Body"])
    assert json.loads(envelope["Message"])["requestContext"]["requestId"] == request_id


def test_a_success_arrives_through_a_bus(server: Server, queue: Queue) -> None:
    events = server.client("events")
    bus = events.create_event_bus(Name="results")["EventBusArn"]
    events.put_rule(Name="all", EventBusName="results", EventPattern='{"source": ["lambda"]}')
    events.put_targets(Rule="all", EventBusName="results", Targets=[{"Id": "q", "Arn": queue.arn}])
    request_id = invoke(server, "to-bus", 3, DestinationConfig={"OnSuccess": {"Destination": bus}})
    event = json.loads(queue.message()["Body"])
    assert event["detail-type"] == "Lambda Function Invocation Result - Success"
    assert event["source"] == "lambda"
    assert event["resources"] == [bus, f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:to-bus:$LATEST"]
    assert event["detail"]["requestContext"]["requestId"] == request_id
