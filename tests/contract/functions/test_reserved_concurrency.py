"""PutFunctionConcurrency, GetFunctionConcurrency, DeleteFunctionConcurrency: spec 1.8, texts of its [v] lines."""

from dataclasses import replace

import pytest

from lambent.functions.control_plane import ControlPlane
from lambent.functions.quotas import Quotas
from tests.contract.functions.conftest import ARN, ON_BOTH, Lambda

pytestmark = ON_BOTH

IPV = "InvalidParameterValueException"


async def test_a_reservation_is_put_shown_and_removed(lambda_: Lambda) -> None:
    await lambda_.created()
    assert "ReservedConcurrentExecutions" not in await lambda_.get_function_concurrency(FunctionName="f")
    assert "Concurrency" not in await lambda_.get_function(FunctionName="f")
    put = await lambda_.put_function_concurrency(FunctionName=ARN + "f", ReservedConcurrentExecutions=5)
    assert (put["ResponseMetadata"]["HTTPStatusCode"], put["ReservedConcurrentExecutions"]) == (200, 5)
    assert (await lambda_.get_function_concurrency(FunctionName="f"))["ReservedConcurrentExecutions"] == 5
    assert (await lambda_.get_function(FunctionName="f"))["Concurrency"] == {"ReservedConcurrentExecutions": 5}
    gone = await lambda_.delete_function_concurrency(FunctionName="f")
    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert "ReservedConcurrentExecutions" not in await lambda_.get_function_concurrency(FunctionName="f")
    again = await lambda_.delete_function_concurrency(FunctionName="f")
    assert again["ResponseMetadata"]["HTTPStatusCode"] == 204


async def test_a_reservation_of_nothing_is_shown(lambda_: Lambda) -> None:
    await lambda_.created()
    await lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    assert (await lambda_.get_function(FunctionName="f"))["Concurrency"] == {"ReservedConcurrentExecutions": 0}


async def test_it_changes_no_revision(lambda_: Lambda) -> None:
    before = (await lambda_.created())["RevisionId"]
    await lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    assert (await lambda_.get_function_configuration(FunctionName="f"))["RevisionId"] == before


async def test_the_account_settings_show_what_is_left(lambda_: Lambda) -> None:
    for name, executions in (("f", 5), ("g", 20)):
        await lambda_.created(name)
        await lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=executions)
    limit = (await lambda_.get_account_settings())["AccountLimit"]
    assert (limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]) == (1000, 975)
    await lambda_.delete_function(FunctionName="g")
    assert (await lambda_.get_account_settings())["AccountLimit"]["UnreservedConcurrentExecutions"] == 995


@pytest.mark.parametrize("operation", ["put", "get", "delete"])
@pytest.mark.parametrize("name", ["f:$LATEST", "f:1", ARN + "f:live"])
async def test_versions_and_aliases_have_none(lambda_: Lambda, operation: str, name: str) -> None:
    await lambda_.created()
    more = {"ReservedConcurrentExecutions": 1} if operation == "put" else {}
    assert await lambda_.refused(f"{operation}_function_concurrency", FunctionName=name, **more) == (
        400,
        IPV,
        "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation."
        " Please specify either a function name or an unqualified function ARN.",
    )


@pytest.mark.parametrize("operation", ["put", "get", "delete"])
async def test_a_missing_function(lambda_: Lambda, operation: str) -> None:
    more = {"ReservedConcurrentExecutions": 1} if operation == "put" else {}
    assert await lambda_.refused(f"{operation}_function_concurrency", FunctionName="nope", **more) == (
        404,
        "ResourceNotFoundException",
        # As AWS was seen to answer: only one of the three has a qualifier.
        f"Function not found: {ARN}nope" + (":$LATEST" if operation == "put" else ""),
    )


async def test_reservations_leave_100_to_the_others(lambda_: Lambda) -> None:
    await lambda_.created("f")
    await lambda_.created("g")
    await lambda_.put_function_concurrency(FunctionName="g", ReservedConcurrentExecutions=400)
    await lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=500)
    assert await lambda_.refused("put_function_concurrency", FunctionName="f", ReservedConcurrentExecutions=501) == (
        400,
        IPV,
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below"
        " its minimum value of [100].",
    )
    assert (await lambda_.get_function_concurrency(FunctionName="f"))["ReservedConcurrentExecutions"] == 500


async def test_a_negative_number_is_refused_by_the_model(lambda_: Lambda) -> None:
    await lambda_.created()
    status, code, _ = await lambda_.refused(
        "put_function_concurrency", FunctionName="f", ReservedConcurrentExecutions=-1
    )
    assert (status, code) == (400, "ValidationException")


@pytest.mark.parametrize("quotas", [replace(Quotas(), min_unreserved_executions=0)])
async def test_the_floor_is_a_quota(lambda_: Lambda, plane: ControlPlane) -> None:
    await lambda_.created()
    await lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1000)
    assert dict(plane.read_model.reserved("123456789012", "us-east-1")) == {"f": 1000}
