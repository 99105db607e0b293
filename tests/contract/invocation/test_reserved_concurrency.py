"""What reserved concurrency does to invocations: spec 2.4."""

import asyncio
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.invocation.conftest import Functions
from tests.unit.environments.kit import until


async def throttled(functions: Functions, **parameters: Any) -> str:
    with pytest.raises(ClientError) as failure:
        await functions.invoke(**parameters)
    response = failure.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert response["Error"] == {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."}
    assert response["Type"] == "User"
    reason: str = response["Reason"]
    return reason


async def test_a_function_with_nothing_reserved_cannot_run(functions: Functions) -> None:
    await functions.create()
    await functions.client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    assert await throttled(functions) == "ReservedFunctionConcurrentInvocationLimitExceeded"
    await functions.client.delete_function_concurrency(FunctionName="f")
    assert (await functions.invoke())["Payload"] == b'"echo"'


async def test_a_reservation_limits_its_function_and_no_other(functions: Functions) -> None:
    await functions.create("f", Timeout=900)
    await functions.create("g")
    await functions.client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    hanging = asyncio.create_task(functions.invoke("hang"))
    await until(lambda: functions.machine.concurrency.in_use("123456789012", "us-east-1") == 1)
    assert await throttled(functions) == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert (await functions.invoke(name="g"))["Payload"] == b'"echo"'
    hanging.cancel()


async def test_the_others_share_what_is_not_reserved(functions: Functions) -> None:
    await functions.create("f")
    await functions.create("g")
    await functions.client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=900)
    functions.machine.concurrency._account_limit = 900
    assert await throttled(functions, name="g") == "ConcurrentInvocationLimitExceeded"
    assert (await functions.invoke(name="f"))["Payload"] == b'"echo"'
