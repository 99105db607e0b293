"""The wait for processes that start: they ask for an event, report an error, end, or take too long.

Used for the Init phase of its own (10 s) and for Init inside an invocation (on the function's time-out). What comes
first decides how the Init ended.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from lambent.aws.errors import FunctionFault
from lambent.core.clock import Clock
from lambent.environments import faults
from lambent.environments.events import InitReport, Phase, Status
from lambent.environments.extensions.extensions import Failure
from lambent.environments.request import Answer
from lambent.environments.sandbox.ports import ProcessExit


@dataclass(frozen=True, slots=True)
class InitEnd:
    """How an Init ended. `answer` is what the runtime posted to `/init/error`, `exit` how the process ended."""

    status: Status
    duration_ms: float
    answer: Answer | None = None
    process_ms: float = 0.0
    """The part of it after which there was a runtime process with its variables."""
    exit: ProcessExit | None = None
    extension: Failure | None = None
    not_started: str | None = None
    """Why the runtime's program did not start."""
    out_of_memory: bool = False

    @property
    def error_type(self) -> str | None:
        if self.status is not Status.ERROR:
            return None
        return self.fault("").error_type

    def fault(self, request_id: str) -> FunctionFault:
        """What the caller of the invocation gets whose Init ended in an error."""
        if self.answer is not None:
            return FunctionFault(self.answer.error_type or "Runtime.Unknown", self.answer.body)
        if self.extension is not None and not self.out_of_memory:
            return self.extension.fault(request_id)
        if self.not_started is not None:
            return faults.invalid_entrypoint(request_id, self.not_started)
        return faults.exited(request_id, self.exit or ProcessExit(None, 9), out_of_memory=self.out_of_memory)

    def report(self, time_ms: int, phase: Phase) -> InitReport:
        return InitReport(
            time_ms=time_ms,
            phase=phase,
            status=self.status,
            error_type=self.error_type,
            duration_ms=self.duration_ms,
        )


class Initialisation:
    """One start of the processes, within `limit_s`. What happened is told by the Runtime API and those who watch."""

    def __init__(self, clock: Clock, limit_s: float) -> None:
        self._clock = clock
        self._began = self._process_at = clock.monotonic()
        self._limit_s = limit_s
        self._answer: Answer | None = None
        self._outcome: asyncio.Future[Answer | ProcessExit | Failure | str | None] = (
            asyncio.get_running_loop().create_future()
        )

    def process_started(self) -> None:
        self._process_at = self._clock.monotonic()

    def ready(self) -> None:
        """The runtime and all extensions asked for an event."""
        self._settle(None)

    def failed(self, answer: Answer) -> None:
        self._answer = answer
        self._settle(answer)

    def exited(self, end: ProcessExit) -> None:
        self._settle(end)

    def not_started(self, why: str) -> None:
        self._settle(why)

    def extension_failed(self, failure: Failure) -> None:
        self._settle(failure)

    def _settle(self, outcome: Answer | ProcessExit | Failure | str | None) -> None:
        if not self._outcome.done():
            self._outcome.set_result(outcome)

    async def reached(self, step: asyncio.Future[None]) -> bool:
        """Wait for a step on the way. False when the Init is over before."""
        await self._within_limit(step)
        return step.done() and not self._outcome.done()

    async def wait(self) -> InitEnd:
        """How it ended. After the limit, a time-out."""
        await self._within_limit()
        end = InitEnd(
            Status.TIMEOUT,
            (self._clock.monotonic() - self._began) * 1000,
            process_ms=(self._process_at - self._began) * 1000,
        )
        if not self._outcome.done():
            return end
        match self._outcome.result():
            case Answer() as answer:
                return replace(end, status=Status.ERROR, answer=answer)
            case ProcessExit() as how:
                return replace(end, status=Status.ERROR, exit=how)
            case Failure() as failure:
                return replace(end, status=Status.ERROR, extension=failure)
            case str() as why:
                return replace(end, status=Status.ERROR, not_started=why)
            case None:
                return replace(end, status=Status.SUCCESS)

    async def _within_limit(self, *steps: asyncio.Future[None]) -> None:
        left_s = self._began + self._limit_s - self._clock.monotonic()
        limit = asyncio.get_running_loop().create_task(self._clock.sleep(max(0.0, left_s)))
        try:
            outcomes: set[asyncio.Future[Any]] = {self._outcome, limit, *steps}
            await asyncio.wait(outcomes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            limit.cancel()

    def explain(self, end: InitEnd, *, out_of_memory: bool) -> InitEnd:
        """Complete a failure with what was learned while the processes were killed."""
        answer = end.answer
        if answer is None and end.exit is not None:
            # The report was still on its way when the process had already ended.
            answer = self._answer
        return replace(end, answer=answer, out_of_memory=out_of_memory)
