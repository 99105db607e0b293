"""Results of events in queues, topics, buses and buckets of the same server, as their owner would find them."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import pytest

from lambent.testing.running_server import Server
from tests.e2e.census import eventually
from tests.e2e.job_kit import ACCOUNT, REGION, queue_for
from tests.e2e.packages import create_function

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
        self.url, self.arn = queue_for(server, name, "sns.amazonaws.com", "events.amazonaws.com")

    def drained(self) -> list[dict[str, Any]]:
        """What can be received now, removed from the queue."""
        reply = self.client.receive_message(
            QueueUrl=self.url, MessageAttributeNames=["All"], AttributeNames=["All"], MaxNumberOfMessages=10
        )
        found: list[dict[str, Any]] = reply.get("Messages", [])
        for each in found:
            self.client.delete_message(QueueUrl=self.url, ReceiptHandle=each["ReceiptHandle"])
        return found

    def message(self) -> dict[str, Any]:
        """The one message that comes, removed from the queue."""
        (message,) = eventually(self.drained, timeout_s=30, until=bool)
        return message


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


def test_no_result_is_lost_when_the_server_is_killed(start_server: Callable[..., Server]) -> None:
    server = start_server()
    results, dead = Queue(server, "kept"), Queue(server, "kept-dead")
    server.client("s3").create_bucket(Bucket="kept-failures")
    create_function(server.client("lambda"), "kept", SOMETIMES, DeadLetterConfig={"TargetArn": dead.arn})
    destinations = {
        "OnSuccess": {"Destination": results.arn},
        "OnFailure": {"Destination": "arn:aws:s3:::kept-failures"},
    }
    good = {invoke(server, "kept", number, DestinationConfig=destinations) for number in range(15)}
    bad = {invoke(server, "kept", "fail", DestinationConfig=destinations) for _ in range(5)}
    eventually(lambda: stored(server, "kept-failures"), timeout_s=30, until=bool)
    server.kill()

    again = start_server()
    results.client = dead.client = again.client("sqs")
    results.url, dead.url = (again.client("sqs").get_queue_url(QueueName=n)["QueueUrl"] for n in ("kept", "kept-dead"))
    arrived: set[str] = set()
    buried: set[str] = set()

    def everything() -> bool:
        records = (json.loads(message["Body"]) for message in results.drained())
        arrived.update(record["requestContext"]["requestId"] for record in records)
        buried.update(message["MessageAttributes"]["RequestID"]["StringValue"] for message in dead.drained())
        return good <= arrived and bad <= buried and bad <= stored(again, "kept-failures")

    assert eventually(everything, timeout_s=40, until=bool), (len(arrived), len(buried))


def stored(server: Server, bucket: str) -> set[str]:
    """Request ids of the records in a bucket."""
    s3 = server.client("s3")
    found = set()
    for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        with s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"] as body:
            found.add(json.load(body)["requestContext"]["requestId"])
    return found


@pytest.fixture
def elsewhere() -> Iterator["Elsewhere"]:
    with Elsewhere(("127.0.0.1", 0), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Elsewhere(ThreadingHTTPServer):
    """SQS, SNS, EventBridge and S3 of somebody else. SQS is busy at the first message."""

    daemon_threads = True

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.seen: list[tuple[str, Any]] = []
        self.refused = False

    def answer(self, what: str, body: bytes) -> tuple[int, bytes]:
        """`what`: the operation, or a path of S3."""
        if what == "Publish":
            self.seen.append((what, dict(parse_qsl(body.decode()))))
            return 200, b"<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>"
        if what == "AWSEvents.PutEvents":
            self.seen.append((what, json.loads(body)))
            return 200, b'{"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}'
        if what.startswith("/"):
            self.seen.append((what, json.loads(body)))
            return 200, b""
        if what.endswith(".GetQueueUrl"):
            return 200, json.dumps({"QueueUrl": f"{self.url}/{ACCOUNT}/far"}).encode()
        if not self.refused:
            self.refused = True
            return 503, b"{}"
        self.seen.append((what, json.loads(body)))
        return 200, b'{"MessageId": "1", "MD5OfMessageBody": ""}'


class _Answer(BaseHTTPRequestHandler):
    server: Elsewhere

    def do_POST(self) -> None:
        body = self._body()
        # SNS has its operation in a form.
        self._answer(self.headers["X-Amz-Target"] or dict(parse_qsl(body.decode()))["Action"], body)

    def do_PUT(self) -> None:
        self._answer(self.path, self._body())

    def log_message(self, *_: Any) -> None:
        pass

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _answer(self, what: str, body: bytes) -> None:
        status, reply = self.server.answer(what, body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)


def test_destinations_that_are_elsewhere_get_the_record_and_the_dead_letter(
    start_server: Callable[..., Server], elsewhere: Elsewhere
) -> None:
    redirected = [f"--endpoint={service}={elsewhere.url}" for service in ("sqs", "s3", "sns", "events")]
    server = start_server(*redirected)
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:far"
    create_function(server.client("lambda"), "far", SOMETIMES, DeadLetterConfig={"TargetArn": queue})
    destinations = {"OnSuccess": {"Destination": queue}, "OnFailure": {"Destination": "arn:aws:s3:::far-failures"}}
    request_id = invoke(server, "far", "fail", DestinationConfig=destinations)
    seen = eventually(lambda: dict(elsewhere.seen), timeout_s=30, until=lambda found: len(found) == 2)
    (path,) = (what for what in seen if what.startswith("/"))
    assert re.fullmatch(r"/far-failures/aws/lambda/async/far/\d{4}/\d\d/\d\d/[\dT.-]{19}-[0-9a-f-]{36}", path)
    record = seen.pop(path)
    stack = record["responsePayload"].pop("stackTrace")
    assert record == {
        "version": "1.0",
        "timestamp": record["timestamp"],
        "requestContext": {
            "requestId": request_id,
            "functionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:far:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 1,
        },
        "requestPayload": "fail",
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {"errorMessage": "as told", "errorType": "ValueError", "requestId": request_id},
    }
    assert stack
    (sent,) = seen.values()
    assert sent["MessageBody"] == '"fail"'
    assert sent["MessageAttributes"] == {
        "RequestID": {"DataType": "String", "StringValue": request_id},
        "ErrorCode": {"DataType": "Number", "StringValue": "200"},
        "ErrorMessage": {"DataType": "String", "StringValue": "as told"},
    }

    # The same by a topic and a bus.
    elsewhere.seen.clear()
    topic, bus = f"arn:aws:sns:{REGION}:{ACCOUNT}:far", f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/far"
    server.client("lambda").update_function_configuration(FunctionName="far", DeadLetterConfig={"TargetArn": topic})
    server.client("lambda").get_waiter("function_updated_v2").wait(FunctionName="far")
    destinations = {"OnSuccess": {"Destination": topic}, "OnFailure": {"Destination": bus}}
    for payload in ("well", "fail"):
        invoke(server, "far", payload, DestinationConfig=destinations)
    seen_here = eventually(lambda: list(elsewhere.seen), timeout_s=30, until=lambda found: len(found) == 3)
    published = [form for what, form in seen_here if what == "Publish"]
    assert {form["TopicArn"] for form in published} == {topic}
    letter, result = sorted(published, key=lambda form: len(form["Message"]))
    assert (letter["Message"], letter["MessageAttributes.entry.3.Value.StringValue"]) == ('"fail"', "as told")
    assert json.loads(result["Message"])["responsePayload"] == {"was": "well"}
    (entry,) = next(body for what, body in seen_here if what == "AWSEvents.PutEvents")["Entries"]
    assert (entry["Source"], entry["EventBusName"]) == ("lambda", bus)
    assert entry["DetailType"] == "Lambda Function Invocation Result - Failure"
    assert json.loads(entry["Detail"])["responsePayload"]["errorMessage"] == "as told"
