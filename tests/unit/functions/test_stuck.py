"""A creation that does not end is cancelled by the next call that would change it, after six minutes (spec 1.4)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lambent.aws.errors import ApiError
from lambent.functions.control_plane import ControlPlane
from lambent.testing.manual_clock import ManualClock
from lambent.testing.runtime_support import FakeRuntimeSupport
from tests.planes import opened
from tests.unit.functions.conftest import Api, package

STATE = "The operation cannot be performed at this time. The function is currently in the following state: "


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def plane(tmp_path: Path, support: FakeRuntimeSupport, clock: ManualClock) -> AsyncIterator[ControlPlane]:
    async with opened(tmp_path / "data", support=support, clock=clock) as server:
        yield server.plane


CALLS = [
    ("UpdateFunctionCode", {"ZipFile": package("2")}),
    ("UpdateFunctionConfiguration", {"Timeout": 9}),
    ("PublishVersion", {}),
]


@pytest.mark.parametrize(("operation", "parameters"), CALLS, ids=[name for name, _ in CALLS])
async def test_a_stuck_creation_is_cancelled_and_can_be_tried_again(
    api: Api, support: FakeRuntimeSupport, clock: ManualClock, operation: str, parameters: dict[str, object]
) -> None:
    support.hold()
    created = await api.create()
    await clock.advance(360)
    with pytest.raises(ApiError) as refused:
        await api(operation, FunctionName="f", **parameters)
    assert refused.value.message == STATE + "Pending"
    await clock.advance(1)
    with pytest.raises(ApiError) as refused:
        await api(operation, FunctionName="f", **parameters)
    assert (refused.value.code, refused.value.message) == ("ResourceConflictException", STATE + "Failed")
    failed = await api("GetFunctionConfiguration", FunctionName="f")
    assert (failed["State"], failed["StateReasonCode"]) == ("Failed", "InternalError")
    assert failed["RevisionId"] != created["RevisionId"]

    support.release()
    await api("UpdateFunctionConfiguration", FunctionName="f", Timeout=5)
    active = await api.settled()
    assert (active["State"], active["Timeout"], "StateReason" in active) == ("Active", 5, False)
