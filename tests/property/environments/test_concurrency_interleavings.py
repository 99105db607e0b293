"""Calls that end, crash, time out or are given up while functions are updated, deleted and provisioned: no limit is
exceeded at any time, and in the end no lease, place or turn is left behind."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.aws.errors import ApiError
from lambent.environments.provisioning import Provisioning
from lambent.environments.request import InvokeResult
from lambent.environments.states import State
from lambent.functions.provisioned import Wanted
from lambent.functions.records import FunctionKey, FunctionVersion
from lambent.testing.manual_clock import ManualClock, settle
from lambent.testing.scripted_runtime import Die, Exit, Fail, FailInit, Hang, Obey, Respond, Script
from tests.unit.environments.kit import Machine, function_version

PLACE = ("000000000000", "us-east-1")
NAMES = ("a", "b", "c")
MOODS: dict[str, Script] = {
    "respond": (Respond(b'"fine"'),),
    "fail": (Fail(),),
    "exit": (Exit(1),),
    "killed": (Die(9, out_of_memory=True),),
    "hang": (Hang(),),
}
INITS: dict[str, Script] = {"well": (Obey(MOODS),), "error": (FailInit(), Exit(1)), "hang": (Hang(),)}


@dataclass(frozen=True)
class Invoke:
    name: str
    version: str
    mood: str


@dataclass(frozen=True)
class Cancel:
    which: int


@dataclass(frozen=True)
class Update:
    """Of `$LATEST`: what ran before is retired."""

    name: str


@dataclass(frozen=True)
class Delete:
    """The function, and with it its provisioned concurrency; it is made again at once."""

    name: str


@dataclass(frozen=True)
class Provision:
    name: str
    executions: int


@dataclass(frozen=True)
class Advance:
    seconds: float


@dataclass(frozen=True)
class Turn:
    rounds: int


Step = Invoke | Cancel | Update | Delete | Provision | Advance | Turn
names = st.sampled_from(NAMES)
steps = st.one_of(
    st.builds(Invoke, names, st.sampled_from(["$LATEST", "1"]), st.sampled_from(sorted(MOODS))),
    st.builds(Invoke, names, st.sampled_from(["$LATEST", "1"]), st.sampled_from(sorted(MOODS))),
    st.builds(Invoke, st.just("a"), st.just("1"), st.just("respond")),
    st.builds(Cancel, st.integers(0, 19)),
    st.builds(Update, names),
    st.builds(Delete, names),
    st.builds(Provision, names, st.integers(0, 2)),
    st.builds(Advance, st.sampled_from([0.005, 0.5, 3.0, 20.0])),
    st.builds(Turn, st.integers(0, 30)),
)


@dataclass
class World:
    """What a control plane would know."""

    limit: int
    numbers: dict[str, int]
    versions: dict[str, dict[str, int]] = field(default_factory=dict)
    wanted: dict[str, Wanted] = field(default_factory=dict)
    deployments: Counter[str] = field(default_factory=Counter)
    now: datetime = datetime(2026, 11, 21, tzinfo=UTC)

    def reserved(self, account: str, region: str) -> dict[str, int]:
        return self.numbers

    def provisioned(self, account: str, region: str) -> dict[str, dict[str, int]]:
        return self.versions

    def version(self, name: str, version: str) -> FunctionVersion:
        deployment = f"{name}-{version}-{self.deployments[name]}"
        return function_version(name=name, version=version, deployment_id=deployment)

    def provision(self, name: str, executions: int) -> None:
        """As the API would let it: within the reservation, or what nobody has reserved."""
        others = sum(sum(versions.values()) for other, versions in self.versions.items() if other != name)
        room = self.numbers.get(name, self.limit - sum(self.numbers.values()) - others)
        self.now += timedelta(seconds=1)
        version = self.version(name, "1")
        self.versions.pop(name, None)
        self.wanted.pop(version.deployment_id, None)
        if 0 < executions <= room:
            self.versions[name] = {"1": executions}
            self.wanted[version.deployment_id] = Wanted(version, executions, self.now)


@given(
    plan=st.lists(steps, min_size=4, max_size=40),
    starts=st.lists(st.sampled_from(["well", "well", "well", *INITS]), min_size=1, max_size=4),
    capacity=st.integers(1, 8),
    limit=st.integers(4, 12),
    numbers=st.dictionaries(names, st.integers(0, 2), max_size=2),
)
@settings(max_examples=60, deadline=None)
async def test_no_limit_is_exceeded_and_nothing_leaks(
    plan: list[Step], starts: list[str], capacity: int, limit: int, numbers: dict[str, int]
) -> None:
    clock, world = ManualClock(), World(limit, numbers)
    scripts = tuple(INITS[start] for start in starts)
    machine = Machine(
        lambda number: scripts, clock=clock, account_limit=limit, reservations=world, max_environments=capacity
    )
    provisioning = Provisioning(try_again_s=0.01)
    loop = asyncio.create_task(provisioning.run(machine.pool, lambda: dict(world.wanted)))
    callers: list[asyncio.Task[InvokeResult]] = []
    for step in plan:
        await take(step, machine, world, provisioning, clock, callers)
        check_limits(machine, world, capacity)
    async with asyncio.timeout(30):
        while not all(caller.done() for caller in callers) or machine.in_use():
            await clock.advance(1)
            check_limits(machine, world, capacity)
    check_counts(machine, callers)
    loop.cancel()
    await machine.__aexit__()
    assert not list(machine.pool.environments)
    assert (machine.pool._gate.passing_now, machine.pool._gate.waiting, len(machine.pool._line)) == (0, 0, 0)
    held = machine.concurrency._held.get(PLACE)
    assert held is None or not (held.all or held.by_function or held.by_version)
    assert all(sandbox.stopped for sandbox in machine.driver.sandboxes)


async def take(
    step: Step,
    machine: Machine,
    world: World,
    provisioning: Provisioning,
    clock: ManualClock,
    callers: list[asyncio.Task[InvokeResult]],
) -> None:
    match step:
        case Invoke(name, number, mood):
            call = machine.invoke(f'"{mood}"'.encode(), version=world.version(name, number))
            callers.append(asyncio.create_task(call))
        case Cancel(which) if which < len(callers):
            callers[which].cancel()
        case Update(name):
            machine.pool.retire(world.version(name, "$LATEST").deployment_id)
        case Delete(name):
            world.provision(name, 0)
            provisioning.changed()
            for number in ("$LATEST", "1"):
                machine.pool.retire(world.version(name, number).deployment_id)
            world.deployments[name] += 1
        case Provision(name, executions):
            world.provision(name, executions)
            provisioning.changed()
        case Advance(seconds):
            await clock.advance(seconds)
        case Turn(rounds):
            await settle(rounds)
        case _:
            pass


def check_limits(machine: Machine, world: World, capacity: int) -> None:
    in_use = {name: machine.concurrency.in_use_by(FunctionKey(*PLACE, name)) for name in NAMES}
    assert sum(in_use.values()) == machine.in_use()
    assert len(list(machine.pool.environments)) <= capacity
    for name, number in world.numbers.items():
        # What was given before more was set aside for a version goes on beside it.
        assert in_use[name] <= number + 2
    busy = Counter(each.version.name for each in machine.pool.environments if each.state is State.BUSY)
    for name in NAMES:
        assert busy[name] <= in_use[name]


def check_counts(machine: Machine, callers: list[asyncio.Task[InvokeResult]]) -> None:
    """Metrics say what happened: nothing twice, nothing not at all."""
    totals = machine.metrics.totals()
    errors = [caller.exception() for caller in callers if not caller.cancelled()]
    throttled = [error for error in errors if isinstance(error, ApiError) and "Reason" in error.members]
    assert all(error is None or isinstance(error, ApiError) for error in errors)
    assert (totals["Throttles"].sum if "Throttles" in totals else 0) == len(throttled)
    reports = sum(line.startswith("REPORT") for line in machine.log.lines)
    assert (totals["Invocations"].sum if "Invocations" in totals else 0) == reports
