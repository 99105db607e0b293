"""A mapping is stored when its source is there, as far as the service that owns the source can say."""

from typing import Any

import pytest

from lambent.aws.errors import ApiError, PlatformFault
from lambent.aws.service import Parameters, Result
from lambent.event_sources.existence import NO_QUEUE, NO_QUEUE_RIGHTS
from lambent.testing.scripted_caller import Answer, ScriptedCaller
from tests.contract.event_sources.conftest import BROKER, MINIMAL, QUEUE, STREAM, TABLE, Mappings
from tests.contract.functions.conftest import ACCOUNT

IPV = "InvalidParameterValueException"
URL = {"QueueUrl": "http://sqs/work"}
DENIED = (
    "Cannot access stream {}. Please ensure the role can perform the GetRecords, GetShardIterator, DescribeStream,"
    " ListShards, and ListStreams Actions on your stream in IAM."
)


def visible_for(seconds: int) -> dict[tuple[str, str], Answer]:
    return {
        ("sqs", "GetQueueUrl"): URL,
        ("sqs", "GetQueueAttributes"): {"Attributes": {"VisibilityTimeout": str(seconds)}},
    }


def unreachable(parameters: Parameters) -> Result:
    raise PlatformFault("down")


@pytest.mark.parametrize(
    ("source", "answers", "message"),
    [
        ("sqs", {("sqs", "GetQueueUrl"): ApiError("AWS.SimpleQueueService.NonExistentQueue", "x")}, NO_QUEUE),
        ("sqs", {("sqs", "GetQueueUrl"): ApiError("QueueDoesNotExist", "x")}, NO_QUEUE),
        ("sqs", {("sqs", "GetQueueUrl"): ApiError("AccessDenied", "x", status=403)}, NO_QUEUE_RIGHTS),
        (
            "sqs",
            visible_for(29),
            "Queue visibility timeout: 29 seconds is less than Function timeout: 30 seconds",
        ),
        (
            "kinesis",
            {("kinesis", "DescribeStreamSummary"): ApiError("ResourceNotFoundException", "x")},
            f"Stream not found: {STREAM}",
        ),
        (
            "kinesis",
            {("kinesis", "DescribeStreamSummary"): ApiError("AccessDeniedException", "x")},
            DENIED.format(STREAM),
        ),
        (
            "kinesis-consumer",
            {("kinesis", "DescribeStreamConsumer"): ApiError("ResourceNotFoundException", "x")},
            f"Stream not found: {STREAM}/consumer/c:1700000000",
        ),
        (
            "dynamodb",
            {("dynamodbstreams", "DescribeStream"): ApiError("ResourceNotFoundException", "x")},
            f"Stream not found: {TABLE}",
        ),
    ],
)
async def test_what_the_service_refuses_is_refused(
    mapped: Mappings, caller: ScriptedCaller, source: str, answers: dict[tuple[str, str], Answer], message: str
) -> None:
    caller.answers.update(answers)
    refused = await mapped.refused("create_event_source_mapping", FunctionName="f", **MINIMAL[source])
    assert refused == (400, IPV, message)
    assert (await mapped.list_event_source_mappings())["EventSourceMappings"] == []


async def test_the_queue_is_asked_for_in_its_place_and_as_the_role(mapped: Mappings, caller: ScriptedCaller) -> None:
    caller.answers.update(visible_for(30))
    await mapped.mapped()
    role = (await mapped.get_function_configuration(FunctionName="f"))["Role"]
    assert [(asked.operation, asked.account, asked.region, asked.principal) for asked in caller.asked] == [
        ("GetQueueUrl", ACCOUNT, "us-east-1", role),
        ("GetQueueAttributes", ACCOUNT, "us-east-1", role),
    ]
    assert caller.asked[0].parameters == {"QueueName": "work"}


@pytest.mark.parametrize(
    "answer",
    [unreachable, ApiError("InternalFailure", "x", status=500), ApiError("NotImplementedException", "x", status=501)],
)
async def test_a_service_that_cannot_say_does_not_stand_in_the_way(
    mapped: Mappings, caller: ScriptedCaller, answer: Any
) -> None:
    caller.answers[("sqs", "GetQueueUrl")] = answer
    assert (await mapped.mapped())["State"] == "Creating"


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"EventSourceArn": QUEUE.replace("us-east-1", "eu-west-1")}, NO_QUEUE),
        ({"EventSourceArn": QUEUE.replace(ACCOUNT, "210987654321")}, NO_QUEUE_RIGHTS),
        (
            {"EventSourceArn": STREAM.replace("us-east-1", "eu-west-1"), "StartingPosition": "LATEST"},
            f"Stream not found: {STREAM.replace('us-east-1', 'eu-west-1')}",
        ),
        (
            {"EventSourceArn": STREAM.replace(ACCOUNT, "210987654321"), "StartingPosition": "LATEST"},
            DENIED.format(STREAM.replace(ACCOUNT, "210987654321")),
        ),
    ],
)
async def test_a_source_elsewhere_is_refused_without_a_question(
    mapped: Mappings, caller: ScriptedCaller, sent: dict[str, Any], message: str
) -> None:
    assert await mapped.refused("create_event_source_mapping", FunctionName="f", **sent) == (400, IPV, message)
    assert caller.asked == []


async def test_an_update_asks_again_for_another_function(mapped: Mappings, caller: ScriptedCaller) -> None:
    uuid = (await mapped.mapped(Enabled=False))["UUID"]
    await mapped.created("slow", Timeout=60)
    caller.answers.update(visible_for(30))
    refused = await mapped.refused("update_event_source_mapping", UUID=uuid, FunctionName="slow")
    assert refused[2] == "Queue visibility timeout: 30 seconds is less than Function timeout: 60 seconds"
    await mapped.update_event_source_mapping(UUID=uuid, BatchSize=5)


async def test_a_broker_is_known_by_its_arn(mapped: Mappings, caller: ScriptedCaller) -> None:
    assert (await mapped.mapped("mq"))["EventSourceArn"] == BROKER
    assert caller.asked == []
