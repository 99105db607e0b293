"""The launcher of the `oci` driver: the same loop, but an OCI runtime (runc, crun, ...) makes the sandboxes.

It stays in the host's tree, where the runtime finds what it needs. Each sandbox has a process of ours outside
(`oci.init`, `oci.first`) in the place of a first process of ours inside.
"""

import os
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import NoReturn

from lambent.launcher import base_tree, init, request
from lambent.launcher.kernel import seccomp, syscalls
from lambent.launcher.oci import init as oci_init
from lambent.launcher.oci import tree as oci_tree
from lambent.launcher.oci.first import Blueprint
from lambent.launcher.oci.gvisor import INTERPRETER_PLACE, PROCESSES
from lambent.launcher.oci.machine import OciMachine
from lambent.launcher.oci.runtime import OciRuntime
from lambent.launcher.server import Launcher, Running

_END_TIMEOUT_S = 5.0
_V2 = "/sys/fs/cgroup"


class OciLauncher(Launcher):
    """`program` is the OCI runtime. Raises OSError."""

    def __init__(self, machine: OciMachine, program: str, supervisor: socket.socket) -> None:
        super().__init__(machine, supervisor)
        self._lang = INTERPRETER_PLACE if self._agreed.gvisor else "/var/lang"
        if self._agreed.gvisor:
            machine.system[INTERPRETER_PLACE] = base_tree.prefix_path(machine.own_prefix)
            os.makedirs(f"{oci_tree.ROOT}{INTERPRETER_PLACE}")
            machine.missing["pids"] = f"gVisor has processes of its own, so the limit is {PROCESSES} higher"
        self._machine = machine
        self._program = program
        self._null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self._profile = None if machine.filter is None else seccomp.oci_profile()

    def _fork(self) -> int:
        return syscalls.clone(0)

    def _become(self, wanted: request.Prepare, blueprint: init.Blueprint, control: socket.socket) -> NoReturn:
        oci_init.run(self._plan(wanted, int(blueprint.slot)), control)

    def _start_zygote(self, runtime: int, control: socket.socket) -> None:
        raise request.BadRequest("containers of an OCI runtime cannot be forked")

    def _plan(self, wanted: request.Prepare, slot: int) -> Blueprint:
        machine = self._machine
        return Blueprint(
            name=self._container(slot),
            slot=str(slot),
            limits=wanted.limits,
            prefixes=len(self._agreed.prefixes),
            own_prefix=machine.own_prefix,
            interpreter=f"{self._lang}/bin/python{sys.version_info.major}.{sys.version_info.minor}",
            runtime=None if wanted.runtime is None else self._agreed.runtimes[wanted.runtime],
            tmp_blanks=machine.blanks if machine.tmp_images else None,
            host_id=machine.host_id(slot),
            program=self._program,
            gvisor=self._agreed.gvisor,
            system=machine.system,
            parents=machine.parents,
            groups=self._group_path(slot),
            seccomp=self._profile,
        )

    def _group_path(self, slot: int) -> str | None:
        """As the OCI runtime understands it: on v1 relative to the group that a process is in, in each hierarchy; on v2
        it would be relative to the one above, so it is absolute."""
        if not self._machine.hierarchies:
            return None
        path = f"{self._machine.group_name}/{slot}"
        if any(each.version == 1 for each in self._machine.hierarchies):
            return path
        return f"{self._machine.hierarchies[0].folder.removeprefix(_V2)}/{path}"

    def _container(self, slot: int) -> str:
        return f"{self._machine.group_name}-{slot}"

    def _clean(self, ended: Running, code: int) -> None:
        if code != 0:  # It was killed, or failed: what it had is still there.
            OciRuntime(self._program, self._null).delete(self._container(ended.slot))
            with suppress(OSError):
                oci_tree.clear_slot(str(ended.slot))
        self._remove_foreign_groups(f"{self._machine.group_name}/{ended.slot}")
        super()._clean(ended, code)

    def _remove_foreign_groups(self, name: str) -> None:
        for folder in self._machine.own_groups:
            with suppress(OSError):
                os.rmdir(f"{folder}/{name}")

    def _end(self) -> None:
        for pid in self._running:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _END_TIMEOUT_S
        while self._running and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.001)
        super()._end()
        self._remove_foreign_groups(self._machine.group_name)
