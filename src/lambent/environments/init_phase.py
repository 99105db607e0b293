"""The Init phases of one environment, and the Restore that stands for the first: what each tells, in which order.

The first one comes before an invocation, the others are inside one. What they took is in the report of the first
invocation. How processes start and what decides the end is `runtime_domain` and `init`.
"""

from msgspec.structs import replace

from lambent.core.clock import Clock
from lambent.environments.cold_starts import Beginning
from lambent.environments.events import ColdStart, InitRuntimeDone, InitStart, Phase, Report, Status
from lambent.environments.init import InitEnd
from lambent.environments.ports import EnvironmentIdentity, Program
from lambent.environments.runtime_domain import RuntimeDomain
from lambent.environments.snapshots import restoring
from lambent.environments.surroundings import Surroundings
from lambent.environments.telemetry.stream import Stream
from lambent.functions.records import FunctionVersion


class InitPhase:
    """Owned by the environment's coroutine; `complete` is for the warm path, while `unreported`."""

    def __init__(
        self,
        version: FunctionVersion,
        identity: EnvironmentIdentity,
        journal: Stream,
        surroundings: Surroundings,
        beginning: Beginning,
    ) -> None:
        self.failed = False
        """The first one did."""
        self.unreported = False
        """The first invocation has not been reported yet."""
        self.restoring: restoring.Restoring | None = None
        """Until then, and for an environment that was not initialised here, but restored."""
        self._version = version
        self._identity = identity
        self._journal = journal
        self._surroundings = surroundings
        self._clock: Clock = surroundings.clock
        self._beginning = beginning
        self._cold_start: ColdStart | None = None
        self._duration_ms: float | None = None
        self._program: Program | None = None
        self._phase = Phase.INIT
        self._runtime_done_told = False

    @property
    def _limit_s(self) -> float:
        quotas = self._surroundings.quotas
        if not self._identity.provisioned and not self._version.has_snapshot:
            return quotas.init_limit_s
        return max(quotas.provisioned_init_limit_s, self._version.timeout_s)

    async def first(self, domain: RuntimeDomain, program: Program) -> None:
        """Raises ApiError where a restore fails: nothing can be tried again then."""
        self._program = program
        if (why := domain.network_missing) is not None:
            self._journal.output(self._clock.epoch_ms(), f"[lambent] No way to the internet: {why}.\n")
        if self.restoring is not None:
            end = await self._restore(domain, self.restoring)
        else:
            end = await self._run(domain, Phase.INIT, self._limit_s)
            self.failed = end.status is not Status.SUCCESS
            if end.status is Status.SUCCESS:
                self._duration_ms = end.duration_ms
        self._cold_start = self._beginning.record(self._identity.environment_id, self._version.runtime, end)
        self.unreported = True
        self._surroundings.cold_starts.add(self._version, self._cold_start)
        self._journal.cold_start(self._cold_start)
        if self.restoring is None:
            self._report(domain, end)
            return
        self._journal.restore_report(self.restoring.report(end))
        if end.status is not Status.SUCCESS:
            raise restoring.refusal(end)

    async def again(self, domain: RuntimeDomain, limit_s: float) -> InitEnd:
        """Inside an invocation."""
        end = await self._run(domain, Phase.INVOKE, limit_s)
        self._report(domain, end)
        return end

    def runtime_done(self, status: Status, error_type: str | None) -> None:
        """The runtime asked for its first event, or will not."""
        self._runtime_done_told = True
        if self.restoring is not None and not self.restoring.over:
            self._journal.restore_runtime_done(self.restoring.done(status, error_type))
            return
        self._journal.init_runtime_done(
            InitRuntimeDone(time_ms=self._clock.epoch_ms(), phase=self._phase, status=status, error_type=error_type)
        )

    def complete(self, report: Report) -> Report:
        """The report of the first invocation, with what came before it."""
        self.unreported = False
        if self._cold_start is not None:
            self._surroundings.cold_starts.complete(self._version, self._cold_start, report.duration_ms)
            self._cold_start = None
        if self.restoring is not None:
            restored, self.restoring = self.restoring, None
            return replace(report, restore_duration_ms=restored.duration_ms, billed_restore_ms=restored.billed_ms)
        return replace(report, init_duration_ms=self._duration_ms)

    async def _run(self, domain: RuntimeDomain, phase: Phase, limit_s: float) -> InitEnd:
        program = self._program
        assert program is not None
        self._phase, self._runtime_done_told = phase, False
        self._journal.init_start(
            InitStart(
                time_ms=self._clock.epoch_ms(),
                phase=phase,
                runtime_version=program.runtime_version,
                runtime_version_arn=program.runtime_version_arn,
            )
        )
        return await domain.initialise(limit_s)

    def _report(self, domain: RuntimeDomain, end: InitEnd) -> None:
        if not self._runtime_done_told:
            self.runtime_done(end.status, end.error_type)
        for record in domain.extension_records:
            self._journal.extension(record)
        self._journal.init_report(end.report(self._clock.epoch_ms(), self._phase))

    async def _restore(self, domain: RuntimeDomain, restoration: restoring.Restoring) -> InitEnd:
        self._journal.restore_start(restoration.start)
        end = await domain.initialise(self._surroundings.quotas.restore_limit_s)
        if not self._runtime_done_told:
            self.runtime_done(end.status, end.error_type)
        restoration.end(end)
        return end
