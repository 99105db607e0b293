"""Callers who wait for room on this machine, in order of arrival and for a short time."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lambent.aws.errors import ApiError, throttled
from lambent.core.clock import Clock
from lambent.environments.environment import Environment
from lambent.functions.records import FunctionVersion

WAIT_LIMIT_S = 3.0
"""How long a caller waits for room before 429: an environment with extensions takes 2 s to make it."""


@dataclass(frozen=True, slots=True)
class Waiter:
    version: FunctionVersion
    environment: asyncio.Future[Environment]
    since: float
    """Of the monotonic clock."""
    tenant_id: str | None = None

    def give(self, environment: Environment) -> bool:
        """False when the waiter is gone and the environment is still yours."""
        if self.environment.done():
            return False
        self.environment.set_result(environment)
        return True


class WaitingLine:
    """`given_back` gets an environment whose waiter went away with it; `moved` is told when somebody leaves early."""

    def __init__(self, clock: Clock, *, given_back: Callable[[Environment], None], moved: Callable[[], None]) -> None:
        self._clock = clock
        self._given_back = given_back
        self._moved = moved
        self._line: deque[Waiter] = deque()
        self.refused = 0
        """Callers who waited for nothing."""

    def __len__(self) -> int:
        return sum(not waiter.environment.done() for waiter in self._line)

    def head(self) -> Waiter | None:
        """Who waits longest."""
        while self._line and self._line[0].environment.done():
            self._line.popleft()
        return self._line[0] if self._line else None

    def take(self) -> Waiter:
        """Remove the head from the line, to be given an environment."""
        return self._line.popleft()

    def refuse_all(self) -> None:
        while (waiter := self.head()) is not None:
            waiter.environment.set_exception(no_room())
            self._line.popleft()

    async def wait(self, version: FunctionVersion, tenant_id: str | None = None) -> Environment:
        """Raises TooManyRequestsException after `WAIT_LIMIT_S`, and what the start of an environment raised."""
        waiter = Waiter(version, asyncio.get_running_loop().create_future(), self._clock.monotonic(), tenant_id)
        self._line.append(waiter)
        self._moved()
        limit = asyncio.get_running_loop().create_task(self._clock.sleep(WAIT_LIMIT_S))
        try:
            outcomes: set[asyncio.Future[Any]] = {waiter.environment, limit}
            await asyncio.wait(outcomes, return_when=asyncio.FIRST_COMPLETED)
            if not waiter.environment.done():
                self.refused += 1
                raise no_room()
            return waiter.environment.result()
        except asyncio.CancelledError:
            if waiter.environment.done() and not waiter.environment.exception():
                self._given_back(waiter.environment.result())
            raise
        finally:
            limit.cancel()
            if not waiter.environment.done():
                waiter.environment.cancel()
                self._moved()


def no_room() -> ApiError:
    return throttled("ConcurrentInvocationLimitExceeded")
