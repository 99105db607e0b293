"""What all environments of a machine share, and whom they tell of themselves.

It holds and decides nothing: the pool makes it, each environment reads it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from lambent.core.clock import Clock
from lambent.environments.cold_starts import ColdStarts
from lambent.environments.memory_samples import MemorySamples
from lambent.environments.output import Turns
from lambent.environments.ports import AwsEndpoint, Meter, NetworkSource, NoMeter, NoTally, ProgramSource, Tally
from lambent.environments.prewarm import Obtained, Prewarm
from lambent.environments.sandbox.ports import NetworkSpec
from lambent.environments.start_gate import StartGate
from lambent.environments.telemetry.memory import Memory
from lambent.functions.quotas import Quotas
from lambent.functions.records import FunctionVersion

if TYPE_CHECKING:
    from lambent.environments.current import Current
    from lambent.environments.environment import Environment


class Keeper(Protocol):
    """Who is told when an environment is free again, or gone, or ends before it has begun."""

    def environment_ready(self, environment: "Environment") -> None: ...

    def environment_gone(self, environment: "Environment") -> None: ...

    def invocation_left(self, environment: "Environment", current: "Current") -> None:
        """Its runtime never got `current`: another environment can have it."""
        ...


Restore = Callable[[FunctionVersion], Awaitable[Obtained | None]]
"""A sandbox restored from the snapshot of a version; None when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all environments of a machine share."""

    prewarm: Prewarm
    restore: Restore
    cold_starts: ColdStarts
    programs: ProgramSource
    clock: Clock
    gate: StartGate
    keeper: Keeper
    memory_samples: MemorySamples
    aws_endpoint: AwsEndpoint | None
    quotas: Quotas = field(default_factory=Quotas)
    turns: Turns = field(default_factory=Turns)
    tally: Tally = field(default_factory=NoTally)
    networks: NetworkSource | None = None
    """None: all reach the internet."""
    telemetry: Memory = field(default_factory=Memory)
    meter: Meter = field(default_factory=NoMeter)

    async def network_of(self, version: FunctionVersion) -> NetworkSpec:
        return NetworkSpec(kind="internet") if self.networks is None else await self.networks.network_of(version)
