"""Callers who wait for room on this machine, for a short time: a line for each function, in order of arrival.

Whose turn it is among functions is decided by `fairness`. The lines are bounded together and each by what is left, so
that no flood fills them; who finds no place is refused at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lambent.aws.errors import ApiError, throttled
from lambent.core.clock import Clock
from lambent.environments import fairness
from lambent.environments.environment import Environment
from lambent.environments.identity import slot_of
from lambent.functions.records import FunctionKey, FunctionVersion

WAIT_LIMIT_S = 3.0
"""How long a caller waits for room before 429: an environment with extensions takes 2 s to make it."""
PLACES: Final = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Waiter:
    version: FunctionVersion
    environment: asyncio.Future[Environment]
    since: float
    """Of the monotonic clock."""
    tenant_id: str | None
    slot: str

    def give(self, environment: Environment) -> bool:
        """False when the waiter is gone and the environment is still yours."""
        if self.environment.done():
            return False
        self.environment.set_result(environment)
        return True

    def refuse(self, error: Exception) -> None:
        if not self.environment.done():
            self.environment.set_exception(error)


@dataclass(slots=True)
class _Line:
    """The callers of one function."""

    waiters: deque[Waiter] = field(default_factory=deque)
    served: float = 0.0
    """When one of them got something."""


class WaitingLine:
    """`given_back` gets an environment whose waiter went away with it; `moved` is told when somebody comes, or leaves
    early."""

    def __init__(
        self,
        clock: Clock,
        *,
        given_back: Callable[[Environment], None],
        moved: Callable[[], None],
        places: int = PLACES,
    ) -> None:
        self._clock = clock
        self._given_back = given_back
        self._moved = moved
        self._places = places
        self._lines: dict[FunctionKey, _Line] = {}
        self._waiting = 0
        self.refused = 0
        """Callers who waited for nothing, or found no place in the line."""

    def __len__(self) -> int:
        return self._waiting

    def claims(self, holds: Mapping[FunctionKey, int]) -> list[fairness.Claim]:
        """One of each function that waits, which has so many environments."""
        return [
            fairness.Claim(key, len(line.waiters), holds.get(key, 0), max(line.waiters[0].since, line.served))
            for key, line in self._lines.items()
        ]

    def waits_only(self, key: FunctionKey | None) -> bool:
        """Whether nobody waits but callers of this function."""
        return not self._lines or (len(self._lines) == 1 and key in self._lines)

    def first(self, key: FunctionKey, slot: str | None = None) -> Waiter | None:
        """Who waits longest of a function; with `slot`, of those whom an environment of it can serve."""
        line = self._lines.get(key)
        waiters = () if line is None else line.waiters
        return next((each for each in waiters if slot is None or each.slot == slot), None)

    def serve(self, waiter: Waiter) -> None:
        """Take it out of the line, to be given an environment."""
        self._lines[waiter.version.key].served = self._clock.monotonic()
        self._remove(waiter)

    def refuse_all(self) -> None:
        for waiter in [waiter for line in self._lines.values() for waiter in line.waiters]:
            self._remove(waiter)
            waiter.refuse(no_room())

    async def wait(self, version: FunctionVersion, tenant_id: str | None = None) -> Environment:
        """Raises TooManyRequestsException after `WAIT_LIMIT_S`, and what the start of an environment raised."""
        waiter = self._join(version, tenant_id)
        self._moved()
        limit = asyncio.get_running_loop().create_task(self._clock.sleep(WAIT_LIMIT_S))
        try:
            outcomes: set[asyncio.Future[Any]] = {waiter.environment, limit}
            await asyncio.wait(outcomes, return_when=asyncio.FIRST_COMPLETED)
            if not waiter.environment.done():
                if self._remove(waiter):
                    self.refused += 1
                    self._moved()
                    raise no_room()
                # There is room, and an environment is on its way: its Init may take what it takes.
                await asyncio.wait({waiter.environment})
            return waiter.environment.result()
        except asyncio.CancelledError:
            if waiter.environment.done() and not waiter.environment.exception():
                self._given_back(waiter.environment.result())
            raise
        finally:
            limit.cancel()
            if not waiter.environment.done():
                waiter.environment.cancel()
                if self._remove(waiter):
                    self._moved()

    def _join(self, version: FunctionVersion, tenant_id: str | None) -> Waiter:
        line = self._lines.get(version.key)
        if not fairness.may_wait(len(line.waiters) if line else 0, self._waiting, self._places):
            self.refused += 1
            raise no_room()
        if line is None:
            line = self._lines[version.key] = _Line()
        environment: asyncio.Future[Environment] = asyncio.get_running_loop().create_future()
        waiter = Waiter(version, environment, self._clock.monotonic(), tenant_id, slot_of(version, tenant_id))
        line.waiters.append(waiter)
        self._waiting += 1
        return waiter

    def _remove(self, waiter: Waiter) -> bool:
        """Whether it was still there."""
        key = waiter.version.key
        line = self._lines.get(key)
        if line is None or waiter not in line.waiters:
            return False
        line.waiters.remove(waiter)
        self._waiting -= 1
        if not line.waiters:
            del self._lines[key]
        return True


def no_room() -> ApiError:
    return throttled("ConcurrentInvocationLimitExceeded")


def too_fast() -> ApiError:
    """More new environments of a function than may start in this time."""
    return throttled("FunctionInvocationRateLimitExceeded")
