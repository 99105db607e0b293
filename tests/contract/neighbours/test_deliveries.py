"""What topics and rules send to queues and functions of the server: what arrives, and what becomes of what does not."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.aws.errors import ApiError, PlatformFault
from lambent.aws.service import Parameters, Result, Source
from lambent.testing.scripted_caller import Asked, ScriptedCaller
from tests.contract.neighbours.conftest import World

ACCOUNT = "111111111111"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:jobs"
DEAD = f"arn:aws:sqs:us-east-1:{ACCOUNT}:dead"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f:live"
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0;Lineage=1:abc:0"


@pytest.fixture
def delivered(world: World) -> Iterator[ScriptedCaller]:
    world.delivered.asked.clear()
    world.delivered.answers |= {
        ("sqs", "SendMessage"): {"MessageId": "1"},
        ("lambda", "Invoke"): {"StatusCode": 202},
        ("sns", "Publish"): {"MessageId": "1"},
        ("logs", "CreateLogStream"): {},
        ("logs", "PutLogEvents"): {},
    }
    yield world.delivered
    world.delivered.answers.clear()


def topic_to(world: World, name: str, protocol: str, endpoint: str, **attributes: str) -> tuple[Any, str, str]:
    """The client, the ARN of a new topic, and that of its subscription."""
    sns = world.client("sns", account=ACCOUNT)
    topic = sns.create_topic(Name=name)["TopicArn"]
    subscribed = sns.subscribe(TopicArn=topic, Protocol=protocol, Endpoint=endpoint, Attributes=attributes)
    return sns, topic, subscribed["SubscriptionArn"]


def rule_to(world: World, name: str, *targets: dict[str, Any]) -> tuple[Any, str]:
    """The client, and the ARN of a new rule for what comes from `name`."""
    events = world.client("events", account=ACCOUNT)
    rule: str = events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))["RuleArn"]
    events.put_targets(Rule=name, Targets=[{"Id": str(place), **target} for place, target in enumerate(targets)])
    return events, rule


def entry(source: str) -> dict[str, str]:
    return {"Source": source, "DetailType": "made", "Detail": '{"n": {"of": 1}}'}


def only(found: list[Asked]) -> Asked:
    (asked,) = found
    return asked


def test_a_message_of_a_topic_arrives_in_a_queue_in_its_envelope(world: World, delivered: ScriptedCaller) -> None:
    sns, topic, subscription = topic_to(world, "enveloped", "sqs", QUEUE)
    colour = {"DataType": "String", "StringValue": "red"}
    sent = sns.publish(TopicArn=topic, Message="hé", Subject="s", MessageAttributes={"colour": colour})
    asked = only(delivered.asked)
    assert (asked.service, asked.operation, asked.account, asked.region) == ("sqs", "SendMessage", ACCOUNT, "us-east-1")
    assert (asked.principal, asked.source) == ("sns.amazonaws.com", Source(topic, ACCOUNT))
    assert asked.parameters["QueueUrl"].endswith(f"/{ACCOUNT}/jobs")
    body = asked.parameters["MessageBody"]
    assert body.startswith('{\n  "Type" : "Notification",\n  "MessageId" : ')
    assert '"Message" : "hé"' in body
    envelope = json.loads(body)
    assert list(envelope) == [
        *("Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "SignatureVersion", "Signature"),
        *("SigningCertURL", "UnsubscribeURL", "MessageAttributes"),
    ]
    assert envelope["MessageId"] == sent["MessageId"]
    assert envelope["UnsubscribeURL"].endswith(f"SubscriptionArn={subscription}")
    assert envelope["MessageAttributes"] == {"colour": {"Type": "String", "Value": "red"}}


def test_raw_delivery_brings_the_message_and_its_attributes_alone(world: World, delivered: ScriptedCaller) -> None:
    sns, topic, _ = topic_to(world, "raw", "sqs", QUEUE, RawMessageDelivery="true")
    attributes = {
        "image": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        "size": {"DataType": "Number", "StringValue": "7"},
    }
    sns.publish(TopicArn=topic, Message="as it is", MessageAttributes=attributes)
    parameters = only(delivered.asked).parameters
    assert parameters["MessageBody"] == "as it is"
    assert parameters["MessageAttributes"] == attributes


def test_a_message_of_a_topic_is_an_event_of_a_function(world: World, delivered: ScriptedCaller) -> None:
    sns, topic, subscription = topic_to(world, "invoking", "lambda", FUNCTION)
    sns.publish(TopicArn=topic, Message="m")
    asked = only(delivered.asked)
    assert (asked.service, asked.operation, asked.principal) == ("lambda", "Invoke", "sns.amazonaws.com")
    assert asked.source == Source(topic, ACCOUNT)
    assert asked.parameters["FunctionName"] == FUNCTION
    assert asked.parameters["InvocationType"] == "Event"
    (record,) = json.loads(asked.parameters["Payload"])["Records"]
    notice = record.pop("Sns")
    assert record == {"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": subscription}
    assert list(notice) == [
        *("Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "SignatureVersion", "Signature"),
        *("SigningCertUrl", "UnsubscribeUrl", "MessageAttributes"),
    ]
    assert (notice["Subject"], notice["Message"], notice["MessageAttributes"]) == (None, "m", {})


def test_the_order_of_a_fifo_topic_goes_along(world: World, delivered: ScriptedCaller) -> None:
    sns = world.client("sns", account=ACCOUNT)
    wanted = {"FifoTopic": "true", "ContentBasedDeduplication": "true"}
    topic = sns.create_topic(Name="ordered.fifo", Attributes=wanted)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=QUEUE)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"{QUEUE}.fifo")
    sns.publish(TopicArn=topic, Message="m", MessageGroupId="g")
    standard, fifo = (asked.parameters for asked in delivered.asked)
    assert (standard["MessageGroupId"], "MessageDeduplicationId" in standard) == ("g", False)
    assert (fifo["MessageGroupId"], len(fifo["MessageDeduplicationId"])) == ("g", 64)


def test_a_filter_policy_decides_what_is_delivered(world: World, delivered: ScriptedCaller) -> None:
    sns, topic, _ = topic_to(world, "filtered", "sqs", QUEUE, FilterPolicy='{"colour": ["red"]}')
    for colour in ("blue", "red"):
        attribute = {"DataType": "String", "StringValue": colour}
        sns.publish(TopicArn=topic, Message=colour, MessageAttributes={"colour": attribute})
    assert json.loads(only(delivered.asked).parameters["MessageBody"])["Message"] == "red"


def test_what_a_queue_refuses_goes_to_the_dead_letter_queue_of_the_subscription(
    world: World, delivered: ScriptedCaller
) -> None:
    def send(parameters: Parameters) -> Result:
        if parameters["QueueUrl"].endswith("/jobs"):
            raise ApiError("AccessDenied", "no policy lets SNS", status=403)
        return {}

    delivered.answers["sqs", "SendMessage"] = send
    policy = json.dumps({"deadLetterTargetArn": DEAD})
    sns, topic, _ = topic_to(world, "redriven", "sqs", QUEUE, RedrivePolicy=policy)
    assert sns.publish(TopicArn=topic, Message="m")["MessageId"]
    first, second = delivered.asked
    assert second.parameters["QueueUrl"].endswith("/dead")
    assert second.parameters["MessageBody"] == first.parameters["MessageBody"]


def test_a_publish_whose_delivery_fails_for_now_is_to_be_made_again(world: World, delivered: ScriptedCaller) -> None:
    def send(_: Parameters) -> Result:
        raise PlatformFault("the disk is full")

    delivered.answers["sqs", "SendMessage"] = send
    sns, topic, _ = topic_to(world, "failing", "sqs", QUEUE)
    with pytest.raises(ClientError, match="try again") as raised:
        sns.publish(TopicArn=topic, Message="m")
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


@pytest.mark.parametrize(("protocol", "name"), [("sqs", "SQS"), ("lambda", "Lambda")])
def test_an_endpoint_that_is_no_such_resource_is_refused(world: World, protocol: str, name: str) -> None:
    with pytest.raises(ClientError, match=f"{name} endpoint ARN"):
        topic_to(world, "wrong", protocol, "arn:aws:s3:::bucket")


def test_the_chain_of_a_request_goes_along(world: World, delivered: ScriptedCaller) -> None:
    sns, topic, _ = topic_to(world, "chained", "lambda", FUNCTION)
    sns.meta.events.register(
        "before-send.sns.Publish", lambda request, **_: request.headers.update({"X-Amzn-Trace-Id": TRACE})
    )
    sns.publish(TopicArn=topic, Message="m")
    assert only(delivered.asked).trace_header == TRACE


def test_an_event_arrives_at_each_target_of_its_rule(world: World, delivered: ScriptedCaller) -> None:
    topic = f"arn:aws:sns:us-east-1:{ACCOUNT}:news"
    group = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws/events/all:*"
    events, rule = rule_to(world, "app", {"Arn": QUEUE}, {"Arn": FUNCTION}, {"Arn": topic}, {"Arn": group})
    assert events.put_events(Entries=[entry("app"), entry("another")])["FailedEntryCount"] == 0
    named = [(asked.service, asked.operation) for asked in delivered.asked]
    assert named == [
        *(("sqs", "SendMessage"), ("lambda", "Invoke"), ("sns", "Publish")),
        *(("logs", "CreateLogStream"), ("logs", "PutLogEvents")),
    ]
    for asked in delivered.asked:
        assert (asked.principal, asked.source) == ("events.amazonaws.com", Source(rule, ACCOUNT))
    event = json.loads(delivered.asked[0].parameters["MessageBody"])
    moment = event.pop("time")
    assert (moment[4], moment[-1], len(moment)) == ("-", "Z", 20)
    assert len(event.pop("id")) == 36
    assert event == {
        "version": "0",
        "detail-type": "made",
        "source": "app",
        "account": ACCOUNT,
        "region": "us-east-1",
        "resources": [],
        "detail": {"n": {"of": 1}},
    }
    assert json.loads(delivered.asked[1].parameters["Payload"])["detail"] == event["detail"]
    assert delivered.asked[3].parameters["logGroupName"] == "/aws/events/all"


@pytest.mark.parametrize(
    ("wanted", "arrives"),
    [
        ({"Input": '{"fixed": true}'}, {"fixed": True}),
        ({"InputPath": "$.detail.n"}, {"of": 1}),
        (
            {"InputTransformer": {"InputPathsMap": {"n": "$.detail.n.of"}, "InputTemplate": '{"was": <n>}'}},
            {"was": 1},
        ),
    ],
)
def test_a_target_may_change_what_it_gets(
    world: World, delivered: ScriptedCaller, wanted: dict[str, Any], arrives: Any
) -> None:
    events, _ = rule_to(world, "changed", {"Arn": QUEUE, **wanted})
    events.put_events(Entries=[entry("changed")])
    assert json.loads(only(delivered.asked).parameters["MessageBody"]) == arrives


def test_a_disabled_rule_sends_nothing(world: World, delivered: ScriptedCaller) -> None:
    events, _ = rule_to(world, "disabled", {"Arn": QUEUE})
    events.disable_rule(Name="disabled")
    events.put_events(Entries=[entry("disabled")])
    assert delivered.asked == []


def test_what_a_target_refuses_goes_to_its_dead_letter_queue(world: World, delivered: ScriptedCaller) -> None:
    delivered.answers["lambda", "Invoke"] = ApiError("ResourceNotFoundException", "Function not found", status=404)
    events, rule = rule_to(world, "buried", {"Arn": FUNCTION, "DeadLetterConfig": {"Arn": DEAD}})
    events.put_events(Entries=[entry("buried")])
    dead = delivered.asked[1].parameters
    assert json.loads(dead["MessageBody"])["source"] == "buried"
    assert {name: value["StringValue"] for name, value in dead["MessageAttributes"].items()} == {
        "RULE_ARN": rule,
        "TARGET_ARN": FUNCTION,
        "ERROR_CODE": "ResourceNotFoundException",
        "ERROR_MESSAGE": "Function not found",
    }


def test_a_rule_uses_the_role_of_its_target(world: World, delivered: ScriptedCaller) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/sends"
    events, _ = rule_to(world, "by-role", {"Arn": QUEUE, "RoleArn": role})
    events.put_events(Entries=[entry("by-role")])
    asked = only(delivered.asked)
    assert (asked.principal, asked.source) == (role, None)
