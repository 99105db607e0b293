"""Whatever happens in whatever order, every lease comes back and no environment is lost."""

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.aws.errors import ApiError, PlatformFault
from lambent.environments.request import InvokeResult
from lambent.environments.states import State
from lambent.testing.manual_clock import ManualClock, settle
from lambent.testing.scripted_runtime import Die, Exit, Fail, FailInit, Hang, Obey, Respond, Script, Send
from tests.unit.environments.kit import Machine, function_version

MOODS: dict[str, Script] = {
    "respond": (Respond(b'"fine"'),),
    "fail": (Fail(),),
    "exit": (Exit(1),),
    "answer and exit": (Respond(b'"fine"'), Exit(0)),
    "out of memory": (Die(9, out_of_memory=True),),
    "hang": (Hang(),),
    "answer and hang": (Respond(b'"fine"'), Hang()),
    "garbage": (Send(b"\x00\x01garbage\r\n\r\n"), Hang()),
}
INITS: dict[str, Script] = {
    "well": (Obey(MOODS),),
    "error": (FailInit(), Exit(1)),
    "exit": (Exit(3),),
    "hang": (Hang(),),
}


@dataclass(frozen=True)
class Invoke:
    deployment: int
    mood: str
    tail: bool


@dataclass(frozen=True)
class Cancel:
    which: int


@dataclass(frozen=True)
class Retire:
    deployment: int


@dataclass(frozen=True)
class Advance:
    seconds: float


@dataclass(frozen=True)
class Turn:
    """Let the loop run a little."""

    rounds: int


@dataclass(frozen=True)
class Sweep:
    pass


Step = Invoke | Cancel | Retire | Advance | Turn | Sweep
deployments = st.integers(0, 2)
steps = st.one_of(
    st.builds(Invoke, deployments, st.sampled_from(sorted(MOODS)), st.booleans()),
    st.builds(Invoke, deployments, st.sampled_from(sorted(MOODS)), st.booleans()),
    st.builds(Cancel, st.integers(0, 9)),
    st.builds(Retire, deployments),
    st.builds(Advance, st.sampled_from([0.005, 0.5, 3.0, 20.0])),
    st.builds(Turn, st.integers(0, 30)),
    st.just(Sweep()),
)
inits = st.lists(st.sampled_from(["well", "well", *INITS]), min_size=1, max_size=4)


@given(plan=st.lists(steps, min_size=4, max_size=30), starts=inits, capacity=st.integers(1, 4), limit=st.integers(1, 6))
@settings(max_examples=60, deadline=None)
async def test_leases_and_environments_are_never_lost(
    plan: list[Step], starts: list[str], capacity: int, limit: int
) -> None:
    clock = ManualClock()
    scripts = tuple(INITS[start] for start in starts)
    machine = Machine(
        lambda number: scripts, clock=clock, account_limit=limit, max_environments=capacity, idle_environment_s=10
    )
    callers: list[asyncio.Task[InvokeResult]] = []
    for step in plan:
        await take(step, machine, clock, callers)
        assert len(list(machine.pool.environments)) <= capacity
        assert machine.in_use() <= limit
    async with asyncio.timeout(20):
        while not quiet(machine, callers):
            await clock.advance(1)
    for caller in callers:
        check(caller)
    assert machine.in_use() == 0
    assert all(environment.state is State.READY for environment in machine.pool.environments)
    await machine.pool.close(5)
    assert not list(machine.pool.environments)
    assert all(sandbox.stopped for sandbox in machine.driver.sandboxes)
    assert all(stream.closed for stream in machine.log.streams.values())


async def take(step: Step, machine: Machine, clock: ManualClock, callers: list[asyncio.Task[InvokeResult]]) -> None:
    match step:
        case Invoke():
            version = function_version(deployment_id=f"deployment-{step.deployment}")
            work = machine.invoke(f'"{step.mood}"'.encode(), version=version, keep_tail=step.tail)
            callers.append(asyncio.create_task(work))
        case Cancel() if step.which < len(callers):
            callers[step.which].cancel()
        case Retire():
            machine.pool.retire(f"deployment-{step.deployment}")
        case Advance():
            await clock.advance(step.seconds)
        case Turn():
            await settle(step.rounds)
        case Sweep():
            machine.pool.sweep()
        case _:
            pass


def quiet(machine: Machine, callers: list[asyncio.Task[InvokeResult]]) -> bool:
    return (
        all(caller.done() for caller in callers)
        and machine.in_use() == 0
        and all(environment.state is State.READY for environment in machine.pool.environments)
    )


def check(caller: asyncio.Task[InvokeResult]) -> None:
    """Answered, throttled, or gone; never a bug."""
    if caller.cancelled():
        return
    error = caller.exception()
    if error is None:
        result = caller.result()
        assert result.payload
    else:
        assert isinstance(error, ApiError | PlatformFault), error
        if isinstance(error, PlatformFault):
            pytest.fail(f"a function's behaviour became our fault: {error}")
