"""TenancyConfig: said when a function is made, and what goes with it: spec 1.13."""

from typing import Any

import pytest

from tests.contract.functions.conftest import Lambda
from tests.unit.functions.conftest import creation

PER_TENANT = {"TenantIsolationMode": "PER_TENANT"}
IPV = "InvalidParameterValueException"


async def test_tenant_isolation_is_shown_and_stays(lambda_: Lambda) -> None:
    assert (await lambda_.create(TenancyConfig=PER_TENANT))["TenancyConfig"] == PER_TENANT
    await lambda_.wait("function_active_v2", FunctionName="f")
    assert (await lambda_.get_function(FunctionName="f"))["Configuration"]["TenancyConfig"] == PER_TENANT
    await lambda_.update_function_configuration(FunctionName="f", MemorySize=256)
    assert (await lambda_.updated())["TenancyConfig"] == PER_TENANT
    assert (await lambda_.publish_version(FunctionName="f"))["TenancyConfig"] == PER_TENANT
    assert "TenancyConfig" not in await lambda_.created("g")


async def test_the_mode_is_one_that_exists(lambda_: Lambda) -> None:
    status, code, message = await lambda_.refused(
        "create_function", **creation("f"), TenancyConfig={"TenantIsolationMode": "PER_MOON"}
    )
    assert (status, code) == (400, "ValidationException")
    assert "[PER_TENANT]" in message


async def test_no_snapshots_for_tenants(lambda_: Lambda) -> None:
    snap_start = {"ApplyOn": "PublishedVersions"}
    status, code, message = await lambda_.refused(
        "create_function", **creation("f"), TenancyConfig=PER_TENANT, SnapStart=snap_start
    )
    assert (status, code, message.partition(" ")[0]) == (400, IPV, "SnapStart")
    await lambda_.created(TenancyConfig=PER_TENANT)
    status, code, _ = await lambda_.refused("update_function_configuration", FunctionName="f", SnapStart=snap_start)
    assert (status, code) == (400, IPV)


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("create_function_url_config", {"AuthType": "NONE"}),
        ("put_provisioned_concurrency_config", {"Qualifier": "1", "ProvisionedConcurrentExecutions": 1}),
    ],
)
async def test_what_has_no_tenant_is_refused(lambda_: Lambda, operation: str, parameters: dict[str, Any]) -> None:
    await lambda_.created(TenancyConfig=PER_TENANT)
    await lambda_.publish_version(FunctionName="f")
    status, code, message = await lambda_.refused(operation, FunctionName="f", **parameters)
    assert (status, code) == (400, IPV)
    assert message.endswith("is not supported for functions with tenant isolation mode PER_TENANT.")
