"""One response on its way from the engine to a client: a short queue with back-pressure at both ends, and the pace.

The sink of a streamed invocation, and what the gateway reads from. The invocation runs in a task of its own, so a
client who goes away stops neither the function nor the return of its lease; what still comes is then dropped.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from lambent.aws.errors import ApiError, PlatformFault
from lambent.core import tasks
from lambent.core.clock import Clock
from lambent.environments.request import Answer, InvokeRequest, InvokeResult, ResponseHead
from lambent.functions.quotas import Quotas
from lambent.functions.records import FunctionVersion
from lambent.invocation import pace
from lambent.invocation.pace import Pace
from lambent.invocation.router import Router

QUEUED_BYTES: Final = 256 * 1024
"""From this on nothing more is read from the runtime; one read of a socket may come on top."""


class Stream:
    """`begun`, then `next` until there is nothing more, then `result`; `leave` at any time. A ResponseSink."""

    def __init__(self, clock: Clock, speed: Pace) -> None:
        self._clock = clock
        self._pace = speed
        self._bucket = pace.full(speed, clock.monotonic())
        self._chunks: deque[bytes] = deque()
        self._queued_bytes = 0
        self._resume: Callable[[], None] = _nothing
        self._head: ResponseHead | None = None
        self._complete = False
        self._left = False
        self._changed = asyncio.Event()
        self._outcome: asyncio.Future[InvokeResult] | None = None

    def start(self, router: Router, version: FunctionVersion, request: InvokeRequest) -> None:
        """Invoke, with this as the sink."""
        self._outcome = asyncio.get_running_loop().create_future()
        tasks.detach("streamed invocation", self._run(self._outcome, router, version, request))

    async def _run(
        self, outcome: asyncio.Future[InvokeResult], router: Router, version: FunctionVersion, request: InvokeRequest
    ) -> None:
        try:
            outcome.set_result(await router.invoke(version, replace(request, sink=self)))
        except (ApiError, PlatformFault) as error:
            outcome.set_exception(error)
            # Nobody may be waiting any more; an unread exception would be reported as a bug.
            outcome.exception()
        finally:
            if not outcome.done():
                outcome.set_exception(PlatformFault("A streamed invocation was cut off"))
                outcome.exception()
            self._complete = True
            self._changed.set()

    # ResponseSink

    def begin(self, head: ResponseHead) -> None:
        self._head = head
        self._changed.set()

    def chunk(self, data: bytes) -> bool:
        if self._left:
            return True
        self._chunks.append(data)
        self._queued_bytes += len(data)
        self._changed.set()
        return self._queued_bytes < QUEUED_BYTES

    def resumes(self, call: Callable[[], None]) -> None:
        self._resume = call

    def end(self, error: Answer | None) -> None:
        # Which error it is, the result tells.
        self._complete = True
        self._changed.set()

    # The reader

    async def begun(self) -> ResponseHead | None:
        """What the runtime says of its response; None when it ended without one, which `result` explains.

        Raises what the invocation raises: ApiError when throttled, PlatformFault.
        """
        while self._head is None and not self._complete:
            await self._change()
        if self._head is None:
            await self.result()
        return self._head

    async def next(self) -> bytes | None:
        """What has come, as soon as its pace lets it go; None when the response is complete or cut off."""
        while not self._chunks:
            if self._complete:
                return None
            await self._change()
        if (wait := pace.wait_s(self._pace, self._bucket, self._clock.monotonic())) > 0:
            await self._clock.sleep(wait)
        return self._take()

    def _take(self) -> bytes:
        data = self._chunks.popleft()
        self._queued_bytes -= len(data)
        self._bucket = pace.taken(self._pace, self._bucket, len(data), self._clock.monotonic())
        if self._queued_bytes < QUEUED_BYTES:
            self._resume()
        return data

    async def result(self) -> InvokeResult:
        """How it ended, once the invocation has. Raises as `begun`."""
        assert self._outcome is not None
        return await asyncio.shield(self._outcome)

    def leave(self) -> None:
        """Nobody reads on: the function goes on, and what it sends is dropped."""
        self._left = True
        self._chunks.clear()
        self._queued_bytes = 0
        self._resume()

    async def _change(self) -> None:
        await self._changed.wait()
        self._changed.clear()


def pace_of(quotas: Quotas) -> Pace:
    return Pace(quotas.stream_burst_bytes, quotas.stream_bytes_per_s)


def _nothing() -> None: ...
