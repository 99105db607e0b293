"""What the loop of provisioned concurrency does when the machine fails."""

import asyncio
import logging
from datetime import UTC, datetime

import pytest

from lambent.environments.provisioning import Provisioning
from lambent.environments.sandbox.ports import SandboxSpec
from lambent.functions.provisioned import Wanted
from lambent.testing.fake_sandbox import FakeSandbox
from tests.unit.environments.kit import Machine, function_version, until


async def test_a_sandbox_that_could_not_be_made_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    version = function_version(version="1")
    wanted = {version.deployment_id: Wanted(version, 1, datetime(2026, 11, 21, tzinfo=UTC))}
    async with Machine() as machine:
        create, failures = machine.driver.create, [OSError("no namespaces"), OSError("no namespaces")]

        async def sometimes(spec: SandboxSpec) -> FakeSandbox:
            if failures:
                raise failures.pop()
            return await create(spec)

        machine.driver.create = sometimes  # type: ignore[method-assign]
        provisioning = Provisioning(try_again_s=0.01)
        loop = asyncio.create_task(provisioning.run(machine.pool, lambda: wanted))
        await until(lambda: provisioning.progress(version.deployment_id).available == 1)
        assert not failures
        assert provisioning.progress(version.deployment_id).failure is None
        loop.cancel()


async def test_idle_environments_make_room_for_all_that_are_wanted_at_once() -> None:
    version = function_version(version="1", deployment_id="wanted")
    wanted = {version.deployment_id: Wanted(version, 3, datetime(2026, 11, 21, tzinfo=UTC))}
    async with Machine(max_environments=4) as machine:
        for number in range(4):
            await machine.invoke(version=function_version(name=f"idle-{number}", deployment_id=str(number)))
        await until(lambda: machine.in_use() == 0)
        # Longer than anybody waits here: not time brings the room, but the end of what was idle.
        provisioning = Provisioning(try_again_s=3600)
        loop = asyncio.create_task(provisioning.run(machine.pool, lambda: wanted))
        await until(lambda: provisioning.progress(version.deployment_id).available == 3)
        assert sum(not each.identity.provisioned for each in machine.pool.environments) == 1
        loop.cancel()
