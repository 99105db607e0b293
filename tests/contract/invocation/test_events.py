"""Invoke with InvocationType Event and InvokeAsync, from boto3 to the function: spec 2.1 and section 5."""

import asyncio
import json
import logging
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.aws.errors import ApiError
from lambent.functions.records import FunctionKey
from lambent.invocation.events import lane_of
from lambent.testing.scripted_caller import ScriptedCaller
from lambent.testing.scripted_runtime import Echo
from tests.contract.invocation.conftest import ARN, OTHER_ACCOUNT, Functions
from tests.unit.environments.kit import until
from tests.unit.functions.conftest import creation

F = FunctionKey("123456789012", "us-east-1", "f")


async def refused(functions: Functions, **parameters: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as failure:
        await functions.client.invoke(**({"FunctionName": "f", "InvocationType": "Event"} | parameters))
    response = failure.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


async def done(functions: Functions) -> None:
    await until(lambda: functions.events.worker.idle)


def events(functions: Functions) -> list[Any]:
    return [
        event
        for sandbox in functions.machine.driver.sandboxes
        for runtime in sandbox.runtimes
        for event in runtime.events
        if event.body
    ]


async def test_an_event_is_accepted_without_version_and_body_and_then_runs(functions: Functions) -> None:
    await functions.create()
    reply = await functions.invoke(InvocationType="Event")
    assert (reply["StatusCode"], reply["Payload"]) == (202, b"")
    assert "ExecutedVersion" not in reply
    headers = reply["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amzn-trace-id"].startswith("Root=1-")
    assert "Parent" not in headers["x-amzn-trace-id"]
    await done(functions)
    (event,) = events(functions)
    assert event.body == b'"echo"'
    assert event.headers["lambda-runtime-aws-request-id"] == reply["ResponseMetadata"]["RequestId"]
    assert event.headers["lambda-runtime-invoked-function-arn"] == ARN + "f"


async def test_the_qualifier_of_the_caller_is_kept(functions: Functions) -> None:
    await functions.create()
    await functions.invoke(InvocationType="Event", Qualifier="$LATEST")
    await done(functions)
    assert events(functions)[0].headers["lambda-runtime-invoked-function-arn"] == ARN + "f:$LATEST"


async def test_an_event_without_a_payload_is_an_empty_object(functions: Functions) -> None:
    await functions.create()
    functions.machine.driver.scripts = ((Echo(),),)
    await functions.client.invoke(FunctionName="f", InvocationType="Event")
    await done(functions)
    assert events(functions)[0].body == b"{}"


@pytest.mark.parametrize(("size", "accepted"), [(1_048_576, True), (1_048_577, False)])
async def test_an_event_has_1_mb_at_most(functions: Functions, size: int, accepted: bool) -> None:
    await functions.create()
    await functions.client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    payload = b'"' + b"x" * (size - 2) + b'"'
    if accepted:
        reply = await functions.client.invoke(FunctionName="f", InvocationType="Event", Payload=payload)
        assert reply["StatusCode"] == 202
        return
    assert await refused(functions, Payload=payload) == (
        413,
        "RequestEntityTooLargeException",
        "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)",
    )


async def test_what_is_no_json_or_no_function_is_refused_at_once(functions: Functions) -> None:
    await functions.create()
    assert (await refused(functions, Payload=b"{nope"))[1] == "InvalidRequestContentException"
    assert (await refused(functions, FunctionName="nope"))[:2] == (404, "ResourceNotFoundException")
    assert await functions.events._queue.lanes() == []


async def test_an_event_waits_for_a_function_that_is_being_created(functions: Functions) -> None:
    functions.support.hold()
    await functions.client.create_function(**creation("f"))
    assert (await functions.invoke(InvocationType="Event"))["StatusCode"] == 202
    assert not functions.machine.driver.sandboxes
    functions.support.release()
    await until(lambda: bool(events(functions)))


async def test_the_old_operation_does_the_same(functions: Functions) -> None:
    await functions.create()
    reply = await functions.client.invoke_async(FunctionName="f", InvokeArgs=b'"echo"')
    assert (reply["ResponseMetadata"]["HTTPStatusCode"], reply["Status"]) == (202, 202)
    await done(functions)
    assert events(functions)[0].body == b'"echo"'
    with pytest.raises(ClientError) as failure:
        await functions.client.invoke_async(FunctionName="f", InvokeArgs=b"{")
    assert failure.value.response["Error"]["Code"] == "InvalidRequestContentException"
    with pytest.raises(ClientError) as failure:
        await functions.client.invoke_async(FunctionName="f", InvokeArgs=b'"' + b"x" * 262_144 + b'"')
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


@pytest.mark.parametrize("qualifier", ["1", "live"])
async def test_the_configuration_of_the_invoked_qualifier_decides(
    functions: Functions, neighbours: ScriptedCaller, qualifier: str
) -> None:
    neighbours.answers = {("sqs", "GetQueueUrl"): {"QueueUrl": "http://queue"}, ("sqs", "SendMessage"): {}}
    queue = "arn:aws:sqs:us-east-1:123456789012:q"
    await functions.create(Publish=True)
    await functions.client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    await functions.client.put_function_event_invoke_config(
        FunctionName="f",
        Qualifier=qualifier,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": queue}},
    )
    await functions.invoke("fail", InvocationType="Event")
    await functions.invoke("fail", InvocationType="Event", Qualifier=qualifier)
    await until(lambda: any(asked.operation == "SendMessage" for asked in neighbours.asked))
    (sent,) = [asked for asked in neighbours.asked if asked.operation == "SendMessage"]
    record = json.loads(sent.parameters["MessageBody"])
    assert record["requestContext"]["functionArn"] == f"{ARN}f:{qualifier}"
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "1", "functionError": "Unhandled"}
    assert (sent.account, sent.principal) == ("123456789012", "arn:aws:iam::000000000000:role/r")
    # The other waits a minute for its first retry.
    await until(lambda: functions.events.worker.idle)
    (waiting,) = await functions.events.listed(F, 10)
    assert (waiting.status, waiting.attempts) == ("retry", 1)


async def test_an_answered_invocation_has_no_destination(functions: Functions, neighbours: ScriptedCaller) -> None:
    await functions.create(DeadLetterConfig={"TargetArn": "arn:aws:sqs:us-east-1:123456789012:q"})
    destination = {"Destination": "arn:aws:sqs:us-east-1:123456789012:q"}
    await functions.client.put_function_event_invoke_config(
        FunctionName="f", DestinationConfig={"OnSuccess": destination, "OnFailure": destination}
    )
    await functions.invoke("echo")
    await functions.invoke("fail")
    await until(lambda: functions.events.deliveries.worker.idle)
    assert not neighbours.asked


async def goes_to(functions: Functions, destination: str) -> None:
    """Function f of the first account, whose successes go there."""
    await functions.create("f", Role="arn:aws:iam::123456789012:role/sends")
    await functions.client.put_function_event_invoke_config(
        FunctionName="f", DestinationConfig={"OnSuccess": {"Destination": destination}}
    )


async def test_a_function_of_the_account_may_be_a_destination(functions: Functions) -> None:
    functions.machine.driver.scripts = ((Echo(),),)
    await functions.create("g", Role="arn:aws:iam::123456789012:role/other")
    await goes_to(functions, ARN + "g")
    await functions.invoke("x", InvocationType="Event")
    await until(lambda: any(b"requestContext" in event.body for event in events(functions)))


@pytest.mark.parametrize("admitted", [True, False])
async def test_a_function_of_another_account_has_to_admit_the_role(
    functions: Functions, admitted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    functions.machine.driver.scripts = ((Echo(),),)
    await functions.other.create_function(**creation("g"))
    await functions.other.wait("function_active_v2", FunctionName="g")
    if admitted:
        await functions.other.add_permission(
            FunctionName="g",
            StatementId="s",
            Action="lambda:InvokeFunction",
            Principal="arn:aws:iam::123456789012:role/sends",
        )
    await goes_to(functions, f"arn:aws:lambda:us-east-1:{OTHER_ACCOUNT}:function:g")
    await functions.invoke("x", InvocationType="Event")
    await until(lambda: "is dropped" in caplog.text or len(events(functions)) == 2)
    assert ("is dropped" in caplog.text) != admitted


async def test_a_destination_that_fails_is_warned_of_once(
    functions: Functions, neighbours: ScriptedCaller, caplog: pytest.LogCaptureFixture
) -> None:
    functions.machine.driver.scripts = ((Echo(),),)
    neighbours.answers["sqs", "GetQueueUrl"] = {"QueueUrl": "http://queue"}
    neighbours.answers["sqs", "SendMessage"] = ApiError("AWS.SimpleQueueService.NonExistentQueue", "none", status=400)
    await goes_to(functions, "arn:aws:sqs:us-east-1:123456789012:q")
    with caplog.at_level(logging.INFO):
        await functions.invoke("x", InvocationType="Event")
        await until(lambda: caplog.text.count(" waits: ") == 2)
    levels = [record.levelno for record in caplog.records if " waits: " in record.getMessage()]
    assert levels == [logging.WARNING, logging.INFO]


async def test_a_throttled_event_is_still_accepted(functions: Functions) -> None:
    await functions.create()
    functions.machine.concurrency._account_limit = 0
    assert (await functions.invoke(InvocationType="Event"))["StatusCode"] == 202
    functions.machine.concurrency._account_limit = 1
    await until(lambda: bool(events(functions)))
    assert json.loads(events(functions)[0].body) == "echo"


async def test_a_backlog_leaves_room_for_callers_who_wait_and_for_other_functions(functions: Functions) -> None:
    """The fixture's budget is 8 attempts, of which one function gets two thirds."""
    await functions.create("f")
    await functions.create("g")
    backlog = [functions.invoke("hang", InvocationType="Event") for _ in range(30)]
    assert {reply["StatusCode"] for reply in await asyncio.gather(*backlog)} == {202}
    await until(lambda: functions.events.worker.running_in(lane_of(F)) == 6)
    assert (await functions.invoke("echo", "f"))["Payload"] == b'"echo"'
    assert (await functions.invoke("echo", "g", InvocationType="Event"))["StatusCode"] == 202
    await until(lambda: sum(event.body == b'"echo"' for event in events(functions)) == 2)
    assert functions.events.worker.running_in(lane_of(F)) == 6
