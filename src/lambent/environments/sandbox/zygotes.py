"""The zygotes of the native driver: one per account and runtime, each with a line to it whose end is its end."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from lambent.environments.sandbox.channel import Channel
from lambent.environments.sandbox.ports import Preparation, SandboxError
from lambent.launcher.client import LauncherClient
from lambent.runtimes.layout import RuntimeStart

NOT_AGREED = "this interpreter was not there when the server started"
_START_TIMEOUT_S = 20.0

Key = tuple[str, str]


@dataclass(slots=True)
class _Zygote:
    channel: Channel
    runtime: RuntimeStart
    number: int


class Zygotes:
    def __init__(self, launcher: LauncherClient) -> None:
        self._launcher = launcher
        self._zygotes: dict[Key, _Zygote] = {}
        self._changing = asyncio.Lock()

    @property
    def alive(self) -> Collection[Key]:
        return self._zygotes.keys()

    def number(self, wish: Preparation) -> int:
        """The launcher's number of the zygote wished for. Raises SandboxError."""
        assert wish.zygote_of is not None
        found = self._zygotes.get((wish.zygote_of, wish.runtime.identifier)) if wish.runtime is not None else None
        if found is None or found.runtime != wish.runtime:
            raise SandboxError("this account has no zygote of this runtime")
        return found.number

    async def start(self, account: str, runtime: RuntimeStart) -> None:
        """Raises SandboxError, LauncherError."""
        key = (account, runtime.identifier)
        async with self._changing:
            if key in self._zygotes:
                return
            try:
                channel = Channel(self._launcher.start_zygote(runtime))
            except ValueError:
                raise SandboxError(NOT_AGREED) from None
            try:
                message, _ = await channel.ask(None, "ready", _START_TIMEOUT_S)
            except BaseException:
                await channel.end()
                raise
            self._zygotes[key] = _Zygote(channel, runtime, message["number"])
            channel.when_gone(lambda: self._forget(key, channel))

    def _forget(self, key: Key, channel: Channel) -> None:
        if (found := self._zygotes.get(key)) is not None and found.channel is channel:
            del self._zygotes[key]
            channel.close()

    async def stop(self, account: str, runtime: RuntimeStart) -> None:
        async with self._changing:
            if (found := self._zygotes.pop((account, runtime.identifier), None)) is not None:
                await found.channel.end()

    async def close(self) -> None:
        async with self._changing:
            zygotes, self._zygotes = list(self._zygotes.values()), {}
            await asyncio.gather(*(each.channel.end() for each in zygotes))
