"""Invoke as boto3 sees it: status, headers, payload, errors."""

import base64
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.testing.scripted_runtime import Echo
from tests.contract.invocation.conftest import ARN, Functions
from tests.unit.environments.kit import until
from tests.unit.functions.conftest import creation


async def refused(functions: Functions, **parameters: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as failure:
        await functions.invoke(**parameters)
    response = failure.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


async def test_a_synchronous_invocation(functions: Functions) -> None:
    await functions.create()
    reply = await functions.invoke()
    metadata = reply["ResponseMetadata"]
    assert (reply["StatusCode"], reply["ExecutedVersion"], reply["Payload"]) == (200, "$LATEST", b'"echo"')
    assert "FunctionError" not in reply
    assert "LogResult" not in reply
    headers = metadata["HTTPHeaders"]
    assert headers["content-type"] == "application/json"
    assert headers["x-amz-executed-version"] == "$LATEST"
    assert headers["x-amzn-remapped-content-length"] == "0"
    start = next(line for line in functions.machine.log.lines if line.startswith("START"))
    assert start == f"START RequestId: {metadata['RequestId']} Version: $LATEST\n"


async def test_the_log_tail_comes_with_the_reply(functions: Functions) -> None:
    await functions.create()
    reply = await functions.invoke("say", LogType="Tail")
    lines = base64.b64decode(reply["LogResult"]).decode().splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["START", "grüße", "END", "REPORT"]


@pytest.mark.parametrize(
    ("mood", "error"),
    [
        ("fail", {"errorMessage": "no", "errorType": "ValueError"}),
        ("exit", {"errorType": "Runtime.ExitError"}),
        ("large", {"errorType": "Function.ResponseSizeTooLarge"}),
    ],
)
async def test_function_errors_are_200_with_the_header(functions: Functions, mood: str, error: dict[str, str]) -> None:
    await functions.create()
    reply = await functions.invoke(mood)
    assert (reply["StatusCode"], reply["FunctionError"], reply["ExecutedVersion"]) == (200, "Unhandled", "$LATEST")
    assert error.items() <= json.loads(reply["Payload"]).items()


async def test_a_timeout_is_a_function_error(functions: Functions) -> None:
    await functions.create(Timeout=1)
    reply = await functions.invoke("hang")
    assert reply["FunctionError"] == "Unhandled"
    assert json.loads(reply["Payload"]) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {reply['ResponseMetadata']['RequestId']} Error: Task timed out after 1.00 seconds",
    }


async def test_a_dry_run_is_204_without_version(functions: Functions) -> None:
    await functions.create()
    reply = await functions.invoke(InvocationType="DryRun")
    assert (reply["StatusCode"], reply["Payload"]) == (204, b"")
    assert "ExecutedVersion" not in reply
    assert not functions.machine.driver.sandboxes


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (ARN.removesuffix(":"), f"Function not found: {ARN}function:$LATEST"),
        (
            ARN.replace("us-east-1", "eu-west-1") + "f",
            "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
        ),
    ],
)
async def test_an_arn_without_a_name_or_of_another_region(functions: Functions, name: str, message: str) -> None:
    """As AWS was seen to answer: `function` is a name like any other."""
    assert await refused(functions, name=name) == (404, "ResourceNotFoundException", message)


async def test_a_missing_function(functions: Functions) -> None:
    assert await refused(functions, name="nope") == (
        404,
        "ResourceNotFoundException",
        f"Function not found: {ARN}nope:$LATEST",
    )
    await functions.create()
    assert await refused(functions, Qualifier="prod") == (
        404,
        "ResourceNotFoundException",
        f"Function not found: {ARN}f:prod",
    )


async def test_a_pending_function_is_a_conflict(functions: Functions) -> None:
    functions.support.hold()
    await functions.client.create_function(**creation("f"))
    assert await refused(functions) == (
        409,
        "ResourceConflictException",
        "The operation cannot be performed at this time. The function is currently in the following state: Pending",
    )
    functions.support.release()
    await functions.client.wait("function_active_v2", FunctionName="f")
    assert (await functions.invoke())["StatusCode"] == 200


async def test_a_payload_that_is_not_json(functions: Functions) -> None:
    await functions.create()
    status, code, message = await refused(functions, Payload=b"{nope")
    assert (status, code) == (400, "InvalidRequestContentException")
    assert message == (
        "Could not parse request body into json: Could not parse payload into json: "
        "Unexpected character ('n' (code 110)): was expecting double-quote to start field name\n"
        " at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 2]"
    )


async def test_a_payload_over_six_megabytes(functions: Functions) -> None:
    await functions.create()
    assert await refused(functions, Payload=b'"' + b"x" * 6_291_455 + b'"') == (
        413,
        "RequestEntityTooLargeException",
        "6291457 byte payload is too large for the RequestResponse invocation type (limit 6291456 bytes)",
    )


async def test_a_payload_of_six_megabytes_passes_byte_for_byte(functions: Functions) -> None:
    await functions.create()
    event = b" " * (6_291_456 - 6) + b'"echo"'
    assert (await functions.invoke(Payload=event))["Payload"] == event


async def test_no_payload_is_an_empty_object(functions: Functions) -> None:
    await functions.create()
    functions.machine.driver.scripts = ((Echo(),),)
    reply = await functions.client.invoke(FunctionName="f")
    assert reply["Payload"].read() == b"{}"


async def test_invalid_parameters_are_refused_by_the_model(functions: Functions) -> None:
    await functions.create()
    status, code, message = await refused(functions, InvocationType="Sideways")
    assert (status, code) == (400, "ValidationException")
    assert "invocationType" in message


@pytest.mark.parametrize("name", ["f:$LATEST", f"{ARN}f", f"{ARN}f:$LATEST", "123456789012:function:f"])
async def test_every_form_of_a_name(functions: Functions, name: str) -> None:
    await functions.create()
    assert (await functions.invoke(name=name))["Payload"] == b'"echo"'


async def test_a_published_version_runs_its_own_environment(functions: Functions) -> None:
    await functions.create()
    version = (await functions.client.publish_version(FunctionName="f"))["Version"]
    reply = await functions.invoke(Qualifier=version)
    assert reply["ExecutedVersion"] == version
    event = functions.machine.driver.sandboxes[-1].runtimes[0].events[0]
    assert event.headers["lambda-runtime-invoked-function-arn"] == f"{ARN}f:{version}"


async def test_an_update_retires_the_environments_of_the_old_code(functions: Functions) -> None:
    await functions.create()
    await functions.invoke()
    await functions.client.update_function_configuration(FunctionName="f", MemorySize=256)
    await functions.client.wait("function_updated_v2", FunctionName="f")
    await until(lambda: functions.machine.driver.sandboxes[0].stopped)
    await functions.invoke()
    assert functions.machine.driver.sandboxes[1].spec.memory_mb == 256


async def test_the_client_context_reaches_the_runtime(functions: Functions) -> None:
    await functions.create()
    context = base64.b64encode(b'{"custom":{"a":"b"}}').decode()
    await functions.invoke(ClientContext=context)
    event = functions.machine.driver.sandboxes[0].runtimes[0].events[0]
    assert event.headers["lambda-runtime-client-context"] == '{"custom":{"a":"b"}}'


async def test_throttling_speaks_lambdas_words(functions: Functions) -> None:
    await functions.create()
    functions.machine.concurrency._account_limit = 0
    with pytest.raises(ClientError) as failure:
        await functions.invoke()
    response = failure.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert response["Error"] == {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."}
    assert (response["Reason"], response["Type"]) == ("ConcurrentInvocationLimitExceeded", "User")
    assert response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"


async def test_a_function_that_its_own_chain_has_invoked_sixteen_times_is_stopped(functions: Functions) -> None:
    await functions.create()
    header = ""

    def carry_on(request: Any, **_: Any) -> None:
        request.headers["X-Amzn-Trace-Id"] = header

    functions.client.client.meta.events.register("before-sign.lambda.Invoke", carry_on)
    for _ in range(16):
        header = (await functions.invoke())["ResponseMetadata"]["HTTPHeaders"]["x-amzn-trace-id"]
    status, code, message = await refused(functions)
    assert (status, code) == (400, "RecursiveInvocationException")
    assert message.startswith("Lambda has detected your function being invoked in a recursive loop")
    # Nothing would run, and nothing is told of what would.
    assert (await functions.invoke(InvocationType="DryRun"))["StatusCode"] == 204
    await functions.client.put_function_recursion_config(FunctionName="f", RecursiveLoop="Allow")
    assert (await functions.invoke())["StatusCode"] == 200
