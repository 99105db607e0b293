"""One template: a sandbox in which a function version was initialised once, kept to be cloned for each restore.

Makes it, says how that ended, clones it, ends it. It runs no invocation, and is no environment: it has an identity of
its own for its log stream and its credentials, which no clone has.
"""

import asyncio
import signal
from contextlib import suppress
from dataclasses import replace

import orjson

from lambent.aws.errors import ApiError
from lambent.environments.alarm import Alarm
from lambent.environments.events import InitRuntimeDone, InitStart, Phase, Status
from lambent.environments.identity import new_identity
from lambent.environments.init import InitEnd
from lambent.environments.ports import JournalSource, Program
from lambent.environments.request import Answer
from lambent.environments.runtime_domain import RuntimeDomain, sandbox_spec
from lambent.environments.sandbox.channel import SandboxGone
from lambent.environments.sandbox.ports import ProcessExit, Sandbox, SandboxDriver, SandboxError, SandboxSpec
from lambent.environments.snapshots.restore_api import BEFORE_SNAPSHOT, RestoreApi
from lambent.environments.surroundings import Surroundings
from lambent.environments.telemetry.stream import Stream
from lambent.functions.ports import SnapshotOutcome as Outcome
from lambent.functions.ports import Taken
from lambent.functions.records import FunctionVersion
from lambent.launcher.client import LauncherError
from lambent.runtimes.layout import Command, Layout

FREEZE_AFTER_S = 0.1
"""After a clone. Longer than that one needs to leave the template's cgroups."""
OTHER_CLIENT = "its runtime client is not the one of Lambent, which alone can be cloned"
NO_HOOKS = "its runtime asks for events without waiting for a restore"
EXTENSIONS = "the function has extensions"


class Template:
    """One that cannot be cloned may be initialised again, to be saved by CRIU.

    `run` is its whole life; `outcome` is done when it can be cloned, or never will be.
    """

    def __init__(
        self, version: FunctionVersion, driver: SandboxDriver, journals: JournalSource, surroundings: Surroundings
    ) -> None:
        self.version = version
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.used_at = surroundings.clock.monotonic()
        self._driver = driver
        self._surroundings = surroundings
        self._clock = surroundings.clock
        self._identity = new_identity(version, surroundings.clock.now())
        self._journal = Stream(
            journals.open(version, self._identity), version, self._identity, surroundings.clock, surroundings.telemetry
        )
        self._spec: SandboxSpec | None = None
        self._sandbox: Sandbox | None = None
        self._domain: RuntimeDomain | None = None
        self._obstacle: str | None = None
        self._first: Sandbox | None = None
        self._cloning = 0
        self._freeze = Alarm(surroundings.clock, self._freeze_if_quiet)
        self._stop = asyncio.Event()

    @property
    def ready(self) -> bool:
        return self.outcome.done() and self.outcome.result().taken is Taken.YES and not self._stop.is_set()

    def stop(self) -> None:
        """End it, its Init too if that still runs. Its clones live on."""
        self._stop.set()
        if self._domain is not None and self._domain.starting is not None:
            self._domain.starting.exited(ProcessExit(None, signal.SIGKILL))

    def first(self) -> Sandbox | None:
        """The clone that was made to see whether that works; whoever takes it owns it."""
        first, self._first = self._first, None
        return first

    async def clone(self) -> Sandbox:
        """A sandbox around a clone, not started. Raises SandboxError, LauncherError, TimeoutError."""
        assert self._domain is not None
        assert self._sandbox is not None
        assert self._spec is not None
        self._cloning += 1
        self._domain.thaw()
        try:
            return await self._driver.restore(
                self._sandbox, replace(self._spec, template=False, image=False, command=_as_it_was)
            )
        finally:
            self._cloning -= 1
            self._freeze.set(self._clock.monotonic() + FREEZE_AFTER_S)

    def _freeze_if_quiet(self) -> None:
        """What a template still does is not an invocation's, and nothing that its clones wait for."""
        if self._domain is not None and not self._cloning and not self._stop.is_set():
            self._domain.freeze()

    async def run(self) -> None:
        outcome = Outcome(Taken.IMPOSSIBLE, "the server ends")
        try:
            async with self._surroundings.programs.program(self.version, self._identity) as program:
                try:
                    async with self._surroundings.gate.passing(self.version.key):
                        outcome = await self._make(program)
                    self.outcome.set_result(outcome)
                    if outcome.taken is Taken.YES:
                        await self._stop.wait()
                finally:
                    await self._close()
        except ApiError as error:
            outcome = Outcome(Taken.FAILED, error.message or error.code, "InvalidRuntime")
        except (SandboxError, LauncherError, TimeoutError) as error:
            outcome = Outcome(Taken.IMPOSSIBLE, str(error) or "its sandbox could not be made in time")
        finally:
            if not self.outcome.done():
                self.outcome.set_result(outcome)

    async def _make(self, program: Program) -> Outcome:
        if not self._driver.can_restore:
            return Outcome(Taken.IMPOSSIBLE, f"the sandbox {self._driver.name} cannot clone a process")
        if program.extensions:
            return Outcome(Taken.IMPOSSIBLE, EXTENSIONS)
        network = await self._surroundings.network_of(self.version)
        spec = replace(sandbox_spec(self.version, self._identity, program, network), must_exec=True)
        outcome = await self._attempt(program, replace(spec, template=True))
        if outcome.taken is not Taken.IMPOSSIBLE or not self._can_be_saved or self._driver.no_images is not None:
            return outcome
        # What waits to be cloned has a capability, which CRIU would restore: another Init, without.
        assert self._domain is not None
        await self._domain.close()
        obstacle, self._obstacle, self._domain, self._sandbox = outcome.reason, None, None, None
        try:
            outcome = await self._attempt(program, replace(spec, image=True))
        except (SandboxError, LauncherError, TimeoutError) as error:
            return Outcome(Taken.IMPOSSIBLE, f"{obstacle}, and {str(error) or 'CRIU took too long'}")
        if outcome.taken is Taken.YES:
            return Outcome(Taken.YES, f"by CRIU, because {obstacle}")
        return outcome

    @property
    def _can_be_saved(self) -> bool:
        return self._obstacle is not None and self._obstacle not in (OTHER_CLIENT, NO_HOOKS)

    async def _attempt(self, program: Program, spec: SandboxSpec) -> Outcome:
        self._spec = spec
        self._sandbox = await self._driver.create(spec)
        surroundings = self._surroundings
        self._domain = RuntimeDomain(
            version=self.version,
            identity=self._identity,
            program=program,
            sandbox=self._sandbox,
            journal=self._journal,
            clock=self._clock,
            events=self,
            turns=surroundings.turns,
            max_response_bytes=surroundings.quotas.max_response_bytes,
            restore=RestoreApi(
                credentials=self._identity.credentials,
                token=self._identity.credentials_token,
                clock=self._clock,
                lifetime=BEFORE_SNAPSHOT,
                awaits_restore=self._ready if spec.image else lambda: self._cannot(OTHER_CLIENT),
            ),
        )
        await self._domain.serve(surroundings.aws_endpoint)
        outcome = self._judge(await self._initialise(self._domain, self._sandbox, program))
        if outcome.taken is Taken.YES:
            if spec.image:
                await self._driver.save(self._sandbox)
            try:
                self._first = await self.clone()
            except SandboxError as error:
                return Outcome(Taken.IMPOSSIBLE, f"a copy of its process could not be made: {error}")
        return outcome

    async def _initialise(self, domain: RuntimeDomain, sandbox: Sandbox, program: Program) -> InitEnd:
        self._journal.init_start(
            InitStart(
                time_ms=self._clock.epoch_ms(),
                phase=Phase.INIT,
                runtime_version=program.runtime_version,
                runtime_version_arn=program.runtime_version_arn,
            )
        )
        limit_s = max(self._surroundings.quotas.provisioned_init_limit_s, self.version.timeout_s)
        watch = asyncio.get_running_loop().create_task(self._watch(sandbox))
        try:
            end = await domain.initialise(limit_s)
        finally:
            watch.cancel()
        now_ms = self._clock.epoch_ms()
        self._journal.init_runtime_done(
            InitRuntimeDone(time_ms=now_ms, phase=Phase.INIT, status=end.status, error_type=end.error_type)
        )
        self._journal.init_report(end.report(now_ms, Phase.INIT))
        return end

    async def _watch(self, sandbox: Sandbox) -> None:
        if self._spec is None or not self._spec.template:
            return
        with suppress(SandboxGone):
            self._obstacle = await sandbox.snapshot()
            self._ready()

    def _ready(self) -> None:
        if self._domain is not None and self._domain.starting is not None:
            self._domain.runtime_ready()

    def _cannot(self, why: str) -> None:
        self._obstacle = why
        self._ready()

    def _judge(self, end: InitEnd) -> Outcome:
        if end.status is Status.TIMEOUT:
            return Outcome(Taken.FAILED, "The Init phase took too long.", "FunctionError.InitTimeout")
        if end.status is not Status.SUCCESS:
            code = "FunctionError.InitResourceExhausted" if end.out_of_memory else "FunctionError.RuntimeInitError"
            return Outcome(Taken.FAILED, _told(end), code)
        if self._domain is not None and self._domain.extension_records:
            return Outcome(Taken.IMPOSSIBLE, EXTENSIONS)
        if self._obstacle is not None:
            return Outcome(Taken.IMPOSSIBLE, self._obstacle)
        return Outcome(Taken.YES)

    async def _close(self) -> None:
        self._freeze.close()
        if (first := self.first()) is not None:
            await first.stop()
        try:
            if self._domain is not None:
                await self._domain.close()
            elif self._sandbox is not None:
                await self._sandbox.stop()
        finally:
            self._journal.close()

    # DomainEvents

    def runtime_ready(self) -> None:
        self._cannot(NO_HOOKS)

    def runtime_answered(self, answer: Answer) -> None:
        """Nothing was asked."""

    def runtime_init_failed(self, answer: Answer) -> None:
        if self._domain is not None and self._domain.starting is not None:
            self._domain.starting.failed(answer)

    def extensions_ready(self) -> None:
        """It has none."""

    def process_failed(self) -> None:
        """Seen when it does not clone itself any more."""


def _told(end: InitEnd) -> str:
    fault = end.fault("")
    try:
        body = orjson.loads(fault.payload)
        return f"The Init phase failed: {body['errorType']}: {body['errorMessage']}"
    except (ValueError, TypeError, KeyError):
        return f"The Init phase failed: {fault.error_type}"


def _as_it_was(_layout: Layout) -> Command:
    """A clone has its program and its variables already."""
    return Command(("clone",), {})
