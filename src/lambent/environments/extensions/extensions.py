"""The extensions of one environment: their processes, what they were told, and which of them are still at work.

Starts them, watches them and reads what they print; what they say comes through `api`. An extension that
ends or reports an error is a failure of the whole environment, unless it is being shut down. Whoever owns the
environment decides what follows.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lambent.aws.errors import FunctionFault
from lambent.core.clock import Clock
from lambent.core.lifecycle import step
from lambent.environments import events, faults
from lambent.environments.alarm import Alarm
from lambent.environments.extensions.api import ExtensionsApi, FunctionFacts
from lambent.environments.extensions.states import MAX_EXTENSIONS, NEXT, Event, Extension, ExtensionState
from lambent.environments.output import Output
from lambent.environments.request import InvokeRequest
from lambent.environments.runtime_http import what_was_sent_is_read
from lambent.environments.sandbox.ports import ProcessExit, Sandbox, SandboxError
from lambent.runtimes.layout import Command, Layout, RenderCommand
from lambent.runtimes.variables import extension_variables

EXIT_AFTER_REPORT_S = 1.0
"""How long the process of an extension that has reported an error may take to end: its exit code is in the text."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the environment fails by this extension: how its process ended, or why it was not started."""

    extension: Extension
    exit: ProcessExit | None = None
    not_started: str | None = None

    def fault(self, request_id: str) -> FunctionFault:
        match self.extension.state:
            case ExtensionState.LAUNCH_ERROR:
                error_type = "Extension.LaunchError"
            case ExtensionState.INIT_ERROR:
                error_type = "Extension.InitError"
            case ExtensionState.EXIT_ERROR:
                error_type = "Extension.ExitError"
            case _:
                error_type = "Extension.Crash"
        text = self.not_started
        if text is None:
            text = faults.extension_exit_text(self.exit) if self.exit else self.extension.error_type or ""
        return faults.of_extension(error_type, request_id, text)


class Extensions:
    """One per environment, over all restarts. The owner of the environment starts and ends; the rest comes from the
    API and the processes. `back` is called when the last one at work has asked for the next event, `failed` once per
    start when one has failed."""

    def __init__(
        self,
        *,
        facts: FunctionFacts,
        names: Sequence[str] | None,
        runtime: RenderCommand,
        sandbox: Sandbox,
        clock: Clock,
        read_output: Callable[[int], Output],
        back: Callable[[], None],
        failed: Callable[[Failure], None],
    ) -> None:
        """`names` are the files in `/opt/extensions`; None turns the whole API off."""
        self.api = ExtensionsApi(facts, self)
        self.running: set[Extension] = set()
        """Those that have an INVOKE and have not asked for the next event: the invocation goes on."""
        self.subscribed = False
        """Somebody wants to be told of invocations."""
        self.failure: Failure | None = None
        self.output: Output | None = None
        self._names = names
        self._runtime = runtime
        self._sandbox = sandbox
        self._clock = clock
        self._read_output = read_output
        self._told_back = back
        self._told_failed = failed
        self._registered: asyncio.Future[None] | None = None
        self._ending = False
        self._watches: dict[Extension, asyncio.Task[None]] = {}
        self._grace = Alarm(clock, self._reported_and_stays)
        self._reported: Extension | None = None

    @property
    def all(self) -> Sequence[Extension]:
        return self.api.extensions

    @property
    def external(self) -> Sequence[Extension]:
        """Those that have a process."""
        return [each for each in self.all if each in self._watches]

    @property
    def all_ready(self) -> bool:
        return all(each.state is ExtensionState.READY for each in self.all)

    # What the owner asks for

    async def start(self) -> "asyncio.Future[None]":
        """Launch all external ones in parallel. The future is done once each has registered; a failure is told."""
        self.forget()
        self._ending = False
        self.api.begin(self._names)
        registered = self._registered = asyncio.get_running_loop().create_future()
        if len(self.all) > MAX_EXTENSIONS:
            self._not_launched(self.all[MAX_EXTENSIONS], "TooManyExtensions", "ErrTooManyExtensions")
        else:
            await asyncio.gather(*(self._launch(each) for each in self.all))
            self._all_registered()
        return registered

    def close_registration(self) -> None:
        self.api.close_registration()
        self.subscribed = any(Event.INVOKE in each.events for each in self.all)

    def invoke(self, request: InvokeRequest, deadline_ms: int) -> None:
        self.running = self.api.invoke(request, deadline_ms)

    def expect_end(self) -> None:
        """From now on no exit is a failure."""
        self._ending = True
        self._grace.clear()

    def runtime_ended(self) -> None:
        """That is why the environment fails now: what ends after it is no failure. One that reported an error is."""
        if self.failure is None and self._reported is None:
            self._ending = True

    def forget(self) -> None:
        """The processes are gone."""
        self.expect_end()
        for watch in self._watches.values():
            watch.cancel()
        self._watches.clear()
        self.running = set()
        self.subscribed = False
        self.failure = None
        self._reported = None
        self._registered = None
        self.api.begin(None)

    async def exited(self, extension: Extension) -> None:
        """Wait for the end of its process."""
        await asyncio.shield(self._watches[extension])

    def close(self) -> None:
        self.forget()
        self._grace.close()
        if self.output is not None:
            self.output.close()

    def records(self, time_ms: int) -> list[events.Extension]:
        """What has become of each, for the log."""
        return [
            events.Extension(
                time_ms=time_ms,
                name=each.name,
                state=each.state,
                events=tuple(each.events),
                error_type=each.error_type,
            )
            for each in self.all
        ]

    # ExtensionEvents

    def extension_registered(self, extension: Extension) -> None:
        self._all_registered()

    def extension_ready(self, extension: Extension) -> None:
        if extension in self.running:
            self.running.discard(extension)
            if not self.running:
                self._told_back()
        elif not self.running:
            self._told_back()

    def extension_reported(self, extension: Extension) -> None:
        if self._ending or self.failure is not None or self._reported is not None:
            return
        self._reported = extension
        if extension in self._watches:
            self._grace.set(self._clock.monotonic() + EXIT_AFTER_REPORT_S)
        else:
            self._fail(Failure(extension))

    # Inside

    def _all_registered(self) -> None:
        waiting = any(each.state is ExtensionState.STARTED for each in self.all)
        if self._registered is not None and not self._registered.done() and not waiting and self.failure is None:
            self._registered.set_result(None)

    async def _launch(self, extension: Extension) -> None:
        if self.output is None:
            self.output = self._read_output(self._sandbox.extension_output_fd)
        try:
            await self._sandbox.start_extension(extension.name, self._command(extension.name))
        except SandboxError as error:
            program = f"/opt/extensions/{extension.name}"
            text = faults.launch_text(program, str(error)) or f"fork/exec {program}: {error}"
            kind = "PermissionDenied" if text.endswith(": permission denied") else "UnknownError"
            self._not_launched(extension, kind, text)
            return
        self._watches[extension] = asyncio.get_running_loop().create_task(self._watch(extension))

    def _command(self, name: str) -> RenderCommand:
        def render(layout: Layout) -> Command:
            variables = extension_variables(self._runtime(layout).variables)
            return Command((f"{layout.opt}/extensions/{name}",), variables)

        return render

    def _not_launched(self, extension: Extension, error_type: str, text: str) -> None:
        extension.state = step(NEXT, extension.state, ExtensionState.LAUNCH_ERROR)
        extension.error_type = error_type
        self._fail(Failure(extension, not_started=text))

    async def _watch(self, extension: Extension) -> None:
        end = await self._sandbox.extension_exited(extension.name)
        await what_was_sent_is_read()
        if not self._ending:
            self._fail(Failure(extension, end))
        elif extension.can(ExtensionState.EXITED):
            by_itself = ExtensionState.EXITED if end.status == 0 else ExtensionState.SHUTDOWN_FAILED
            extension.state = step(NEXT, extension.state, by_itself)

    def _reported_and_stays(self) -> None:
        if self._reported is not None:
            self._fail(Failure(self._reported))

    def _fail(self, failure: Failure) -> None:
        if self.failure is None and not self._ending:
            self.failure = failure
            self._grace.clear()
            self._told_failed(failure)
