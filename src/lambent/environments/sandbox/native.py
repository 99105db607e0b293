"""The `native`, `rootless` and `oci` drivers: sandboxes that the launcher builds, prepared ahead, restored or from
nothing."""

import asyncio
from collections.abc import Collection, Mapping

from lambent.environments.events import HowStarted
from lambent.environments.sandbox import plug as network
from lambent.environments.sandbox import revival
from lambent.environments.sandbox.channel import Channel
from lambent.environments.sandbox.guarantees import GUARANTEES
from lambent.environments.sandbox.launched import NativeSandbox
from lambent.environments.sandbox.ports import Preparation, Sandbox, SandboxError, SandboxSpec
from lambent.environments.sandbox.prepared import NativePrepared, limits_of
from lambent.environments.sandbox.zygotes import NOT_AGREED, Zygotes
from lambent.launcher.client import LauncherClient
from lambent.launcher.request import Limits
from lambent.runtimes.layout import RuntimeStart

_CREATE_TIMEOUT_S = 10.0
USUAL = Limits(memory_mb=128, tmp_mb=512, processes=1024)
"""Of a sandbox whose function is not known yet: what most functions have."""


class NativeDriver:
    def __init__(self, launcher: LauncherClient) -> None:
        self.name = launcher.kind.name
        self.can_prepare = not launcher.kind.gvisor
        self.can_restore = launcher.kind.program is None
        # An OCI runtime makes the network after its first process.
        self._plugs_early = launcher.kind.program is None
        self._sandboxes: set[NativeSandbox | NativePrepared] = set()
        self._launcher = launcher
        self._zygotes = Zygotes(launcher)
        self.launcher_missing = launcher.missing
        """Guarantee -> why the launcher cannot give it."""
        self.guarantees: Mapping[str, bool] = {name: name not in launcher.missing for name in GUARANTEES}

    async def prepare(self, wish: Preparation) -> NativePrepared:
        """Raises SandboxError or LauncherError."""
        return await self._prepare(USUAL, wish)

    async def _prepare(
        self, limits: Limits, wish: Preparation, *, to_save: bool = False, like: int | None = None
    ) -> NativePrepared:
        how, number = (HowStarted.EXECUTED if wish.runtime is None else HowStarted.POOLED), None
        if wish.zygote_of is not None:
            how, number = HowStarted.FORKED, self._zygotes.number(wish)
        internet = wish.internet and self._plugs_early and not self._launcher.no_egress
        try:
            control = self._launcher.prepare(
                memory_mb=limits.memory_mb,
                tmp_mb=limits.tmp_mb,
                processes=limits.processes,
                runtime=wish.runtime,
                zygote=number,
                internet=internet,
                to_save=to_save,
                like=like,
            )
        except ValueError:
            raise SandboxError(NOT_AGREED) from None
        channel = Channel(control)
        plugged = channel.expect_plug() if internet else None
        try:
            message, fds = await channel.ask(None, "ready", _CREATE_TIMEOUT_S)
        except BaseException:
            await channel.end()
            raise
        prepared = NativePrepared(how, message["sandbox"], channel, fds, self._launcher, self._sandboxes, plugged)
        self._sandboxes.add(prepared)
        return prepared

    async def create(self, spec: SandboxSpec) -> NativeSandbox:
        """Raises SandboxError or LauncherError."""
        internet = spec.network is not None and spec.network.kind == "internet"
        wish = Preparation(internet=internet)
        return await (await self._prepare(limits_of(spec), wish, to_save=spec.image)).assign(spec)

    @property
    def no_images(self) -> str | None:
        return self._launcher.criu_missing

    async def save(self, template: Sandbox) -> None:
        """Raises SandboxError or LauncherError."""
        assert isinstance(template, NativeSandbox)
        await revival.save(self._launcher, template.number, template.memory_mb)
        template.saved = True

    async def _revive(self, template: NativeSandbox, spec: SandboxSpec) -> NativeSandbox:
        prepared = await self._prepare(limits_of(spec), Preparation(), like=template.number)
        try:
            sandbox = await prepared.assign(spec)
        finally:
            await prepared.stop()
        try:
            sandbox.take_revived(*await revival.revive(self._launcher, sandbox.number, template.number, spec.memory_mb))
        except BaseException:
            await sandbox.stop()
            raise
        sandbox.outlived_by(template)
        return sandbox

    async def restore(self, template: Sandbox, spec: SandboxSpec) -> NativeSandbox:
        """Raises SandboxError or LauncherError."""
        assert isinstance(template, NativeSandbox)
        if template.saved:
            return await self._revive(template, spec)
        limits = limits_of(spec)
        control, finisher = self._launcher.restore(
            template=template.number, memory_mb=limits.memory_mb, tmp_mb=limits.tmp_mb, processes=limits.processes
        )
        template.hand_over(finisher)
        channel = Channel(control)
        try:
            message, fds = await channel.ask(None, "ready", _CREATE_TIMEOUT_S)
        except BaseException:
            await channel.end()
            raise

        def stopped(sandbox: NativeSandbox) -> None:
            self._sandboxes.discard(sandbox)
            template.forget_clone(sandbox)

        sandbox = NativeSandbox(spec, channel, fds, stopped, message["sandbox"])
        self._sandboxes.add(sandbox)
        template.clones.add(sandbox)
        try:
            plugged = network.plug(self._launcher, channel, sandbox.number, spec)
            if plugged is not None:
                sandbox.network_missing = await network.plugged(plugged, spec, self._launcher)
        except BaseException:
            await sandbox.stop()
            raise
        return sandbox

    @property
    def zygotes(self) -> Collection[tuple[str, str]]:
        return self._zygotes.alive

    async def start_zygote(self, account: str, runtime: RuntimeStart) -> None:
        """Raises SandboxError or LauncherError."""
        await self._zygotes.start(account, runtime)

    async def stop_zygote(self, account: str, runtime: RuntimeStart) -> None:
        await self._zygotes.stop(account, runtime)

    async def close(self) -> None:
        """End all sandboxes and the launcher."""
        await asyncio.gather(*(sandbox.stop() for sandbox in tuple(self._sandboxes)), self._zygotes.close())
        await asyncio.to_thread(self._launcher.close)
