"""What environments need of a sandbox, and a driver must give: specification, sandbox, prepared sandbox, driver."""

import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lambent.environments.events import HowStarted
from lambent.runtimes.layout import Layout, RenderCommand, RuntimeStart


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """What a sandbox reaches beside its own loopback."""

    kind: str
    """`none`, `internet` or `vpc`; the rest is for `vpc`."""
    owner: str = ""
    """Account and region, as `123456789012/eu-west-1`."""
    vpc_id: str = ""
    subnet_cidr: str = ""
    security_groups: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """For the launcher."""
        if self.kind != "vpc":
            return {"kind": self.kind}
        name = f"{self.owner}/{self.vpc_id}"
        return {"kind": "vpc", "vpc": name, "subnet": self.subnet_cidr, "groups": self.security_groups}


@dataclass(frozen=True, slots=True)
class Preparation:
    """What kind of sandbox is made before anybody asks. All fields empty: one without an interpreter."""

    runtime: RuntimeStart | None = None
    """The interpreter that is started already and waits."""
    zygote_of: str | None = None
    """The account whose zygote forks it, instead of an exec. That zygote must run."""
    internet: bool = False
    """It is connected with the internet meanwhile, which most functions want: the others are taken out of there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSpec:
    """Everything a driver must know to build one sandbox."""

    environment_id: str
    command: RenderCommand
    code_dir: Path
    """Unpacked package on the host; becomes `/var/task`."""
    lang_prefix: Path
    """Prefix of the interpreter on the host; becomes `/var/lang`."""
    memory_mb: int
    cpus: float
    """Share of one CPU while invoking: memory / 1769. Init runs without a quota."""
    tmp_mb: int
    opt_dir: Path | None = None
    """Merged layers on the host; become `/opt`, which is empty without."""
    max_processes: int = 1024
    max_open_files: int = 1024
    account: str = ""
    network: NetworkSpec | None = None
    runtime: RuntimeStart | None = None
    """The interpreter that may have been started before; None for programs that are not known beforehand."""
    must_exec: bool = True
    """The command needs a process of its own from the start: `runtimes.starting.must_exec`."""
    template: bool = False
    """Its runtime is kept after Init, to be cloned by `SandboxDriver.restore`."""
    image: bool = False
    """The same by `SandboxDriver.save`, for one that cannot be cloned."""


@dataclass(frozen=True, slots=True)
class ProcessExit:
    """How the runtime ended: exactly one of the two is set."""

    status: int | None
    signal: int | None


class SandboxError(Exception):
    """A sandbox could not be made, a process in it not be started, or it ended by itself. The message says why."""


class Sandbox(Protocol):
    """One isolated place for one execution environment. Owned by one coroutine."""

    layout: Layout
    runtime_api: Sequence[socket.socket]
    """Listening, non-blocking sockets inside the sandbox's network."""
    aws_endpoint: Sequence[socket.socket]
    output_fd: int
    """Non-blocking read end of the pipe that is stdout and stderr of the runtime. Stays open over a Reset."""
    extension_output_fd: int
    """The same of all extensions."""
    network_missing: str | None
    """Why it was not connected with the network of its spec, where it was not."""

    async def start(self) -> None:
        """Start the runtime process. Again after `kill` (Reset): /tmp is kept."""
        ...

    async def exited(self) -> ProcessExit:
        """Wait until the current runtime process has ended. May be awaited by several, and repeatedly."""
        ...

    async def start_extension(self, name: str, command: RenderCommand) -> None:
        """Start a process beside the runtime. Again after it has ended; `name` is one of `extension_name`.

        Raises the driver's error when the program cannot be started."""
        ...

    async def extension_exited(self, name: str) -> ProcessExit:
        """Wait until the extension that was started last by this name has ended. As `exited`."""
        ...

    def terminate(self, name: str | None = None, *, force: bool = False) -> None:
        """SIGTERM, or by force SIGKILL, to one extension, or to the runtime; nothing when it has ended. Thawed first by
        the caller."""
        ...

    def end_runtime(self) -> None:
        """SIGKILL to the runtime alone. Clones of a template live on."""
        ...

    async def snapshot(self) -> str | None:
        """Of a template: wait until its runtime is ready to be cloned, or says that it cannot be; then the reason."""
        ...

    async def connect(self, port: int) -> socket.socket:
        """A non-blocking TCP connection to a port of the loopback inside. Raises OSError when nobody listens."""
        ...

    async def kill(self) -> bool:
        """Kill every process of the function; return when none is left. True: the sandbox can start another; False: it
        has ended as well, which is not our doing."""
        ...

    def freeze(self) -> None: ...

    def thaw(self) -> None: ...

    def limit_cpu(self, cpus: float | None) -> None:
        """Set the CPU quota; None lifts it (Init, and before a kill)."""
        ...

    def memory_peak_bytes(self) -> int:
        """Peak of what the processes hold since `start`: resident pages, not page cache. Cheap: called per invoke."""
        ...

    def sample_memory(self) -> None:
        """See what there is now, where the kernel keeps no peak of it: processes beside the runtime that may end."""
        ...

    def out_of_memory(self) -> bool:
        """Whether the kernel has killed a process of this sandbox for its memory limit since `start`."""
        ...

    async def stop(self) -> None:
        """End everything: processes, mounts, cgroups, sockets, pipe. Safe to call twice."""
        ...


class Prepared(Protocol):
    """A complete sandbox that holds nothing of any account: no code, no variables, no network but the internet's."""

    @property
    def how(self) -> HowStarted:
        """What the sandbox that is made of it will have been; EXECUTED when no interpreter waits in it."""
        ...

    def when_gone(self, action: Callable[[], None]) -> None:
        """Call `action` once it has ended, also by itself, also after it was assigned."""
        ...

    async def assign(self, spec: SandboxSpec) -> Sandbox:
        """Give it to one environment, once. On failure it is stopped, and the error is the driver's."""
        ...

    async def stop(self) -> None:
        """End it unless it was assigned. Safe to call twice."""
        ...


class SandboxDriver(Protocol):
    name: str
    guarantees: Mapping[str, bool]
    """For example filesystem, processes, network, memory, cpu, syscalls: what this machine really gives."""
    can_prepare: bool
    """False: `prepare` costs nothing and saves nothing here."""

    async def prepare(self, wish: Preparation) -> Prepared: ...

    can_restore: bool
    """Whether it has templates and clones of them."""

    @property
    def no_images(self) -> str | None:
        """Why a runtime that cannot be cloned cannot be saved either; None: it can be tried."""
        ...

    async def save(self, template: Sandbox) -> None:
        """Keep the runtime of a sandbox made with `image`, which waits, for `restore`. It ends with that."""
        ...

    async def restore(self, template: Sandbox, spec: SandboxSpec) -> Sandbox:
        """A sandbox around a clone of the runtime of `template`, which waits; `start` lets it go on. It is of no more
        use after a `kill`. The template must outlive it."""
        ...

    async def create(self, spec: SandboxSpec) -> Sandbox:
        """`prepare` without an interpreter, and `assign`."""
        ...

    @property
    def zygotes(self) -> Collection[tuple[str, str]]:
        """(account, runtime identifier) of those that run now; one that ended by itself is gone from here."""
        ...

    async def start_zygote(self, account: str, runtime: RuntimeStart) -> None:
        """Nothing when it runs. Raises the driver's error when there can be none: no place, or this interpreter."""
        ...

    async def stop_zygote(self, account: str, runtime: RuntimeStart) -> None:
        """Nothing when there is none. What was forked of it lives on."""
        ...

    async def close(self) -> None: ...
