"""The loop of the process that stands outside a container: the messages of any first process, in its own way.

It is subreaper of what runs inside. The runtime is the first process of the container, so each Reset needs a new one.
"""

import json
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from lambent.launcher import base_tree, cgroups, execute, first, mounts, request, tmp_image
from lambent.launcher.forks import Forked, Identity, Waiting
from lambent.launcher.hierarchies import Hierarchy
from lambent.launcher.kernel import syscalls
from lambent.launcher.oci import config as oci_config
from lambent.launcher.oci import tree as oci_tree
from lambent.launcher.oci.runtime import OciError, OciRuntime
from lambent.launcher.tmp_folder import TmpFolder

_LINE_FD = 3
"""As the waiting process sees it."""
_UP_LIMIT_S = 10.0
_INNER = "inside"
"""The control group of the container, below ours, whose limits stay when the runtime removes its own."""


class Blueprint(NamedTuple):
    """What the launcher has checked and decided about one container."""

    name: str
    slot: str
    limits: request.Limits
    prefixes: int
    own_prefix: int
    interpreter: str
    """Of the process that waits for its command."""
    runtime: request.Runtime | None
    """Whose interpreter waits instead of that."""
    tmp_blanks: Mapping[int, tmp_image.Extents] | None
    host_id: int
    program: str
    gvisor: bool
    """Its command is runsc's."""
    system: Mapping[str, str]
    parents: tuple[tuple[Hierarchy, str], ...]
    groups: str | None
    """Path of its control groups below each hierarchy."""
    seccomp: Mapping[str, object] | None


class OciFirst(first.First):
    _line_fd = _LINE_FD

    def __init__(
        self,
        blueprint: Blueprint,
        group: cgroups.Group,
        control: socket.socket,
        outputs: first.Outputs,
        tmp: TmpFolder,
    ) -> None:
        identity = Identity(blueprint.host_id, user_namespace=False, filter=None, template_filter=None)
        super().__init__(identity, group, control, outputs, tmp, blueprint.prefixes)
        self._blueprint = blueprint
        self._oci = self._runtime(blueprint.program, os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC))
        self._slot = f"{oci_tree.SLOTS}/{blueprint.slot}"
        self._container: tuple[int, int] | None = None
        """Its first process: pid, and a descriptor that never means another."""
        self._ended = False
        """It has, with the runtime."""
        self._ended_by: int | None = None
        """The signal for which the runtime was killed."""
        self._with_it: list[tuple[str, int, int]] = []
        """Extensions that the kernel killed because the runtime ends: told after it."""
        self._line: socket.socket | None = None
        """Of a container that waits for its command: where that goes, and what becomes of it comes from."""

    def _runtime(self, program: str, null: int) -> OciRuntime:
        return OciRuntime(program, null)

    def make(self) -> None:
        """The container. Raises OciError, NotStarted."""
        if self._blueprint.runtime is None:
            self._wait_for_command()
        else:
            self._prefix = self._blueprint.runtime.prefix
            self._wait_for_release(self._blueprint.runtime)

    def control(self) -> dict[str, int]:
        """What the supervisor gets of the control groups. Processes are in a group below ours, which goes with the
        container."""
        control = dict(self._forks.group.control)
        for hierarchy, folder in self._forks.group.folders:
            if (key := f"procs{hierarchy.version}") in control:
                os.close(control[key])
                control[key] = os.open(f"{folder}/{_INNER}/cgroup.procs", os.O_RDONLY | os.O_CLOEXEC)
        return control

    def _wait_for_command(self) -> None:
        self._line, theirs = socket.socketpair()
        self._line.settimeout(_UP_LIMIT_S)
        number = self._line_fd
        interpreter = self._blueprint.interpreter
        argv = (interpreter, "-I", "-S", "-c", oci_config.WAITING, str(number))
        library = os.path.join(os.path.dirname(os.path.dirname(interpreter)), "lib")
        with theirs:
            self._create(argv, {"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": library}, {number: theirs.fileno()})
        # Its interpreter may be covered by another from now on: it must have read all that it needs.
        try:
            if self._line.recv(1) == oci_config.STARTED:
                return
        except TimeoutError:
            pass
        raise OciError("what waits for the command did not start")

    def _wait_for_release(self, runtime: request.Runtime) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        variables = {**runtime.variables, first.START_VARIABLE: str(_LINE_FD)}
        program = execute.Program(runtime.argv, variables, "/", oci_config.OPEN_FILES)
        with theirs:
            pid = self._create(program.argv, variables, {_LINE_FD: theirs.fileno()})
        self._waiting = Waiting(Forked(pid, self._status(pid)), ours, program)
        self._waiting.await_ready()

    def _described(self, argv: tuple[str, ...], variables: Mapping[str, str]) -> oci_config.Container:
        blueprint = self._blueprint
        return oci_config.Container(
            argv=argv,
            variables=variables,
            root=oci_tree.ROOT,
            slot=self._slot,
            system=blueprint.system,
            user=blueprint.host_id,
            network=f"/proc/{os.getpid()}/ns/net",
            groups=None if blueprint.groups is None else f"{blueprint.groups}/{_INNER}",
            seccomp=blueprint.seccomp,
        )

    def _create(self, argv: tuple[str, ...], variables: Mapping[str, str], fds: Mapping[int, int]) -> int:
        outputs = {1: self._outputs.runtime, 2: self._outputs.runtime}
        bundle = f"{self._slot}/bundle"
        description = oci_config.config(self._described(argv, variables))
        pid = self._oci.create(self._blueprint.name, bundle, description, {**outputs, **fds})
        self._container = pid, os.pidfd_open(pid)
        self._ended, self._ended_by = False, None
        cgroups.limit_sockets(self._forks.group, _INNER)
        return pid

    def _assign(self, wanted: request.Assign) -> None:
        if self._assigned:
            raise request.BadRequest("assigned already")
        if self._prefix not in (None, wanted.prefix):
            raise request.BadRequest(f"prepared for prefix {self._prefix}")
        self._assigned = True
        self._forks.group = cgroups.change(self._forks.group, first.cgroup_limits(wanted.limits))
        cgroups.limit_sockets(self._forks.group, _INNER)
        self._tmp.mount(wanted.limits.tmp_mb)
        mounts.code(wanted.code, wanted.opt, task_at=f"{self._slot}/task", opt_at=f"{self._slot}/opt")
        self._prefix = wanted.prefix
        if self._blueprint.runtime is None:
            self._cover_lang()
        self._tell({"event": "assigned"})

    def _start(self, wanted: request.Start) -> None:
        if not self._assigned:
            raise request.BadRequest("nothing is assigned")
        if wanted.name in self._running:
            raise request.BadRequest(f"{wanted.name} is running")
        try:
            if wanted.template:
                raise OciError("a container cannot be kept to be cloned")
            if self._ended:
                self._end_container()
            if wanted.name != request.RUNTIME:
                self._start_extension(wanted)
            elif not self._release(wanted):
                self._exec_runtime(wanted)
        except OSError as error:
            self._tell({"event": "not_started", "reason": str(error)})

    def _wait_again(self) -> None:
        """After a Reset. What waits runs by our own interpreter, which is not in the prefix of the function."""
        self._end_container()
        lang = f"{self._slot}/lang"
        with suppress(OSError):
            while True:  # Until it is no mount point any more.
                syscalls.umount(lang)
        mounts.attach(syscalls.open_tree(base_tree.prefix_path(self._blueprint.own_prefix)), lang)
        self._wait_for_command()
        self._cover_lang()

    def _cover_lang(self) -> None:
        """The container sees it, also while its command waits."""
        assert self._prefix is not None
        if self._prefix != self._blueprint.own_prefix:
            mounts.attach(syscalls.open_tree(base_tree.prefix_path(self._prefix)), f"{self._slot}/lang")

    def _exec_runtime(self, wanted: request.Start) -> None:
        if self._line is None:
            self._wait_again()
        assert self._line is not None
        assert self._container is not None
        line, self._line = self._line, None
        command = {
            "argv": wanted.argv,
            "variables": dict(wanted.variables),
            "folder": wanted.folder,
            "open_files": wanted.open_files,
        }
        with line:
            line.sendall(json.dumps(command).encode())
            line.shutdown(socket.SHUT_WR)
            if reason := self._refusal(line):
                raise OciError(reason)
        pid = self._container[0]
        self._started(wanted.name, pid, self._status(pid))

    def _refusal(self, line: socket.socket) -> str:
        """Why what waited did not become its command; empty when it did, which closes the line."""
        said = b""
        while part := line.recv(4096):
            said += part
        return said.removeprefix(oci_config.STARTED).decode(errors="replace")

    def _start_extension(self, wanted: request.Start) -> None:
        if self._container is None:
            self._wait_again()
        description = oci_config.extension(wanted.argv, wanted.variables, wanted.folder, self._identity.host_id)
        bundle, output = f"{self._slot}/bundle", self._outputs.extensions
        pid = self._oci.exec(self._blueprint.name, bundle, description, output)
        self._started(wanted.name, pid, self._status(pid))

    def _status(self, pid: int) -> int:
        """An open descriptor of it."""
        return os.open(f"/proc/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)

    def _signal(self, name: str, number: int) -> None:
        """What the runtime has no handler for would not reach it: it is the first process of its container."""
        pid = self._running.get(name)
        if name == request.RUNTIME and pid is not None and not _catches(pid, number):
            self._ended_by = number
            number = signal.SIGKILL
        super()._signal(name, number)

    def _tell_exit(self, name: str, code: int, peak_bytes: int) -> None:
        if name != request.RUNTIME:
            if code == -signal.SIGKILL and (pid := self._running.get(request.RUNTIME)) is not None and _ends(pid):
                self._with_it.append((name, code, peak_bytes))
                return
            super()._tell_exit(name, code, peak_bytes)
            return
        self._ended = True
        if code == -signal.SIGKILL and self._ended_by is not None:
            code = -self._ended_by
        super()._tell_exit(name, code, peak_bytes)
        with_it, self._with_it = self._with_it, []
        for each in with_it:
            super()._tell_exit(*each)

    def _kill_all(self) -> None:
        self._end_container()

    def _end_container(self) -> None:
        """The first process of the container takes all others with it."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._container is None:
            return
        (_, pidfd), self._container = self._container, None
        self._kill_group()
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)
        self._reap(0)
        self._oci.delete(self._blueprint.name)

    def _kill_group(self) -> None:
        """All at once, where v2 can (Linux 5.14): the first process alone waits for its turn among those of a bomb."""
        for hierarchy, folder in self._forks.group.folders:
            if hierarchy.version == 2:
                with suppress(OSError), open(f"{folder}/{_INNER}/cgroup.kill", "w", encoding="ascii") as file:
                    file.write("1")

    def end(self) -> None:
        self._kill_all()
        with suppress(OSError):
            self._tmp.discard()


def _ends(pid: int) -> bool:
    """Whether the process has given up its memory already: the kernel kills the others of its container then."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        return not any(line.startswith("VmSize:") for line in status)


def _catches(pid: int, number: int) -> bool:
    """Whether the process has a handler for the signal, or ignores it."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        masks = [int(line.split()[1], 16) for line in status if line.startswith(("SigCgt:", "SigIgn:"))]
    return any(mask >> (number - 1) & 1 for mask in masks)
