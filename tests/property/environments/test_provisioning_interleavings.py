"""Whatever is wanted, called and killed in whatever order, in the end there is what is wanted and nothing else."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.environments.provisioning import Provisioning
from lambent.environments.states import State
from lambent.functions.provisioned import Wanted
from lambent.testing.manual_clock import settle
from lambent.testing.scripted_runtime import Echo
from tests.unit.environments.kit import Machine, function_version, until

CAPACITY = 5


@dataclass(frozen=True)
class Want:
    deployment: int
    executions: int


@dataclass(frozen=True)
class Kill:
    which: int


@dataclass(frozen=True)
class Invoke:
    deployment: int


@dataclass(frozen=True)
class Turn:
    rounds: int


@dataclass(frozen=True)
class Sweep:
    pass


Step = Want | Kill | Invoke | Turn | Sweep
deployments = st.integers(0, 1)
steps = st.one_of(
    st.builds(Want, deployments, st.integers(0, 2)),
    st.builds(Want, deployments, st.integers(0, 2)),
    st.builds(Kill, st.integers(0, 9)),
    st.builds(Invoke, deployments),
    st.builds(Turn, st.integers(0, 30)),
    st.just(Sweep()),
)


@given(plan=st.lists(steps, min_size=3, max_size=20))
@settings(max_examples=40, deadline=None)
async def test_there_is_what_is_wanted_and_nothing_else(plan: list[Step]) -> None:
    wanted: dict[str, Wanted] = {}
    provisioning = Provisioning()
    machine = Machine(((Echo(),),), max_environments=CAPACITY, idle_environment_s=-1.0)
    loop = asyncio.create_task(provisioning.run(machine.pool, lambda: dict(wanted)))
    callers = []
    for number, step in enumerate(plan):
        match step:
            case Want(deployment, executions):
                version = function_version(deployment_id=f"d{deployment}", version=str(deployment + 1))
                asked = datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=number)
                wanted[version.deployment_id] = Wanted(version, executions, asked)
                provisioning.changed()
            case Kill(which):
                # As when a sandbox ends: only those can, that are there.
                ready = [each for each in machine.pool.environments if each.state is State.READY]
                if ready:
                    ready[which % len(ready)].stop()
            case Invoke(deployment):
                version = function_version(deployment_id=f"d{deployment}", version=str(deployment + 1))
                callers.append(asyncio.create_task(machine.invoke(version=version)))
            case Turn(rounds):
                await settle(rounds)
            case Sweep():
                machine.pool.sweep()
        assert len(list(machine.pool.environments)) <= CAPACITY
    await asyncio.gather(*callers, return_exceptions=True)

    def there(deployment_id: str) -> bool:
        found = [
            each
            for each in machine.pool.environments
            if each.identity.provisioned and each.version.deployment_id == deployment_id and each.state is State.READY
        ]
        return len(found) == wanted[deployment_id].executions == provisioning.progress(deployment_id).available

    await until(lambda: all(there(deployment_id) for deployment_id in wanted))
    wanted.clear()
    provisioning.changed()
    machine.pool.sweep()
    await until(lambda: not list(machine.pool.environments) and not provisioning._deployments)
    assert not machine.pool._dismissed
    assert machine.in_use() == 0
    loop.cancel()
    await machine.pool.close(5)
    assert all(sandbox.stopped for sandbox in machine.driver.sandboxes)
