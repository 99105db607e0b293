"""Provisioned concurrency through boto3, the gateway and a pool of scripted runtimes (spec of the API, 1.8)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from botocore.exceptions import ClientError
from sqlalchemy import Connection

from lambent.core.clock import SystemClock
from lambent.environments.environment import Environment
from lambent.environments.provisioning import Provisioning
from lambent.functions import store
from lambent.functions.changes import Change
from lambent.functions.control_plane import ControlPlane
from lambent.functions.records import Alias, FunctionKey, ProvisionedConcurrency
from lambent.invocation.api import Invocation
from lambent.invocation.gauges import Gauges
from lambent.store.database import Database
from lambent.store.datadir import DataDir
from lambent.testing.aws_client import AsyncClient, aws_client
from lambent.testing.runtime_support import FakeRuntimeSupport
from lambent.testing.scripted_runtime import Die, Echo, FailInit, Hang, Next, Respond, Script, WaitFor
from tests.unit.environments.kit import Machine, until
from tests.unit.functions.conftest import creation, package

ACCOUNT = "123456789012"
KEY = FunctionKey(ACCOUNT, "us-east-1", "f")
IPV, RCE, RNF = "InvalidParameterValueException", "ResourceConflictException", "ResourceNotFoundException"


class Functions:
    def __init__(self, plane: ControlPlane, client: AsyncClient, machine: Machine) -> None:
        self.plane = plane
        self.client = client
        self.machine = machine

    async def publish(self, code: str = "1") -> str:
        await self.client.update_function_code(FunctionName="f", ZipFile=package(code))
        await self.client.wait("function_updated_v2", FunctionName="f")
        version: str = (await self.client.publish_version(FunctionName="f"))["Version"]
        return version

    async def alias(self, name: str, version: str, **weights: float) -> None:
        numbers = {number.removeprefix("v"): weight for number, weight in weights.items()}
        record = Alias(name=name, version=version, revision_id="r", weights=numbers)

        def commit(connection: Connection) -> Change:
            store.put_attachment(connection, KEY, name, record)
            return Change(key=KEY, attached={(Alias, name): record})

        await self.plane._changes.commit(commit)

    async def put(self, qualifier: str, executions: int = 2) -> dict[str, Any]:
        reply: dict[str, Any] = await self.client.put_provisioned_concurrency_config(
            FunctionName="f", Qualifier=qualifier, ProvisionedConcurrentExecutions=executions
        )
        return reply

    async def get(self, qualifier: str) -> dict[str, Any]:
        reply: dict[str, Any] = await self.client.get_provisioned_concurrency_config(
            FunctionName="f", Qualifier=qualifier
        )
        return reply

    async def settled(self, qualifier: str) -> dict[str, Any]:
        """Not IN_PROGRESS any more."""
        async with asyncio.timeout(20):
            while (reply := await self.get(qualifier))["Status"] == "IN_PROGRESS":  # noqa: ASYNC110 - that is the API
                await asyncio.sleep(0.01)
        return reply

    def environments(self, version: str) -> list[Environment]:
        return [each for each in self.machine.pool.environments if each.version.version == version]

    async def invoke(self, qualifier: str | None = None) -> None:
        parameters = {} if qualifier is None else {"Qualifier": qualifier}
        await self.client.invoke(FunctionName="f", Payload=b"{}", **parameters)


@asynccontextmanager
async def running(root: Path, *scripts: Script, account_limit: int = 1000) -> AsyncIterator[Functions]:
    """With the function `f` and its version 1."""
    data_dir = DataDir.open(root / "data")
    database = Database.open(data_dir.database)
    support, clock, provisioning = FakeRuntimeSupport(), SystemClock(), Provisioning()
    async with Machine(scripts or ((Echo(),),), max_environments=6) as machine:
        plane = ControlPlane(
            data_dir=data_dir,
            database=database,
            clock=clock,
            runtime_support=support,
            observers=[machine.pool],
            provisioner=provisioning,
        )
        machine.concurrency._reservations = plane.read_model
        plane.start()
        loop = asyncio.ensure_future(provisioning.run(machine.pool, plane.wanted_environments))
        no_events: Any = None
        invocation = Invocation(resolver=plane.resolver, router=machine.router, clock=clock, events=no_events)
        async with aws_client("lambda", {**plane.operations(), **invocation.operations()}, account=ACCOUNT) as client:
            functions = Functions(plane, client, machine)
            if plane.read_model.get(KEY) is None:
                await client.create_function(**creation("f"), Publish=True)
                await client.wait("function_active_v2", FunctionName="f")
            yield functions
        loop.cancel()
        support.release()
        await plane.close()
        await database.close()
        data_dir.close()


@pytest.fixture
async def functions(tmp_path: Path) -> AsyncIterator[Functions]:
    async with running(tmp_path) as functions:
        yield functions


async def refused(functions: Functions, operation: str, **parameters: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as failure:
        await getattr(functions.client, operation)(**({"FunctionName": "f"} | parameters))
    response = failure.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


async def refused_put(functions: Functions, qualifier: str, executions: int = 1) -> tuple[int, str, str]:
    return await refused(
        functions,
        "put_provisioned_concurrency_config",
        Qualifier=qualifier,
        ProvisionedConcurrentExecutions=executions,
    )


async def test_environments_are_initialised_before_the_status_is_ready(functions: Functions) -> None:
    reply = await functions.put("1")
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert reply["Status"] == "IN_PROGRESS"
    assert reply["RequestedProvisionedConcurrentExecutions"] == 2
    assert reply["AllocatedProvisionedConcurrentExecutions"] == reply["AvailableProvisionedConcurrentExecutions"] == 0
    settled = await functions.settled("1")
    assert (settled["Status"], settled["AvailableProvisionedConcurrentExecutions"]) == ("READY", 2)
    assert settled["LastModified"] == reply["LastModified"]
    started = functions.environments("1")
    assert len(started) == 2
    assert all(each.usable and each.identity.provisioned for each in started)
    await functions.invoke("1")
    assert functions.environments("1") == started
    # $LATEST has nothing to do with it.
    await functions.invoke()
    assert [each.identity.provisioned for each in functions.environments("$LATEST")] == [False]


class Turnstile(asyncio.Event):
    """Lets a few pass, the others when it is set."""

    def __init__(self, passes: int) -> None:
        super().__init__()
        self._passes = passes

    async def wait(self) -> Literal[True]:
        self._passes -= 1
        return await super().wait() if self._passes < 0 else True


async def test_the_allocation_is_seen_while_it_goes_on(tmp_path: Path) -> None:
    turnstile = Turnstile(2)
    async with running(tmp_path, (WaitFor(turnstile), Echo())) as functions:
        assert (await functions.put("1", 3))["AllocatedProvisionedConcurrentExecutions"] == 0
        async with asyncio.timeout(10):
            while (reply := await functions.get("1"))["AllocatedProvisionedConcurrentExecutions"] < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (reply["Status"], reply["AvailableProvisionedConcurrentExecutions"]) == ("IN_PROGRESS", 2)
        assert reply["RequestedProvisionedConcurrentExecutions"] == 3
        turnstile.set()
        reply = await functions.settled("1")
        assert (reply["Status"], reply["AllocatedProvisionedConcurrentExecutions"]) == ("READY", 3)


async def test_what_is_more_than_provisioned_spills_over_and_both_are_counted(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with running(tmp_path, (Next(), WaitFor(go_on), Respond(), Echo())) as functions:
        await functions.put("1", 1)
        assert (await functions.settled("1"))["Status"] == "READY"
        calls = [asyncio.ensure_future(functions.invoke("1")) for _ in range(2)]
        await until(lambda: functions.machine.concurrency.in_use_by(KEY) == 2)
        kinds = sorted(each.identity.provisioned for each in functions.environments("1"))
        assert kinds == [False, True]
        Gauges(functions.machine.concurrency, functions.machine.metrics, SystemClock()).take(SystemClock().epoch_ms())
        go_on.set()
        await asyncio.gather(*calls)
        totals = functions.machine.metrics.totals()
        assert totals["ProvisionedConcurrencyInvocations"].sum == 1
        assert totals["ProvisionedConcurrencySpilloverInvocations"].sum == 1
        assert totals["ProvisionedConcurrentExecutions"].max == 1
        assert totals["ProvisionedConcurrencyUtilization"].max == 1.0
        (point,) = functions.machine.metrics.series(
            ACCOUNT, KEY.region, "ProvisionedConcurrencyInvocations", function="f", qualifier="1"
        )
        assert point.value.sum == 1


async def test_what_is_provisioned_does_not_age(functions: Functions) -> None:
    await functions.put("1")
    await functions.settled("1")
    await functions.invoke()
    functions.machine.pool._idle_s = -1.0
    functions.machine.pool.sweep()
    await until(lambda: not functions.environments("$LATEST"))
    assert len(functions.environments("1")) == 2


async def test_an_environment_that_dies_is_replaced(functions: Functions) -> None:
    await functions.put("1", 1)
    await functions.settled("1")
    (first,) = functions.environments("1")
    first.stop()
    await until(lambda: len(functions.environments("1")) == 1 and functions.environments("1")[0] is not first)
    assert (await functions.settled("1"))["Status"] == "READY"


async def test_more_and_fewer(functions: Functions) -> None:
    await functions.put("1", 3)
    await functions.settled("1")
    await functions.put("1", 1)
    assert (await functions.settled("1"))["AllocatedProvisionedConcurrentExecutions"] == 1
    await until(lambda: len(functions.environments("1")) == 1)
    reply = await functions.client.delete_provisioned_concurrency_config(FunctionName="f", Qualifier="1")
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 204
    await until(lambda: not functions.environments("1"))
    refusal = await refused(functions, "get_provisioned_concurrency_config", Qualifier="1")
    assert refusal == (
        404,
        "ProvisionedConcurrencyConfigNotFoundException",
        "No Provisioned Concurrency Config found for this function",
    )


async def test_a_failing_init_is_told(tmp_path: Path) -> None:
    async with running(tmp_path, (FailInit(), Hang())) as functions:
        await functions.put("1")
        reply = await functions.settled("1")
        assert (reply["Status"], reply["StatusReason"]) == ("FAILED", "FUNCTION_ERROR_INIT_FAILURE")
        assert reply["AvailableProvisionedConcurrentExecutions"] == 0
        await until(lambda: not functions.environments("1"))


async def test_more_than_the_machine_holds_fails_with_the_reason(functions: Functions) -> None:
    await functions.put("1", 7)
    reply = await functions.settled("1")
    assert (reply["Status"], reply["StatusReason"]) == (
        "FAILED",
        "This machine has room for 6 execution environments.",
    )
    await functions.put("1", 1)
    assert (await functions.settled("1"))["Status"] == "READY"


async def test_it_moves_with_its_alias(functions: Functions) -> None:
    await functions.publish("2")
    await functions.alias("live", "1")
    await functions.put("live")
    await functions.settled("live")
    assert len(functions.environments("1")) == 2
    await functions.alias("live", "2")
    await until(lambda: len(functions.environments("2")) == 2 and not functions.environments("1"))
    assert (await functions.settled("live"))["Status"] == "READY"
    await functions.alias("live", "2", v1=0.5)
    await until(lambda: len(functions.environments("2")) == len(functions.environments("1")) == 1)


async def test_it_is_there_again_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as functions:
        await functions.put("1")
    async with running(tmp_path) as functions:
        assert (await functions.settled("1"))["Status"] == "READY"
        assert len(functions.environments("1")) == 2


async def test_what_is_provisioned_is_not_left_to_the_others(functions: Functions) -> None:
    """As AWS was seen to do: reserved 1 and provisioned 1 leave nothing to $LATEST."""
    await functions.client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    await functions.put("1", 1)
    await functions.settled("1")
    await functions.invoke("1")
    with pytest.raises(ClientError) as failure:
        await functions.invoke()
    assert failure.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"


async def test_account_settings_count_it(functions: Functions) -> None:
    async def unreserved() -> int:
        limit: int = (await functions.client.get_account_settings())["AccountLimit"]["UnreservedConcurrentExecutions"]
        return limit

    await functions.put("1", 5)
    assert await unreserved() == 995
    await functions.client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=50)
    assert await unreserved() == 950
    assert await refused(functions, "put_function_concurrency", ReservedConcurrentExecutions=4) == (
        400,
        IPV,
        " ReservedConcurrentExecutions  4 should not be lower than function's total provisioned concurrency [5].",
    )


async def test_the_list_has_all_configurations(functions: Functions) -> None:
    await functions.publish("2")
    await functions.alias("live", "2")
    await functions.put("1", 1)
    await functions.put("live", 1)
    reply = await functions.client.list_provisioned_concurrency_configs(FunctionName="f")
    listed = reply["ProvisionedConcurrencyConfigs"]
    assert [each["FunctionArn"] for each in listed] == [f"{KEY.arn}:1", f"{KEY.arn}:live"]
    first = await functions.client.list_provisioned_concurrency_configs(FunctionName="f", MaxItems=1)
    assert len(first["ProvisionedConcurrencyConfigs"]) == 1
    assert "NextMarker" in first


async def test_a_deleted_version_takes_its_configuration_along(functions: Functions) -> None:
    await functions.put("1", 1)
    await functions.settled("1")
    await functions.client.delete_function(FunctionName="f", Qualifier="1")
    await until(lambda: not functions.environments("1"))
    reply = await functions.client.list_provisioned_concurrency_configs(FunctionName="f")
    assert reply["ProvisionedConcurrencyConfigs"] == []
    stored = functions.plane._database.read_now(lambda connection: store.load_attachments(connection, KEY))
    assert not any(kind is ProvisionedConcurrency for kind, _ in stored)


async def test_a_deleted_alias_takes_its_configuration_along(functions: Functions) -> None:
    await functions.client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    await functions.put("live", 1)
    await functions.settled("live")
    await functions.client.delete_alias(FunctionName="f", Name="live")
    await until(lambda: not functions.environments("1"))
    await functions.client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    refusal = await refused(functions, "get_provisioned_concurrency_config", Qualifier="live")
    assert refusal[:2] == (404, "ProvisionedConcurrencyConfigNotFoundException")


async def test_put_and_delete_leave_nothing_behind(functions: Functions) -> None:
    for _ in range(10):
        await functions.put("1", 2)
        await functions.settled("1")
        await functions.client.delete_provisioned_concurrency_config(FunctionName="f", Qualifier="1")
        await until(lambda: not functions.environments("1"))
    sandboxes = functions.machine.driver.sandboxes
    assert len(sandboxes) == 20
    assert all(sandbox.stopped for sandbox in sandboxes)
    assert not functions.machine.pool._dismissed


UNPUBLISHED = (400, IPV, "Provisioned Concurrency Configs cannot be applied to unpublished function versions.")


async def test_latest_cannot_be_provisioned(functions: Functions) -> None:
    """As AWS was seen to answer."""
    assert await refused_put(functions, "$LATEST") == UNPUBLISHED
    await functions.alias("dev", "$LATEST")
    assert await refused_put(functions, "dev") == UNPUBLISHED
    for operation in ("get_provisioned_concurrency_config", "delete_provisioned_concurrency_config"):
        assert await refused(functions, operation, Qualifier="$LATEST") == (
            400,
            IPV,
            "The function resource provided must be an alias or a published version.",
        )


async def test_one_version_has_one_configuration(functions: Functions) -> None:
    """As AWS was seen to answer."""
    await functions.alias("live", "1")
    await functions.put("1", 1)
    assert await refused_put(functions, "live") == (
        409,
        RCE,
        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version",
    )
    await functions.client.delete_provisioned_concurrency_config(FunctionName="f", Qualifier="1")
    await functions.put("live", 1)
    assert await refused_put(functions, "1") == (409, RCE, "Version is pointed by a Provisioned Concurrency alias")


@pytest.mark.parametrize(
    ("executions", "message"),
    [
        (1001, "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [1000]."),
        (
            901,
            "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its "
            "minimum value of [100].",
        ),
    ],
)
async def test_the_account_keeps_its_rest(functions: Functions, executions: int, message: str) -> None:
    """As AWS was seen to answer."""
    assert await refused_put(functions, "1", executions) == (400, IPV, message)


async def test_not_more_than_is_reserved(functions: Functions) -> None:
    await functions.client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    assert await refused_put(functions, "1", 2) == (
        400,
        IPV,
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function",
    )


@pytest.mark.parametrize("operation", ["get", "put", "delete"])
@pytest.mark.parametrize(
    ("name", "qualifier", "message"),
    [
        ("f", "9", f"Function not found: {KEY.arn}:9"),
        ("f", "nobody", f"Cannot find alias arn: {KEY.arn}:nobody"),
        ("g", "1", f"Function not found: {KEY.arn[:-1]}g:1"),
    ],
)
async def test_what_is_not_there(functions: Functions, operation: str, name: str, qualifier: str, message: str) -> None:
    parameters: dict[str, Any] = {"FunctionName": name, "Qualifier": qualifier}
    if operation == "put":
        parameters["ProvisionedConcurrentExecutions"] = 1
    assert await refused(functions, f"{operation}_provisioned_concurrency_config", **parameters) == (404, RNF, message)


async def test_deleting_what_is_not_configured_is_done_at_once(functions: Functions) -> None:
    reply = await functions.client.delete_provisioned_concurrency_config(FunctionName="f", Qualifier="1")
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 204


async def test_a_runtime_that_dies_in_an_invocation_keeps_its_environment(tmp_path: Path) -> None:
    """The next invocation starts it again, as with any other environment."""
    async with running(tmp_path, (Next(), Die()), (Echo(),)) as functions:
        await functions.put("1", 1)
        await functions.settled("1")
        before = functions.environments("1")
        await functions.invoke("1")
        assert functions.environments("1") == before
