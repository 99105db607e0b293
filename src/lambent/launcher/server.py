"""The launcher's loop: take requests, fork sandboxes, clean up after them. Single-threaded.

It ends with its socket. Its sandboxes end with it, by the parent-death signal and by their own sockets.
"""

import gc
import heapq
import os
import resource
import select
import signal
import socket
import time
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

from lambent.launcher import base_tree, cgroups, init, leftovers, request, tmp_image, user_namespace, wire, zygote
from lambent.launcher.kernel import seccomp, syscalls
from lambent.launcher.net import loopback, networks
from lambent.launcher.net.namespaces import NetworkUnavailable
from lambent.launcher.restore import finish, making
from lambent.launcher.user_namespace import Ids, NoUserNamespace
from lambent.launcher.zygotes import Zygotes

SOCKET_FD = 0
"""Standard input, because it also survives `systemd-run --scope`."""
_NAMESPACES = (
    syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
)
"""Not of cgroups: from inside one, v2 (nsdelegate) would not let the runtime into a group beside ours. It leaves ours
for its own once it has joined."""
_FIRST_ID = 0x7000_0000
_IDS_PER_DATA_DIR = 0x1_0000
_DATA_DIRS = 0xFFF
_END_TIMEOUT_S = 5.0
_NO_NETWORKS = "the process sandbox has no network of its own"
_PROBE_TMP_MB, _USUAL_TMP_MB = 8, 512


class Agreed(NamedTuple):
    """What the command, still privileged, agreed with the launcher at start."""

    data_dir: str
    mark: str
    """Eight hexadecimal digits that stand for the data dir in the names of cgroups and the numbers of users."""
    packages: str
    prefixes: tuple[str, ...]
    runtimes: tuple[request.Runtime, ...]
    runtime_entries: dict[str, str]
    delegated: bool
    """Our cgroup is ours: systemd does not touch what is below it."""
    rootless: bool
    """We are root in a user namespace alone."""
    trusted: frozenset[int] | None
    """Runtimes that may have a zygote, by number; None: looked at when one is started, as where we stay root."""
    egress: str
    egress_allow: tuple[str, ...]
    """Private networks that functions may reach."""
    oci: str | None
    """The program of an OCI runtime, which then makes the sandboxes."""


class Running(NamedTuple):
    slot: int
    control: socket.socket


class Launcher:
    def __init__(self, agreed: Agreed, ids: Ids, supervisor: socket.socket) -> None:
        self._agreed = agreed
        self._ids = ids
        self._supervisor = supervisor
        _raise_file_limit()
        self._running: dict[int, Running] = {}
        self._zygotes = Zygotes(agreed.trusted)
        self._free_slots: list[int] = []
        self._doubtful: set[int] = set()
        self._next_slot = 0
        self._blanks: dict[int, tmp_image.Extents] = {}
        self.missing: dict[str, str] = {}
        """Guarantee -> why this machine cannot give it."""
        if ids.missing is not None:
            self.missing["user"] = f"a function has the number of the server's user: {ids.missing}"
        self._group_prefix = f"lambent-{agreed.mark}-"
        self._group_name = self._group_prefix + leftovers.owner_mark(os.getpid())
        self._above_groups: list[int] = []
        # Of two names, since one of root's could not be used without root.
        self._own_folder = f"{agreed.data_dir}/{'rootless' if agreed.rootless else 'launcher'}"
        self._record = f"{self._own_folder}/cgroups"
        os.makedirs(self._own_folder, 0o700, exist_ok=True)
        self._filter = self._compile_filter()
        self._template_filter = self._compile_filter(template=True)
        self._hierarchies, self._groups = self._prepare_cgroups()
        # The last of the numbers is no function's.
        self.networks = networks.Networks(agreed.egress, agreed.egress_allow, ids.first + ids.size - 1, agreed.mark)
        self._proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._leave_host()
        if agreed.rootless:
            _check_proc()
        self.networks.open()
        self._tmp_images = self._probe_tmp_images()
        self._user_namespaces = self._probe_user_namespaces()

    def _compile_filter(self, *, template: bool = False) -> bytes | None:
        try:
            return seccomp.compile_filter(template=template)
        except seccomp.SeccompUnavailable as error:
            self.missing["syscalls"] = str(error)
            return None

    def _prepare_cgroups(self) -> tuple[tuple[cgroups.Hierarchy, ...], list[str]]:
        try:
            if os.path.isdir(cgroups.SYSTEMD) and not self._agreed.delegated:
                raise OSError("systemd runs here and gave none: systemd-run, which asks for some, is missing or failed")
            hierarchies = cgroups.writable(cgroups.discover()) if self._agreed.rootless else cgroups.discover()
            parents = [each.folder for each in hierarchies]
            leftovers.sweep({*leftovers.recorded(self._record), *parents}, self._group_prefix)
            leftovers.write_record(self._record, parents)
            folders = cgroups.prepare(hierarchies, self._group_name)
            # Our folders can only be removed from above, and the launcher leaves the host's tree.
            self._above_groups = [os.open(each.folder, os.O_PATH | os.O_CLOEXEC) for each in hierarchies]
        except OSError as error:
            hierarchies, folders = (), []
            reason = f"cgroups cannot be used: {error}"
        else:
            reason = "the kernel offers no such cgroup controller here"
            if self._agreed.rootless:
                reason = "no control group with it was delegated to this user"
        found = {name for each in hierarchies for name in each.controllers}
        # Processes have another limit then, which the probe tries; see execute.Fallback.
        self.missing |= {name: reason for name in ("memory", "cpu") if name not in found}
        return hierarchies, folders

    def _leave_host(self) -> None:
        base_tree.enter(
            base=self._agreed.data_dir,
            packages=self._agreed.packages,
            images=self._own_folder,
            prefixes=list(self._agreed.prefixes),
            runtime_entries=self._agreed.runtime_entries,
            cgroups=self._groups,
            rootless=self._agreed.rootless,
        )
        # The folders of our cgroups, as they are now called.
        self._parents = tuple(
            (hierarchy, base_tree.cgroup_path(index)) for index, hierarchy in enumerate(self._hierarchies)
        )

    def _probe_user_namespaces(self) -> bool:
        """Without them a function still has a user of its own, only its number inside is another than AWS's."""
        try:
            pid = syscalls.clone(syscalls.CLONE_NEWUSER)
        except OSError:
            return False
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        return True

    def _probe_tmp_images(self) -> bool:
        if self._agreed.rootless:
            self.missing["tmp"] = "only root mounts disk images: /tmp is memory, and counts as the function's"
            return False
        try:
            mounted = tmp_image.mount(_PROBE_TMP_MB, self._blank(_PROBE_TMP_MB), "/tmp", 0, 0)
            tmp_image.discard("/tmp", mounted)
            self._blank(_USUAL_TMP_MB)
        except (OSError, tmp_image.TmpUnavailable) as error:
            self.missing["tmp"] = f"{error}; /tmp counts as memory of the function"
            return False
        return True

    def _blank(self, size_mb: int) -> tmp_image.Extents:
        if size_mb not in self._blanks:
            self._blanks[size_mb] = tmp_image.blank(size_mb)
        return self._blanks[size_mb]

    def serve(self) -> None:
        """Until the supervisor closes its end; then end all sandboxes and leave nothing."""
        woken, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._supervisor, select.POLLIN)
        poll.register(woken, select.POLLIN)
        if (news := self.networks.news) is not None:
            poll.register(news, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if woken in ready:
                os.read(woken, 4096)
                self._reap()
            if news is not None and news.fileno() in ready:
                self.networks.host_has_changed()
            if self._supervisor.fileno() in ready:
                try:
                    received = wire.receive(self._supervisor)
                except (wire.DescriptorsLost, ValueError):
                    continue  # The other end of a lost socket sees its end.
                except ConnectionResetError:
                    break  # It ended before it had read that we are ready.
                if received is None:
                    break
                message, fds = received
                control = fds.pop("control", None)
                if control is not None and message.get("do") == "vpc":
                    self._rule(message, socket.socket(fileno=control))
                elif control is not None:
                    self._obey(message, socket.socket(fileno=control), fds.pop("template", None))
                elif message.get("do") == "plug":
                    self._plug(message)
                for fd in fds.values():
                    os.close(fd)
        self._end()

    def _obey(self, message: dict[str, Any], control: socket.socket, template: int | None) -> None:
        """A failure is told on the control socket; success is told there by the sandbox or zygote itself."""
        # It leads to the first process of a template.
        link = None if template is None else socket.socket(fileno=template)
        try:
            match message.get("do"):
                case "prepare":
                    self._prepare(request.prepare(message, len(self._agreed.runtimes)), control)
                case "zygote":
                    self._start_zygote(request.runtime_of_zygote(message, len(self._agreed.runtimes)), control)
                case "restore" if link is not None:
                    self._restore(request.restore(message), control, link)
                case other:
                    raise request.BadRequest(f"{other!r} is not understood")
        except (request.BadRequest, tmp_image.TmpUnavailable, OSError, ValueError) as error:
            with suppress(OSError):
                wire.send(control, {"event": "failed", "reason": str(error)})
            control.close()
        finally:
            if link is not None:
                link.close()

    def _restore(self, wanted: request.Restore, control: socket.socket, template: socket.socket) -> None:
        """As `_prepare`, around a clone of a template."""
        first = next((pid for pid, each in self._running.items() if each.slot == wanted.template), None)
        if first is None:
            raise request.BadRequest("there is no such template")
        slot = self._take_slot()
        try:
            pid = os.fork()
        except OSError:
            heapq.heappush(self._free_slots, slot)
            raise
        if pid == 0:
            blueprint = making.Blueprint(
                slot=str(slot),
                limits=wanted.limits,
                parents=self._parents,
                group_name=self._group_name,
                template_slot=str(wanted.template),
                template_first=first,
                owner=self._host_id(wanted.template),
                proc=self._proc,
            )
            finish.run(blueprint, control, template)
        self._running[pid] = Running(slot, control)

    def _prepare(self, wanted: request.Prepare, control: socket.socket) -> None:
        if self._tmp_images:
            self._blank(wanted.limits.tmp_mb)
        slot = self._take_slot()
        blueprint = self._blueprint(wanted, slot)
        try:
            if wanted.zygote is not None:
                message = {"slot": blueprint.slot, "host_id": blueprint.host_id, "limits": wanted.limits}
                pid = self._zygotes.fork(wanted.zygote, wanted.runtime, message, control)
            else:
                pid = self._fork()
        except (request.BadRequest, OSError, ValueError):
            # A zygote that failed may have made a sandbox that we do not know.
            self._doubtful.add(slot)
            self._clear_doubts()
            raise
        if pid == 0:
            self._become(wanted, blueprint, control)
        self._running[pid] = Running(slot, control)

    def _fork(self) -> int:
        return syscalls.clone(_NAMESPACES)

    def _become(self, wanted: request.Prepare, blueprint: init.Blueprint, control: socket.socket) -> NoReturn:
        init.run(blueprint, control)

    def _rule(self, message: dict[str, Any], answer_to: socket.socket) -> None:
        """Make or change a VPC."""
        fds: dict[str, int] = {}
        try:
            fds = self.networks.rule(message)
            answer = {"event": "ruled"}
        except (request.BadRequest, NetworkUnavailable, OSError) as error:
            answer = {"event": "failed", "reason": str(error)}
        with answer_to, suppress(OSError):
            wire.send(answer_to, answer, fds)
        for fd in fds.values():
            os.close(fd)

    def _plug(self, message: dict[str, Any]) -> None:
        """Connect a sandbox with a network; the answer goes to its control socket, beside its own."""
        slot = message.get("sandbox")
        found = next(((pid, each) for pid, each in self._running.items() if each.slot == slot), None)
        if found is None:
            return  # It has ended, which its socket tells.
        pid, sandbox = found
        try:
            answer = {"event": "plugged", **self.networks.plug(sandbox.slot, pid, message.get("network"))}
        except (request.BadRequest, NetworkUnavailable, OSError) as error:
            answer = {"event": "not_plugged", "reason": str(error), "kind": type(error).__name__}
        with suppress(OSError):
            wire.send(sandbox.control, answer)

    def _start_zygote(self, runtime: int, control: socket.socket) -> None:
        set_up = zygote.SetUp(
            number=self._zygotes.next_number(),
            namespaces=_NAMESPACES,
            prefixes=len(self._agreed.prefixes),
            tmp_blanks=self._blanks if self._tmp_images else None,
            user_namespace=self._user_namespaces,
            filter=self._filter,
            template_filter=self._template_filter,
            parents=self._parents,
            runtime=self._agreed.runtimes[runtime],
        )
        self._zygotes.start(set_up, runtime, control)

    def _blueprint(self, wanted: request.Prepare, slot: int) -> init.Blueprint:
        return init.Blueprint(
            slot=str(slot),
            limits=wanted.limits,
            prefixes=len(self._agreed.prefixes),
            tmp_blanks=self._blanks if self._tmp_images else None,
            host_id=self._host_id(slot),
            user_namespace=self._user_namespaces,
            filter=self._filter,
            template_filter=self._template_filter,
            parents=self._parents,
            runtime=None if wanted.runtime is None else self._agreed.runtimes[wanted.runtime],
        )

    def _host_id(self, slot: int) -> int:
        return self._ids.first + (slot if self._ids.missing is None else 0)

    def _take_slot(self) -> int:
        """The lowest free one, so that numbers stay small."""
        if self._free_slots:
            return heapq.heappop(self._free_slots)
        if self._next_slot == (most := self._ids.size - 1 if self._ids.missing is None else _IDS_PER_DATA_DIR):
            raise request.BadRequest(f"more than {most} sandboxes")
        self._next_slot += 1
        return self._next_slot - 1

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if (ended := self._running.pop(pid, None)) is not None:
                self._clean(ended, os.waitstatus_to_exitcode(status))
            else:
                self._zygotes.ended(pid)
            self._clear_doubts()

    def _clean(self, ended: Running, code: int) -> None:
        """A slot whose cgroup cannot be removed is not used until it can: what is in there is not known."""
        self.networks.unplug(ended.slot)
        if self._remove_group(str(ended.slot)):
            heapq.heappush(self._free_slots, ended.slot)
        else:
            self._doubtful.add(ended.slot)
        with suppress(OSError):
            wire.send(ended.control, {"event": "gone", "code": code})
        ended.control.close()

    def _clear_doubts(self) -> None:
        """Slots that may be in use without our knowing are free when nothing is in their cgroups."""
        for slot in [slot for slot in self._doubtful if self._remove_group(str(slot), 1)]:
            self._doubtful.discard(slot)
            heapq.heappush(self._free_slots, slot)

    def _remove_group(self, name: str, attempts: int = 20) -> bool:
        folders = [folder for _, folder in self._parents]
        for _ in range(attempts):
            if cgroups.remove(folders, name):
                return True
            # The kernel may still be taking the last process out. Or a template has put one of its own there, by the
            # descriptors that its clone was given to join.
            for folder in folders:
                leftovers.kill(f"{folder}/{name}")
            time.sleep(0.001)
        return False

    def _end(self) -> None:
        self._zygotes.end()
        # Each sandbox sees the end of its own socket too; this does not wait for them to notice.
        for pid, each in self._running.items():
            for _, folder in self._parents:
                leftovers.thaw(f"{folder}/{each.slot}")
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + _END_TIMEOUT_S
        while (self._running or self._zygotes.pids) and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.001)
        self.networks.close()
        for _, folder in self._parents:
            syscalls.umount(folder)
        for parent in self._above_groups:
            with suppress(OSError):  # A process that did not end: the next start sweeps it.
                os.rmdir(self._group_name, dir_fd=parent)


def _check_proc() -> None:
    """The kernel lets a user namespace mount /proc only where nothing of it is covered, as containers cover some."""
    pid = syscalls.clone(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID)
    if pid == 0:
        try:
            syscalls.mount("proc", "/proc", "proc", 0)
        except OSError:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if status:
        text = "the kernel refuses a /proc of its own to a user namespace here, as where parts of /proc are covered"
        raise OSError(f"{text} (docker run --security-opt systempaths=unconfined)")


def _trusted(agreed: Agreed) -> frozenset[int]:
    """Before the launcher enters a user namespace."""
    program = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    return frozenset(
        number
        for number, runtime in enumerate(agreed.runtimes)
        if zygote.trusted(runtime, zygote.Places(agreed.prefixes[runtime.prefix], agreed.runtime_entries, program))
    )


def _ids(agreed: Agreed) -> Ids:
    """The numbers of functions, and the way into the namespace where they are ours."""
    if agreed.rootless:
        return user_namespace.enter(agreed.mark)
    return Ids(_FIRST_ID + int(agreed.mark, 16) % _DATA_DIRS * _IDS_PER_DATA_DIR, _IDS_PER_DATA_DIR, None)


def _raise_file_limit() -> None:
    """One socket is kept for each sandbox."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _contained(agreed: wire.Message, supervisor: socket.socket) -> None:
    # The others, who share each page with their sandboxes, do not need it.
    from lambent.launcher.contained.server import ContainedLauncher

    names = ("data_dir", "mark", "packages", "runtime_entries")
    try:
        launcher = ContainedLauncher(
            **{name: agreed[name] for name in names},
            prefixes=tuple(agreed["prefixes"]),
            web=agreed["egress"] != "none",
            users=agreed["function_users"],
            supervisor=supervisor,
        )
    except OSError as error:
        wire.send(supervisor, {"event": "failed", "reason": str(error)})
        return
    wire.send(supervisor, {"event": "ready", "missing": launcher.missing, "egress": None, "vpcs": _NO_NETWORKS})
    launcher.serve()


def main() -> None:
    supervisor = socket.socket(fileno=os.dup(SOCKET_FD))
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, SOCKET_FD)
    os.dup2(null, 1)
    received = wire.receive(supervisor)
    if received is None:
        return
    if received[0]["kind"] == "process":
        _contained(received[0], supervisor)
        return
    agreed = Agreed(
        data_dir=received[0]["data_dir"],
        mark=received[0]["mark"],
        packages=received[0]["packages"],
        prefixes=tuple(received[0]["prefixes"]),
        runtimes=tuple(
            request.Runtime(prefix, tuple(argv), variables) for prefix, argv, variables in received[0]["runtimes"]
        ),
        runtime_entries=received[0]["runtime_entries"],
        delegated=received[0]["delegated"],
        rootless=received[0]["kind"] == "rootless",
        trusted=None,
        egress=received[0]["egress"],
        egress_allow=tuple(received[0]["egress_allow"]),
        oci=received[0]["oci"],
    )
    kind = Launcher
    if agreed.oci is not None:
        from lambent.launcher.oci.server import OciLauncher

        kind = OciLauncher
    try:
        if agreed.rootless:
            agreed = agreed._replace(trusted=_trusted(agreed))
        launcher = kind(agreed, _ids(agreed), supervisor)
    except (NoUserNamespace, OSError) as error:
        wire.send(supervisor, {"event": "failed", "reason": str(error)})
        return
    addresses = {"runtime_api": loopback.RUNTIME_API, "aws_endpoint": loopback.AWS_ENDPOINT}
    fds = launcher.networks.handed_over()
    ready: wire.Message = {"event": "ready", "missing": launcher.missing, **addresses}
    ready |= {"egress": launcher.networks.missing, "vpcs": launcher.networks.no_vpcs}
    wire.send(supervisor, ready, fds)
    for fd in fds.values():
        os.close(fd)
    # What exists now is shared with every sandbox's first process, page by page: collections would unshare it.
    gc.disable()
    gc.freeze()
    launcher.serve()
