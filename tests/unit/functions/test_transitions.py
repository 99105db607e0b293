"""Pending to Active and InProgress to Successful as real transitions; what serves and what is refused meanwhile."""

import asyncio
from pathlib import Path

import pytest

from lambent.aws.errors import ApiError
from lambent.core.clock import SystemClock
from lambent.functions.control_plane import ControlPlane
from lambent.store.database import Database
from lambent.store.datadir import DataDir
from lambent.testing.runtime_support import CannotRun, FakeRuntimeSupport
from tests.unit.functions.conftest import Api, Retired, package

IN_PROGRESS = (
    "The operation cannot be performed at this time. An update is in progress for resource:"
    " arn:aws:lambda:us-east-1:000000000000:function:f"
)


def serving(api: Api, qualifier: str | None = None) -> str:
    resolved = api.plane.resolver.resolve("000000000000", "us-east-1", "f", qualifier)
    return (api.plane.packages.path(resolved.function.code.sha256) / "app.py").read_text()


async def test_a_function_is_pending_until_the_runtime_check_has_ended(api: Api, support: FakeRuntimeSupport) -> None:
    support.hold()
    reply = await api.create()
    assert (reply["State"], reply["StateReasonCode"]) == ("Pending", "Creating")
    assert reply["StateReason"] == "The function is being created."
    assert "LastUpdateStatus" not in reply
    assert (await api("GetFunctionConfiguration", FunctionName="f"))["State"] == "Pending"
    support.release()
    active = await api.settled()
    assert active["State"] == "Active"
    assert active["LastUpdateStatus"] == "Successful"
    assert "StateReason" not in active
    assert active["RevisionId"] != reply["RevisionId"]


async def test_a_function_that_cannot_run_here_is_failed_with_the_reason(api: Api, support: FakeRuntimeSupport) -> None:
    support.refused["python3.11"] = CannotRun("python3.11 is not installed.", "InvalidRuntime")
    failed = await api.created()
    assert failed["State"] == "Failed"
    assert failed["StateReason"] == "python3.11 is not installed."
    assert failed["StateReasonCode"] == "InvalidRuntime"


async def test_a_check_that_breaks_is_made_again(
    api: Api, support: FakeRuntimeSupport, caplog: pytest.LogCaptureFixture
) -> None:
    support.bugs.append(PermissionError("a bug"))
    assert (await api.created())["State"] == "Active"
    assert "function transitions failed" in caplog.text


async def test_a_failed_function_becomes_active_by_an_update(api: Api, support: FakeRuntimeSupport) -> None:
    support.refused["python3.11"] = CannotRun("no", "InvalidRuntime")
    await api.created()
    await api("UpdateFunctionConfiguration", FunctionName="f", Runtime="python3.12")
    active = await api.settled()
    assert (active["State"], active["LastUpdateStatus"], active["Runtime"]) == ("Active", "Successful", "python3.12")


async def test_old_code_serves_until_the_update_has_ended(
    api: Api, support: FakeRuntimeSupport, retired: Retired
) -> None:
    await api.created()
    old = api.plane.resolver.resolve("000000000000", "us-east-1", "f").function.deployment_id
    support.hold()
    reply = await api("UpdateFunctionCode", FunctionName="f", ZipFile=package("2"))
    assert reply["State"] == "Active"
    assert reply["LastUpdateStatus"] == "InProgress"
    assert reply["LastUpdateStatusReason"] == "The function is being created."
    assert reply["LastUpdateStatusReasonCode"] == "Creating"
    assert "'1'" in serving(api)
    assert retired.deployments == []
    support.release()
    assert (await api.settled())["LastUpdateStatus"] == "Successful"
    assert "'2'" in serving(api)
    assert retired.deployments == [old]


async def test_a_failed_update_leaves_the_old_code_serving(api: Api, support: FakeRuntimeSupport) -> None:
    await api.created()
    support.refused["python3.13"] = CannotRun("no 3.13", "InvalidRuntime")
    await api("UpdateFunctionConfiguration", FunctionName="f", Runtime="python3.13")
    failed = await api.settled()
    assert (failed["State"], failed["LastUpdateStatus"]) == ("Active", "Failed")
    assert failed["LastUpdateStatusReason"] == "no 3.13"
    assert api.plane.resolver.resolve("000000000000", "us-east-1", "f").function.runtime == "python3.11"


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("UpdateFunctionCode", {"FunctionName": "f", "ZipFile": package("3")}),
        ("UpdateFunctionConfiguration", {"FunctionName": "f", "Timeout": 9}),
        ("PublishVersion", {"FunctionName": "f"}),
        (
            "TagResource",
            {"Resource": "arn:aws:lambda:us-east-1:000000000000:function:f", "Tags": {"a": "b"}},
        ),
    ],
)
async def test_a_second_change_during_an_update_is_a_conflict(
    api: Api, support: FakeRuntimeSupport, operation: str, parameters: dict[str, object]
) -> None:
    await api.created()
    support.hold()
    await api("UpdateFunctionCode", FunctionName="f", ZipFile=package("2"))
    with pytest.raises(ApiError) as refused:
        await api(operation, **parameters)
    assert (refused.value.code, refused.value.message) == ("ResourceConflictException", IN_PROGRESS)


async def test_an_update_of_a_pending_function_is_a_conflict(api: Api, support: FakeRuntimeSupport) -> None:
    support.hold()
    await api.create()
    with pytest.raises(ApiError) as refused:
        await api("UpdateFunctionConfiguration", FunctionName="f", Timeout=9)
    assert refused.value.code == "ResourceConflictException"
    assert refused.value.message == (
        "The operation cannot be performed at this time. The function is currently in the following state: Pending"
    )


async def test_a_function_deleted_during_its_transition_stays_deleted(api: Api, support: FakeRuntimeSupport) -> None:
    support.hold()
    await api.create()
    await api("DeleteFunction", FunctionName="f")
    support.release()
    await api.created("g")
    with pytest.raises(ApiError):
        await api("GetFunction", FunctionName="f")


async def test_a_start_takes_up_the_transitions_that_a_crash_interrupted(tmp_path: Path) -> None:
    stuck, working = FakeRuntimeSupport(), FakeRuntimeSupport()
    stuck.hold()
    data_dir = DataDir.open(tmp_path)
    database = Database.open(data_dir.database)
    before = ControlPlane(data_dir=data_dir, database=database, clock=SystemClock(), runtime_support=stuck)
    before.start()
    await Api(before).create(Publish=True)
    # As after a crash: the loops end in the middle, the store is as it is.
    for loop in before._loops:
        loop.cancel()
    await asyncio.gather(*before._loops, return_exceptions=True)

    after = ControlPlane(data_dir=data_dir, database=database, clock=SystemClock(), runtime_support=working)
    after.start()
    assert (await Api(after).settled())["State"] == "Active"
    assert (await Api(after).settled("f:1"))["State"] == "Active"
    stuck.release()
    await before.close()
    await after.close()
    await database.close()
    data_dir.close()
