"""The runtime domain of an environment: its sandbox, runtime and extensions in it, and what is attached to them.

Starts, measures, freezes, shuts down and kills; reads output; serves the Runtime API and the AWS endpoint inside. It
knows nothing of invocations: the environment decides when. A domain outlives its processes (Reset).
"""

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from lambent.aws.errors import FunctionFault
from lambent.core.clock import Clock
from lambent.environments import faults
from lambent.environments.alarm import Alarm
from lambent.environments.events import Extension, Status
from lambent.environments.extensions.api import FunctionFacts
from lambent.environments.extensions.extensions import Extensions, Failure
from lambent.environments.init import InitEnd, Initialisation
from lambent.environments.metadata_api import MetadataApi
from lambent.environments.output import Output, Turns
from lambent.environments.ports import AwsEndpoint, Closer, EnvironmentIdentity, Program
from lambent.environments.runtime_api import RuntimeApi, RuntimeEvents
from lambent.environments.runtime_http import what_was_sent_is_read
from lambent.environments.sandbox.ports import NetworkSpec, ProcessExit, Sandbox, SandboxError, SandboxSpec
from lambent.environments.shutdown import Reason, shut_down
from lambent.environments.snapshots.restore_api import RestoreApi
from lambent.environments.telemetry.api import TelemetryApi
from lambent.environments.telemetry.stream import Stream
from lambent.functions.records import FunctionVersion
from lambent.runtimes.layout import AWS_LAYOUT

logger = logging.getLogger(__name__)

KILL_LIMIT_S = 10.0
"""A tree that cannot be killed in this time costs the environment."""
DRAIN_LIMIT_S = 1.0
"""How long the last bytes of a dead runtime may take to arrive."""
FULL_CPU_S = 10.0
"""Of an Init. One inside an invocation may take as long as that: it must not have the machine for 15 minutes."""

BRIEF_MS = 2.0
MEASURED_FOR_S = 0.05
"""A brief invocation right after another tells the peak that was measured then: the question costs 15 us, more than all
else that is written of it. The kernel keeps the peak, so that the next measurement has it in any case."""

MEGABYTE = 1024 * 1024
CPU_PER_MB = 1 / 1769


class DomainEvents(RuntimeEvents, Protocol):
    """What a domain tells its environment. Called synchronously; must not raise."""

    def extensions_ready(self) -> None:
        """The last extension that was at work has asked for the next event."""
        ...

    def process_failed(self) -> None:
        """The runtime has ended, or an extension has failed: `exit` and `extensions.failure` tell."""
        ...


class RuntimeDomain:
    """Around a sandbox that was just made, until `close`. One coroutine owns it; `api`, `extensions`, `freeze`, `thaw`,
    `drain` and `max_memory_mb` are also for the warm path."""

    def __init__(
        self,
        *,
        version: FunctionVersion,
        identity: EnvironmentIdentity,
        program: Program,
        sandbox: Sandbox,
        journal: Stream,
        clock: Clock,
        events: DomainEvents,
        turns: Turns,
        max_response_bytes: int,
        restore: RestoreApi | None = None,
    ) -> None:
        self.initialised = False
        """A runtime is up and past its Init."""
        self.frozen = False
        self.starting: Initialisation | None = None
        """The Init that runs now."""
        self.extensions = Extensions(
            facts=FunctionFacts(version.account, version.name, version.version, version.handler),
            names=program.extensions,
            runtime=program.command,
            sandbox=sandbox,
            clock=clock,
            read_output=lambda fd: Output(fd, lambda line: journal.extension_output(clock.epoch_ms(), line), turns),
            back=self._extensions_ready,
            failed=self._extension_failed,
        )
        telemetry = TelemetryApi(journal, self.extensions.api.caller)
        metadata = MetadataApi(identity.metadata_token, version.region)
        self.api = RuntimeApi(events, max_response_bytes, self.extensions.api, telemetry, restore, metadata)
        self.output = Output(sandbox.output_fd, lambda line: journal.output(clock.epoch_ms(), line), turns)
        self._identity = identity
        self._program = program
        self._memory_mb = version.memory_mb
        self._sandbox = sandbox
        self._journal = journal
        self._clock = clock
        self._events = events
        self._max_memory_mb = 0
        self._measured_at = -math.inf
        self._runtime_is_ready = False
        self.extension_records: Sequence[Extension] = ()
        """What became of each extension in the last Init."""
        self._exit: asyncio.Task[ProcessExit] | None = None
        self._failure: Failure | None = None
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
        """Start extensions and runtime and wait until all ask for an event. After a failure no process is left."""
        self.api.restart()
        self._runtime_is_ready, self.extension_records = False, ()
        self._measured_at = -math.inf
        # AWS gives Init the full CPU, for ten seconds; the share of the function's memory holds from then on.
        self._sandbox.limit_cpu(None)
        share = Alarm(self._clock, self._limit_cpu)
        share.set(self._clock.monotonic() + FULL_CPU_S)
        init = self.starting = Initialisation(self._clock, limit_s)
        self._exit = self._failure = None
        try:
            # The runtime comes once all external extensions have registered.
            if await init.reached(await self.extensions.start()):
                await self._start(init)
            end = await init.wait()
            self.extension_records = self.extensions.records(self._clock.epoch_ms())
            if end.status is not Status.SUCCESS:
                await self.end_processes(Reason.TIMEOUT if end.status is Status.TIMEOUT else Reason.FAILURE)
                end = init.explain(end, out_of_memory=self.out_of_memory())
        finally:
            share.close()
            self.starting = None
        await self._emptied()
        if end.status is Status.SUCCESS:
            self._limit_cpu()
            self.initialised = True
        return end

    async def _start(self, init: Initialisation) -> None:
        """A program that cannot be started is the function's own mistake."""
        if self._program.problem is not None:
            init.not_started(self._program.problem)
            return
        try:
            await self._sandbox.start()
        except SandboxError as error:
            program = self._program.command(AWS_LAYOUT).argv[0]
            why = faults.launch_text(program, str(error)) if self._program.runtime is None else None
            if why is None:
                raise
            init.not_started(why)
            return
        init.process_started()
        self._exit = asyncio.get_running_loop().create_task(self._watch_exit(init))

    def runtime_ready(self) -> None:
        """In Init: the runtime asked for its first event."""
        self._runtime_is_ready = True
        self.extensions.close_registration()
        self._extensions_ready()

    def _extensions_ready(self) -> None:
        if self.starting is None:
            self._events.extensions_ready()
        elif self._runtime_is_ready and self.extensions.all_ready:
            self.starting.ready()

    def _extension_failed(self, failure: Failure) -> None:
        if self.starting is not None:
            self.starting.extension_failed(failure)
        self._events.process_failed()

    def _limit_cpu(self) -> None:
        self._sandbox.limit_cpu(self._memory_mb * CPU_PER_MB)

    async def _watch_exit(self, init: Initialisation) -> ProcessExit:
        end = await self._sandbox.exited()
        await what_was_sent_is_read()
        self.extensions.runtime_ended()
        init.exited(end)
        self._events.process_failed()
        return end

    @property
    def exit(self) -> ProcessExit | None:
        """How the runtime process ended that was started last, once it has."""
        return self._exit.result() if self._exit is not None and self._exit.done() else None

    def fault(self, request_id: str) -> FunctionFault:
        """Why the processes have to be ended, or had to be."""
        out_of_memory = self.out_of_memory()
        failure, end = self.extensions.failure or self._failure, self.exit
        if failure is not None and not out_of_memory:
            return failure.fault(request_id)
        return faults.exited(request_id, end or ProcessExit(None, 9), out_of_memory=out_of_memory)

    @property
    def failed(self) -> bool:
        """The runtime has ended, or an extension has failed, since Init."""
        return self.initialised and (self.exit is not None or self.extensions.failure is not None)

    async def end_processes(self, reason: Reason) -> bool:
        """The first half of a Reset: ask them to end, kill what is left, read what they still said. False when the
        sandbox is of no more use: they would not end, or it has ended with them."""
        await self._shut_down(reason)
        usable = await self._kill()
        # Nobody listens until the next Init: what is told meanwhile waits for it.
        self._journal.freeze()
        self._failure = self.extensions.failure
        self.extensions.forget()
        return usable

    async def _shut_down(self, reason: Reason) -> None:
        self.thaw()
        self.initialised = False
        self._journal.flush()
        await shut_down(self._sandbox, self.extensions, self._exit, self._clock, reason)

    async def _kill(self) -> bool:
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
        await self._emptied()
        for output in self._outputs():
            output.finish()
        return usable

    def _outputs(self) -> list[Output]:
        return [each for each in (self.output, self.extensions.output) if each is not None]

    async def _emptied(self) -> None:
        """Wait until all is read that the processes have written."""
        for output in self._outputs():
            await output.emptied()

    def drain(self, then: Callable[[], None]) -> None:
        """Read what extensions and runtime have written, and call `then`: at once when that is little."""
        waiting = [output for output in self._outputs() if not output.drain()]

        def emptied(output: Output) -> None:
            waiting.remove(output)
            if not waiting:
                then()

        for output in [*waiting]:
            output.when_empty(partial(emptied, output))
        if not waiting:
            then()

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
        self._sandbox.sample_memory()

    def max_memory_mb(self, *, failed: bool, took_ms: float, now: float) -> int:
        """The peak in whole megabytes, rounded up; the limit itself after the kernel has enforced it.

        After an invocation that `took_ms`, which is over `now` of the monotonic clock."""
        limit_mb = self._memory_mb
        if took_ms < BRIEF_MS and not failed and now - self._measured_at < MEASURED_FOR_S:
            return self._max_memory_mb
        self._measured_at = now
        self._max_memory_mb = self._measured_mb(failed, limit_mb)
        return self._max_memory_mb

    def _measured_mb(self, failed: bool, limit_mb: int) -> int:
        peak_mb = math.ceil(self._sandbox.memory_peak_bytes() / MEGABYTE)
        # The kernel is asked only where it can have happened: each question costs a warm invocation 4 us.
        if (failed or peak_mb >= 0.9 * limit_mb) and self.out_of_memory():
            return limit_mb
        return min(limit_mb, peak_mb)

    async def close(self, reason: Reason = Reason.SPINDOWN) -> None:
        """End everything."""
        if self.extensions.all:
            await self._shut_down(reason)
            await self._emptied()
        # The sandbox closes its sockets and its pipe: nobody here may still use them then.
        self._journal.stop()
        for endpoint in self._endpoints:
            endpoint.close()
        self.api.close()
        self.extensions.close()
        self.output.close()
        try:
            await self._sandbox.stop()
        finally:
            if self._exit is not None:
                self._exit.cancel()


def sandbox_spec(
    version: FunctionVersion, identity: EnvironmentIdentity, program: Program, network: NetworkSpec
) -> SandboxSpec:
    return SandboxSpec(
        environment_id=identity.environment_id,
        command=program.command,
        code_dir=program.code_dir,
        lang_prefix=program.lang_prefix,
        opt_dir=program.opt_dir,
        account=version.account,
        network=network,
        runtime=program.runtime,
        must_exec=program.must_exec,
        memory_mb=version.memory_mb,
        cpus=version.memory_mb * CPU_PER_MB,
        tmp_mb=version.ephemeral_storage_mb,
    )
