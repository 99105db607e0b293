"""One execution environment: the invocation that it runs, and the coroutine that owns its runtime domain.

The warm path is synchronous: `invoke` answers the parked `/next`, and the runtime's next call ends the invocation.
All that is rare (Init, an exit, the deadline, stopping) is a signal to the owner coroutine `run`, which alone kills
and starts processes. Phases: AWS's execution environment lifecycle. It chooses no function and counts no lease.
"""

import asyncio
import logging
from collections.abc import Callable
from enum import Enum

from lambent.aws.errors import ApiError, FunctionFault, PlatformFault
from lambent.core.lifecycle import step
from lambent.environments import faults
from lambent.environments.alarm import Alarm
from lambent.environments.cold_starts import Beginning
from lambent.environments.current import Current
from lambent.environments.events import (
    Report,
    Start,
    Status,
    Usage,
    billed_ms,
)
from lambent.environments.identity import slot_of
from lambent.environments.init_phase import InitPhase
from lambent.environments.outflow import Outflow
from lambent.environments.ports import (
    EnvironmentIdentity,
    Journal,
    Program,
)
from lambent.environments.request import Answer, InvokeRequest, InvokeResult
from lambent.environments.runtime_domain import RuntimeDomain, sandbox_spec
from lambent.environments.sandbox.ports import SandboxError
from lambent.environments.shutdown import Reason
from lambent.environments.snapshots import restoring
from lambent.environments.states import NEXT, State
from lambent.environments.surroundings import Surroundings
from lambent.environments.telemetry.stream import Stream
from lambent.functions.records import FunctionVersion

logger = logging.getLogger(__name__)

MAX_MOVES = 3
"""Of an invocation whose environments were lost before they began with it: so many losses in a row are no accident."""
FREEZE_AFTER_S = 0.0075
"""Long enough that a busy environment is not frozen between two invocations, short enough to stop its threads."""


class Signal(Enum):
    BEGIN = "an invocation waits for a runtime"
    FAILED = "the runtime ended, or an extension failed"
    DEADLINE = "the invocation's time is over"
    STOP = "stop"


class Environment:
    """States: `states.NEXT`. In READY the runtime may have to be started again, inside the next invocation."""

    domain: RuntimeDomain
    """Exists from READY on."""

    def __init__(
        self,
        version: FunctionVersion,
        identity: EnvironmentIdentity,
        journal: Journal,
        surroundings: Surroundings,
        beginning: Beginning,
    ) -> None:
        self.version = version
        self.identity = identity
        self.slot = slot_of(version, identity.tenant_id)
        self.state = State.STARTING
        self.idle_since = surroundings.clock.monotonic()
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done after the Init phase, however it ended; an exception when there is no sandbox."""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when everything is gone."""
        self._journal = Stream(journal, version, identity, surroundings.clock, surroundings.telemetry)
        self._surroundings = surroundings
        self._clock = surroundings.clock
        self._signals: asyncio.Queue[Signal] = asyncio.Queue()
        self._deadline = Alarm(self._clock, lambda: self._signals.put_nowait(Signal.DEADLINE))
        self._freeze = Alarm(self._clock, self._freeze_if_idle)
        self._look = self._sample_memory
        self._beginning = beginning
        self._init = InitPhase(version, identity, self._journal, surroundings, beginning)
        self._current: Current | None = None
        self._refusal: ApiError | None = None
        self._given_up = False

    @property
    def init_failed(self) -> bool:
        """The Init phase of its own did; the next invocation tries again."""
        return self._init.failed

    @property
    def usable(self) -> bool:
        return self.state is State.READY and not self._given_up

    # The warm path

    def invoke(
        self, request: InvokeRequest, on_end: Callable[[], None], left: Current | None = None
    ) -> asyncio.Future[InvokeResult]:
        """Hand `request` to the runtime; legal in READY. `on_end` is called once, when the invocation is over.

        `left`: the same invocation in an environment that was lost before it had begun; its result is answered."""
        if self.state in (State.STOPPING, State.STOPPED):
            # Lost the race against a shutdown; nothing was handed over, `on_end` is not called.
            raise PlatformFault(f"Environment {self.identity.environment_id} is stopping")
        self.state = step(NEXT, self.state, State.BUSY)
        now = self._clock.monotonic()
        timeout_s = self.version.timeout_s
        result: asyncio.Future[InvokeResult] = (
            # Not get_running_loop, which asks the kernel for the pid.
            self.ended.get_loop().create_future() if left is None else left.result
        )
        self._current = Current(request, result, on_end, now, now + timeout_s)
        if left is not None:
            self._current.moves = left.moves + 1
        if request.sink is not None:
            self._current.outflow = Outflow(request.sink, self._surroundings.quotas.max_streamed_bytes)
        self._deadline.set(now + timeout_s)
        self._surroundings.memory_samples.begin(self._look, now)
        self.domain.thaw()
        if self.domain.initialised:
            self._begin(request, timeout_s)
        else:
            self._signals.put_nowait(Signal.BEGIN)
        return result

    def stop(self) -> None:
        """Ask the owner to end everything; an invocation that runs fails as ours."""
        self._signals.put_nowait(Signal.STOP)

    def _begin(self, request: InvokeRequest, left_s: float) -> None:
        now_ms = self._clock.epoch_ms()
        deadline_ms = now_ms + int(left_s * 1000)
        self._journal.start(
            Start(now_ms, request.request_id, self.version.version, request.keep_tail, request.trace_header)
        )
        domain = self.domain
        if domain.extensions.subscribed:
            domain.extensions.invoke(request, deadline_ms)
        outflow = None if request.sink is None or self._current is None else self._current.outflow
        domain.api.deliver(request, deadline_ms, outflow)

    def _end(self, status: Status, error_type: str | None, *, duration_ms: float | None = None) -> None:
        """Write END and REPORT, answer who still waits, and let the lease go."""
        current, self._current = self._current, None
        assert current is not None
        self._deadline.clear()
        self._surroundings.memory_samples.end(self._look)
        # A line that nobody finished belongs to the invocation that wrote it.
        self.domain.output.flush()
        if duration_ms is None:
            # With extensions the invocation ends with the last of them, without when the runtime asked for the next.
            over = self._clock.monotonic() if current.ended is None or current.runtime_done else current.ended
            duration_ms = (over - current.started) * 1000
        self._write_end(current, status, error_type, duration_ms)
        if not current.result.done():
            current.settle(self._journal.tail() if current.request.keep_tail else None)
        self.idle_since = self._clock.monotonic()
        current.on_end()

    def _write_end(self, current: Current, status: Status, error_type: str | None, duration_ms: float) -> None:
        time_ms, request_id = self._clock.epoch_ms(), current.request.request_id
        after_ms = None
        if not current.runtime_done:
            if self._journal.spans or status is not Status.SUCCESS:
                self._journal.runtime_done(current.done(time_ms, status, error_type, duration_ms))
        elif current.ended is not None:
            after_ms = duration_ms - (current.ended - current.started) * 1000
        max_memory_mb = self.domain.max_memory_mb(
            failed=status is not Status.SUCCESS, took_ms=duration_ms, now=self._clock.monotonic()
        )
        report = Report(
            time_ms,
            request_id,
            status,
            error_type,
            duration_ms,
            None,
            self.version.memory_mb,
            max_memory_mb,
            extension_overhead_ms=after_ms,
        )
        if first := self._init.unreported:
            report = self._init.complete(report)
        self._journal.report(report)
        self._surroundings.tally.ended(self.version, current.request.function_arn, report)
        self._surroundings.meter.ended(
            Usage(
                self.version,
                time_ms,
                billed_ms(duration_ms, report.init_duration_ms, report.billed_restore_ms),
                first=first,
                restored=report.restore_duration_ms is not None,
                provisioned=self.identity.provisioned,
                streamed_bytes=current.streamed_bytes,
                request_units=current.request.request_units,
                tenant=self.identity.tenant_id,
                status=status,
            )
        )

    # DomainEvents: what runtime and extensions did

    def runtime_ready(self) -> None:
        if self.domain.starting is not None:
            self._init.runtime_done(Status.SUCCESS, None)
            self.domain.runtime_ready()
            return
        current = self._current
        if current is None or current.answer is None:
            return
        current.ended = self._clock.monotonic()
        # END comes after all that the function wrote, which is read by now or will be in a few turns of the loop.
        if self.domain.output.drain():
            self._succeed(current)
        else:
            self.domain.output.when_empty(lambda: self._succeed(current))

    def _answer_begun(self) -> None:
        if self._current is not None:
            self._current.began_to_answer = self._clock.monotonic()

    def runtime_answered(self, answer: Answer) -> None:
        current = self._current
        if current is None:
            return
        current.answer = answer
        if current.began_to_answer is not None:
            current.answered = self._clock.monotonic()
        if current.outflow is not None:
            current.outflow.end(None if answer.error_type is None else answer)
        # A caller who wants the log's tail gets it with REPORT, which is written when the runtime asks for more.
        if not current.request.keep_tail:
            current.settle()

    def runtime_init_failed(self, answer: Answer) -> None:
        if self.domain.starting is not None:
            self.domain.starting.failed(answer)

    def extensions_ready(self) -> None:
        current = self._current
        if current is not None and current.runtime_done:
            self.domain.drain(lambda: self._succeed(current))

    def process_failed(self) -> None:
        self._signals.put_nowait(Signal.FAILED)

    def _succeed(self, current: Current) -> None:
        """The runtime is done with `current` and at our disposal, whatever the function answered."""
        # In a Reset the owner coroutine ends the invocation, once the processes are gone.
        if self._current is current and self.state is State.BUSY and current.answer is not None:
            if not self.domain.extensions.running:
                self._finish(current.answer)
            elif not current.runtime_done and current.ended is not None:
                # They may wait for this very record, to send what there is before they ask for the next event.
                error_type = current.answer.error_type
                status = Status.ERROR if error_type else Status.SUCCESS
                self._write_runtime_done(current, status, error_type, current.ended)

    def _finish(self, answer: Answer) -> None:
        self._end(Status.ERROR if answer.error_type else Status.SUCCESS, answer.error_type)
        self._free()

    def _free(self) -> None:
        self.state = step(NEXT, self.state, State.READY)
        if self.domain.initialised:
            self._freeze.set(self._clock.monotonic() + FREEZE_AFTER_S)
        if self._given_up:
            self.stop()
        else:
            self._surroundings.keeper.environment_ready(self)

    def _sample_memory(self) -> None:
        if self.state is State.BUSY:
            self.domain.sample_memory()

    def _freeze_if_idle(self) -> None:
        if self.state is State.READY and self.domain.initialised:
            self.domain.freeze()

    # The owner coroutine

    async def run(self) -> None:
        """Build, initialise, react until stopped. Ends with everything gone, whatever happened."""
        try:
            async with self._surroundings.programs.program(self.version, self.identity) as program:
                try:
                    async with self._surroundings.gate.passing(self.version.key):
                        self._beginning.admitted()
                        await self._build(program)
                        await self._init.first(self.domain, program)
                        self._take_times()
                    self.state = step(NEXT, self.state, State.READY)
                    self.idle_since = self._clock.monotonic()
                    self._freeze.set(self.idle_since + FREEZE_AFTER_S)
                    self.started.set_result(None)
                    while (signal := await self._signals.get()) is not Signal.STOP:
                        await self._react(signal)
                finally:
                    await self._close()
        except ApiError as error:
            # The function cannot run here; that is for the caller who waits.
            self._refusal = error
        finally:
            self._release()

    async def _build(self, program: Program) -> None:
        surroundings = self._surroundings
        spec = sandbox_spec(self.version, self.identity, program, await surroundings.network_of(self.version))
        began = restoring.Restoring(self._clock, program)
        obtained = await surroundings.restore(self.version)
        if obtained is not None:
            self._init.restoring = began
        else:
            obtained = await surroundings.prewarm.obtain(spec)
        self._journal.attach(obtained.sandbox.connect)
        self.domain = RuntimeDomain(
            version=self.version,
            identity=self.identity,
            program=program,
            sandbox=obtained.sandbox,
            journal=self._journal,
            clock=self._clock,
            events=self,
            turns=surroundings.turns,
            max_response_bytes=surroundings.quotas.max_response_bytes,
            restore=restoring.api(self.version, self.identity, self._clock),
        )
        await self.domain.serve(surroundings.aws_endpoint)
        self._beginning.built(obtained.how)

    def _take_times(self) -> None:
        """Of answers, where somebody reads them: who does is known after each Init."""
        self.domain.api.answer_begun = self._answer_begun if self._journal.spans else None

    async def _react(self, signal: Signal) -> None:
        current = self._current
        if signal is Signal.BEGIN and current is not None:
            await self._init_inside_invoke(current)
        elif signal is Signal.DEADLINE and current is not None and self._is_late(current):
            await self._reset_after_timeout(current)
        elif signal is Signal.FAILED and self.domain.failed:
            await self._reset_after_failure()

    def _is_late(self, current: Current) -> bool:
        """Whether the signal means this invocation, and it still has something to do."""
        if current.deadline > self._clock.monotonic():
            return False
        return current.ended is None or bool(self.domain.extensions.running)

    async def _init_inside_invoke(self, current: Current) -> None:
        request = current.request
        try:
            end = await self._init.again(self.domain, current.deadline - self._clock.monotonic())
        except SandboxError as error:
            logger.warning("Environment %s has lost its sandbox: %s", self.identity.environment_id, error)
            self._leave()
            return
        self._take_times()
        if end.status is Status.SUCCESS:
            self._begin(request, current.deadline - self._clock.monotonic())
            return
        now_ms, version = self._clock.epoch_ms(), self.version.version
        self._journal.start(Start(now_ms, request.request_id, version, request.keep_tail, request.trace_header))
        if end.status is Status.TIMEOUT:
            self._fail(current, Status.TIMEOUT, faults.timed_out(request.request_id, self.version.timeout_s))
        else:
            self._fail(current, Status.FAILURE, end.fault(request.request_id))

    async def _reset_after_timeout(self, current: Current) -> None:
        self.state = step(NEXT, self.state, State.RESETTING)
        # What the runtime says from now on comes too late.
        self.domain.api.forget()
        self._tell_extensions_of_end(current, Status.TIMEOUT, "Sandbox.Timedout")
        await self._end_processes(Reason.TIMEOUT)
        self._fail(current, Status.TIMEOUT, faults.timed_out(current.request.request_id, self.version.timeout_s))

    async def _reset_after_failure(self) -> None:
        current = self._current
        left_at_work = bool(self.domain.extensions.running)
        untouched = current is None or self.domain.api.never_read(current.request)
        if current is not None:
            self.state = step(NEXT, self.state, State.RESETTING)
            if self.domain.exit is None:
                self.domain.api.forget()
            if self.domain.extensions.all:
                self._tell_extensions_of_end(current, Status.FAILURE, self.domain.fault("").error_type)
        await self._end_processes(Reason.FAILURE)
        self.domain.api.restart()
        if untouched and self._given_up:
            self._leave()
            return
        if current is None:
            # Between invocations: the next one starts the processes again.
            return
        if current.answer is not None and current.ended is not None and not left_at_work and not current.runtime_done:
            # The invocation was complete before the process ended.
            self._finish(current.answer)
            return
        self._fail(current, Status.FAILURE, self.domain.fault(current.request.request_id))

    def _leave(self) -> None:
        """The sandbox is lost before the runtime got the invocation, which may have come while that was found out."""
        self.stop()
        current, self._current = self._current, None
        if current is None:
            return
        if current.moves < MAX_MOVES:
            self._surroundings.keeper.invocation_left(self, current)
        else:
            current.refuse(PlatformFault(f"Environment {self.identity.environment_id} has lost its sandbox"))

    def _write_runtime_done(self, current: Current, status: Status, error_type: str | None, at: float) -> None:
        """Before the report: extensions are still at work."""
        current.runtime_done = True
        duration_ms = (at - current.started) * 1000
        self._journal.runtime_done(current.done(self._clock.epoch_ms(), status, error_type, duration_ms))

    def _tell_extensions_of_end(self, current: Current, status: Status, error_type: str) -> None:
        """They get the record before SHUTDOWN, as on AWS; without extensions it comes with the report."""
        if self.domain.extensions.all and not current.runtime_done:
            self._write_runtime_done(current, status, error_type, self._clock.monotonic())

    async def _end_processes(self, reason: Reason) -> None:
        if not await self.domain.end_processes(reason):
            self._given_up = True

    def _fail(self, current: Current, status: Status, fault: FunctionFault) -> None:
        """The invocation is over by a fault. An answer that was posted before stays the caller's."""
        if current.answer is None:
            current.answer = Answer(fault.payload, fault.error_type)
            if current.outflow is not None:
                current.outflow.end(current.answer)
        duration_ms = self.version.timeout_s * 1000.0 if status is Status.TIMEOUT else None
        self._end(status, fault.error_type, duration_ms=duration_ms)
        self._free()

    async def _close(self) -> None:
        self.state = step(NEXT, self.state, State.STOPPING)
        self._deadline.close()
        self._freeze.close()
        self._surroundings.memory_samples.end(self._look)
        if hasattr(self, "domain"):
            await self.domain.close()

    def _release(self) -> None:
        """Tell everybody who waits that it is over."""
        if self.state is not State.STOPPING:
            self.state = step(NEXT, self.state, State.STOPPING)
        self._journal.close()
        gone = self._refusal or PlatformFault(f"Environment {self.identity.environment_id} ended")
        if not self.started.done():
            self.started.set_exception(gone)
            # Nobody may be waiting any more; an unread exception would be reported as a bug.
            self.started.exception()
        current, self._current = self._current, None
        if current is not None:
            if not current.result.done():
                current.result.set_exception(gone)
            current.on_end()
        self.state = step(NEXT, self.state, State.STOPPED)
        self._surroundings.keeper.environment_gone(self)
        self.ended.set_result(None)
