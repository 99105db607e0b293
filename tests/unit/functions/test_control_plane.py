"""What the control plane tells others, keeps over a restart, and cleans up."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from lambent.aws.errors import ApiError, PlatformFault
from lambent.core.clock import SystemClock
from lambent.functions.control_plane import ControlPlane
from lambent.store.database import Database
from lambent.store.datadir import DataDir
from lambent.testing.runtime_support import FakeRuntimeSupport
from tests.unit.functions.conftest import Api, Retired, creation, package


def deployment(api: Api, qualifier: str | None = None) -> str:
    return api.plane.resolver.resolve("000000000000", "us-east-1", "f", qualifier).function.deployment_id


def archives(api: Api) -> set[str]:
    return set(api.plane.packages._blobs.list())


async def only(api: Api, digests: set[str]) -> None:
    """Wait until the collector has left exactly these packages."""
    deadline = time.monotonic() + 20
    while archives(api) != digests:
        assert time.monotonic() < deadline, f"{archives(api)} instead of {digests}"
        await asyncio.sleep(0.005)


async def test_deleting_retires_every_deployment(api: Api, retired: Retired) -> None:
    await api.created(Publish=True)
    await api.settled("f:1")
    expected = {deployment(api), deployment(api, "1")}
    await api("DeleteFunction", FunctionName="f")
    assert set(retired.deployments) == expected


async def test_deleting_a_version_retires_only_that(api: Api, retired: Retired) -> None:
    await api.created(Publish=True)
    await api.settled("f:1")
    expected = deployment(api, "1")
    await api("DeleteFunction", FunctionName="f", Qualifier="1")
    assert retired.deployments == [expected]


async def test_an_update_of_configuration_retires_the_old_deployment(api: Api, retired: Retired) -> None:
    await api.created()
    old = deployment(api)
    await api("UpdateFunctionConfiguration", FunctionName="f", Timeout=7)
    await api.settled()
    assert retired.deployments == [old]
    assert deployment(api) != old


async def test_publishing_retires_nothing(api: Api, retired: Retired) -> None:
    await api.created()
    before = deployment(api)
    await api("PublishVersion", FunctionName="f")
    assert retired.deployments == []
    assert deployment(api) == before != deployment(api, "1")


async def test_packages_of_deleted_code_are_collected(api: Api) -> None:
    await api.created()
    kept = archives(api)
    await api.created("g", Code={"ZipFile": package("2")})
    assert len(archives(api)) == 2
    await api("DeleteFunction", FunctionName="g")
    await only(api, kept)


async def test_a_package_that_an_environment_holds_outlives_its_function(api: Api) -> None:
    await api.created()
    (digest,) = archives(api)
    with api.plane.packages.hold(digest) as code_dir:
        await api("DeleteFunction", FunctionName="f")
        await api.created("g", Code={"ZipFile": package("2")})
        assert (code_dir / "app.py").exists()
        assert digest in archives(api)
    await only(api, archives(api) - {digest})


async def test_a_refused_creation_leaves_no_package(api: Api) -> None:
    await api.created()
    kept = archives(api)
    with pytest.raises(ApiError, match="already exist"):
        await api("CreateFunction", **creation("f", package("other")))
    await only(api, kept)


async def test_one_of_two_simultaneous_creations_wins(api: Api) -> None:
    outcomes = await asyncio.gather(
        api.create(Code={"ZipFile": package("a")}), api.create(Code={"ZipFile": package("b")}), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ApiError", "dict"]
    winner = next(outcome for outcome in outcomes if isinstance(outcome, dict))
    assert (await api.settled())["CodeSha256"] == winner["CodeSha256"]


async def test_a_creation_whose_client_hangs_up_is_whole_or_not_there(api: Api) -> None:
    for delay in range(12):
        call = asyncio.ensure_future(api.create(f"f{delay}", Code={"ZipFile": package(str(delay))}))
        for _ in range(delay):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    # A later creation has been through the same queues: what was begun has ended.
    await api.created("last")
    for function in api.plane.read_model:
        settled = await api.settled(function.latest.name)
        assert settled["State"] == "Active"
        assert (api.plane.packages.path(function.latest.code.sha256) / "app.py").exists()


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    data_dir = DataDir.open(tmp_path)
    replies: list[tuple[dict[str, Any], Mapping[str, Any]]] = []
    numbers: list[str] = []
    for _ in range(2):
        database = Database.open(data_dir.database)
        plane = ControlPlane(
            data_dir=data_dir, database=database, clock=SystemClock(), runtime_support=FakeRuntimeSupport()
        )
        plane.start()
        api = Api(plane)
        if not replies:
            await api.created(Publish=True, Tags={"a": "b"}, Environment={"Variables": {"KEY": "v"}})
            await api.settled("f:1")
            await api("UpdateFunctionConfiguration", FunctionName="f", Timeout=9)
            await api.settled()
        reply = dict(await api("GetFunction", FunctionName="f"))
        del reply["Code"]
        replies.append((reply, await api("ListVersionsByFunction", FunctionName="f")))
        numbers.append((await api("PublishVersion", FunctionName="f"))["Version"])
        await plane.close()
        await database.close()
    data_dir.close()
    assert numbers == ["2", "2"]
    before, after = replies[0][0]["Configuration"], replies[1][0]["Configuration"]
    assert before | {"RevisionId": after["RevisionId"]} == after
    assert replies[0][0]["Tags"] == replies[1][0]["Tags"]
    assert replies[0][1]["Versions"][1] == replies[1][1]["Versions"][1]


async def test_a_reset_drops_everything_and_starts_numbers_again(api: Api, retired: Retired) -> None:
    await api.created(Publish=True)
    await api.plane.reset()
    assert (await api("ListFunctions"))["Functions"] == []
    assert len(retired.deployments) == 2
    await only(api, set())
    assert (await api.create(Publish=True))["Version"] == "1"


async def test_a_store_that_cannot_write_refuses_and_changes_nothing(api: Api) -> None:
    await api.created()

    await api.plane._database.write(lambda c: c.execute(text("ALTER TABLE function_versions RENAME TO away")) and None)
    with pytest.raises(PlatformFault):
        await api("UpdateFunctionConfiguration", FunctionName="f", Timeout=7)
    assert (await api("GetFunctionConfiguration", FunctionName="f"))["Timeout"] == 3
    await api.plane._database.write(lambda c: c.execute(text("ALTER TABLE away RENAME TO function_versions")) and None)
    assert (await api("UpdateFunctionConfiguration", FunctionName="f", Timeout=7))["Timeout"] == 7
