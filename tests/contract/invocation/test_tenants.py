"""Invoke with and without a tenant, as boto3 sees it."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.invocation.conftest import Functions
from tests.unit.environments.kit import until
from tests.unit.functions.conftest import creation

PER_TENANT = {"TenantIsolationMode": "PER_TENANT"}


async def create(functions: Functions) -> None:
    await functions.client.create_function(**creation("f"), TenancyConfig=PER_TENANT)
    await functions.client.wait("function_active_v2", FunctionName="f")


async def refused(functions: Functions, operation: str = "invoke", **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as failure:
        await getattr(functions.client, operation)(FunctionName="f", **parameters)
    error = failure.value.response["Error"]
    return error["Code"], error["Message"]


def tenants(functions: Functions) -> list[str]:
    return sorted(str(each.identity.tenant_id) for each in functions.machine.pool.environments)


@pytest.mark.parametrize("kind", ["RequestResponse", "Event", "DryRun"])
async def test_a_tenant_is_required(functions: Functions, kind: str) -> None:
    await create(functions)
    code, message = await refused(functions, InvocationType=kind)
    assert code == "InvalidParameterValueException"
    assert message.endswith("Add a valid tenant ID in your request and try again.")


@pytest.mark.parametrize("kind", ["RequestResponse", "Event", "DryRun"])
async def test_a_function_without_tenants_takes_none(functions: Functions, kind: str) -> None:
    await functions.create()
    assert await refused(functions, InvocationType=kind, TenantId="blue") == (
        "InvalidParameterValueException",
        "The invoked function is not enabled with tenancy configuration.",
    )


async def test_each_tenant_has_an_environment_of_its_own_and_its_runtime_is_told_whose(functions: Functions) -> None:
    await create(functions)
    for tenant in ("blue", "a.b_c:d/e=f+g-h@i j", "blue"):
        await functions.invoke(TenantId=tenant)
    assert tenants(functions) == ["a.b_c:d/e=f+g-h@i j", "blue"]
    told = [
        event.headers["lambda-runtime-aws-tenant-id"]
        for sandbox in functions.machine.driver.sandboxes
        for runtime in sandbox.runtimes
        for event in runtime.events
    ]
    assert sorted(told) == ["a.b_c:d/e=f+g-h@i j", "blue", "blue"]


async def test_an_event_runs_for_its_tenant(functions: Functions) -> None:
    await create(functions)
    await functions.client.invoke(FunctionName="f", InvocationType="Event", TenantId="green", Payload=b'"echo"')
    await until(lambda: tenants(functions) == ["green"])


async def test_a_dry_run_starts_nothing(functions: Functions) -> None:
    await create(functions)
    reply = await functions.client.invoke(FunctionName="f", InvocationType="DryRun", TenantId="green")
    assert reply["StatusCode"] == 204
    assert tenants(functions) == []


@pytest.mark.parametrize("tenant", ["x" * 257, "a\tb", "ü", "a,b"])
async def test_a_tenant_has_a_form(functions: Functions, tenant: str) -> None:
    await create(functions)
    code, message = await refused(functions, TenantId=tenant)
    assert code == "ValidationException"
    assert "'tenantId'" in message


async def test_the_old_operation_has_no_place_for_a_tenant(functions: Functions) -> None:
    await create(functions)
    code, _ = await refused(functions, "invoke_async", InvokeArgs=b"{}")
    assert code == "InvalidParameterValueException"


async def test_a_destination_is_of_no_tenant(functions: Functions, caplog: pytest.LogCaptureFixture) -> None:
    await create(functions)
    await functions.create("g")
    arn = "arn:aws:lambda:us-east-1:123456789012:function:f"
    await functions.client.put_function_event_invoke_config(
        FunctionName="g", DestinationConfig={"OnSuccess": {"Destination": arn}}
    )
    await functions.client.invoke(FunctionName="g", InvocationType="Event", Payload=b'"echo"')
    await until(lambda: "the function has tenants" in caplog.text)
