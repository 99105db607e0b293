"""The environments of this machine: hands out parked ones, starts new ones, retires and evicts.

A runtime parked in `/next` is the free slot. Within a deployment the one used last goes first (its memory is warm,
the others may age out). At capacity callers wait for a short time; whose turn it is, and who gives way, is decided by
`fairness`. It counts no concurrency: that is the lease that the caller already holds.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from lambent.aws.errors import ApiError, PlatformFault
from lambent.core import tasks
from lambent.core.clock import Clock
from lambent.core.limiter import Buckets, Rate
from lambent.environments import capacity, fairness
from lambent.environments.causes import Causes
from lambent.environments.cold_starts import Beginning, ColdStarts
from lambent.environments.current import Current
from lambent.environments.environment import Environment
from lambent.environments.events import Cause
from lambent.environments.identity import new_identity, slot_of
from lambent.environments.memory_samples import MemorySamples
from lambent.environments.ports import (
    AwsEndpoint,
    JournalSource,
    Meter,
    NetworkSource,
    NoMeter,
    NoTally,
    ProgramSource,
    Tally,
)
from lambent.environments.prewarm import Prewarm, Runtimes, Traffic
from lambent.environments.sandbox.ports import SandboxDriver
from lambent.environments.snapshots.snapshot import Snapshots
from lambent.environments.start_gate import StartGate
from lambent.environments.states import State
from lambent.environments.stock import OFF, Limits
from lambent.environments.surroundings import Surroundings
from lambent.environments.waiting import PLACES, Waiter, WaitingLine, no_room, too_fast
from lambent.functions.quotas import Quotas
from lambent.functions.records import LATEST, FunctionKey, FunctionVersion

SWEEP_EVERY_S = 5.0
STARTS_WINDOW_S = 10
"""In which a function may start as many environments as the quota says."""
STOP_LIMIT_S = 5.0
"""How long the end of what was told to stop is waited for."""


@dataclass(slots=True)
class _Deployment:
    """The environments that run one deployment of a function version, for one tenant where there are tenants."""

    parked: list[Environment] = field(default_factory=list)
    provisioned: list[Environment] = field(default_factory=list)
    """Parked too, but neither age nor somebody else's need ends these."""
    all: set[Environment] = field(default_factory=set)

    def take(self) -> Environment | None:
        """The parked one that was used last; never one that has lost its sandbox and is about to stop."""
        for line in (self.provisioned, self.parked):
            while line:
                if (environment := line.pop()).usable:
                    return environment
        return None

    def park(self, environment: Environment) -> None:
        (self.provisioned if environment.identity.provisioned else self.parked).append(environment)

    def remove(self, environment: Environment) -> bool:
        """Whether it was parked."""
        for line in (self.provisioned, self.parked):
            if environment in line:
                line.remove(environment)
                return True
        return False


class Pool:
    """A `Placement` on this machine. `run` is its background work, `close` its end."""

    def __init__(
        self,
        *,
        driver: SandboxDriver,
        programs: ProgramSource,
        journals: JournalSource,
        clock: Clock,
        meter: Meter | None = None,
        networks: NetworkSource | None = None,
        tally: Tally | None = None,
        aws_endpoint: AwsEndpoint | None = None,
        max_environments: int | None = None,
        idle_environment_s: float = 600.0,
        quotas: Quotas | None = None,
        prewarm: Limits = OFF,
        runtimes: Runtimes | None = None,
        snapshots: Snapshots | None = None,
        fork_latest: bool = False,
        available_memory: Callable[[], float] = capacity.available_memory,
        open_files: Callable[[], int] = capacity.open_files,
        open_files_limit: int | None = None,
        disk_is_low: Callable[[], bool] = lambda: False,
    ) -> None:
        self._journals = journals
        self._clock = clock
        self.cold_starts = ColdStarts()
        self.prewarm = Prewarm(
            driver, clock, prewarm, traffic=self._traffic, runtimes=runtimes, available_memory=available_memory
        )
        self.snapshots = snapshots or Snapshots()
        self._fork_latest = fork_latest
        self.snapshots.open(driver, journals, lambda: self._surroundings)
        self._gate = StartGate(clock, emptied=self.prewarm.look_again)
        self._surroundings = Surroundings(
            prewarm=self.prewarm,
            restore=self.snapshots.restore,
            cold_starts=self.cold_starts,
            programs=programs,
            clock=clock,
            gate=self._gate,
            keeper=self,
            memory_samples=MemorySamples(clock),
            aws_endpoint=aws_endpoint,
            networks=networks,
            tally=tally or NoTally(),
            quotas=quotas or Quotas(),
            meter=meter or NoMeter(),
        )
        self._open_files = open_files
        self._disk_is_low = disk_is_low
        self._files_limit = open_files_limit or capacity.open_files_limit()
        self._capacity = (
            min(max_environments, capacity.files_for(self._files_limit, 0, 0))
            if max_environments
            else capacity.max_environments(capacity.machine_memory_bytes(), self._files_limit)
        )
        self._idle_s = idle_environment_s
        self._available_memory = available_memory
        self._deployments: dict[str, _Deployment] = {}
        """By slot."""
        self._environments: set[Environment] = set()
        self._unbuilt: set[Environment] = set()
        """Those that may still have to open their descriptors."""
        limits = self._surroundings.quotas
        self._line = WaitingLine(
            clock,
            given_back=self.environment_ready,
            moved=self._serve_line,
            places=max(PLACES, limits.concurrent_executions),
        )
        starts = limits.environments_per_10_s
        self._start_rate = Rate.of(starts / STARTS_WINDOW_S, starts) if starts else None
        self._starts: Buckets[FunctionKey] = Buckets()
        self._retired: set[str] = set()
        self._dismissed: set[Environment] = set()
        self._freed: set[Callable[[], None]] = set()
        """Who is told when there is room again."""
        self._causes = Causes()
        self._ends: dict[Environment, Cause] = {}
        """Why those stop that were told to."""
        self._closing = False
        self._emptied: asyncio.Event = asyncio.Event()

    @property
    def capacity(self) -> int:
        """How many environments there can be at one time."""
        return self._capacity

    @property
    def environments(self) -> Iterable[Environment]:
        return self._environments

    @property
    def refused(self) -> int:
        """Callers who waited in vain for room, or found none to wait in."""
        return self._line.refused

    def take(self, version: FunctionVersion, tenant_id: str | None = None) -> Environment | None:
        """A parked environment in READY, which is the caller's to invoke or to give back by `environment_ready`."""
        deployment = self._deployments.get(slot_of(version, tenant_id))
        return None if deployment is None else deployment.take()

    async def acquire(self, version: FunctionVersion, tenant_id: str | None = None) -> Environment:
        """An environment in READY that nobody else has, and no other tenant had. Invoke it before your next `await`.

        Raises TooManyRequestsException when there is no room for a while, PlatformFault when no sandbox could be made.
        """
        if (environment := self.take(version, tenant_id)) is not None:
            return environment
        if self._closing:
            raise no_room()
        if tenant_id is not None:
            self._check_tenants(version)
        if self._line or not self._room() or not self._may_grow(version.key):
            return await self._line.wait(version, tenant_id)
        if not self._may_start(version.key):
            raise too_fast()
        return await self._started(self._launch(version, tenant_id))

    def retire(self, deployment_id: str) -> None:
        """This deployment is not invoked any more: parked environments stop, busy ones after their invocation."""
        for slot in [slot for slot in self._deployments if slot.partition(" ")[0] == deployment_id]:
            self._retired.add(slot)
            deployment = self._deployments[slot]
            for environment in [*deployment.provisioned, *deployment.parked]:
                self._stop_parked(environment, Cause.CHANGED)

    def deployed(self, runtime: str) -> None:
        """A function of this runtime was made or changed."""
        self.prewarm.deployed(runtime)

    def provision(
        self, version: FunctionVersion, missing: int = 1, freed: Callable[[], None] = lambda: None
    ) -> Environment | None:
        """Start an environment that is kept until `dismiss`; None while there is no room, which is then made for as
        many as are `missing`, and `freed` called when one place is there.

        Whoever asks awaits its Init and then calls `environment_ready`.
        """
        if self._closing:
            return None
        if not self._room():
            self._freed.add(freed)
            self._make_room(missing)
            return None
        return self._launch(version, provisioned=True)

    def dismiss(self, environment: Environment) -> None:
        """A provisioned environment is not wanted any more: it stops now, or after its Init or invocation."""
        if environment not in self._environments:
            return
        self._dismissed.add(environment)
        self._ends[environment] = Cause.LOWERED
        if self._is_parked(environment):
            self._stop_parked(environment, Cause.LOWERED)

    async def run(self) -> None:
        """Stop environments that were idle for too long, or whose memory is needed; until cancelled."""
        while True:
            await self._clock.sleep(SWEEP_EVERY_S)
            self.sweep()

    def sweep(self) -> None:
        oldest = self._clock.monotonic() - self._idle_s
        parked = self._parked_by_age()
        for environment in parked:
            if environment.idle_since <= oldest:
                self._stop_parked(environment, Cause.IDLE)
        parked = self._parked_by_age()
        for environment in parked[: capacity.idle_to_evict(len(parked), self._available_memory())]:
            self._stop_parked(environment, Cause.EVICTED)

    async def close(self, drain_s: float) -> None:
        """Start nothing more, let invocations end for `drain_s`, then stop everything."""
        self._closing = True
        self._line.refuse_all()
        await self.prewarm.close()
        for environment in list(self._environments):
            if self._is_parked(environment):
                self._stop_parked(environment, Cause.EVICTED)
        if not await self._empty_within(drain_s):
            for environment in list(self._environments):
                environment.stop()
            await self._empty_within(STOP_LIMIT_S)
        await self.snapshots.close()

    async def _empty_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while self._environments:
                    self._emptied.clear()
                    await self._emptied.wait()
        except TimeoutError:
            return False
        return True

    # Keeper: what environments report

    def environment_ready(self, environment: Environment) -> None:
        slot = environment.slot
        if self._closing or slot in self._retired or environment in self._dismissed:
            environment.stop()
            return
        if not self._line:
            self._deployments[slot].park(environment)
            return
        waiter = self._line.first(environment.version.key, slot)
        provisioned = environment.identity.provisioned
        if waiter is not None and (provisioned or not self._gives_way(environment)):
            self._line.serve(waiter)
            waiter.give(environment)
        elif waiter is None and (provisioned or self._room() or not self._next_turns(1, freed=1)):
            self._deployments[slot].park(environment)
        else:
            # Another function's turn: this environment makes room.
            self._ends[environment] = Cause.EVICTED
            environment.stop()
        self._serve_line()

    def environment_gone(self, environment: Environment) -> None:
        slot = environment.slot
        self._environments.discard(environment)
        self._dismissed.discard(environment)
        deployment = self._deployments[slot]
        deployment.all.discard(environment)
        deployment.remove(environment)
        end = self._ends.pop(environment, Cause.FAILED)
        if not deployment.all:
            self._causes.ended(environment.version, end, environment.identity.tenant_id)
            del self._deployments[slot]
            self._retired.discard(slot)
        self._emptied.set()
        self._serve_line()
        while self._freed:
            self._freed.pop()()

    def invocation_left(self, environment: Environment, current: Current) -> None:
        tasks.detach("an invocation for another environment", self._move(environment.version, current))

    # Inside

    async def _move(self, version: FunctionVersion, current: Current) -> None:
        try:
            environment = await self.acquire(version, current.request.tenant_id)
            environment.invoke(current.request, current.on_end, current)
        except (ApiError, PlatformFault) as error:
            current.refuse(error)

    async def _started(self, environment: Environment) -> Environment:
        try:
            await asyncio.shield(environment.started)
        except asyncio.CancelledError:
            # The caller went away; the environment is of use to the next one.
            environment.started.add_done_callback(lambda done: self._adopt(done, environment))
            raise
        return environment

    def _adopt(self, started: asyncio.Future[None], environment: Environment) -> None:
        if not started.cancelled() and started.exception() is None and environment.state is State.READY:
            self.environment_ready(environment)

    def _launch(
        self,
        version: FunctionVersion,
        tenant_id: str | None = None,
        *,
        provisioned: bool = False,
        asked_at: float | None = None,
    ) -> Environment:
        # Tenants have no memory in common, not even that of one Init.
        if (
            self._fork_latest
            and tenant_id is None
            and version.version == LATEST
            and version.runtime.startswith("python")
        ):
            version = replace(version, fork_latest=True)
            self.snapshots.expect(version)
        deployment = self._deployments.setdefault(slot_of(version, tenant_id), _Deployment())
        busy = len(deployment.all)
        cause = self._causes.started(version, busy=busy, provisioned=provisioned, tenant_id=tenant_id)
        identity = new_identity(version, self._clock.now(), provisioned=provisioned, tenant_id=tenant_id)
        environment = Environment(
            version,
            identity,
            self._journals.open(version, identity),
            self._surroundings,
            Beginning(self._clock, cause, busy, asked_at),
        )
        self._environments.add(environment)
        self._unbuilt.add(environment)
        environment.started.add_done_callback(lambda _: self._unbuilt.discard(environment))
        deployment.all.add(environment)
        tasks.detach(f"environment {identity.environment_id}", environment.run())
        return environment

    def _serve_line(self) -> None:
        """Give or start environments for those who wait, as far as there is room."""
        if not self._line or self._closing:
            return
        self._give_parked()
        room = self._room()
        idle = sum(len(deployment.parked) for deployment in self._deployments.values())
        order = self._next_turns(room + idle)
        for key in order[:room]:
            waiter = self._line.first(key)
            assert waiter is not None
            self._line.serve(waiter)
            if not self._may_start(key):
                waiter.refuse(too_fast())
                continue
            # It counts from now on; what follows is only the wait for its Init.
            environment = self._launch(waiter.version, waiter.tenant_id, asked_at=waiter.since)
            tasks.detach("environment for a waiting caller", self._hand_over(environment, waiter))
        if len(order) > room:
            self._make_room(len(order) - room)

    def _give_parked(self) -> None:
        """What is idle to those who can use it as it is."""
        for slot, deployment in self._deployments.items():
            while deployment.parked or deployment.provisioned:
                version = next(iter(deployment.all)).version
                waiter = self._line.first(version.key, slot)
                if waiter is None or (parked := deployment.take()) is None:
                    break
                self._line.serve(waiter)
                waiter.give(parked)

    def _next_turns(self, most: int, *, freed: int = 0, but: FunctionKey | None = None) -> list[FunctionKey]:
        """Who of those who wait gets the next places. `freed`: environments that would be stopped for it."""
        if not most or self._line.waits_only(but):
            return []
        claims = [claim for claim in self._line.claims(self._holds()) if claim.key != but]
        return fairness.turns(claims, self._free() + freed, self._capacity, most)

    def _gives_way(self, environment: Environment) -> bool:
        """Whether it is stopped for another function although its own has callers who wait."""
        own = environment.version.key
        turn = self._next_turns(1, freed=1, but=own)
        if not turn or self._room():
            return False
        holds = self._holds()
        other = next(claim for claim in self._line.claims(holds) if claim.key == turn[0])
        return fairness.gives_way(holds[own], other, self._clock.monotonic())

    def _may_grow(self, key: FunctionKey) -> bool:
        free = self._capacity - len(self._environments)
        # Most of the time there is plenty, and nothing has to be counted.
        if free > fairness.kept(self._capacity):
            return True
        return fairness.may_grow(self._holds()[key], self._free(), self._capacity)

    def _may_start(self, key: FunctionKey) -> bool:
        """Whether the rate of new environments allows one more of the function, which then counts."""
        return self._start_rate is None or self._starts.take(key, self._clock.monotonic(), self._start_rate)

    def _holds(self) -> "Counter[FunctionKey]":
        """Environments by function, without those that are stopping, and those that are provisioned."""
        return Counter(
            each.version.key
            for each in self._environments
            if not (each.identity.provisioned or _is_leaving(each, told=each in self._ends))
        )

    def _free(self) -> int:
        """Places that are empty, or will be, or are taken by what is idle and not provisioned."""
        idle = sum(len(deployment.parked) for deployment in self._deployments.values())
        leaving = sum(_is_leaving(each, told=each in self._ends) for each in self._environments)
        return self._capacity - len(self._environments) + idle + leaving

    async def _hand_over(self, environment: Environment, waiter: Waiter) -> None:
        try:
            await self._started(environment)
        except (ApiError, PlatformFault) as error:
            waiter.refuse(error)
            return
        if not waiter.give(environment):
            self.environment_ready(environment)

    def _check_tenants(self, version: FunctionVersion) -> None:
        """Environments of tenants are counted whether they work or not: each holds what belongs to one of them."""
        quotas = self._surroundings.quotas
        limit = quotas.tenant_environments_per_1000 * quotas.concurrent_executions // 1000
        scope = version.account, version.region
        held = (each for each in self._environments if each.identity.tenant_id is not None)
        if sum((each.version.account, each.version.region) == scope for each in held) >= limit:
            raise ApiError("TooManyRequestsException", "Rate exceeded", headers={"Retry-After": "1"})

    def _make_room(self, places: int) -> None:
        """Stop as many idle environments as are needed and not stopping already."""
        leaving = sum(_is_leaving(each, told=each in self._ends) for each in self._environments)
        parked = self._parked_by_age()
        idle = [fairness.Idle(each.version.key, each.idle_since, bool(each.domain.extensions.all)) for each in parked]
        for number in fairness.reclaimed(idle)[: max(0, places - leaving)]:
            self._stop_parked(parked[number], Cause.EVICTED)

    def _parked_by_age(self) -> list[Environment]:
        """The one that was idle longest first."""
        parked = (environment for deployment in self._deployments.values() for environment in deployment.parked)
        return sorted(parked, key=lambda environment: environment.idle_since)

    def _is_parked(self, environment: Environment) -> bool:
        deployment = self._deployments[environment.slot]
        return environment in deployment.parked or environment in deployment.provisioned

    def _room(self) -> int:
        """For how many more environments: by their number, the disk, and the descriptors of this process."""
        by_number = self._capacity - len(self._environments)
        if by_number <= 0 or self._disk_is_low():
            return 0
        return min(by_number, capacity.files_for(self._files_limit, self._open_files(), len(self._unbuilt)))

    def _traffic(self) -> Traffic:
        return Traffic(
            room=self._room(),
            invoking=any(environment.state is State.BUSY for environment in self._environments),
            starting=self._gate.passing_now,
            waiting=self._gate.waiting,
        )

    def _stop_parked(self, environment: Environment, why: Cause) -> None:
        self._ends[environment] = why
        self._deployments[environment.slot].remove(environment)
        environment.stop()


def _is_leaving(environment: Environment, *, told: bool) -> bool:
    """Whether its place will soon be free; one that works may take long."""
    return environment.state is State.STOPPING or (told and environment.state is not State.BUSY)
