"""SNS and EventBridge, which moto answers, deliver to queues and functions of the server."""

import json
from typing import Any

import pytest

from lambent.testing.running_server import Server
from tests.e2e.census import eventually
from tests.e2e.job_kit import ACCOUNT, REGION, queue_for
from tests.e2e.packages import create_function
from tests.e2e.test_recursion import lines

pytestmark = pytest.mark.timeout(120)

PRINTS = "import json\ndef handler(event, context):\n    print('got', json.dumps(event))\n"


@pytest.fixture(scope="module")
def function(server: Server) -> str:
    """The ARN of a function that SNS and EventBridge may invoke."""
    client = server.client("lambda")
    create_function(client, "prints", PRINTS)
    for service in ("sns", "events"):
        client.add_permission(
            FunctionName="prints",
            StatementId=service,
            Action="lambda:InvokeFunction",
            Principal=f"{service}.amazonaws.com",
            SourceAccount=ACCOUNT,
        )
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:prints"


def received(server: Server, url: str) -> list[Any]:
    reply = server.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in reply.get("Messages", [])]


def printed(server: Server, word: str) -> Any:
    found = eventually(
        lambda: [line for line in lines(server.client("logs"), "prints", "got ") if word in line],
        timeout_s=20,
        until=bool,
    )
    return json.loads(found[0])


def test_a_message_of_a_topic_is_in_the_queue_when_it_is_published(server: Server) -> None:
    url, arn = queue_for(server, "news", "sns.amazonaws.com")
    sns = server.client("sns")
    topic = sns.create_topic(Name="news")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sent = sns.publish(TopicArn=topic, Message="hello")["MessageId"]
    (envelope,) = received(server, url)
    assert (envelope["Message"], envelope["MessageId"], envelope["TopicArn"]) == ("hello", sent, topic)


def test_a_queue_whose_policy_does_not_name_the_service_gets_nothing(server: Server) -> None:
    url, arn = queue_for(server, "closed")
    sns = server.client("sns")
    topic = sns.create_topic(Name="unheard")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sns.publish(TopicArn=topic, Message="hello")
    assert received(server, url) == []


def test_a_message_of_a_topic_invokes_a_function(server: Server, function: str) -> None:
    sns = server.client("sns")
    topic = sns.create_topic(Name="invokes")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=function)
    sent = sns.publish(TopicArn=topic, Message="to the function", Subject="s")["MessageId"]
    (record,) = printed(server, sent)["Records"]
    assert (record["EventSource"], record["Sns"]["Message"]) == ("aws:sns", "to the function")
    assert (record["Sns"]["Subject"], record["Sns"]["TopicArn"]) == ("s", topic)


def test_an_event_of_a_bus_reaches_a_queue_and_a_function(server: Server, function: str) -> None:
    url, arn = queue_for(server, "orders", "events.amazonaws.com")
    events = server.client("events")
    events.put_rule(Name="orders", EventPattern=json.dumps({"source": ["shop"]}))
    events.put_targets(Rule="orders", Targets=[{"Id": "q", "Arn": arn}, {"Id": "f", "Arn": function}])
    entry = {"Source": "shop", "DetailType": "ordered", "Detail": '{"order": 7}'}
    sent = events.put_events(Entries=[entry])["Entries"][0]["EventId"]
    (event,) = received(server, url)
    assert (event["id"], event["detail"], event["detail-type"]) == (sent, {"order": 7}, "ordered")
    assert printed(server, sent) == event


def test_an_upload_reaches_a_queue_through_a_topic(server: Server) -> None:
    url, arn = queue_for(server, "uploads", "sns.amazonaws.com")
    sns, s3 = server.client("sns"), server.client("s3")
    topic = sns.create_topic(Name="uploads")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    allowed = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sns:Publish"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{**allowed, "Resource": topic}]})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    s3.create_bucket(Bucket="tells-a-topic")
    told = {"TopicArn": topic, "Events": ["s3:ObjectCreated:Put"]}
    s3.put_bucket_notification_configuration(
        Bucket="tells-a-topic", NotificationConfiguration={"TopicConfigurations": [told]}
    )
    s3.put_object(Bucket="tells-a-topic", Key="a b.txt", Body=b"x")
    found: list[Any] = []

    def told_of() -> list[Any]:
        found.extend(received(server, url))
        return [record for event in found for record in event.get("Records", ())]

    (record,) = eventually(told_of, timeout_s=20, until=bool)
    assert record["s3"]["object"]["key"] == "a+b.txt"
