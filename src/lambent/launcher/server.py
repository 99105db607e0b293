"""The launcher's loop: take requests, fork sandboxes, clean up after them. Single-threaded.

It ends with its socket. Its sandboxes end with it, by the parent-death signal and by their own sockets.
"""

import os
import select
import signal
import socket
import time
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

from lambent.launcher import init, leftovers, request, tmp_image, wire, zygote
from lambent.launcher.kernel import syscalls
from lambent.launcher.machine import Machine
from lambent.launcher.net import networks
from lambent.launcher.net import request as network_request
from lambent.launcher.net.namespaces import NetworkUnavailable
from lambent.launcher.restore import criu, finish, making, saved
from lambent.launcher.slots import Slots
from lambent.launcher.zygotes import Zygotes

_NAMESPACES = (
    syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
)
"""Not of cgroups: from inside one, v2 (nsdelegate) would not let the runtime into a group beside ours. It leaves ours
for its own once it has joined."""
_END_TIMEOUT_S = 5.0


class Running(NamedTuple):
    slot: int
    control: socket.socket


class Launcher:
    """`machine` is made, and entered here. Raises OSError."""

    def __init__(self, machine: Machine, supervisor: socket.socket) -> None:
        agreed, ids = machine.agreed, machine.ids
        self.machine = machine
        self._agreed = agreed
        self._supervisor = supervisor
        self._running: dict[int, Running] = {}
        self._zygotes = Zygotes(agreed.trusted)
        # The last of the numbers is no function's.
        self.networks = networks.Networks(agreed.egress, agreed.egress_allow, ids.first + ids.size - 1, agreed.mark)
        saved.sweep(machine.folder)
        self._saved = saved.Saved(agreed.criu)
        machine.enter()
        self.networks.open()
        machine.probe()
        self._slots = Slots(machine.slots, [folder for _, folder in machine.parents])

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
                elif message.get("do") == "egress":
                    self.networks.want_egress()
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
                case "criu" if self._saved.program is not None:
                    self._save_or_restore(request.saving(message), control, self._saved.program)
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
        slot = self._slots.take()
        try:
            pid = os.fork()
        except OSError:
            self._slots.give_back(slot)
            raise
        if pid == 0:
            blueprint = making.Blueprint(
                slot=str(slot),
                limits=wanted.limits,
                parents=self.machine.parents,
                group_name=self.machine.group_name,
                template_slot=str(wanted.template),
                template_first=first,
                owner=self.machine.host_id(wanted.template),
                proc=self.machine.proc,
            )
            finish.run(blueprint, control, template)
        self._running[pid] = Running(slot, control)

    def _save_or_restore(self, wanted: request.Saving, control: socket.socket, program: int) -> None:
        """It answers on the socket, and ends with that."""
        first = next((pid for pid, each in self._running.items() if each.slot == wanted.sandbox), None)
        if first is None:
            raise request.BadRequest("there is no such sandbox")
        plan = criu.Plan(
            first=first,
            slot=str(wanted.sandbox),
            parents=self.machine.parents,
            group_name=self.machine.group_name,
            owner=self.machine.host_id(wanted.like),
            proc=self.machine.proc,
            folder=self._saved.folder(wanted),
            memory_mb=wanted.memory_mb,
            restores=wanted.like != wanted.sandbox,
        )
        if os.fork() == 0:
            criu.run(plan, control, program)
        control.close()

    def _prepare(self, wanted: request.Prepare, control: socket.socket) -> None:
        if self.machine.tmp_images:
            self.machine.blank(wanted.limits.tmp_mb)
        self._saved.check(wanted)
        slot = self._slots.take()
        blueprint = self._blueprint(wanted, slot)
        try:
            if wanted.zygote is not None:
                message = {"slot": blueprint.slot, "host_id": blueprint.host_id, "limits": wanted.limits}
                pid = self._zygotes.fork(wanted.zygote, wanted.runtime, message, control)
            else:
                pid = self._fork()
        except (request.BadRequest, OSError, ValueError):
            # A zygote that failed may have made a sandbox that we do not know.
            self._slots.doubt(slot)
            raise
        if pid == 0:
            self._become(wanted, blueprint, control)
        self._running[pid] = sandbox = Running(slot, control)
        self._saved.add(slot, wanted)
        if wanted.internet:
            # On this CPU, while the sandbox is made on another.
            self._connect(pid, sandbox, network_request.INTERNET)

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
        self._connect(*found, message.get("network"))

    def _connect(self, pid: int, sandbox: Running, wanted: Any) -> None:
        try:
            answer = {"event": "plugged", **self.networks.plug(sandbox.slot, pid, wanted)}
        except (request.BadRequest, NetworkUnavailable, OSError) as error:
            answer = {"event": "not_plugged", "reason": str(error), "kind": type(error).__name__}
        with suppress(OSError):
            wire.send(sandbox.control, answer)

    def _start_zygote(self, runtime: int, control: socket.socket) -> None:
        machine = self.machine
        set_up = zygote.SetUp(
            number=self._zygotes.next_number(),
            namespaces=_NAMESPACES,
            prefixes=len(self._agreed.prefixes),
            tmp_blanks=machine.blanks if machine.tmp_images else None,
            user_namespace=machine.user_namespaces,
            filter=machine.filter,
            template_filter=machine.template_filter,
            parents=machine.parents,
            runtime=self._agreed.runtimes[runtime],
        )
        self._zygotes.start(set_up, runtime, control)

    def _blueprint(self, wanted: request.Prepare, slot: int) -> init.Blueprint:
        machine = self.machine
        return init.Blueprint(
            slot=str(slot),
            limits=wanted.limits,
            prefixes=len(self._agreed.prefixes),
            tmp_blanks=machine.blanks if machine.tmp_images else None,
            host_id=machine.host_id(slot if wanted.like is None else wanted.like),
            user_namespace=machine.user_namespaces and not wanted.to_save and wanted.like is None,
            filter=machine.filter,
            template_filter=machine.template_filter,
            parents=machine.parents,
            runtime=None if wanted.runtime is None else self._agreed.runtimes[wanted.runtime],
        )

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
            self._slots.clear_doubts()

    def _clean(self, ended: Running, code: int) -> None:
        self.networks.unplug(ended.slot)
        for slot in self._saved.end(ended.slot):
            self._slots.end(slot)
        with suppress(OSError):
            wire.send(ended.control, {"event": "gone", "code": code})
        ended.control.close()

    def _end(self) -> None:
        self._zygotes.end()
        # Each sandbox sees the end of its own socket too; this does not wait for them to notice.
        for pid, each in self._running.items():
            for _, folder in self.machine.parents:
                leftovers.thaw(f"{folder}/{each.slot}")
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + _END_TIMEOUT_S
        while (self._running or self._zygotes.pids) and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.001)
        self.networks.close()
        self._saved.close()
        self.machine.leave()
