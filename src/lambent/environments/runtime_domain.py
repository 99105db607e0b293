"""The runtime domain of an environment: its sandbox, the runtime process in it, and what is attached to both.

Starts, measures, freezes and kills; reads output; serves the Runtime API and the AWS endpoint inside. It knows
nothing of invocations: the environment decides when. A domain outlives its runtime processes (Reset).
"""

import asyncio
import logging
import math
from collections.abc import Callable

from lambent.core.clock import Clock
from lambent.environments.alarm import Alarm
from lambent.environments.events import Status
from lambent.environments.init import InitEnd, Initialisation
from lambent.environments.output import Output, Turns
from lambent.environments.ports import (
    AwsEndpoint,
    Closer,
    EnvironmentIdentity,
    NetworkSpec,
    ProcessExit,
    Program,
    Sandbox,
    SandboxSpec,
)
from lambent.environments.runtime_api import RuntimeApi, RuntimeEvents
from lambent.environments.telemetry.stream import Stream
from lambent.functions.records import FunctionVersion

logger = logging.getLogger(__name__)

KILL_LIMIT_S = 10.0
"""A tree that cannot be killed in this time costs the environment."""
DRAIN_LIMIT_S = 1.0
"""How long the last bytes of a dead runtime may take to arrive."""
FULL_CPU_S = 10.0
"""Of an Init. One inside an invocation may take as long as that: it must not have the machine for 15 minutes."""

MEGABYTE = 1024 * 1024
CPU_PER_MB = 1 / 1769


class RuntimeDomain:
    """Around a sandbox that was just made, until `close`. One coroutine owns it; `api`, `output`, `freeze`, `thaw` and
    `max_memory_mb` are also for the warm path."""

    def __init__(
        self,
        *,
        version: FunctionVersion,
        identity: EnvironmentIdentity,
        sandbox: Sandbox,
        journal: Stream,
        clock: Clock,
        events: RuntimeEvents,
        exited: Callable[[], None],
        turns: Turns,
        max_response_bytes: int,
    ) -> None:
        self.initialised = False
        """A runtime is up and past its Init."""
        self.frozen = False
        self.starting: Initialisation | None = None
        """The Init that runs now."""
        self.api = RuntimeApi(events, max_response_bytes)
        self.output = Output(sandbox.output_fd, lambda line: journal.output(clock.epoch_ms(), line), turns)
        self._identity = identity
        self._memory_mb = version.memory_mb
        self._sandbox = sandbox
        self._journal = journal
        self._clock = clock
        self._told_exit = exited
        self._exit: asyncio.Task[ProcessExit] | None = None
        self._endpoints: list[Closer] = []

    @property
    def network_missing(self) -> str | None:
        return self._sandbox.network_missing

    async def serve(self, aws_endpoint: AwsEndpoint | None) -> None:
        """Accept connections from inside."""
        await self.api.serve(self._sandbox.runtime_api)
        if aws_endpoint is not None:
            for listener in self._sandbox.aws_endpoint:
                self._endpoints.append(await aws_endpoint.serve(listener, self._identity.credentials))

    async def initialise(self, limit_s: float) -> InitEnd:
        """Start the runtime and wait until it asks for an event. After a failure no process is left."""
        self.api.restart()
        # AWS gives Init the full CPU, for ten seconds; the share of the function's memory holds from then on.
        self._sandbox.limit_cpu(None)
        share = Alarm(self._clock, self._limit_cpu)
        init = self.starting = Initialisation(self._clock)
        try:
            await self._sandbox.start()
            init.process_started()
            self._exit = asyncio.get_running_loop().create_task(self._watch_exit())
            share.set(self._clock.monotonic() + FULL_CPU_S)
            end = await init.wait(self._exit, limit_s)
            if end.status is not Status.SUCCESS:
                await self.kill()
                end = init.explain(end, out_of_memory=self.out_of_memory())
        finally:
            share.close()
            self.starting = None
        await self.output.emptied()
        if end.status is Status.SUCCESS:
            self._limit_cpu()
            self.initialised = True
        return end

    def _limit_cpu(self) -> None:
        self._sandbox.limit_cpu(self._memory_mb * CPU_PER_MB)

    async def _watch_exit(self) -> ProcessExit:
        end = await self._sandbox.exited()
        self._told_exit()
        return end

    @property
    def exit(self) -> ProcessExit | None:
        """How the runtime process ended that was started last, once it has."""
        return self._exit.result() if self._exit is not None and self._exit.done() else None

    async def kill(self) -> bool:
        """End every process of the function and read what they still said. False when the sandbox is of no more use:
        they would not end, or it has ended with them."""
        self.thaw()
        self.initialised = False
        # A throttled tree dies slowly: 3.7 s were measured for one at 14 % of a CPU.
        self._sandbox.limit_cpu(None)
        try:
            async with asyncio.timeout(KILL_LIMIT_S):
                usable = await self._sandbox.kill()
        except TimeoutError:
            logger.error("Environment %s cannot be killed and is given up", self._identity.environment_id)
            return False
        try:
            async with asyncio.timeout(DRAIN_LIMIT_S):
                await self.api.drained()
        except TimeoutError:
            pass
        await self.output.emptied()
        self.output.finish()
        return usable

    def freeze(self) -> None:
        if not self.frozen:
            self._sandbox.freeze()
            self.frozen = True
            self._journal.freeze()

    def thaw(self) -> None:
        if self.frozen:
            self._sandbox.thaw()
            self.frozen = False
            self._journal.thaw()

    def out_of_memory(self) -> bool:
        return self._sandbox.out_of_memory()

    def sample_memory(self) -> None:
        """Let the sandbox see the present; it keeps the peak."""
        self._sandbox.memory_peak_bytes()

    def max_memory_mb(self, *, failed: bool) -> int:
        """The peak in whole megabytes, rounded up; the limit itself after the kernel has enforced it."""
        limit_mb = self._memory_mb
        peak_mb = math.ceil(self._sandbox.memory_peak_bytes() / MEGABYTE)
        # The kernel is asked only where it can have happened: each question costs a warm invocation 4 us.
        if (failed or peak_mb >= 0.9 * limit_mb) and self.out_of_memory():
            return limit_mb
        return min(limit_mb, peak_mb)

    async def close(self) -> None:
        # The sandbox closes its sockets and its pipe: nobody here may still use them then.
        self._journal.stop()
        for endpoint in self._endpoints:
            endpoint.close()
        self.api.close()
        self.output.close()
        try:
            await self._sandbox.stop()
        finally:
            if self._exit is not None:
                self._exit.cancel()


def sandbox_spec(version: FunctionVersion, identity: EnvironmentIdentity, program: Program) -> SandboxSpec:
    return SandboxSpec(
        environment_id=identity.environment_id,
        command=program.command,
        code_dir=program.code_dir,
        lang_prefix=program.lang_prefix,
        opt_dir=program.opt_dir,
        account=version.account,
        network=NetworkSpec(kind="internet"),
        runtime=program.runtime,
        must_exec=program.must_exec,
        memory_mb=version.memory_mb,
        cpus=version.memory_mb * CPU_PER_MB,
        tmp_mb=version.ephemeral_storage_mb,
    )
