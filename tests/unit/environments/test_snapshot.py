"""Snapshots on fakes: when they are taken, what restores tell, what becomes of those that cannot be taken or break."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from lambent.aws.errors import ApiError, PlatformFault
from lambent.environments.sandbox.ports import SandboxError
from lambent.environments.snapshots.snapshot import Snapshots
from lambent.functions.ports import Taken
from lambent.functions.records import FunctionVersion
from lambent.testing.manual_clock import ManualClock
from lambent.testing.scripted_runtime import Exit, FailInit, Hang, Next, Script, Send, WaitFor
from tests.unit.environments.kit import ECHO, Machine, function_version, until, within

TEMPLATE: Sequence[Script] = ((Hang(),),)
VERSION = function_version(version="1", snap_start=True)
OTHER = function_version(version="1", snap_start=True, name="other", deployment_id="deployment-2")


def first_is(script: Sequence[Script], others: Sequence[Script] = ECHO) -> Callable[[int], Sequence[Script]]:
    return lambda number: script if number == 0 else others


def names(machine: Machine) -> list[str]:
    """The first word of each line, in order."""
    return [line.split()[0] for line in machine.log.lines]


async def test_an_environment_is_restored_without_an_init_of_its_own() -> None:
    async with Machine(first_is(TEMPLATE)) as machine:
        outcome = await within(machine.pool.snapshots.take(VERSION))
        assert outcome.taken is Taken.YES
        assert (await machine.invoke(b'"x"', version=VERSION)).payload == b'"x"'
        template, environment = [stream.lines for stream in machine.log.streams.values()]
        assert template[0].startswith("INIT_START ")
        assert [line.split()[0] for line in environment] == [
            "RESTORE_START",
            "RESTORE_REPORT",
            "START",
            "END",
            "REPORT",
        ]
        assert "\tRestore Duration: " in environment[-1]
        assert "Init Duration" not in environment[-1]
        await until(lambda: machine.driver.restores == 2)  # One more waits.


async def test_a_restored_runtime_keeps_the_variables_that_it_has() -> None:
    async with Machine(first_is(TEMPLATE)) as machine:
        await within(machine.pool.snapshots.take(VERSION))
        await machine.invoke(version=VERSION)
        assert machine.driver.sandboxes[1].spec.command(machine.driver.sandboxes[1].layout).variables == {}
        assert machine.driver.sandboxes[0].spec.template
        assert not machine.driver.sandboxes[1].spec.template


async def test_what_is_in_the_way_is_told_and_environments_are_initialised() -> None:
    async with Machine(first_is(TEMPLATE)) as machine:
        machine.driver.obstacle = "the function has 2 threads"
        outcome = await within(machine.pool.snapshots.take(VERSION))
        assert (outcome.taken, outcome.reason) == (Taken.IMPOSSIBLE, "the function has 2 threads")
        await machine.invoke(version=VERSION)
        assert names(machine).count("INIT_START") == 2
        assert machine.driver.restores == 0
        assert machine.driver.sandboxes[0].stopped


ASKS = ((Send(b"GET /2018-06-01/runtime/restore/next HTTP/1.1\r\nHost: x\r\n\r\n"), Hang()),)


def needs_saving(number: int) -> Sequence[Script]:
    return (TEMPLATE, ASKS, ECHO)[min(number, 2)]


async def test_what_cannot_be_cloned_is_initialised_again_and_saved() -> None:
    async with Machine(needs_saving) as machine:
        machine.driver.obstacle, machine.driver.no_images = "the function has 2 threads", None
        outcome = await within(machine.pool.snapshots.take(VERSION))
        assert (outcome.taken, outcome.reason) == (Taken.YES, "by CRIU, because the function has 2 threads")
        assert machine.driver.sandboxes[0].stopped
        assert [(each.spec.template, each.spec.image) for each in machine.driver.sandboxes] == [
            (True, False),
            (False, True),
            (False, False),
        ]
        assert (await machine.invoke(b'"x"', version=VERSION)).payload == b'"x"'
        assert names(machine).count("INIT_START") == 2
        assert names(machine).count("RESTORE_REPORT") == 1


async def test_what_cannot_be_saved_either_tells_both_reasons_and_leaves_nothing() -> None:
    async with Machine(needs_saving) as machine:
        machine.driver.obstacle, machine.driver.no_images = "the function has 2 threads", None
        machine.driver.save_error = SandboxError("criu dump: status 1")
        outcome = await within(machine.pool.snapshots.take(VERSION))
        assert (outcome.taken, outcome.reason) == (
            Taken.IMPOSSIBLE,
            "the function has 2 threads, and criu dump: status 1",
        )
        await until(lambda: all(sandbox.stopped for sandbox in machine.driver.sandboxes))
        await machine.invoke(version=VERSION)
        assert machine.driver.restores == 0


@pytest.mark.parametrize(
    ("script", "code", "told"),
    [
        (((FailInit(),),), "FunctionError.RuntimeInitError", "Runtime.ImportModuleError: boom"),
        (((Exit(3),),), "FunctionError.RuntimeInitError", "exit status 3"),
    ],
)
async def test_a_failing_init_fails_the_version(script: Sequence[Script], code: str, told: str) -> None:
    async with Machine(first_is(script)) as machine:
        outcome = await within(machine.pool.snapshots.take(VERSION))
        assert (outcome.taken, outcome.code) == (Taken.FAILED, code)
        assert told in str(outcome.reason)
        assert machine.pool.snapshots.status(VERSION.deployment_id) is None


async def test_a_runtime_that_waits_for_no_restore_cannot_be_cloned() -> None:
    async with Machine(first_is(((Next(), Hang()),))) as machine:
        assert (await within(machine.pool.snapshots.take(VERSION))).taken is Taken.IMPOSSIBLE


async def test_a_runtime_client_of_another_kind_cannot_be_cloned() -> None:
    restore = b"GET /2018-06-01/runtime/restore/next HTTP/1.1\r\nHost: x\r\n\r\n"
    async with Machine(first_is(((Send(restore), WaitFor(asyncio.Event())),))) as machine:
        outcome = await within(machine.pool.snapshots.take(VERSION))
        assert outcome.taken is Taken.IMPOSSIBLE
        assert "runtime client" in str(outcome.reason)


async def test_a_failing_hook_after_the_restore_is_for_the_caller() -> None:
    body = b'{"errorMessage":"no","errorType":"ValueError"}'
    head = f"POST /2018-06-01/runtime/restore/error HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    head += "Lambda-Runtime-Function-Error-Type: Runtime.AfterRestoreError\r\n\r\n"
    async with Machine(first_is(TEMPLATE, ((Send(head.encode() + body), Hang()),))) as machine:
        await within(machine.pool.snapshots.take(VERSION))
        with pytest.raises(ApiError, match="afterRestore") as caught:
            await machine.invoke(version=VERSION)
        assert caught.value.code == "SnapStartException"
        assert any(line.endswith("Error Type: Runtime.AfterRestoreError\n") for line in machine.log.lines)


async def test_hooks_after_the_restore_have_ten_seconds() -> None:
    clock = ManualClock()
    async with Machine(first_is(TEMPLATE, ((Hang(),),)), clock=clock) as machine:
        await within(machine.pool.snapshots.take(VERSION))
        invocation = asyncio.create_task(machine.invoke(version=VERSION))
        await until(lambda: "RESTORE_START" in names(machine))
        await clock.advance(9)
        assert not invocation.done()
        await clock.advance(2)
        with pytest.raises(ApiError) as caught:
            await within(invocation)
        assert caught.value.code == "SnapStartTimeoutException"


async def test_a_version_that_goes_takes_its_template_and_the_waiting_copy() -> None:
    async with Machine(first_is(TEMPLATE)) as machine:
        await within(machine.pool.snapshots.take(VERSION))
        machine.pool.snapshots.retire(VERSION.deployment_id)
        await until(lambda: all(sandbox.stopped for sandbox in machine.driver.sandboxes))
        assert len(machine.driver.sandboxes) == 2


async def test_the_template_used_longest_ago_makes_room_and_comes_back_when_it_is_invoked() -> None:
    def scripts(number: int) -> Sequence[Script]:
        return TEMPLATE if number in (0, 2, 4) else ECHO

    async with Machine(scripts, snapshots=Snapshots(most=1)) as machine:
        await within(machine.pool.snapshots.take(VERSION))
        await within(machine.pool.snapshots.take(OTHER))
        await until(lambda: machine.driver.sandboxes[0].stopped)
        assert [_taken(machine, each) for each in (VERSION, OTHER)] == [Taken.YES, Taken.YES]
        await machine.invoke(version=VERSION)
        assert names(machine).count("INIT_START") == 3
        assert names(machine).count("RESTORE_START") == 1


def _taken(machine: Machine, version: FunctionVersion) -> Taken | None:
    status = machine.pool.snapshots.status(version.deployment_id)
    return status.taken if status is not None else None


async def test_a_template_that_does_not_clone_itself_any_more_costs_a_cold_start_and_no_loop() -> None:
    async with Machine(first_is(TEMPLATE)) as machine:
        await within(machine.pool.snapshots.take(VERSION))
        machine.driver.restore_error = SandboxError("the template did not clone itself")
        for number in range(3):
            await machine.invoke(version=VERSION)
            machine.environment.stop()
            await within(machine.environment.ended)
            assert names(machine).count("RESTORE_START") == 1, number
        # One at the publish, and one each for the second and third environment.
        assert names(machine).count("INIT_START") == 3


async def test_a_snapshot_that_cannot_be_restored_at_all_is_none() -> None:
    async with Machine(first_is(TEMPLATE)) as machine:
        machine.driver.restore_error = SandboxError("no cgroups")
        outcome = await within(machine.pool.snapshots.take(VERSION))
        assert outcome.taken is Taken.IMPOSSIBLE
        assert "no cgroups" in str(outcome.reason)


async def test_latest_has_no_snapshot() -> None:
    async with Machine() as machine:
        await machine.invoke(version=function_version(snap_start=True))
        assert names(machine)[0] == "INIT_START"
        assert machine.driver.restores == 0


async def test_a_template_stands_still_between_two_restores() -> None:
    async with Machine(first_is(TEMPLATE)) as machine:
        await within(machine.pool.snapshots.take(VERSION))
        template = machine.driver.sandboxes[0]
        await until(lambda: template.frozen)
        await machine.invoke(version=VERSION)
        await until(lambda: machine.driver.restores == 2)
        await until(lambda: template.frozen)
        assert template.freezes == 2


async def test_latest_is_forked_when_the_server_was_told_to() -> None:
    async with Machine(first_is(TEMPLATE), fork_latest=True) as machine:
        await machine.invoke(version=function_version())
        machine.environment.stop()
        await within(machine.environment.ended)
        await machine.invoke(version=function_version())
        assert names(machine).count("INIT_START") == 1
        assert names(machine).count("RESTORE_START") == 2
        machine.pool.snapshots.retire(function_version().deployment_id)
        await until(lambda: machine.driver.sandboxes[0].stopped)


async def test_an_init_that_nobody_wants_any_more_ends_and_one_at_the_end_of_the_server_is_no_failure() -> None:
    async with Machine(((WaitFor(asyncio.Event()),),)) as machine:
        taking = asyncio.create_task(machine.pool.snapshots.take(VERSION))
        await until(lambda: bool(machine.driver.sandboxes) and machine.driver.sandboxes[0].starts == 1)
        machine.pool.snapshots.retire(VERSION.deployment_id)
        assert (await within(taking)).taken is Taken.FAILED
        taking = asyncio.create_task(machine.pool.snapshots.take(VERSION))
        await until(lambda: len(machine.driver.sandboxes) == 2 and machine.driver.sandboxes[1].starts == 1)
        await machine.pool.snapshots.close()
        with pytest.raises(PlatformFault):
            await within(taking)


async def test_versions_published_at_the_same_time_are_no_more_templates_than_allowed() -> None:
    versions = [function_version(version="1", snap_start=True, deployment_id=f"d-{number}") for number in range(6)]
    async with Machine(lambda _: TEMPLATE, snapshots=Snapshots(most=2)) as machine:
        snapshots = machine.pool.snapshots
        outcomes = await within(asyncio.gather(*map(snapshots.take, versions)))
        assert {each.taken for each in outcomes} == {Taken.YES}
        assert snapshots.templates == 2
