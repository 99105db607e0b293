"""What CRIU saves and restores, asked for of the launcher: one order and its answer, each on a socket of its own."""

import os
from typing import NamedTuple

from lambent.environments.sandbox.channel import Channel
from lambent.launcher.client import LauncherClient
from lambent.launcher.wire import Message

GO = b"go"
_SAVE_TIMEOUT_S = 60.0
_REVIVE_TIMEOUT_S = 20.0


class Revived(NamedTuple):
    """A restored process, which stands still."""

    pid: int
    """In its sandbox."""
    go: int
    """It reads GO there and goes on."""
    status: int

    def close(self) -> None:
        os.close(self.go)
        os.close(self.status)


async def save(launcher: LauncherClient, sandbox: int, memory_mb: int) -> None:
    """Its runtime ends with that. Raises SandboxError, LauncherError, TimeoutError."""
    await _ask(launcher, sandbox, sandbox, memory_mb, "saved", _SAVE_TIMEOUT_S)


async def revive(launcher: LauncherClient, sandbox: int, like: int, memory_mb: int) -> tuple[Revived, int]:
    """And the read end of its output. Raises as `save`."""
    message, fds = await _ask(launcher, sandbox, like, memory_mb, "revived", _REVIVE_TIMEOUT_S)
    os.set_blocking(fds["output"], False)
    return Revived(message["pid"], fds["go"], fds["status"]), fds["output"]


async def _ask(
    launcher: LauncherClient, sandbox: int, like: int, memory_mb: int, answer: str, timeout_s: float
) -> tuple[Message, dict[str, int]]:
    channel = Channel(launcher.save_or_restore(sandbox=sandbox, like=like, memory_mb=memory_mb))
    try:
        return await channel.ask(None, answer, timeout_s)
    finally:
        # Not waited for: what hangs there ends with the sandbox.
        channel.abandon()
