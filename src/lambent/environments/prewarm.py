"""Keeps sandboxes prepared, and gives each new environment the fastest start that there is.

The order is: one that waits prepared, a fork of the account's zygote, an exec. Owns the prepared sandboxes and the
zygotes until they are assigned or ended. How many there are is decided in `stock`; nothing here waits for a refill.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from lambent.core import tasks
from lambent.core.clock import Clock
from lambent.environments import capacity, stock
from lambent.environments.events import HowStarted
from lambent.environments.sandbox.ports import Preparation, Prepared, Sandbox, SandboxDriver, SandboxError, SandboxSpec
from lambent.environments.stock import BLANK, Limits, Stats, Use, ZygoteKey
from lambent.runtimes.layout import RuntimeStart

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 5.0
"""At memory, and at what is not used any more."""
MEMORY_FOR_S: Final = 0.5
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
"""After preparations that failed; environments are then made from nothing."""
ZYGOTE_WAIT_S: Final = 1.0
"""How long a start waits for a zygote that is on its way: an exec would hardly be faster."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What else goes on on the machine."""

    room: int
    """Environments that may still be made."""
    invoking: bool
    starting: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Obtained:
    sandbox: Sandbox
    how: HowStarted


@dataclass(slots=True)
class _Kind:
    """What there is of one kind of prepared sandbox."""

    use: Use
    runtime: RuntimeStart | None
    ready: deque[Prepared]
    preparing: int = 0
    failures: int = 0
    not_before: float = 0.0


class Runtimes(Protocol):
    """What functions of this server run on."""

    def in_use(self) -> Mapping[RuntimeStart, int]:
        """Number of functions by runtime, of those that this machine has."""
        ...

    def start(self, identifier: str) -> RuntimeStart | None:
        """None when this machine has none, or has not been asked for it yet."""
        ...


class NoRuntimes:
    """For machines without a control plane: no interpreter waits."""

    def in_use(self) -> Mapping[RuntimeStart, int]:
        return {}

    def start(self, identifier: str) -> RuntimeStart | None:
        return None


@dataclass(slots=True)
class _Zygote:
    runtime: RuntimeStart
    started: asyncio.Task[None]
    used_at: float


class Prewarm:
    """`run` is its background work, `close` its end. A driver that cannot prepare gets `create` for everything."""

    def __init__(
        self,
        driver: SandboxDriver,
        clock: Clock,
        limits: Limits,
        *,
        traffic: Callable[[], Traffic],
        runtimes: Runtimes | None = None,
        available_memory: Callable[[], float] = capacity.available_memory,
        cpus: int = 1,
    ) -> None:
        self._driver = driver
        self._clock = clock
        self._limits = limits if driver.can_prepare else stock.OFF
        self._traffic = traffic
        self._runtimes = runtimes or NoRuntimes()
        self._available_memory = available_memory
        self._cpus = cpus
        self._kinds: dict[str, _Kind] = {}
        self._no_zygote_before: dict[str, float] = {}
        """By runtime, after one that did not start."""
        self._no_zygote_why: dict[str, str] = {}
        self._zygotes: dict[ZygoteKey, _Zygote] = {}
        self._changed = asyncio.Event()
        self._prepared_at, self._prepare_s = 0.0, 0.0
        self._missing_since: float | None = None
        """When something was taken that is not replaced yet."""
        self._memory_at, self._memory_share = -math.inf, 1.0
        self._closed = False

    # What is asked of it

    async def obtain(self, spec: SandboxSpec) -> Obtained:
        """A sandbox for `spec`, not started. Raises the driver's errors."""
        runtime = None if spec.must_exec else spec.runtime
        kind = self._kind(runtime)
        now = self._clock.monotonic()
        kind.use = kind.use.seen(now)
        if self._missing_since is None:
            self._missing_since = now
        self._changed.set()
        prepared = self._take(kind, runtime)
        if prepared is None and runtime is not None:
            prepared = await self._forked(spec, runtime)
        if prepared is not None:
            try:
                return Obtained(await prepared.assign(spec), prepared.how)
            except (SandboxError, TimeoutError) as error:
                # It may have ended while it waited; what is wrong with the wish itself, the next try says again.
                logger.info("A prepared sandbox was of no use: %s", error)
        return Obtained(await self._driver.create(spec), HowStarted.EXECUTED)

    def deployed(self, identifier: str) -> None:
        """A function of this runtime was made or changed: its first invocation finds something prepared."""
        if (runtime := self._runtimes.start(identifier)) is not None:
            kind = self._kind(runtime)
            kind.use = replace(kind.use, functions=max(1, kind.use.functions), used_at=self._clock.monotonic())
            self._changed.set()

    def look_again(self) -> None:
        """The traffic has changed."""
        self._changed.set()

    def prepared(self) -> Mapping[str, int]:
        """How many wait, by runtime; `BLANK` without one."""
        return {name: len(kind.ready) for name, kind in self._kinds.items()}

    @property
    def zygotes(self) -> int:
        return len(self._zygotes)

    async def run(self) -> None:
        """Until cancelled."""
        while not self._closed:
            self._changed.clear()
            self._count_functions()
            again_in_s = self._keep()
            timer = asyncio.ensure_future(self._clock.sleep(again_in_s)) if again_in_s is not None else None
            try:
                changed = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait({changed} | ({timer} if timer else set()), return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()
                if timer is not None:
                    timer.cancel()

    async def close(self) -> None:
        """End all that is prepared, and all zygotes."""
        self._closed = True
        self._changed.set()
        ends = [prepared.stop() for kind in self._kinds.values() for prepared in kind.ready]
        for kind in self._kinds.values():
            kind.ready.clear()
        await asyncio.gather(*ends, *map(self._end_zygote, list(self._zygotes)), return_exceptions=True)

    # Inside: the stock

    def _kind(self, runtime: RuntimeStart | None) -> _Kind:
        name = BLANK if runtime is None else runtime.identifier
        kind = self._kinds.get(name)
        if kind is None:
            kind = self._kinds[name] = _Kind(Use(), runtime, deque())
        elif kind.runtime != runtime:
            # The interpreter of this runtime was replaced: what waits runs the old one.
            kind.runtime = runtime
            self._end(kind.ready)
        return kind

    def _count_functions(self) -> None:
        counts = self._runtimes.in_use()
        for runtime in counts:
            self._kind(runtime)
        for kind in self._kinds.values():
            if kind.runtime is not None:
                kind.use = replace(kind.use, functions=counts.get(kind.runtime, 0))

    def _take(self, kind: _Kind, runtime: RuntimeStart | None) -> Prepared | None:
        return kind.ready.popleft() if kind.ready and kind.runtime == runtime else None

    def _keep(self) -> float | None:
        """Do what is decided; when to look again."""
        now = self._clock.monotonic()
        decision = stock.decide(now, self._stats(), self._limits)
        for key in decision.end_zygotes:
            tasks.detach("end of a zygote", self._end_zygote(key))
        if not decision.missing:
            self._missing_since = None
        running = sum(kind.preparing for kind in self._kinds.values())
        again = [] if decision.again_in_s is None else [decision.again_in_s]
        for name, kind in self._kinds.items():
            wanted = decision.wanted[name]
            surplus = [kind.ready.pop() for _ in range(len(kind.ready) - wanted)]
            self._end(deque(surplus))
            if kind.not_before > now:
                again.append(kind.not_before - now)
                continue
            while running < decision.at_once and len(kind.ready) + kind.preparing < wanted:
                kind.preparing += 1
                running += 1
                tasks.detach("preparation of a sandbox", self._prepare(kind))
        if any(kind.ready or kind.preparing or kind.use.functions for kind in self._kinds.values()) or self._zygotes:
            again.append(LOOK_EVERY_S)
        return min(again) if again else None

    def _stats(self) -> Stats:
        traffic = self._traffic()
        return Stats(
            uses={
                name: replace(kind.use, ready=len(kind.ready), preparing=kind.preparing)
                for name, kind in self._kinds.items()
            },
            zygotes={key: zygote.used_at for key, zygote in self._zygotes.items() if zygote.started.done()},
            available_memory=self._memory(),
            room=traffic.room,
            invoking=traffic.invoking,
            starting=traffic.starting,
            waiting=traffic.waiting,
            cpus=self._cpus,
            prepared_at=self._prepared_at,
            missing_since=self._missing_since if self._missing_since is not None else -math.inf,
            prepare_s=self._prepare_s,
        )

    def _memory(self) -> float:
        """Not asked anew at each of a burst of starts."""
        now = self._clock.monotonic()
        if now - self._memory_at >= MEMORY_FOR_S:
            self._memory_at, self._memory_share = now, self._available_memory()
        return self._memory_share

    async def _prepare(self, kind: _Kind) -> None:
        began, runtime = self._clock.monotonic(), kind.runtime
        prepared: Prepared | None = None
        try:
            prepared = await self._driver.prepare(Preparation(runtime=runtime, internet=True))
        except (SandboxError, TimeoutError) as error:
            if not self._closed:
                what = "Nothing" if runtime is None else f"No {runtime.identifier}"
                logger.warning("%s could be prepared: %s", what, str(error) or "it took too long")
        finally:
            now = self._clock.monotonic()
            kind.preparing -= 1
            self._prepared_at, self._prepare_s = now, now - began
            if prepared is None:
                kind.not_before = now + min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**kind.failures)
                kind.failures = min(kind.failures + 1, 10)
            self._changed.set()
        if prepared is None:
            return
        kind.failures = 0
        if self._closed or kind.runtime != runtime:
            await prepared.stop()
            return
        kind.ready.append(prepared)
        prepared.when_gone(lambda: self._lost(kind, prepared))

    def _lost(self, kind: _Kind, prepared: Prepared) -> None:
        if prepared in kind.ready:
            kind.ready.remove(prepared)
            self._end(deque([prepared]))
            self._changed.set()

    def _end(self, ready: "deque[Prepared]") -> None:
        while ready:
            tasks.detach("end of a prepared sandbox", ready.popleft().stop())

    # Inside: zygotes

    async def _forked(self, spec: SandboxSpec, runtime: RuntimeStart) -> Prepared | None:
        key = ZygoteKey(spec.account, runtime.identifier)
        zygote = self._zygotes.get(key)
        if zygote is None or (zygote.started.done() and key not in self._driver.zygotes):
            # For those that come next: to wait for it from now on would be slower than an exec.
            self._begin_zygote(key, runtime)
            return None
        zygote.used_at = self._clock.monotonic()
        if not zygote.started.done():
            await asyncio.wait({zygote.started}, timeout=ZYGOTE_WAIT_S)
        if key not in self._driver.zygotes:
            return None
        try:
            internet = spec.network is not None and spec.network.kind == "internet"
            return await self._driver.prepare(Preparation(runtime, spec.account, internet=internet))
        except (SandboxError, TimeoutError) as error:
            logger.info("The zygote of %s is of no use: %s", runtime.identifier, error)
            return None

    def _begin_zygote(self, key: ZygoteKey, runtime: RuntimeStart) -> None:
        now = self._clock.monotonic()
        self._zygotes.pop(key, None)
        if self._closed or now < self._no_zygote_before.get(runtime.identifier, 0.0):
            return
        used = {each: zygote.used_at for each, zygote in self._zygotes.items()}
        may, gone = stock.zygote_to_replace(now, used, self._memory(), self._limits)
        if gone is not None:
            tasks.detach("end of a zygote", self._end_zygote(gone))
        if may:
            started = tasks.detach("start of a zygote", self._start_zygote(key, runtime))
            self._zygotes[key] = _Zygote(runtime, started, now)

    async def _start_zygote(self, key: ZygoteKey, runtime: RuntimeStart) -> None:
        try:
            await self._driver.start_zygote(key.account, runtime)
        except (SandboxError, TimeoutError) as error:
            # Where a runtime can have none, its cold starts go on asking.
            if self._no_zygote_why.get(runtime.identifier) != str(error):
                self._no_zygote_why[runtime.identifier] = str(error)
                logger.warning("No zygote of %s could be started: %s", runtime.identifier, error)
            self._no_zygote_before[runtime.identifier] = self._clock.monotonic() + LONGEST_PAUSE_S
            self._zygotes.pop(key, None)
        self._changed.set()

    async def _end_zygote(self, key: ZygoteKey) -> None:
        zygote = self._zygotes.pop(key, None)
        if zygote is not None:
            await asyncio.wait({zygote.started})
            await self._driver.stop_zygote(key.account, zygote.runtime)
