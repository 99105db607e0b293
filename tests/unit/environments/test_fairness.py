"""Who gets room on a full machine: one function that floods it leaves room to the others."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.aws.errors import ApiError
from lambent.environments.fairness import (
    Claim,
    Idle,
    gives_way,
    kept,
    may_grow,
    may_wait,
    reclaimed,
    turns,
)
from lambent.environments.states import State
from lambent.functions.quotas import Quotas
from lambent.functions.records import FunctionKey, FunctionVersion
from lambent.testing.manual_clock import ManualClock, settle
from lambent.testing.scripted_runtime import Echo, Next, Respond, WaitFor
from tests.unit.environments.kit import Machine, function_version, until, within


def key(name: str) -> FunctionKey:
    return FunctionKey("000000000000", "us-east-1", name)


def function(name: str, deployment: str = "1", **changes: object) -> FunctionVersion:
    return function_version(name=name, deployment_id=f"{name}-{deployment}", **changes)


A, B, C = key("a"), key("b"), key("c")


def test_places_go_to_the_function_with_fewest_and_then_to_who_came_first() -> None:
    claims = [Claim(A, 5, 2, 1.0), Claim(B, 2, 0, 9.0), Claim(C, 1, 1, 5.0)]
    assert turns(claims, 40, 64, 6) == [B, C, B, A, A, A]
    assert turns(claims, 40, 64, 1) == [B]
    assert turns([Claim(A, 1, 0, 2.0), Claim(B, 1, 0, 1.0)], 2, 2, 2) == [B, A]


@given(capacity=st.integers(1, 200), functions=st.integers(1, 12))
def test_however_many_functions_flood_the_machine_the_next_one_finds_a_place_first(
    capacity: int, functions: int
) -> None:
    free, holds = capacity, Counter[int]()
    for number in range(functions):
        if free > 0 and capacity >= 2**functions * 8:
            assert may_grow(0, free, capacity)
        while may_grow(holds[number], free, capacity):
            holds[number] += 1
            free -= 1
    assert free >= 0
    assert holds[0] >= capacity - kept(capacity)


def test_small_machines_keep_one_place_and_the_smallest_none() -> None:
    assert [kept(capacity) for capacity in (1, 3, 4, 15, 16, 64)] == [0, 0, 1, 1, 2, 8]


def test_lines_are_bounded_and_leave_places_to_others() -> None:
    own: Counter[str] = Counter()
    for name in ("a", "b", "c"):
        while may_wait(own[name], own.total(), 1000):
            own[name] += 1
    assert own == {"a": 500, "b": 250, "c": 125}


def test_a_function_gives_way_while_it_holds_two_more_or_in_turns() -> None:
    assert gives_way(3, Claim(B, 1, 1, 0.0), 0.0)
    assert not gives_way(2, Claim(B, 1, 1, 0.0), 100.0)
    assert gives_way(2, Claim(B, 1, 0, 0.0), 0.0)
    assert not gives_way(1, Claim(B, 1, 0, 1.0), 1.05)
    assert gives_way(1, Claim(B, 1, 0, 1.0), 1.15)


def test_what_is_stopped_first_is_idle_for_long_and_not_the_last_of_its_function() -> None:
    idle = [Idle(A, 1.0, False), Idle(B, 5.0, False), Idle(B, 4.0, False), Idle(C, 2.0, True), Idle(C, 3.0, True)]
    assert reclaimed(idle) == [2, 0, 1, 3, 4]


async def test_a_flood_of_a_slow_function_leaves_a_place_to_others() -> None:
    never = asyncio.Event()

    def scripts(number: int) -> tuple[tuple[Next | WaitFor | Echo, ...], ...]:
        return ((Next(), WaitFor(never)),) if number < 3 else ((Echo(),),)

    async with Machine(scripts, max_environments=4) as machine:
        flood = [asyncio.create_task(machine.invoke(version=function("slow"))) for _ in range(600)]
        await until(lambda: machine.in_use() == 503)
        for number in range(5):
            assert (await machine.invoke(b"1", version=function(f"quick-{number}"))).payload == b"1"
        assert sum(environment.version.name == "slow" for environment in machine.pool.environments) == 3
        refused = [call for call in flood if call.done()]
        assert len(refused) == 97
        assert {call.exception().members["Reason"] for call in refused} == {  # type: ignore[union-attr]
            "ConcurrentInvocationLimitExceeded"
        }
        for call in flood:
            call.cancel()
        await asyncio.gather(*flood, return_exceptions=True)


async def test_two_floods_leave_a_place_to_a_third_function() -> None:
    never = asyncio.Event()

    def scripts(number: int) -> tuple[tuple[Next | WaitFor | Echo, ...], ...]:
        return ((Next(), WaitFor(never)),) if number < 15 else ((Echo(),),)

    async with Machine(scripts, max_environments=16, account_limit=2000) as machine:
        floods = [asyncio.create_task(machine.invoke(version=function("first"))) for _ in range(300)]
        await until(lambda: machine.in_use() == 300)
        floods += [asyncio.create_task(machine.invoke(version=function("second"))) for _ in range(300)]
        await until(lambda: machine.in_use() == 600)
        await settle()
        assert Counter(each.version.name for each in machine.pool.environments) == {"first": 14, "second": 1}
        for number in range(3):
            assert (await machine.invoke(b"1", version=function(f"quick-{number}"))).payload == b"1"
        for call in floods:
            call.cancel()
        await asyncio.gather(*floods, return_exceptions=True)


async def test_who_holds_more_gives_way_and_afterwards_each_keeps_its_own() -> None:
    """Three places, all taken by one function whose callers do not end; then another's come."""
    async with Machine(((Echo(),),), max_environments=3) as machine:
        busy = [await machine.pool.acquire(function("a")) for _ in range(3)]
        waiting = {
            name: [asyncio.create_task(machine.pool.acquire(function(name))) for _ in range(4)] for name in ("a", "b")
        }
        await settle()
        machine.pool.environment_ready(busy[0])
        await until(lambda: any(call.done() for call in waiting["b"]))
        assert not any(call.done() for call in waiting["a"])
        machine.pool.environment_ready(busy[1])
        await until(lambda: any(call.done() for call in waiting["a"]))
        (taken,) = (call.result() for call in waiting["b"] if call.done())
        machine.pool.environment_ready(taken)
        await until(lambda: sum(call.done() for call in waiting["b"]) == 2)
        assert Counter(each.version.name for each in machine.pool.environments) == {"a": 2, "b": 1}
        for call in [*waiting["a"], *waiting["b"]]:
            call.cancel()


async def test_with_more_functions_than_places_they_take_turns() -> None:
    clock = ManualClock()
    async with Machine(clock=clock, max_environments=1) as machine:
        first = await machine.pool.acquire(function("a"))
        own = [asyncio.create_task(machine.pool.acquire(function("a"))) for _ in range(2)]
        other = asyncio.create_task(machine.pool.acquire(function("b")))
        await clock.advance(0.01)
        machine.pool.environment_ready(first)
        await until(own[0].done)
        await clock.advance(0.2)
        machine.pool.environment_ready(first)
        await until(other.done)
        assert first.state is State.STOPPED
        assert not own[1].done()
        own[1].cancel()


async def test_callers_of_one_function_are_served_in_order_of_arrival() -> None:
    go_on = asyncio.Event()
    script = (Next(), WaitFor(go_on), Respond(then_next=True), Respond(then_next=True), Respond(), Echo())
    async with Machine((script,), max_environments=1) as machine:
        done: list[bytes] = []

        async def invoke(payload: bytes) -> None:
            done.append((await machine.invoke(payload)).payload)

        callers = [asyncio.create_task(invoke(payload)) for payload in (b"1", b"2", b"3", b"4")]
        await until(lambda: machine.in_use() == 4)
        go_on.set()
        await within(asyncio.gather(*callers))
        assert done == [b"1", b"2", b"3", b"4"]


async def test_who_has_got_room_does_not_lose_it_to_a_long_init() -> None:
    clock, go_on = ManualClock(), asyncio.Event()

    def scripts(number: int) -> tuple[tuple[WaitFor | Echo, ...], ...]:
        return ((WaitFor(go_on), Echo()),) if number else ((Echo(),),)

    async with Machine(scripts, clock=clock, max_environments=1) as machine:
        await machine.invoke(version=function("a"))
        await until(lambda: machine.in_use() == 0)
        waiting = asyncio.create_task(machine.invoke(b"2", version=function("b")))
        await until(lambda: len(machine.driver.sandboxes) == 2 and machine.driver.sandboxes[1].starts == 1)
        await clock.advance(5)
        go_on.set()
        assert (await within(waiting)).payload == b"2"


async def test_new_environments_of_a_function_have_a_rate() -> None:
    clock = ManualClock()
    async with Machine(clock=clock, quotas=Quotas(environments_per_10_s=10)) as machine:
        busy = [await machine.pool.acquire(function("a")) for _ in range(10)]
        with pytest.raises(ApiError) as refused:
            await machine.invoke(version=function("a"))
        assert refused.value.members == {"Reason": "FunctionInvocationRateLimitExceeded", "Type": "User"}
        await machine.invoke(version=function("b"))
        machine.pool.environment_ready(busy.pop())
        await machine.invoke(version=function("a"))
        await clock.advance(1)
        await until(lambda: machine.in_use() == 0)
        busy += [await machine.pool.acquire(function("a")) for _ in range(2)]
        with pytest.raises(ApiError):
            await machine.pool.acquire(function("a"))


async def test_who_waits_for_room_is_told_when_its_function_starts_too_fast() -> None:
    async with Machine(max_environments=1, quotas=Quotas(environments_per_10_s=1), clock=ManualClock()) as machine:
        first = await machine.pool.acquire(function("a"))
        waiting = asyncio.create_task(machine.pool.acquire(function("a", "2")))
        await settle()
        machine.pool.environment_ready(first)
        with pytest.raises(ApiError) as refused:
            await within(waiting)
        assert refused.value.members["Reason"] == "FunctionInvocationRateLimitExceeded"


@pytest.mark.parametrize(("capacity", "places"), [(3, 0), (4, 1), (15, 1), (80, 10), (512, 64), (1_122, 64)])
def test_an_eighth_of_the_places_is_kept_but_no_more_than_a_large_machine_needs(capacity: int, places: int) -> None:
    assert kept(capacity) == places
