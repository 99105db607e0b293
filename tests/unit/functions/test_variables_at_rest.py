"""Environment variables: encrypted in the store with a key of the data directory, and shown nowhere else."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from lambent.aws.errors import ApiError, PlatformFault
from lambent.core.clock import SystemClock
from lambent.functions.control_plane import ControlPlane
from lambent.store.database import Database
from lambent.store.datadir import DataDir
from lambent.store.vault import Vault, WrongKey
from lambent.testing.runtime_support import FakeRuntimeSupport
from tests.unit.functions.conftest import Api, package

SECRET = "correct-horse-battery-staple"
VARIABLES = {"Variables": {"SECRET_NAME": SECRET}}
ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"


@asynccontextmanager
async def running(root: Path) -> AsyncIterator[Api]:
    data_dir = DataDir.open(root)
    database = Database.open(data_dir.database)
    try:
        plane = ControlPlane(
            data_dir=data_dir, database=database, clock=SystemClock(), runtime_support=FakeRuntimeSupport()
        )
        try:
            plane.start()
            yield Api(plane)
        finally:
            await plane.close()
    finally:
        await database.close()
        data_dir.close()


def files_with(root: Path, what: str) -> list[str]:
    return [path.name for path in root.rglob("*") if path.is_file() and what.encode() in path.read_bytes()]


async def test_no_file_of_the_data_directory_holds_a_variable(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        await api.created(Environment=VARIABLES, Publish=True)
        await api("UpdateFunctionCode", FunctionName="f", ZipFile=package("2"))
        await api.settled()
        await api("UpdateFunctionConfiguration", FunctionName="f", Environment={"Variables": {"OTHER": SECRET * 2}})
        await api.settled()
        assert (tmp_path / "lambent.db-wal").exists()
        assert files_with(tmp_path, SECRET) == []
        assert files_with(tmp_path, "SECRET_NAME") == []
        await api("DeleteFunction", FunctionName="f")
    assert files_with(tmp_path, SECRET) == []


async def test_variables_are_there_after_a_restart_and_no_reason_to_publish(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        await api.created(Environment=VARIABLES)
        assert (await api("PublishVersion", FunctionName="f"))["Version"] == "1"
    async with running(tmp_path) as api:
        assert (await api("GetFunctionConfiguration", FunctionName="f"))["Environment"] == VARIABLES
        assert (await api("GetFunctionConfiguration", FunctionName="f:1"))["Environment"] == VARIABLES
        assert (await api("PublishVersion", FunctionName="f"))["Version"] == "1"
    assert files_with(tmp_path, SECRET) == []


async def test_records_in_plain_text_are_read_and_sealed_at_the_next_start(tmp_path: Path) -> None:
    """As the version before this wrote them, also one that fills pages of its own."""
    async with running(tmp_path) as api:
        await api.created(Description="d")

        def write_plain(connection: object) -> None:
            [record] = connection.execute(text("SELECT record FROM function_versions")).scalars()  # type: ignore[attr-defined]
            plain = json.dumps(json.loads(record) | {"variables": {"A": SECRET * 140}}, separators=(",", ":"))
            connection.execute(text("UPDATE function_versions SET record = :r, serving = :r"), {"r": plain})  # type: ignore[attr-defined]

        await api.plane._database.write(write_plain)
        assert files_with(tmp_path, SECRET) != []
    async with running(tmp_path) as api:
        reply = await api("GetFunctionConfiguration", FunctionName="f")
        assert reply["Environment"] == {"Variables": {"A": SECRET * 140}}
        # One more write is behind the one that seals.
        await api("UpdateFunctionConfiguration", FunctionName="f", Description="other")
        await api.settled()
    assert files_with(tmp_path, SECRET) == []


async def test_no_log_line_no_exception_and_no_repr_shows_a_variable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with running(tmp_path) as api:
        await api.created(Environment=VARIABLES)
        [function] = api.plane.read_model
        assert SECRET not in repr(function)
        await api.plane._database.write(lambda c: c.execute(text("DROP TABLE function_versions")) and None)
        with pytest.raises(PlatformFault) as broken:
            await api("UpdateFunctionConfiguration", FunctionName="f", Environment={"Variables": {"B": SECRET}})
        assert SECRET not in f"{broken.value} {broken.value.__cause__}"
        with pytest.raises(ApiError) as refused:
            await api("UpdateFunctionConfiguration", FunctionName="f", Timeout=901, Environment=VARIABLES)
        assert SECRET not in str(refused.value)
    assert SECRET not in caplog.text


async def test_another_key_is_one_line_that_says_what_is_missing(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        await api.created(Environment=VARIABLES)
    (tmp_path / "secrets" / "variables").unlink()
    with pytest.raises(WrongKey, match="secrets/variables back from your backup") as failure:
        async with running(tmp_path):
            pass
    assert ARN in str(failure.value)


def test_a_sealed_text_opens_for_its_owner_alone() -> None:
    vault = Vault(b"00" * 32)
    sealed = vault.seal(b"secret", ARN)
    assert vault.open(sealed, ARN) == b"secret"
    assert vault.seal(b"secret", ARN) != sealed
    with pytest.raises(WrongKey):
        vault.open(sealed, ARN + "2")
    with pytest.raises(WrongKey):
        Vault(b"11" * 32).open(sealed, ARN)
