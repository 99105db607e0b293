"""The `process` driver where its launcher has CAP_SETUID, as in a plain container: a user for each environment.

The sandbox has no namespaces, so its folders and ports are those of the container. A connection to its Runtime API is
taken from processes of its own user alone; the AWS endpoint asks for signatures of its own session anyway.
"""

import errno
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from lambent.environments import peers
from lambent.environments.events import HowStarted
from lambent.environments.peers import OwnedListener
from lambent.environments.sandbox.channel import Channel
from lambent.environments.sandbox.launched import NativeSandbox
from lambent.environments.sandbox.native import NativeDriver
from lambent.environments.sandbox.ports import Preparation, SandboxError, SandboxSpec
from lambent.launcher import wire
from lambent.runtimes.layout import Layout, RuntimeStart

_TIMEOUT_S = 10.0
_LISTENING = ("0.0.0.0", 0)
"""The other end of a socket that nobody is connected to yet."""
_FEWEST_PROCESSES, _MOST_PROCESSES = 8, 1024


class ContainedSandbox(NativeSandbox):
    def __init__(
        self,
        spec: SandboxSpec,
        channel: Channel,
        fds: Mapping[str, int],
        stopped: Callable[[NativeSandbox], None],
        ready: wire.Message,
    ) -> None:
        """`ready` is what its first process said."""
        super().__init__(spec, channel, fds, stopped, ready["sandbox"])
        self._user: int = ready["user"]
        self.runtime_api = tuple(_owned(each, self._user) for each in self.runtime_api)
        home = Path(ready["home"])
        self.layout = Layout(
            task=str(spec.code_dir.resolve()),
            runtime=str(home.parent / "runtime"),
            lang=str(spec.lang_prefix.resolve()),
            opt=str(spec.opt_dir.resolve() if spec.opt_dir is not None else home / "opt"),
            tmp=str(home / "tmp"),
            runtime_api="{}:{}".format(*self.runtime_api[0].getsockname()),
            aws_endpoint_url="http://{}:{}".format(*self.aws_endpoint[0].getsockname()),
        )

    async def connect(self, port: int) -> socket.socket:
        """The loopback is that of the container: only what this environment's own user serves there is connected."""
        connection = await super().connect(port)
        if peers.user_of(connection.getpeername(), _LISTENING) == self._user:
            return connection
        connection.close()
        raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


class ContainedPrepared:
    """Nothing is made before it is known for whom."""

    how = HowStarted.EXECUTED

    def __init__(self, driver: "ContainedDriver") -> None:
        self._driver = driver

    def when_gone(self, action: Callable[[], None]) -> None:
        """There is nothing that could go."""

    async def assign(self, spec: SandboxSpec) -> ContainedSandbox:
        return await self._driver.create(spec)

    async def stop(self) -> None:
        """Nothing to end."""


class ContainedDriver(NativeDriver):
    can_prepare = False
    can_restore = False
    no_images = "its sandboxes have no use for CRIU"

    async def prepare(self, wish: Preparation) -> ContainedPrepared:  # type: ignore[override]
        return ContainedPrepared(self)

    async def create(self, spec: SandboxSpec) -> ContainedSandbox:
        """Raises SandboxError or LauncherError."""
        processes = max(_FEWEST_PROCESSES, min(spec.max_processes, _MOST_PROCESSES))
        control = self._launcher.prepare(memory_mb=spec.memory_mb, tmp_mb=spec.tmp_mb, processes=processes)
        channel = Channel(control)
        try:
            ready, fds = await channel.ask(None, "ready", _TIMEOUT_S)
        except BaseException:
            await channel.end()
            raise
        sandbox = ContainedSandbox(spec, channel, fds, self._sandboxes.discard, ready)
        self._sandboxes.add(sandbox)
        if spec.network is not None and spec.network.kind == "vpc":
            sandbox.network_missing = "the process sandbox has no network of its own"
        try:
            order = self._launcher.assignment(
                code_dir=spec.code_dir,
                opt_dir=spec.opt_dir,
                lang_prefix=spec.lang_prefix,
                memory_mb=spec.memory_mb,
                tmp_mb=spec.tmp_mb,
                processes=processes,
            )
            await channel.ask(order, "assigned", _TIMEOUT_S)
        except BaseException:
            await sandbox.stop()
            raise
        return sandbox

    async def start_zygote(self, account: str, runtime: RuntimeStart) -> None:
        raise SandboxError("the process sandbox has no zygotes")


def _owned(listener: socket.socket, user: int) -> OwnedListener:
    owned = OwnedListener(fileno=listener.detach())
    owned.owner = user
    return owned
