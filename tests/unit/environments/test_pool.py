"""Which environment an invocation gets, and when one starts, waits, retires or goes."""

import asyncio

import pytest

from lambent.aws.errors import ApiError, PlatformFault
from lambent.environments.capacity import available_memory, files_for, idle_to_evict, max_environments, open_files
from lambent.environments.identity import log_stream_name
from lambent.environments.sandbox.ports import SandboxError, SandboxSpec
from lambent.environments.start_gate import HOLD_S, StartGate
from lambent.environments.states import State
from lambent.functions.quotas import Quotas
from lambent.functions.records import LoggingConfig
from lambent.testing.fake_sandbox import FakeSandbox
from lambent.testing.manual_clock import ManualClock, settle
from lambent.testing.scripted_runtime import Echo, Exit, Next, Respond, WaitFor
from tests.unit.environments.kit import Machine, function_version, until, within


async def test_concurrent_invocations_get_an_environment_each_and_share_them_afterwards() -> None:
    go_on = asyncio.Event()
    async with Machine(((Next(), WaitFor(go_on), Respond(b"1", then_next=True), Respond(), Echo()),)) as machine:
        running = [asyncio.create_task(machine.invoke()) for _ in range(3)]
        await until(lambda: sum(line.startswith("START") for line in machine.log.lines) == 3)
        go_on.set()
        assert [result.payload for result in await within(asyncio.gather(*running))] == [b"1"] * 3
        await until(lambda: machine.in_use() == 0)
        await machine.invoke()
        assert len(machine.driver.sandboxes) == 3


async def test_the_environment_used_last_is_used_next() -> None:
    async with Machine() as machine:
        first, second = await asyncio.gather(
            machine.pool.acquire(function_version()), machine.pool.acquire(function_version())
        )
        machine.pool.environment_ready(second)
        machine.pool.environment_ready(first)
        assert await machine.pool.acquire(function_version()) is first


async def test_a_new_deployment_never_gets_the_environment_of_the_old_one() -> None:
    async with Machine() as machine:
        await machine.invoke()
        await machine.invoke(version=function_version(deployment_id="deployment-2"))
        assert len(machine.driver.sandboxes) == 2


async def test_a_tenant_never_gets_the_environment_of_another_and_reuses_its_own() -> None:
    async with Machine() as machine:
        for tenant in ("blue", "green", "blue", None, "green"):
            await machine.invoke(tenant_id=tenant)
        assert sorted(str(each.identity.tenant_id) for each in machine.pool.environments) == ["None", "blue", "green"]


async def test_the_environments_of_all_tenants_retire_with_their_deployment() -> None:
    async with Machine() as machine:
        await machine.invoke(tenant_id="blue")
        await machine.invoke(tenant_id="green lantern")
        await machine.invoke(tenant_id="blue", version=function_version(deployment_id="deployment-10"))
        machine.pool.retire("deployment-1")
        await until(lambda: len(list(machine.pool.environments)) == 1)
        assert [each.version.deployment_id for each in machine.pool.environments] == ["deployment-10"]


async def test_who_waits_gets_no_environment_of_another_tenant() -> None:
    go_on = asyncio.Event()

    def scripts(number: int) -> tuple[tuple[Next | WaitFor | Respond | Echo, ...], ...]:
        return ((Next(), WaitFor(go_on), Respond(b"blue", then_next=True), Echo()) if number == 0 else (Echo(),),)

    async with Machine(scripts, max_environments=1) as machine:
        blue = asyncio.create_task(machine.invoke(tenant_id="blue"))
        await until(lambda: any(line.startswith("START") for line in machine.log.lines))
        green = asyncio.create_task(machine.invoke(tenant_id="green"))
        await until(lambda: machine.in_use() == 2)
        go_on.set()
        await within(asyncio.gather(blue, green))
        assert [each.identity.tenant_id for each in machine.pool.environments] == ["green"]


async def test_idle_environments_of_tenants_count_towards_their_limit() -> None:
    quotas = Quotas(concurrent_executions=2, tenant_environments_per_1000=1000)
    async with Machine(quotas=quotas) as machine:
        await machine.invoke(tenant_id="blue")
        await machine.invoke(tenant_id="green")
        await machine.invoke(tenant_id="blue")
        with pytest.raises(ApiError) as refused:
            await machine.invoke(tenant_id="red")
        assert (refused.value.code, refused.value.message) == ("TooManyRequestsException", "Rate exceeded")
        # A function without tenants is not concerned.
        await machine.invoke()


async def test_a_retired_deployment_stops_parked_environments_and_lets_busy_ones_finish() -> None:
    go_on = asyncio.Event()

    def scripts(number: int) -> tuple[tuple[Echo, ...], ...] | tuple[tuple[Next | WaitFor | Respond | Echo, ...], ...]:
        return ((Echo(),),) if number else ((Next(), WaitFor(go_on), Respond(b"busy"), Echo()),)

    async with Machine(scripts) as machine:
        busy = asyncio.create_task(machine.invoke())
        await until(lambda: any(line.startswith("START") for line in machine.log.lines))
        await machine.invoke()
        await until(lambda: machine.in_use() == 1)
        machine.pool.retire("deployment-1")
        await until(lambda: machine.driver.sandboxes[1].stopped)
        assert not machine.driver.sandboxes[0].stopped
        go_on.set()
        assert (await within(busy)).payload == b"busy"
        await until(lambda: machine.driver.sandboxes[0].stopped and not list(machine.pool.environments))


async def test_an_environment_idle_for_too_long_is_stopped() -> None:
    clock = ManualClock()
    async with Machine(clock=clock, idle_environment_s=60) as machine:
        await machine.invoke()
        await until(lambda: machine.in_use() == 0)
        await clock.advance(59)
        machine.pool.sweep()
        assert list(machine.pool.environments)
        await clock.advance(2)
        machine.pool.sweep()
        await until(lambda: not list(machine.pool.environments))
        assert machine.driver.sandboxes[0].stopped


async def test_at_capacity_an_idle_environment_of_another_function_makes_room() -> None:
    async with Machine(max_environments=1) as machine:
        await machine.invoke()
        await until(lambda: machine.in_use() == 0)
        assert (await machine.invoke(b"2", version=function_version(deployment_id="other"))).payload == b"2"
        assert machine.driver.sandboxes[0].stopped


async def test_at_capacity_callers_wait_in_order_and_get_the_environment_that_is_freed() -> None:
    go_on = asyncio.Event()
    async with Machine(
        ((Next(), WaitFor(go_on), Respond(b"1", then_next=True), Respond(then_next=True), Respond(), Echo()),),
        max_environments=1,
    ) as machine:
        done: list[bytes] = []

        async def invoke(payload: bytes) -> None:
            done.append((await machine.invoke(payload)).payload)

        callers = [asyncio.create_task(invoke(payload)) for payload in (b"1", b"2", b"3")]
        await until(lambda: machine.in_use() == 3)
        go_on.set()
        await within(asyncio.gather(*callers))
        assert done == [b"1", b"2", b"3"]
        assert len(machine.driver.sandboxes) == 1


async def test_who_waits_too_long_for_room_is_throttled() -> None:
    clock = ManualClock()
    never = asyncio.Event()
    async with Machine(((Next(), WaitFor(never)),), max_environments=1, clock=clock) as machine:
        busy = asyncio.create_task(machine.invoke(version=function_version(timeout_s=900)))
        await until(lambda: any(line.startswith("START") for line in machine.log.lines))
        waiting = asyncio.create_task(machine.invoke())
        await until(lambda: machine.in_use() == 2)
        await clock.advance(3.1)
        with pytest.raises(ApiError) as refused:
            await within(waiting)
        assert refused.value.code == "TooManyRequestsException"
        assert refused.value.members["Reason"] == "ConcurrentInvocationLimitExceeded"
        assert machine.in_use() == 1
        busy.cancel()


async def test_a_sandbox_that_cannot_be_made_is_our_fault_and_leaves_nothing() -> None:
    async with Machine() as machine:

        async def refuse(spec: SandboxSpec) -> FakeSandbox:
            raise OSError("no namespaces")

        machine.driver.create = refuse  # type: ignore[method-assign]
        with pytest.raises(PlatformFault):
            await machine.invoke()
        assert machine.in_use() == 0
        assert not list(machine.pool.environments)


async def test_close_waits_for_running_invocations_and_refuses_new_ones() -> None:
    go_on = asyncio.Event()
    async with Machine(((Next(), WaitFor(go_on), Respond(b"1"), Echo()),)) as machine:
        running = asyncio.create_task(machine.invoke())
        await until(lambda: any(line.startswith("START") for line in machine.log.lines))
        closing = asyncio.create_task(machine.pool.close(5))
        await asyncio.sleep(0)
        with pytest.raises(ApiError):
            await machine.invoke()
        go_on.set()
        assert (await within(running)).payload == b"1"
        await within(closing)
        assert machine.driver.sandboxes[0].stopped


async def test_a_caller_who_leaves_during_init_leaves_a_warm_environment() -> None:
    go_on = asyncio.Event()
    async with Machine(((WaitFor(go_on), Echo()),)) as machine:
        caller = asyncio.create_task(machine.invoke())
        await until(lambda: bool(machine.driver.sandboxes) and machine.driver.sandboxes[0].starts == 1)
        caller.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert machine.in_use() == 0
        await until(lambda: machine.environment.state is State.READY)
        await settle()
        await machine.invoke()
        assert len(machine.driver.sandboxes) == 1


def test_log_streams_are_named_like_lambdas() -> None:
    assert log_stream_name(function_version(), "2026/11/20", "ab" * 16) == f"2026/11/20/[$LATEST]{'ab' * 16}"
    shared = function_version(logging=LoggingConfig("/shared"), version="7")
    assert log_stream_name(shared, "2026/11/20", "ab" * 16) == f"2026/11/20/thumbnail[7][{'ab' * 16}]"


async def test_when_memory_is_low_the_environments_idle_longest_go() -> None:
    available = [0.5]
    async with Machine(available_memory=lambda: available[0]) as machine:
        for number in range(5):
            await machine.invoke(version=function_version(deployment_id=str(number)))
        await until(lambda: machine.in_use() == 0)
        machine.pool.sweep()
        assert len(list(machine.pool.environments)) == 5
        available[0] = 0.05
        machine.pool.sweep()
        await until(lambda: len(list(machine.pool.environments)) == 4)
        assert machine.driver.sandboxes[0].stopped


async def test_a_burst_of_cold_starts_goes_a_few_at_a_time() -> None:
    clock = ManualClock()
    gate = StartGate(clock, places=2)
    inside: list[int] = []
    go_on = asyncio.Event()

    async def start(number: int) -> None:
        async with gate.passing(function_version().key):
            inside.append(number)
            await go_on.wait()

    starts = [asyncio.create_task(start(number)) for number in range(5)]
    await settle()
    assert inside == [0, 1]
    await clock.advance(HOLD_S)
    assert inside == [0, 1, 2, 3]
    go_on.set()
    await within(asyncio.gather(*starts))
    assert inside == [0, 1, 2, 3, 4]


async def test_among_cold_starts_the_function_with_fewest_goes_first() -> None:
    gate = StartGate(ManualClock(), places=2)
    inside: list[str] = []
    leave: dict[str, asyncio.Event] = {}

    async def start(name: str) -> None:
        leave[name] = asyncio.Event()
        async with gate.passing(function_version(name=name[0]).key):
            inside.append(name)
            await leave[name].wait()

    starts = [asyncio.create_task(start(name)) for name in ("a1", "a2", "a3", "a4", "b1", "c1", "c2")]
    await settle()
    assert inside == ["a1", "a2"]
    starts[5].cancel()
    for name in ("a1", "a2", "b1", "a3", "c2", "a4"):
        leave[name].set()
        await settle()
    assert inside == ["a1", "a2", "b1", "a3", "c2", "a4"]
    assert (gate.passing_now, gate.waiting) == (0, 0)
    await within(asyncio.gather(*starts, return_exceptions=True))


async def test_a_start_that_is_given_up_as_its_turn_comes_leaves_its_place_to_the_next() -> None:
    gate = StartGate(ManualClock(), places=1)
    inside: list[int] = []
    go_on = asyncio.Event()

    async def start(number: int) -> None:
        async with gate.passing(function_version().key):
            inside.append(number)
            await go_on.wait()

    starts = [asyncio.create_task(start(number)) for number in range(3)]
    await settle()
    go_on.set()
    await until(starts[0].done)
    starts[1].cancel()
    await within(asyncio.gather(*starts, return_exceptions=True))
    assert inside == [0, 2]
    assert (gate.passing_now, gate.waiting) == (0, 0)


async def test_an_environment_that_cannot_be_killed_is_given_up_but_its_caller_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lambent.environments.runtime_domain.KILL_LIMIT_S", 0.01)
    async with Machine(((Next(), Exit(1)),)) as machine:
        acquired = await machine.pool.acquire(function_version())
        never = asyncio.Event()
        sandbox = machine.driver.sandboxes[0]
        monkeypatch.setattr(sandbox, "kill", never.wait)
        machine.pool.environment_ready(acquired)
        assert (await machine.invoke()).error_type == "Runtime.ExitError"
        await until(lambda: not list(machine.pool.environments))
        assert sandbox.stopped


@pytest.mark.parametrize("in_time", [True, False], ids=["before the reset", "while it resets"])
async def test_an_invocation_that_meets_a_lost_sandbox_gets_another_environment(
    monkeypatch: pytest.MonkeyPatch, in_time: bool
) -> None:
    noticed, killed = asyncio.Event(), asyncio.Event()
    monkeypatch.setattr("lambent.environments.runtime_domain.what_was_sent_is_read", noticed.wait)

    async def kill() -> bool:
        await killed.wait()
        return False

    async with Machine() as machine:
        await machine.invoke()
        await until(lambda: machine.in_use() == 0)
        sandbox = machine.driver.sandboxes[0]
        monkeypatch.setattr(sandbox, "kill", kill)
        sandbox.end_runtime()
        await within(machine.environment.domain.api.drained())
        if in_time:
            meeting = asyncio.create_task(machine.invoke(b"2"))
            await until(lambda: machine.in_use() == 1)
            noticed.set()
        else:
            noticed.set()
            await until(lambda: not machine.environment.domain.initialised)
            meeting = asyncio.create_task(machine.invoke(b"2"))
            await until(lambda: machine.in_use() == 1)
        killed.set()
        result = await within(meeting)
        assert (result.payload, result.error_type) == (b"2", None)
        await until(lambda: machine.in_use() == 0)
        assert sandbox.stopped
        assert len(machine.driver.sandboxes) == 2


async def test_a_sandbox_that_is_lost_after_a_failed_init_costs_no_invocation(monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone() -> None:
        raise SandboxError("the sandbox ended by itself")

    def scripts(number: int) -> tuple[tuple[Exit | Echo, ...], ...]:
        return ((Echo(),),) if number else ((Exit(1),), (Exit(1),))

    async with Machine(scripts) as machine:
        assert (await machine.invoke()).error_type == "Runtime.ExitError"
        await until(lambda: machine.in_use() == 0)
        monkeypatch.setattr(machine.driver.sandboxes[0], "start", gone)
        assert (await machine.invoke(b"2")).payload == b"2"
        await until(lambda: machine.in_use() == 0)
        assert len(machine.driver.sandboxes) == 2


async def test_when_each_environment_loses_its_sandbox_the_caller_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    start = FakeSandbox.start

    async def lost(sandbox: FakeSandbox) -> None:
        if sandbox.starts:
            raise SandboxError("the sandbox ended by itself")
        await start(sandbox)

    monkeypatch.setattr(FakeSandbox, "start", lost)
    async with Machine(((Exit(1),),)) as machine:
        with pytest.raises(PlatformFault, match="has lost its sandbox"):
            await machine.invoke()
        await until(lambda: machine.in_use() == 0)
        assert len(machine.driver.sandboxes) == 4
        await until(lambda: not list(machine.pool.environments))


def test_the_capacity_of_a_machine_follows_memory_and_descriptors() -> None:
    assert max_environments(8 * 1024**3, 100_000) == 64
    assert max_environments(8 * 1024**3, 1024) == 48
    assert max_environments(1, 1) == 4


def test_for_how_many_environments_descriptors_suffice() -> None:
    assert files_for(20_000, 1_000, 0) == 1_059
    assert files_for(20_000, 1_000, 1_000) == 59
    assert files_for(20_000, 17_960, 0) == 0
    assert files_for(64, 0, 0) == 3
    assert files_for(64, 0, 5) == 0
    assert 3 <= open_files() < 10_000


async def test_before_descriptors_run_out_callers_wait_for_room_and_are_then_throttled() -> None:
    clock, used = ManualClock(), [10]
    async with Machine(clock=clock, open_files_limit=64, open_files=lambda: used[0]) as machine:
        await machine.invoke()
        await until(lambda: machine.in_use() == 0)
        used[0] = 40
        waiting = asyncio.create_task(machine.invoke(version=function_version(deployment_id="other")))
        await until(lambda: machine.driver.sandboxes[0].stopped)
        await until(lambda: not list(machine.pool.environments))
        await clock.advance(3.1)
        with pytest.raises(ApiError) as refused:
            await within(waiting)
        assert refused.value.code == "TooManyRequestsException"
        used[0] = 10
        assert (await machine.invoke(b"2")).payload == b"2"
        assert machine.pool.refused == 1


async def test_on_a_full_disk_idle_environments_go_and_callers_are_throttled() -> None:
    clock, low = ManualClock(), [False]
    async with Machine(clock=clock, disk_is_low=lambda: low[0]) as machine:
        await machine.invoke()
        await until(lambda: machine.in_use() == 0)
        low[0] = True
        assert (await machine.invoke(b"2")).payload == b"2", "who is there already goes on"
        await until(lambda: machine.in_use() == 0)
        waiting = asyncio.create_task(machine.invoke(version=function_version(deployment_id="other")))
        await until(lambda: machine.driver.sandboxes[0].stopped)
        await clock.advance(3.1)
        with pytest.raises(ApiError, match="Rate Exceeded"):
            await within(waiting)
        low[0] = False
        assert (await machine.invoke(b"3")).payload == b"3"


async def test_a_burst_does_not_promise_the_same_descriptors_twice() -> None:
    async with Machine(open_files_limit=128, open_files=lambda: 16) as machine:
        burst = [asyncio.create_task(machine.pool.acquire(function_version())) for _ in range(8)]
        await until(lambda: sum(task.done() for task in burst) == 5)
        assert len(machine.driver.sandboxes) == 5
        for task in burst:
            task.cancel()
        await asyncio.gather(*burst, return_exceptions=True)


def test_memory_pressure_takes_a_quarter_of_the_idle() -> None:
    assert [idle_to_evict(idle, 0.05) for idle in (0, 1, 3, 40)] == [0, 1, 1, 10]
    assert idle_to_evict(40, 0.2) == 0
    assert 0 < available_memory() <= 1
