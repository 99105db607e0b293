"""The wait for a runtime that starts: it asks for an event, reports an error, ends, or takes too long.

Used for the Init phase of its own (10 s) and for Init inside an invocation (on the function's time-out).
"""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from lambent.aws.errors import FunctionFault
from lambent.core.clock import Clock
from lambent.environments import faults
from lambent.environments.events import InitReport, Phase, Status
from lambent.environments.ports import ProcessExit
from lambent.environments.runtime_api import Answer


@dataclass(frozen=True, slots=True)
class InitEnd:
    """How an Init ended. `answer` is what the runtime posted to `/init/error`, `exit` how the process ended."""

    status: Status
    duration_ms: float
    answer: Answer | None = None
    process_ms: float = 0.0
    """The part of it after which there was a runtime process with its variables."""
    exit: ProcessExit | None = None
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
        assert self.exit is not None
        return faults.exited(request_id, self.exit, out_of_memory=self.out_of_memory)

    def report(self, time_ms: int, phase: Phase) -> InitReport:
        return InitReport(
            time_ms=time_ms,
            phase=phase,
            status=self.status,
            error_type=self.error_type,
            duration_ms=self.duration_ms,
        )


class Initialisation:
    """One start of the runtime process. `ready` and `failed` are told by the Runtime API."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = self._process_at = clock.monotonic()
        self._told: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()

    def process_started(self) -> None:
        self._process_at = self._clock.monotonic()

    def ready(self) -> None:
        if not self._told.done():
            self._told.set_result(None)

    def failed(self, answer: Answer) -> None:
        if not self._told.done():
            self._told.set_result(answer)

    async def wait(self, exited: "asyncio.Task[ProcessExit]", limit_s: float) -> InitEnd:
        limit = asyncio.get_running_loop().create_task(self._clock.sleep(max(0.0, limit_s)))
        try:
            outcomes: set[asyncio.Future[Any]] = {self._told, exited, limit}
            await asyncio.wait(outcomes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            limit.cancel()
        duration_ms = (self._clock.monotonic() - self._began) * 1000
        process_ms = (self._process_at - self._began) * 1000
        if self._told.done():
            answer = self._told.result()
            status = Status.SUCCESS if answer is None else Status.ERROR
            return InitEnd(status, duration_ms, answer, process_ms)
        if exited.done():
            return InitEnd(Status.ERROR, duration_ms, process_ms=process_ms, exit=exited.result())
        return InitEnd(Status.TIMEOUT, duration_ms, process_ms=process_ms)

    def explain(self, end: InitEnd, *, out_of_memory: bool) -> InitEnd:
        """Complete a failure with what was learned while the processes were killed."""
        answer = end.answer
        if answer is None and end.status is Status.ERROR and self._told.done():
            # The report was still on its way when the process had already ended.
            answer = self._told.result()
        return replace(end, answer=answer, out_of_memory=out_of_memory)
