"""The invocation that an environment runs: what was asked, until when, and how far it has come."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from lambent.environments.events import RuntimeDone, Status
from lambent.environments.outflow import Outflow
from lambent.environments.request import Answer, InvokeRequest, InvokeResult


@dataclass(slots=True)
class Current:
    """Made by `invoke`, dropped once END and REPORT are written."""

    request: InvokeRequest
    result: asyncio.Future[InvokeResult]
    on_end: Callable[[], None]
    started: float
    deadline: float
    answer: Answer | None = None
    began_to_answer: float | None = None
    """When the head of the runtime's answer came; only where somebody wants to know."""
    answered: float | None = None
    """The same for its end."""
    ended: float | None = None
    """When the runtime asked for the next one."""
    runtime_done: bool = False
    """Its end is written already: extensions were still at work then."""
    outflow: Outflow | None = None
    """Where the response goes when the request has a sink."""
    moves: int = 0
    """How many environments had it before and ended before their runtimes got it."""

    def settle(self, log_tail: bytes | None = None) -> None:
        """Tell the caller the answer; once, and nothing when nobody waits."""
        answer = self.answer
        if answer is not None and not self.result.done():
            self.result.set_result(InvokeResult(answer.body, answer.error_type, log_tail, self.streamed_bytes))

    @property
    def streamed_bytes(self) -> int:
        return 0 if self.outflow is None else self.outflow.sent_bytes

    def refuse(self, error: Exception) -> None:
        """Nobody can run it."""
        if not self.result.done():
            self.result.set_exception(error)
        self.on_end()

    def done(self, time_ms: int, status: Status, error_type: str | None, duration_ms: float) -> RuntimeDone:
        """The record of the end of the runtime's part."""
        produced = len(self.answer.body) if self.answer is not None else 0
        if self.outflow is not None:
            produced = self.outflow.sent_bytes
        latency_ms, took_ms = self._answer_times_ms
        request_id = self.request.request_id
        return RuntimeDone(time_ms, request_id, status, error_type, duration_ms, produced, latency_ms, took_ms)

    @property
    def _answer_times_ms(self) -> tuple[float | None, float]:
        """Until the answer began, and from there to its end; None and 0 where nobody took the times."""
        if self.began_to_answer is None or self.answered is None:
            return None, 0.0
        return (self.began_to_answer - self.started) * 1000, (self.answered - self.began_to_answer) * 1000
