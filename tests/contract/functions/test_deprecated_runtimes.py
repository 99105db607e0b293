"""Runtimes past their day in the user's table (spec 1.3): no function is created with them or updated on them."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lambent.functions.control_plane import ControlPlane
from lambent.testing.runtime_support import FakeRuntimeSupport
from tests.contract.functions.conftest import Lambda
from tests.planes import opened
from tests.unit.functions.conftest import creation, package

TODAY = datetime.now(UTC).date()
YESTERDAY = TODAY - timedelta(days=1)


@pytest.fixture
def deprecations() -> dict[str, date]:
    return {"python3.9": YESTERDAY, "python3.13": TODAY + timedelta(days=2)}


@pytest.fixture
async def plane(
    tmp_path: Path, support: FakeRuntimeSupport, deprecations: dict[str, date]
) -> AsyncIterator[ControlPlane]:
    async with opened(tmp_path / "data", support=support, deprecations=deprecations) as server:
        yield server.plane


def text(runtime: str) -> tuple[int, str, str]:
    """As AWS was seen to answer."""
    return (
        400,
        "InvalidParameterValueException",
        f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. "
        "We recommend you use a supported runtime while creating or updating functions.",
    )


async def test_a_function_of_a_deprecated_runtime_is_not_created(lambda_: Lambda) -> None:
    assert await lambda_.refused("create_function", **creation("f") | {"Runtime": "python3.9"}) == text("python3.9")
    assert (await lambda_.list_functions())["Functions"] == []
    await lambda_.created(Runtime="python3.13")


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("update_function_code", {"ZipFile": package("2")}),
        ("update_function_configuration", {"Timeout": 9}),
    ],
)
async def test_a_function_whose_runtime_was_deprecated_runs_on_and_is_not_updated(
    lambda_: Lambda, deprecations: dict[str, date], operation: str, parameters: dict[str, Any]
) -> None:
    before = await lambda_.created(Runtime="python3.13")
    deprecations["python3.13"] = YESTERDAY
    assert await lambda_.refused(operation, FunctionName="f", **parameters) == text("python3.13")
    assert (await lambda_.get_function_configuration(FunctionName="f"))["RevisionId"] == before["RevisionId"]
    await lambda_.update_function_configuration(FunctionName="f", Runtime="python3.12")
    assert (await lambda_.updated())["Runtime"] == "python3.12"
