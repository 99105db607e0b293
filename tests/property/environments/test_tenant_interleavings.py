"""Whatever is called, updated and killed in whatever order on a full machine, no sandbox ever sees a second tenant."""

import asyncio
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.aws.errors import ApiError, PlatformFault
from lambent.testing.manual_clock import settle
from lambent.testing.scripted_runtime import Echo
from tests.unit.environments.kit import Machine, function_version, within

CAPACITY = 3
TENANTS = (None, "blue", "green", "blue green")


@dataclass(frozen=True)
class Invoke:
    deployment: int
    tenant: int


@dataclass(frozen=True)
class Retire:
    deployment: int


@dataclass(frozen=True)
class Kill:
    which: int


@dataclass(frozen=True)
class Turn:
    rounds: int


Step = Invoke | Retire | Kill | Turn
invocations = st.builds(Invoke, st.integers(0, 1), st.integers(0, len(TENANTS) - 1))
steps = st.one_of(
    invocations,
    invocations,
    invocations,
    st.builds(Retire, st.integers(0, 1)),
    st.builds(Kill, st.integers(0, 9)),
    st.builds(Turn, st.integers(0, 30)),
)


@given(plan=st.lists(steps, min_size=5, max_size=30))
@settings(max_examples=40, deadline=None)
async def test_no_sandbox_sees_a_second_tenant(plan: list[Step]) -> None:
    async with Machine(((Echo(),),), max_environments=CAPACITY) as machine:
        running: list[asyncio.Task[str | None]] = []
        for step in plan:
            match step:
                case Invoke():
                    running.append(asyncio.create_task(_call(machine, step)))
                case Retire():
                    machine.pool.retire(f"deployment-{step.deployment}")
                case Kill():
                    environments = sorted(machine.pool.environments, key=lambda each: each.identity.environment_id)
                    if environments:
                        environments[step.which % len(environments)].stop()
                case Turn():
                    await settle(step.rounds)
        await within(asyncio.gather(*running))
        for sandbox in machine.driver.sandboxes:
            tenants = {
                event.headers.get("lambda-runtime-aws-tenant-id")
                for runtime in sandbox.runtimes
                for event in runtime.events
            }
            assert len(tenants) <= 1


async def _call(machine: Machine, step: Invoke) -> str | None:
    version = function_version(deployment_id=f"deployment-{step.deployment}", name=f"f{step.deployment}")
    try:
        await machine.invoke(version=version, tenant_id=TENANTS[step.tenant])
    except (ApiError, PlatformFault):
        # Killed while it had it.
        return None
    return TENANTS[step.tenant]
