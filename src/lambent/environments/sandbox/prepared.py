"""A sandbox that waits: complete, and nobody's until it is assigned, once."""

import asyncio
import os
from collections.abc import Callable, Mapping

from lambent.environments.events import HowStarted
from lambent.environments.sandbox import plug as network
from lambent.environments.sandbox.channel import Channel
from lambent.environments.sandbox.launched import NativeSandbox
from lambent.environments.sandbox.ports import NetworkSpec, SandboxSpec
from lambent.launcher.client import LauncherClient
from lambent.launcher.request import Limits
from lambent.launcher.wire import Message

_ASSIGN_TIMEOUT_S = 10.0
_NO_NETWORK = NetworkSpec(kind="none")


class NativePrepared:
    def __init__(
        self,
        how: HowStarted,
        number: int,
        channel: Channel,
        fds: Mapping[str, int],
        launcher: LauncherClient,
        sandboxes: "set[NativeSandbox | NativePrepared]",
        plugged: "asyncio.Future[Message] | None" = None,
    ) -> None:
        """`plugged` is what will be said of its way to the internet; None: it has no network yet."""
        self.how = how
        self._plugged = plugged
        self._number = number
        """By which the launcher knows it."""
        self._channel = channel
        self._fds = fds
        self._launcher = launcher
        self._sandboxes = sandboxes
        self._assigned = False
        self._stopping: asyncio.Task[None] | None = None

    def when_gone(self, action: Callable[[], None]) -> None:
        self._channel.when_gone(action)

    async def assign(self, spec: SandboxSpec) -> NativeSandbox:
        """Raises SandboxError, LauncherError, and ValueError for what the launcher was not told of."""
        if self._assigned or self._stopping is not None:
            raise RuntimeError("this sandbox was assigned or stopped before")
        self._assigned = True
        sandbox = NativeSandbox(spec, self._channel, self._fds, self._sandboxes.discard, self._number)
        self._sandboxes.discard(self)
        self._sandboxes.add(sandbox)
        try:
            limits = limits_of(spec)
            order = self._launcher.assignment(
                code_dir=spec.code_dir,
                opt_dir=spec.opt_dir,
                lang_prefix=spec.lang_prefix,
                memory_mb=limits.memory_mb,
                tmp_mb=limits.tmp_mb,
                processes=limits.processes,
            )
            plugged = await self._plug(spec)
            await self._channel.ask(order, "assigned", _ASSIGN_TIMEOUT_S)
            if plugged is not None:
                sandbox.network_missing = await network.plugged(plugged, spec, self._launcher)
        except BaseException:
            await sandbox.stop()
            raise
        return sandbox

    async def _plug(self, spec: SandboxSpec) -> "asyncio.Future[Message] | None":
        if self._plugged is None:
            return network.plug(self._launcher, self._channel, self._number, spec)
        if spec.network is not None and spec.network.kind == "internet":
            return self._plugged
        async with asyncio.timeout(_ASSIGN_TIMEOUT_S):
            await self._plugged  # The next answer is to the next question.
        answer = self._channel.expect_plug()
        self._launcher.plug(self._number, (spec.network or _NO_NETWORK).as_json())
        return answer

    async def stop(self) -> None:
        if self._assigned:
            return
        if self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        await self._channel.end()
        for fd in self._fds.values():
            os.close(fd)
        self._sandboxes.discard(self)


def limits_of(spec: SandboxSpec) -> Limits:
    return Limits(spec.memory_mb, spec.tmp_mb, max(8, min(spec.max_processes, 1024)))
